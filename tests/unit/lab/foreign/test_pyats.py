"""pyATS' testbeds as data."""

from __future__ import annotations

from typing import Any

from OttoLibrary.lab.foreign import pyats
from OttoLibrary.lab.foreign.conversion import Conversion


def converted(devices: dict[str, Any], **testbed: Any) -> Conversion:
    conversion = Conversion("bench")
    pyats.convert({"testbed": testbed, "devices": devices, "topology": {}}, conversion)
    return conversion


def ssh(address: str, **more: Any) -> dict[str, Any]:
    return {"protocol": "ssh", "ip": address, **more}


def test_connections_credentials_and_proxies() -> None:
    devices = {
        "jump": {
            "os": "linux",
            "connections": {"cli": ssh("198.51.100.1")},
            "credentials": {"default": {"username": "ops", "password": "pw-77"}},
        },
        "R1": {
            "os": "iosxe",
            "alias": "uut",
            "type": "router",
            "connections": {
                "defaults": {"via": "vty"},
                "console": {"protocol": "telnet", "ip": "192.0.2.9", "port": "2005"},
                "vty": ssh("10.0.0.1", proxy="jump"),
            },
        },
        "R2": {
            "connections": {"a": ssh("10.0.0.2", sshtunnel={"host": "jump"})},
            "tacacs": {"username": "old"},
            "passwords": {"tacacs": "tac-1"},
        },
    }
    conversion = converted(
        devices, name="core", credentials={"default": {"username": "%ENV{TB_USER}", "password": "%ENV{TB_PW}"}}
    )
    made = conversion.finished()
    assert made["name"] == "core"
    assert made["hosts"]["R1"] == {
        "address": "10.0.0.1",
        "user": "${env:TB_USER}",
        "password": "${env:TB_PW}",
        "profile": "cisco-ios",
        "tags": ["router"],
        "hop": "jump",
        "metadata": {"alias": "uut", "os": "iosxe", "type": "router"},
    }
    assert (made["hosts"]["R1-console"]["transport"], made["hosts"]["R1-console"]["port"]) == ("telnet", 2005)
    assert made["hosts"]["R2"] == {"address": "10.0.0.2", "user": "old", "password": "${env:CORE_OLD_PASSWORD}", "hop": "jump"}
    assert made["hosts"]["jump"]["password"] == "${env:CORE_OPS_PASSWORD}"
    assert not any(secret in "\n".join(conversion.notes()) for secret in ("pw-77", "tac-1"))


def test_commands() -> None:
    devices = {
        "a": {"connections": {"cli": {"command": "ssh -p 2200 ops@10.0.0.1"}}},
        "b": {"connections": {"cli": {"command": "telnet 10.0.0.2 2001"}}},
    }
    made = converted(devices).finished()["hosts"]
    assert made == {
        "a": {"address": "10.0.0.1", "port": 2200, "user": "ops"},
        "b": {"transport": "telnet", "address": "10.0.0.2", "port": 2001},
    }


def test_what_is_missing_is_told() -> None:
    devices = {
        "R1": {
            "connections": {"cli": ssh("%CLI{ip}"), "b": ssh("10.0.0.1"), "rest": {"class": "r", "ip": "x"}},
            "peripherals": {},
        },
        "R2": {"os": "nxos"},
        "R3": {
            "connections": {"cli": ssh("10.0.0.3")},
            "credentials": {"default": {"username": "u", "password": "%ENC{x}"}, "enable": {"password": "e"}},
        },
    }
    conversion = converted(devices, servers={})
    told = [note.partition(" is not carried over")[0] for note in conversion.notes()]
    for what in (
        "R1: 'ip'",
        "R1: connection 'rest'",
        "R1: 'peripherals'",
        "R2: the device",
        "R3: credential 'enable'",
        "'topology'",
        "'testbed.servers'",
    ):
        assert what in told
    assert conversion.hosts["R3"]["password"] == "${env:BENCH_U_PASSWORD}"
