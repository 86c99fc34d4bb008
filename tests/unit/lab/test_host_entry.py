"""One host as its lab writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OttoLibrary.lab.host_entry import HostEntry, host_entry
from OttoLibrary.schema.source_position import SourcePosition

TOP = SourcePosition("bench.json", Path("/labs"))


def entry(own: dict[str, Any], defaults: dict[str, Any]) -> HostEntry:
    return host_entry("dut1", ("bench",), [(defaults, TOP.at("defaults")), (own, TOP.at("hosts").at("dut1"))])


def test_a_host_s_own_fields_override_defaults() -> None:
    found = entry({"address": "a", "user": None, "ssh": {"mac": "m"}}, {"user": "u", "cwd": "/", "ssh": {"mac": "x", "kex": "k"}})
    assert found.written() == {"address": "a", "cwd": "/", "ssh": {"mac": "m", "kex": "k"}}
    assert (found.transport, found.profile, found.user) == ("ssh", "linux", None)


def test_a_field_stands_where_it_is_set() -> None:
    found = entry({"address": "a"}, {"hop": "gw"})
    assert found.position([], "hop").path == "defaults.hop"
    assert found.position([], "address").path == "hosts.dut1.address"
    assert found.position([], "port").path == "hosts.dut1"


def test_a_host_without_resources_is_reserved_as_itself() -> None:
    assert entry({}, {}).reserved_as == ("bench/dut1",)
    assert entry({"resources": ["rig"]}, {}).needs == ("rig",)


def test_a_value_of_the_wrong_type_is_left_to_the_check() -> None:
    found = entry({"address": 5, "tags": "x", "hop": ["gw"]}, {})
    assert (found.address, found.tags, found.hop) == ("", (), None)
