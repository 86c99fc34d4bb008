"""Labs: read, checked as a whole, merged."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from OttoLibrary.errors import LabError, UnknownNameError
from OttoLibrary.lab import fields
from OttoLibrary.lab.loading import load_lab
from tests.unit.lab.benches import Write, bench, otto, problems

REPO = Path(__file__).parents[3]


@pytest.mark.parametrize("file", [*REPO.glob("labs/*.json"), *REPO.glob("OttoLibrary/labs/*.json")], ids=lambda file: file.stem)
def test_a_shipped_lab_loads(file: Path) -> None:
    lab = load_lab(str(file))
    assert lab.name == file.stem
    assert lab.names()


def test_the_demo_lab_is_always_there() -> None:
    lab = load_lab("demo")
    assert lab.names() == ["local", "gateway", "dut1", "dut2", "dut3"]
    assert lab.select("tag:dut") == ["dut1", "dut2", "dut3"]
    assert lab.path("dut2") == ("gateway", "dut2")


@pytest.mark.parametrize("references", ["", " , "])
def test_no_lab_at_all_is_an_error(references: str) -> None:
    assert problems(references)[0].startswith("No lab is given.")


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"adress": "x"}, "unknown key 'adress' @ hosts.dut1 (did you mean 'address'?)"),
        ({"port": 70000}, "70000 is not a port from 1 to 65535 @ hosts.dut1.port"),
        ({"port": "22"}, "'22' is not a port from 1 to 65535; write 22 without quotes @ hosts.dut1.port"),
        ({"port": True}, "true is not a port from 1 to 65535 @ hosts.dut1.port"),
        ({"password": 12}, "a number is not text @ hosts.dut1.password"),
        ({"timeout": "soon"}, "'soon' is not a duration such as 10, '500ms' or '1 min 30 s' @ hosts.dut1.timeout"),
        ({"tags": "dut"}, "text is not a list @ hosts.dut1.tags"),
        ({"tags": ["a", 1]}, "a number is not text with something in it @ hosts.dut1.tags[1]"),
        ({"ssh": {"cipher": "x"}}, "unknown key 'cipher' @ hosts.dut1.ssh (did you mean 'ciphers'?)"),
        ({"ssh": {"forwards": ["80"]}}, "'80' is not [bind_address:]port:address:port @ hosts.dut1.ssh.forwards[0]"),
        ({"ftp": {"pasword": "x"}}, "unknown key 'pasword' @ hosts.dut1.ftp (did you mean 'password'?)"),
        ({"ftp": {"tls": "yes"}}, "'yes' is not one of no, explicit, implicit @ hosts.dut1.ftp.tls"),
        ({"ftp": {"mode": "activ"}}, "'activ' is not one of passive, active @ hosts.dut1.ftp.mode (did you mean 'active'?)"),
        ({"ftp": {"port": "/dev/x"}}, "'/dev/x' is not a port from 1 to 65535 @ hosts.dut1.ftp.port"),
        (
            {"ftp": {"certificate": "SHA256:12"}},
            (
                "'SHA256:12' is not 'verify', 'ignore' or SHA256: with the 64 hexadecimal digits of a fingerprint"
                " @ hosts.dut1.ftp.certificate"
            ),
        ),
        (
            {"transport": "shh"},
            (
                "transport 'shh' is not available, known are local, program, serial, ssh, telnet @ hosts.dut1.transport "
                "(did you mean 'ssh'?)"
            ),
        ),
        ({"hop": "dut2"}, "hop 'dut2' is not a host of the lab @ hosts.dut1.hop (did you mean 'dut1'?)"),
        ({"hop": "dut1"}, "the hops run in a circle: dut1 -> dut1 @ hosts.dut1.hop"),
        ({"user": "${evn:U}"}, "unknown reference kind 'evn' @ hosts.dut1.user (did you mean 'env'?)"),
        ({"metadata": {"a": ["${nope:U}"]}}, "unknown reference kind 'nope' @ hosts.dut1.metadata.a[0]"),
        ({"environment": {"A-B": "1"}}, "'A-B' is not the name of a variable @ hosts.dut1.environment"),
        ({"environment": {"A": 1}}, "a number is not text @ hosts.dut1.environment.A"),
        (
            {"host_key": "strikt"},
            (
                "'strikt' is not 'accept-new', 'strict', 'ignore', a SHA256 fingerprint or a public key @ hosts.dut1.host_key "
                "(did you mean 'strict'?)"
            ),
        ),
        (
            {"hop": "${env:HOP}"},
            "a reference is not allowed here, because the value is needed before references are resolved @ hosts.dut1.hop",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_path(write: Write, host: dict[str, Any], problem: str) -> None:
    write(bench(**host))
    assert f"labs/bench.json: {problem}" in problems()


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a\tb", "a\x07b", "AND", "OR", "NOT", "tag:x", "a*", "a=b"])
def test_a_host_name_must_be_selectable(write: Write, name: str) -> None:
    write({"hosts": {name: {"address": "x"}}})
    assert problems()[0].startswith(f"labs/bench.json: {name!r} is not a host name")


def test_all_mistakes_of_all_files_come_in_one_error(write: Write) -> None:
    write({"nane": "x", "defaults": {"port": 0}, "hosts": {"dut1": {"prt": 1}, "dut2": {"address": "x", "hop": "nowhere"}}})
    write("[1,}", "labs/broken.json")
    assert problems("bench,broken,nothing") == (
        "labs/bench.json: unknown key 'nane' @ top level (did you mean 'name'?)",
        "labs/bench.json: 0 is not a port from 1 to 65535 @ defaults.port",
        "labs/bench.json: unknown key 'prt' @ hosts.dut1 (did you mean 'port'?)",
        "labs/broken.json: bad JSON: Expecting value @ line 1, column 4",
        problems("nothing")[0],
        "labs/bench.json: 'address' is missing @ hosts.dut1",
        "labs/bench.json: hop 'nowhere' is not a host of the lab @ hosts.dut2.hop",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"hosts": {"a": {"address": "1", "address": "2"}}}', "duplicate key 'address' @ hosts.a"),
        ('{"hosts": {"a": {"address": "1"}, "a": {"address": "2"}}}', "duplicate key 'a' @ hosts"),
        ("{}", "'hosts' is missing @ top level"),
        ("3", "a lab is a JSON object, or an array of hosts in otto's form @ top level"),
        ('{"hosts": {"a": null}}', "null is not an object @ hosts.a"),
        ('{"hosts": {}, "metadata": {"x": NaN}}', "bad JSON: NaN is not JSON @ top level"),
        ("[" * 100_000, "objects and lists are nested deeper than 40 levels @ top level"),
        ("[" * 50 + "]" * 50, "objects and lists are nested deeper than 40 levels @ top level"),
    ],
)
def test_a_broken_file_is_one_clear_mistake(write: Write, content: str, problem: str) -> None:
    write(content)
    (found,) = problems()
    assert found.startswith(f"labs/bench.json: {problem}")


def test_a_circle_of_hops_is_told_once(write: Write) -> None:
    hops = {"a": "b", "b": "c", "c": "a", "d": "a"}
    write({"hosts": {name: {"address": name, "hop": hop} for name, hop in hops.items()}})
    assert problems() == ("labs/bench.json: the hops run in a circle: a -> b -> c -> a @ hosts.a.hop",)


def test_a_local_host_needs_no_address_and_has_no_hop(write: Write) -> None:
    write({"hosts": {"here": {"transport": "local"}, "there": {"transport": "local", "hop": "here"}}})
    assert problems() == ("labs/bench.json: host 'there' is local and cannot have a hop @ hosts.there.hop",)


def test_no_message_and_no_repr_shows_a_secret(write: Write) -> None:
    write({"defaults": {"password": ["hunter2"]}, "hosts": {"dut1": {"address": "x", "accounts": {"root": {"hunter2": 1}}}}})
    assert "hunter2" not in "".join(problems())
    write(bench(password="hunter2", accounts={"root": "hunter2"}))
    lab = load_lab("bench")
    assert "hunter2" not in repr(lab) + repr(lab.entry("dut1")) + repr(lab.facts("dut1"))


def test_labs_merge_and_hops_may_cross_them(write: Write) -> None:
    write({"hosts": {"gw": {"address": "gw"}}, "metadata": {"a": 1}, "description": "one"}, "labs/one.json")
    two = {"gw": {"address": "gw", "_": "the same"}, "dut1": {"address": "d", "hop": "gw"}}
    write({"hosts": two, "metadata": {"b": 2}, "name": "second"}, "labs/two.json")
    lab = load_lab("one, two")
    assert (lab.name, lab.description, dict(lab.metadata)) == ("one,second", "one", {"a": 1, "b": 2})
    assert lab.entry("gw").labs == ("one", "second")
    assert lab.path("dut1") == ("gw", "dut1")
    assert (lab.select("lab:second"), lab.select("lab:one")) == (["gw", "dut1"], ["gw"])


def test_a_host_defined_differently_names_both_files(write: Write) -> None:
    write({"hosts": {"gw": {"address": "a"}}}, "labs/one.json")
    write({"hosts": {"gw": {"address": "b"}}}, "labs/two.json")
    assert problems("one,two") == ("labs/two.json: host 'gw' is defined differently in labs/one.json @ hosts.gw",)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["dut1", "ssh", "local", "${env:OTTO_NO}", "${nope:x}", "10 s", "~x/y", "AND"]),
)  # fmt: skip
KNOWN_KEYS = ["hosts", "defaults", "dut1", "ip", "creds", "ne", "_", *fields.HOST.fields]
KEYS = st.one_of(st.text(max_size=4), st.sampled_from(KNOWN_KEYS))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8)
HOSTS = st.dictionaries(st.sampled_from(list(fields.HOST.fields)), VALUES, max_size=5)
OTTO = st.dictionaries(
    st.sampled_from(["ip", "creds", "ne", "neId", "name", "user", "hop", "labs", "term", "ssh_options"]), VALUES, max_size=8
)
LABS = st.one_of(
    VALUES,
    st.lists(OTTO | OTTO.map(lambda host: otto(**host)), max_size=3),
    st.fixed_dictionaries(
        {"hosts": st.dictionaries(st.sampled_from(["a", "dut1"]), HOSTS)}, optional={"defaults": HOSTS | VALUES}
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(content=LABS)
def test_any_json_loads_or_is_a_lab_error(folder: Path, content: Any) -> None:
    file = folder / "any.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with contextlib.suppress(LabError, UnknownNameError):
        lab = load_lab(str(file))
        for name in lab.select():
            lab.path(name)
            lab.facts(name)
            lab.secrets(name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=40))
def test_any_bytes_are_a_lab_error(folder: Path, content: bytes) -> None:
    (folder / "any.json").write_bytes(content)
    with pytest.raises(LabError):
        load_lab("any.json")
