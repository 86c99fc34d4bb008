"""The array form of a lab."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.lab import fields
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.text import Secret
from tests.unit.lab.benches import Write, otto, problems


def test_ottos_hosts_load(write: Write) -> None:
    options = {
        "port": 2222, "connect_timeout": 3, "client_keys": ["/k/one", "/k/two"], "agent_forwarding": True, "known_hosts": None,
        "encryption_algs": ["aes"], "preferred_auth": "password",
    }  # fmt: skip
    first = otto(neId=1, board="ctl", slot=2, ssh_options=options, labs=["east"], transfer="nc", is_virtual=True, resources=["r"])
    write([first, otto(neId=2, hop="carrot1_ctl2", user="root"), otto(name="third")], "site/hosts.json")
    lab = load_lab("site")
    assert lab.names() == ["carrot1_ctl2", "carrot2", "third"]
    assert lab.path("carrot2") == ("carrot1_ctl2", "carrot2")
    assert (lab.facts("carrot2").user, lab.facts("carrot2").accounts) == ("root", {"tester": Secret("pw")})
    assert lab.facts("carrot1_ctl2") == HostFacts(
        name="carrot1_ctl2", labs=("east",), address="10.0.0.9", port=2222, user="tester", password=Secret("pw"),
        identity_file="/k/one", resources=("r",), connect_timeout=3.0, accounts={"root": Secret("toor")},
        metadata={"ne": "Carrot", "neId": 1, "board": "ctl", "slot": 2, "transfer": "nc", "is_virtual": True,
                  "ssh_options": {"preferred_auth": "password"}},
        ssh=fields.SshOptions(forward_agent=True, ciphers="aes"),
    )  # fmt: skip


def test_a_lab_name_in_ottos_file_is_a_lab(write: Write) -> None:
    write([otto(name="a", labs=["east", "west"]), otto(name="b", labs=["west"]), otto(name="c")], "labs/hosts.json")
    assert load_lab("west").names() == ["a", "b"]
    assert load_lab("east,west").select("lab:east") == ["a"]
    assert "Known: demo, east, west." in problems("nort")[0]


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ({"ipp": "x"}, "unknown key 'ipp' @ [0] (did you mean 'ip'?)"),
        ({"ssh_options": {"prt": 1}}, "unknown key 'prt' @ [0].ssh_options (did you mean 'port'?)"),
        ({"term": "telnett"}, "transport 'telnett' is not available"),
        ({"user": "tesster"}, "user 'tesster' is not in 'creds' @ [0].user (did you mean 'tester'?)"),
        ({"hop": "nowhere"}, "hop 'nowhere' is not a host of the lab @ [0].hop"),
        ({"ip": None}, "'ip' is missing @ [0]"),
        ({"name": "a b"}, "'a b' is not a host name"),
    ],
)
def test_a_mistake_in_ottos_form_is_named(write: Write, host: dict[str, Any], problem: str) -> None:
    write([otto(**host)], "site/hosts.json")
    (found,) = problems("site")
    assert found.startswith(f"site/hosts.json: {problem}")


def test_a_host_twice_in_ottos_file_is_an_error(write: Write) -> None:
    write([otto(), otto()], "site/hosts.json")
    assert problems("site") == ("site/hosts.json: host 'carrot' is defined twice @ [1]",)
