"""Ansible inventories in INI."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign import ansible_ini
from OttoLibrary.lab.foreign.conversion import Conversion

INVENTORY = """
# The lab
gw ansible_host=198.51.100.1   # a comment

[duts]
dut[1:2] ansible_user=root ansible_password='a b # c' rack=4
; another comment
[lab:children]
duts
[lab:vars]
ansible_port=2222
ansible_ssh_common_args='-o ProxyJump=gw'
site = "north"
"""


def test_sections_and_variables() -> None:
    conversion = Conversion("bench")
    ansible_ini.convert(INVENTORY, conversion)
    made = conversion.finished()["hosts"]
    assert made["gw"] == {"address": "198.51.100.1"}
    assert made["dut2"] == {
        "address": "dut2", "user": "root", "port": 2222, "password": "${env:BENCH_ROOT_PASSWORD}", "tags": ["lab", "duts"],
        "metadata": {"site": "north", "rack": 4}, "hop": "gw",
    }  # fmt: skip


def test_a_password_of_digits_stays_as_it_is_written() -> None:
    conversion = Conversion("bench")
    ansible_ini.convert("[a:vars]\nansible_password=0123\n[a]\nx\ny ansible_password=1e5\n", conversion)
    assert conversion._secrets == {"0123", "1e5"}


def test_every_wrong_line_is_told_without_what_stands_in_it() -> None:
    text = "[a]\nx secret-1\ny 'secret-2\n[a:vars]\nsecret-3\n[a:things]\n"
    with pytest.raises(LabError) as caught:
        ansible_ini.convert(text, Conversion("bench"))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["line 2", "line 3", "line 5", "line 6"]
    assert "secret-" not in str(caught.value)
