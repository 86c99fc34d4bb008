"""OpenSSH configurations as a lab of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.lab.foreign import openssh
from OttoLibrary.lab.foreign.conversion import Conversion


def test_hosts_are_written_down(tmp_path: Path) -> None:
    text = (
        "Host gw\n  HostName 203.0.113.1\n  User ops\n  ForwardX11 yes\nHost dut*\n  User root\n  ProxyJump gw\n"
        "Host dut1\n  Port 2222\nHost px\n  ProxyCommand nc %h %p\n"
    )
    file = tmp_path / "ssh.conf"
    file.write_text(text)
    conversion = Conversion("bench")
    openssh.convert(text, file, conversion)
    made = conversion.finished()["hosts"]
    assert made["gw"] == {"address": "203.0.113.1", "user": "ops"}
    assert made["dut1"] == {"address": "dut1", "user": "root", "port": 2222, "hop": "gw"}
    assert made["px"]["ssh"] == {"config_file": str(file)}
    assert [note for note in conversion.notes() if "line 4: ForwardX11" in note]


@pytest.mark.parametrize(
    ("text", "expected"), [("Host a\n", True), ("  match all\n", True), ("[a]\nhost b\n", False), ("host1 a=b\n", False)]
)
def test_what_a_configuration_looks_like(text: str, expected: bool) -> None:
    assert openssh.is_configuration(text) is expected
