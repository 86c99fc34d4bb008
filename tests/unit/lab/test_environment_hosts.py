"""How a device says where it is, in Vitro's words and in ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.errors import LabError
from OttoLibrary.lab.loading import load_lab
from tests.unit.lab.benches import Write


@pytest.fixture
def lab(write: Write) -> Any:
    def loaded(*devices: dict[str, Any], **needed: Any) -> Any:
        write({"environment_def": needed}, "env.json")
        write({"b": {"devices": [{"name": "dut", "type": "t", **device} for device in devices]}}, "where/inv.json")
        return load_lab("environment:env.json,where/inv.json,b")

    return loaded


def facts(lab: Any, **device: Any) -> HostFacts:
    found: HostFacts = lab(device).facts("dut")
    return found


@pytest.mark.parametrize("kind", ["ssh_connection", "authenticated_ssh", "ssh"])
@pytest.mark.parametrize("key", ["ipaddr", "ip_addr", "address"])
def test_ssh(lab: Any, kind: str, key: str) -> None:
    found = facts(lab, connection_type=kind, **{key: "10.0.0.1"}, port=2222, username="root", password="pw", shell_prompt=["# "])
    assert (found.transport, found.address, found.port, found.user) == ("ssh", "10.0.0.1", 2222, "root")
    assert found.password is not None
    assert found.password.value == "pw"
    assert found.profile == "linux"


def test_telnet_with_prompts(lab: Any) -> None:
    found = facts(lab, connection_type="telnet", ipaddr="10.0.0.1", port=23, shell_prompt=["=> ", "# $"])
    assert (found.transport, found.console.prompt, found.console.runs) == ("telnet", "(?:=> )|(?:# $)", "posix")


def test_a_prompt_keeps_the_profile_that_is_named(lab: Any) -> None:
    found = facts(lab, connection_type="telnet", address="10.0.0.1", profile="uboot", shell_prompt="=> ")
    assert (found.console.prompt, found.console.runs) == ("(?:=> )", "prompt")


def test_serial(lab: Any) -> None:
    found = facts(lab, connection_type="serial", conn_command="picocom -b 9600 --noinit /dev/ttyUSB3")
    assert (found.transport, found.device, found.serial.baudrate) == ("serial", "/dev/ttyUSB3", 9600)
    assert facts(lab, connection_type="serial", port="/dev/ttyS0").device == "/dev/ttyS0"


def test_ser2net(lab: Any) -> None:
    assert facts(lab, connection_type="ser2net", ip_addr="10.0.0.1", port=2000).device == "rfc2217://10.0.0.1:2000"
    assert facts(lab, connection_type="ser2net", ip_addr="::1", port=2000).device == "rfc2217://[::1]:2000"
    assert facts(lab, connection_type="ser2net", port="socket://10.0.0.1:2000").device == "socket://10.0.0.1:2000"


def test_local(lab: Any) -> None:
    assert facts(lab, connection_type="local_cmd").transport == "local"
    assert facts(lab, transport="local").transport == "local"
    found = facts(lab, connection_type="local_cmd", conn_command="docker exec -it box", args=["sh", "-c", "a b"])
    assert (found.transport, found.address) == ("program", "docker exec -it box sh -c 'a b'")


def test_a_hop_and_paths(lab: Any, folder: Path) -> None:
    loaded = lab(
        {"address": "10.0.0.1", "hop": "gw", "identity_file": "keys/id"},
        {"name": "gw", "address": "gw"},
        gw={"identity_file": "mine"},
    )
    assert loaded.path("dut") == ("gw", "dut")
    assert loaded.facts("dut").identity_file == str(folder / "where/keys/id")
    assert loaded.facts("gw").identity_file == str(folder / "mine")


def test_a_device_without_a_connection_is_no_host(lab: Any) -> None:
    assert lab({}, {"name": "gw", "address": "gw"}).names() == ["gw"]


@pytest.mark.parametrize(
    ("device", "needed", "problem"),
    [
        (
            {"connection_type": "ssh_conection"},
            {},
            (
                "where/inv.json: 'ssh_conection' is no connection, there are authenticated_ssh, local, "
                "local_cmd, program, ser2net, serial, "
                "ssh, ssh_connection, telnet @ b.devices[0].connection_type (did you mean 'ssh_connection'?)"
            ),
        ),
        (
            {"connection_type": "ssh", "ip_adr": "x"},
            {},
            (
                "where/inv.json: device 'dut' needs an address: one of address, ipaddr, ip_addr @ "
                "b.devices[0].ip_adr (did you mean 'ip_addr'?)"
            ),
        ),
        (
            {"connection_type": "telnet", "address": "x"},
            {"port": 0},
            ("env.json: 0 is not a port from 1 to 65535 @ environment_def.dut.port"),
        ),
        (
            {"connection_type": "telnet", "address": "x"},
            {"shell_prompt": ["("]},
            (
                "env.json: '(' is not a regular expression: missing ), unterminated subpattern at position "
                "0 @ environment_def.dut.shell_prompt[0]"
            ),
        ),
        (
            {"connection_type": "serial"},
            {},
            (
                "where/inv.json: device 'dut' needs a 'port' such as '/dev/ttyUSB0', or a 'conn_command' "
                "of picocom @ b.devices[0].port"
            ),
        ),
        (
            {"connection_type": "serial", "conn_command": "cu -l x"},
            {},
            (
                "where/inv.json: only a command line of picocom can be read; write connection_type "
                "'local_cmd' to run another program @ b.devices[0].conn_command"
            ),
        ),
        (
            {"connection_type": "ser2net", "port": 1},
            {},
            ("where/inv.json: device 'dut' needs the address and the port of its ser2net @ b.devices[0].port"),
        ),
        ({"address": "x"}, {"hop": "gw"}, "env.json: hop 'gw' is not a device of the environment @ environment_def.dut.hop"),
    ],
)
def test_a_mistake_is_named_where_it_is_written(lab: Any, device: Any, needed: Any, problem: str) -> None:
    with pytest.raises(LabError) as raised:
        lab(device, **({"dut": needed} if needed else {}))
    assert problem in raised.value.problems
