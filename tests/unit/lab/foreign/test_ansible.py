"""Ansible inventories as data."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign import ansible
from OttoLibrary.lab.foreign.conversion import Conversion, Tagged


def converted(content: dict[str, Any]) -> Conversion:
    conversion = Conversion("bench")
    ansible.convert(content, conversion)
    conversion.finished()
    return conversion


def test_groups_are_tags_and_the_nearest_variable_counts() -> None:
    hosts = {"dut1": {"ansible_port": 2201}, "dut2": None}
    content = {
        "all": {
            "vars": {"ansible_user": "all", "ansible_port": 22},
            "children": {
                "lab": {"vars": {"ansible_user": "lab"}, "children": {"duts": {"hosts": hosts, "vars": {"ansible_user": "dut"}}}}
            },
        },
        "web": {"hosts": {"dut2": {}}, "vars": {"ansible_host": "10.0.0.2"}},
    }
    made = converted(content).hosts
    assert made["dut1"] == {"address": "dut1", "user": "dut", "port": 2201, "tags": ["lab", "duts"]}
    assert made["dut2"] == {"address": "10.0.0.2", "user": "dut", "port": 22, "tags": ["lab", "web", "duts"]}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:10].x", ["web08.x", "web09.x", "web10.x"]),
        ("n[0:4:2]", ["n0", "n2", "n4"]),
        ("[a:c]-[1:2]", ["a-1", "a-2", "b-1", "b-2", "c-1", "c-2"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert list(converted({"all": {"hosts": {pattern: None}}}).hosts) == names


def test_a_port_behind_the_name() -> None:
    made = converted(
        {"all": {"hosts": {"dut1:2222": None, "web[1:2]:22": None, "[2001:db8::1]:2200": None, "2001:db8::2": None}}}
    ).hosts
    assert made["dut1"] == {"address": "dut1", "port": 2222}
    assert (made["web1"]["port"], made["web2"]["address"]) == (22, "web2")


@pytest.mark.parametrize("pattern", ["n[1:99999999999]", "n[1:9999][1:9999]", "n[z:a]"])
def test_a_range_has_a_bound(pattern: str) -> None:
    with pytest.raises(LabError, match="is not one of 1 to 10000 hosts"):
        converted({"all": {"hosts": {pattern: None}}})


def test_passwords_become_references() -> None:
    hosts = {
        "plain": {"ansible_user": "root", "ansible_ssh_pass": "pw-1234"},
        "number": {"ansible_user": "op", "ansible_password": 123456},
        "vault": {"ansible_user": "v", "ansible_password": Tagged.made("!vault", "$ANSIBLE_VAULT;1.1;AES256\n3132")},
        "named": {"ansible_password": "{{ vault_pw }}"},
        "looked": {"ansible_password": "{{ lookup('ansible.builtin.env', 'LAB_PW') }}"},
        "root": {"ansible_become_pass": "sudo-99", "ansible_become_user": "admin"},
        "mixed": {"ansible_user": "m", "ansible_password": "{{ prefix | default('x') }}-y"},
    }
    conversion = converted({"all": {"hosts": hosts}})
    made = conversion.hosts
    assert {name: host.get("password") for name, host in made.items()} == {
        "plain": "${env:BENCH_ROOT_PASSWORD}", "number": "${env:BENCH_OP_PASSWORD}", "vault": "${env:BENCH_V_PASSWORD}",
        "named": "${env:VAULT_PW}", "looked": "${env:LAB_PW}", "root": None, "mixed": "${env:BENCH_M_PASSWORD}",
    }  # fmt: skip
    assert made["root"]["accounts"] == {"admin": "${env:BENCH_ADMIN_PASSWORD}"}
    told = "\n".join(conversion.notes())
    assert not any(secret in told for secret in ("pw-1234", "123456", "3132", "sudo-99"))


def test_the_enable_password_of_a_switch_is_no_account() -> None:
    variables = {"ansible_become_method": "enable", "ansible_become_password": "en-1234", "ansible_become": True}
    conversion = converted({"all": {"hosts": {"sw": variables}}})
    assert conversion.hosts["sw"] == {"address": "sw"}
    assert [note for note in conversion.notes() if "'enable' is not carried over" in note]


def test_a_vault_that_was_cut_out_is_a_secret_still() -> None:
    hosts = {"sw": {"ansible_user": "a", "ansible_password": Tagged.made("!vault", "")}}
    assert converted({"all": {"hosts": hosts}}).hosts["sw"]["password"] == "${env:BENCH_A_PASSWORD}"


def test_templates_are_filled_in_from_the_file_only() -> None:
    variables = {
        "ansible_host": "{{ net }}.{{ number }}",
        "net": "10.0.0",
        "number": 7,
        "ansible_user": "{{ ghost }}",
        "loop": "{{ loop }}",
    }
    conversion = converted({"all": {"hosts": {"dut1": variables}}})
    assert conversion.hosts["dut1"] == {"address": "10.0.0.7", "metadata": {"net": "10.0.0", "number": 7}}
    assert list(conversion.notes()) == [
        "dut1: 'ansible_user' is not carried over: only Ansible can fill in its template",
        "dut1: 'loop' is not carried over: only Ansible can fill in its template",
    ]


def test_hops() -> None:
    jump = "-o ProxyCommand='ssh -W %h:%p -q ops@gw.example'"
    content = {"all": {"hosts": {"dut1": {"ansible_ssh_common_args": jump}, "dut2": {"ansible_ssh_common_args": "-J a,b"}}}}
    made = converted(content).hosts
    assert (made["dut1"]["hop"], made["gw.example"]["user"]) == ("gw.example", "ops")
    assert (made["dut2"]["hop"], made["b"]["hop"], made["a"].get("hop")) == ("b", "a", None)


def test_connections() -> None:
    kinds = {"here": "local", "sw": "network_cli", "win": "winrm", "box": "docker"}
    hosts = {name: {"ansible_connection": kind, "ansible_network_os": "cisco.ios.ios"} for name, kind in kinds.items()}
    conversion = converted({"all": {"hosts": hosts}})
    assert conversion.hosts == {"here": {"transport": "local"}, "sw": {"address": "sw", "profile": "cisco-ios"}}
    assert [note.partition(":")[0] for note in conversion.notes()] == ["win", "box"]


def test_what_ansible_inventory_prints() -> None:
    content = {
        "_meta": {"hostvars": {"dut1": {"ansible_host": "10.0.0.1"}}},
        "all": {"children": ["ungrouped", "duts"]},
        "duts": {"hosts": ["dut1"]},
    }
    assert converted(content).hosts == {"dut1": {"address": "10.0.0.1", "tags": ["duts"]}}


def test_groups_in_a_circle_end() -> None:
    content = {"a": {"children": {"b": None}, "hosts": {"x": None}}, "b": {"children": {"a": None}}}
    assert set(converted(content).hosts["x"]["tags"]) == {"a", "b"}
