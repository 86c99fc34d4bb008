"""Environments: the merge of what is needed with where it is, and every mistake in both files."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jsonmerge  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.errors import LabError
from OttoLibrary.lab.environment import Environment, read_environment, secrets_in, without_secrets
from OttoLibrary.lab.environment_files import ReadFile
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.lab.settings import read
from OttoLibrary.lab.source import environment_of, split
from OttoLibrary.masking import mask
from OttoLibrary.schema.source_position import SourcePosition
from tests.unit.lab.benches import Write

RICH_ENVIRONMENT = {
    "version": "1",
    "environment_def": {
        "srv": {"type": "case_server", "software": {"image": "srv-2.0.img"}, "delay": "0.2"},
        "dut": {"software": {"image": "dut-7.1.img", "options": {"reset": True}}, "tags": ["from-env"], "delay": "0.1"},
        "client": {"delay": "0.05", "connection": {"port": 2202}},
    },
}
RICH_INVENTORY = {
    "bench-1": {
        "location": "hall-a",
        "devices": [
            {
                "name": "dut",
                "type": "case_dut",
                "connection_type": "local_cmd",
                "software": {"image": "factory.img", "flash": "full", "options": {"verify": True}},
                "tags": ["from-inventory", "second"],
            },
            {"name": "srv", "type": "case_server", "ipaddr": "127.0.0.1"},
        ],
    },
    "bench-2": {"devices": []},
    "locations": {
        "hall-a": {
            "devices": [
                {"name": "client", "type": "case_client", "connection": {"ip": "127.0.0.1", "port": 22}},
                {"name": "srv_b", "type": "case_server2"},
            ]
        }
    },
}


@pytest.fixture
def merge(write: Write) -> Any:
    def merged(environment: Any, inventory: Any, board: str = "b") -> Environment:
        write(environment, "env.json")
        write(inventory, "inv.json")
        return read_environment("env.json", "inv.json", board)

    return merged


def bench(*devices: Any) -> dict[str, Any]:
    return {"b": {"devices": list(devices)}}


def needed(**devices: Any) -> dict[str, Any]:
    return {"environment_def": devices}


BOX = {"name": "dut", "type": "my_box"}


def test_the_smallest_pair(merge: Any) -> None:
    assert merge({"environment_def": {}}, bench(BOX)).merged() == [BOX]


def test_the_rich_pair_has_the_result_of_vitro(merge: Any) -> None:
    assert merge(RICH_ENVIRONMENT, RICH_INVENTORY, "bench-1").merged() == [
        {
            "name": "dut",
            "type": "case_dut",
            "connection_type": "local_cmd",
            "software": {"image": "dut-7.1.img", "flash": "full", "options": {"verify": True, "reset": True}},
            "tags": ["from-env"],
            "delay": "0.1",
        },
        {"name": "srv", "type": "case_server", "ipaddr": "127.0.0.1", "software": {"image": "srv-2.0.img"}, "delay": "0.2"},
        {"name": "client", "type": "case_client", "connection": {"ip": "127.0.0.1", "port": 2202}, "delay": "0.05"},
        {"name": "srv_b", "type": "case_server2"},
    ]


@pytest.mark.parametrize(
    ("base", "head", "result"),
    [
        (1, 2, 2),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ([1], [2], [2]),
        ({"a": 1}, None, None),
        ({"a": 1}, 5, 5),
        (None, {"a": 1}, {"a": 1}),
    ],
)
def test_the_table_of_the_merge(merge: Any, base: object, head: object, result: object) -> None:
    assert merge(needed(dut={"x": head}), bench({**BOX, "x": base})).merged() == [{**BOX, "x": result}]


def test_an_environment_may_rename_and_retype(merge: Any) -> None:
    assert merge(needed(dut={"name": "d", "type": "t"}), bench(BOX)).merged() == [{"name": "d", "type": "t"}]


def test_a_board_knows_its_bench(merge: Any) -> None:
    assert merge(needed(board={}), bench({"name": "board", "type": "t"})).merged()[0]["resource_name"] == "b"


def test_keys_that_begin_with_an_underscore_are_kept(merge: Any) -> None:
    assert merge(needed(dut={"_b": 2}), bench({**BOX, "_a": 1})).merged() == [{**BOX, "_a": 1, "_b": 2}]


LAN = [{"name": "lan", "type": "bf_lan", "x": {"a": 1}}, {"name": "lan2", "type": "debian_lan"}]
WIFI = [{"name": "w5", "type": "bf_wlan", "band": "dual"}, {"name": "w2", "type": "debian_wifi", "band": "2.4"}]


def test_lan_clients_go_by_position_and_merge_flat(merge: Any) -> None:
    environment = needed(board={"deep": {"lan_clients": [{"x": {"b": 2}}]}})
    merged = merge(environment, bench(*LAN, {"name": "board", "type": "t"})).merged()
    assert [device["name"] for device in merged] == ["board", "lan"]
    assert merged[1]["x"] == {"b": 2}


def test_without_lan_clients_there_are_no_lan_devices(merge: Any) -> None:
    assert merge(needed(), bench(*LAN, BOX)).merged() == [BOX]


def test_wifi_clients_go_by_band(merge: Any) -> None:
    merged = merge({**needed(), "wifi_clients": [{"band": "5"}, {"band": "2.4", "k": 1}]}, bench(*WIFI)).merged()
    assert merged == [{**WIFI[1], "k": 1}, {**WIFI[0], "band": "5"}]


@pytest.mark.parametrize(
    ("environment", "devices", "problem"),
    [
        (
            needed(duut={}),
            [BOX],
            (
                "env.json: device 'duut' is not among the devices of the board (inv.json @ b.devices) @ environment_def.duut "
                "(did you mean 'dut'?)"
            ),
        ),
        (
            needed(dut={"a": {"b": {}}}),
            [{**BOX, "a": {"b": 3}}],
            "env.json: an object cannot be merged into a number (inv.json @ b.devices[0].a.b) @ environment_def.dut.a.b",
        ),
        (
            needed(dut="off"),
            [BOX],
            ("env.json: text would replace the whole device (inv.json @ b.devices[0]); write an object @ environment_def.dut"),
        ),
        (
            needed(),
            [BOX, dict(BOX)],
            ("inv.json: the name 'dut' is there twice (inv.json @ b.devices[0].name) @ b.devices[1].name"),
        ),
        (
            needed(dut={"name": "e"}),
            [BOX, {**BOX, "name": "e"}],
            ("inv.json: the name 'e' is there twice (env.json @ environment_def.dut.name) @ b.devices[1].name"),
        ),
        (
            needed(lan={}),
            LAN,
            (
                "env.json: device 'lan' gets its settings from 'lan_clients', not from here (inv.json @ "
                "b.devices[0]) @ environment_def.lan"
            ),
        ),
        (
            {**needed(), "lan_clients": [{}] * 3},
            LAN,
            ("env.json: 3 lan clients are asked for, and the board has 2 (inv.json @ b.devices) @ lan_clients"),
        ),
        (
            {**needed(), "wifi_clients": [{"band": "6"}] * 2},
            WIFI,
            ("env.json: no wifi device of band '6' is left on the board (inv.json @ b.devices) @ wifi_clients[1]"),
        ),
        ({**needed(), "wifi_clients": {"band": "6"}}, WIFI, "env.json: 'wifi_clients' is a list of objects @ wifi_clients"),
        (
            needed(dut={"type": None}),
            [BOX],
            (
                "env.json: null is not text with something in it, as 'type' must be (inv.json @ "
                "b.devices[0].type) @ environment_def.dut.type"
            ),
        ),
        (needed(), [{"name": "x"}], "inv.json: the device has no 'type' @ b.devices[0]"),
        (needed(), ["x"], "inv.json: a device is an object, not text @ b.devices[0]"),
        ({"environment_de": {}}, [BOX], ("env.json: 'environment_def' is missing @ top level (did you mean 'environment_de'?)")),
        ([], [BOX], "env.json: an environment is a JSON object @ top level"),
        ('{"environment_def": {}, "environment_def": {}}', [BOX], "env.json: duplicate key 'environment_def' @ top level"),
    ],
)
def test_what_vitro_swallows_is_named_with_files_and_paths(
    merge: Any, environment: Any, devices: list[Any], problem: str
) -> None:
    with pytest.raises(LabError) as raised:
        merge(environment, bench(*devices))
    assert raised.value.problems == (problem,)


@pytest.mark.parametrize(
    ("inventory", "problem"),
    [
        ({"bb": {"devices": []}}, "inv.json: there is no board 'b', there are bb @ top level (did you mean 'bb'?)"),
        ({"b": 7}, "inv.json: a number is not an object @ b"),
        ({"b": {}}, "inv.json: 'devices' is missing @ b"),
        (
            {"b": {"devices": [], "location": "hal"}, "locations": {"hall": {}}},
            ("inv.json: there is no location 'hal', there are hall @ b.location (did you mean 'hall'?)"),
        ),
        ({"b": {"devices": [], "location": "hall"}}, "inv.json: there is no location 'hall', there are none @ b.location"),
        ({"locations": {}}, "inv.json: there is no board 'b', there are none @ top level"),
    ],
)
def test_a_wrong_inventory_is_named(merge: Any, inventory: Any, problem: str) -> None:
    with pytest.raises(LabError) as raised:
        merge({"environment_def": {}}, inventory)
    assert raised.value.problems == (problem,)


def test_all_mistakes_come_in_one_message(merge: Any) -> None:
    with pytest.raises(LabError) as raised:
        merge(needed(ghost={}, dut={"a": {}}), bench({**BOX, "a": 1}, {"name": "n"}))
    assert len(raised.value.problems) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
DATA = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@given(DATA, DATA)
def test_the_merge_is_that_of_jsonmerge_or_a_mistake(base: dict[str, Any], head: dict[str, Any]) -> None:
    from OttoLibrary.lab.environment import _Merger

    problems: list[str] = []
    asked = ReadFile(needed(dut=head), SourcePosition("e", Path(), problems))
    found = ReadFile(bench({**BOX, **base}), SourcePosition("i", Path(), problems))
    devices = _Merger(asked, found, "b").devices()
    try:
        expected = jsonmerge.merge({**BOX, **base}, head)
    except jsonmerge.exceptions.BaseInstanceError:
        assert problems
        assert not devices
        return
    assert not problems
    assert [device.config for device in devices] == [expected]


def test_secrets_are_known_by_their_keys() -> None:
    data = {"password": "a1", "x": [{"api_key": "b2", "tokens": {"auth_token": "c3"}}], "user": "me", "passphrase": "${env:X}"}
    assert sorted(secrets_in(data)) == ["a1", "b2", "c3"]
    shown = json.dumps(without_secrets(data))
    assert not {"a1", "b2", "c3"} & set(shown.replace('"', " ").split())
    assert "me" in shown


def test_a_value_is_shown_with_the_file_that_it_comes_from(merge: Any) -> None:
    device = merge(
        needed(dut={"a": {"b": 2}, "n": None, "s": 1}), bench({**BOX, "a": {"b": 1, "c": 3}, "n": {"x": 1}, "s": {"y": 1}})
    ).devices[0]
    assert device.origin_texts() == [
        ("name", '"dut"', "inv.json", ""),
        ("type", '"my_box"', "inv.json", ""),
        ("a.b", "2", "env.json", "1"),
        ("a.c", "3", "inv.json", ""),
        ("n", "null", "env.json", '{"x": 1}'),
        ("s", "1", "env.json", '{"y": 1}'),
    ]


# -- as a lab


def test_a_reference_has_three_words() -> None:
    assert split("demo, environment:a.json, b.json ,c,json:x") == ["demo", "environment:a.json,b.json,c", "json:x"]


def test_an_environment_joins_other_labs(merge: Any) -> None:
    merge(RICH_ENVIRONMENT, RICH_INVENTORY, "bench-1")
    lab = load_lab("demo,environment:env.json,inv.json,bench-1")
    assert "dut" in lab.names()
    assert "gateway" in lab.names()
    assert lab.facts("dut").metadata["software"]["image"] == "dut-7.1.img"


def test_too_few_words_are_named(write: Write) -> None:
    with pytest.raises(LabError, match="Write environment:ENVIRONMENT,INVENTORY,BOARD"):
        load_lab("environment:env.json,inv.json")


def test_files_are_looked_for_beside_the_suite_and_the_settings(folder: Path, write: Write) -> None:
    write('name = "sut"\nversion = "1.0.0"\n', "repo/.otto/settings.toml")
    write({"environment_def": {}}, "repo/.otto/env.json")
    write(bench({**BOX, "address": "10.0.0.1"}), "repo/suites/inv.json")
    suite = folder / "repo" / "suites"
    assert load_lab("environment:env.json,inv.json,b", suite, read(suite)).names() == ["dut"]
    found = environment_of("environment:env.json,inv.json,b", suite, read(suite))
    assert found is not None
    assert found.sources == ("repo/.otto/env.json", "repo/suites/inv.json")
    assert environment_of("demo", suite, read(suite)) is None


# -- over http


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        status, headers, body = self.server.answers[self.path.partition("?")[0]]  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Any:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    made.answers, made.asked = {}, []  # type: ignore[attr-defined]
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def url(server: Any, path: str, login: str = "") -> str:
    return f"http://{login}127.0.0.1:{server.server_address[1]}{path}"


def test_a_url_is_fetched_with_its_login(server: Any, write: Write) -> None:
    server.answers["/e"] = 200, {}, b'{"environment_def": {}}'
    write(bench(BOX), "inv.json")
    assert read_environment(url(server, "/e", "me:pa55-word@"), "inv.json", "b").merged() == [BOX]
    assert server.asked == ["Basic bWU6cGE1NS13b3Jk"]
    assert mask("pa55-word") == "<secret>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (404, {}, b'{"environment_def": {}}', "the server answered 404 Not Found"),
        (204, {}, b"", "the server answered 204"),
        (302, {"Location": "ftp://127.0.0.1/x"}, b"", "the server redirects to something other than http"),
        (200, {}, b"<html>", "bad JSON"),
    ],
)
def test_a_bad_answer_is_no_environment(server: Any, write: Write, status: int, headers: Any, body: bytes, problem: str) -> None:
    server.answers["/e"] = status, headers, body
    write(bench(BOX), "inv.json")
    with pytest.raises(LabError) as raised:
        read_environment(url(server, "/e?token=abcdefg", "me:pa55-word@"), "inv.json", "b")
    assert problem in str(raised.value)
    assert "pa55" not in str(raised.value)
    assert "abcdefg" not in str(raised.value)


def test_a_login_is_not_told_to_another_server(server: Any, write: Write) -> None:
    server.answers |= {"/e": (302, {"Location": "/f"}, b""), "/f": (200, {}, b'{"environment_def": {}}')}
    write(bench(BOX), "inv.json")
    assert read_environment(url(server, "/e", "me:pa55-word@"), "inv.json", "b").merged() == [BOX]
    assert server.asked == ["Basic bWU6cGE1NS13b3Jk", None]
