"""labgrid's environments as data."""

from __future__ import annotations

from typing import Any

from OttoLibrary.lab.foreign import labgrid
from OttoLibrary.lab.foreign.conversion import Conversion, Tagged


def converted(target: dict[str, Any], **others: Any) -> Conversion:
    conversion = Conversion("bench")
    labgrid.convert({"targets": {"main": target}, **others}, conversion)
    return conversion


def test_each_way_to_a_target_is_a_host() -> None:
    resources = {
        "NetworkService": {"address": "192.0.2.1", "username": "root", "password": "pw-1234"},
        "NetworkSerialPort": {"host": "far", "port": 4001, "speed": 57600},
    }
    shell = {"prompt": "root@board:~# ", "login_prompt": "login: ", "username": "root", "password": ""}
    drivers = {"SSHDriver": {"keyfile": "keys/board"}, "ShellDriver": shell, "UBootDriver": {"prompt": "=> "}}
    conversion = converted({"features": ["arm"], "resources": resources, "drivers": drivers})
    made = conversion.finished()
    assert made["hosts"] == {
        "main": {
            "address": "192.0.2.1",
            "user": "root",
            "password": "${env:BENCH_ROOT_PASSWORD}",
            "identity_file": "keys/board",
            "tags": ["arm"],
        },
        "main-console": {
            "transport": "serial",
            "port": "rfc2217://far:4001",
            "serial": {"baudrate": 57600},
            "user": "root",
            "password": "",
            "profile": "main-console",
            "tags": ["arm"],
        },
        "main-loader": {
            "transport": "serial",
            "port": "rfc2217://far:4001",
            "serial": {"baudrate": 57600},
            "profile": "main-loader",
            "tags": ["arm"],
        },
    }
    assert made["profiles"] == {
        "main-console": {"base": "linux", "prompt": "root@board:~# ", "login_prompt": "login: "},
        "main-loader": {"base": "uboot", "prompt": "=> "},
    }


def test_resources_in_a_list() -> None:
    conversion = converted(
        {
            "resources": [
                {"RawSerialPort": {"port": "/dev/ttyUSB1", "name": "a"}},
                {"cls": "NetworkSerialPort", "host": "far", "port": 7, "protocol": "raw"},
            ]
        }
    )
    assert [host["port"] for host in conversion.finished()["hosts"].values()] == ["/dev/ttyUSB1", "socket://far:7"]


def test_the_account_that_su_changes_to() -> None:
    drivers = {"SSHDriver": {"su_username": "admin", "su_password": "su-1234", "username": "ops", "keyfile": ""}}
    conversion = converted({"resources": {"NetworkService": {"address": "h", "username": "root"}}, "drivers": drivers})
    assert conversion.finished()["hosts"]["main"] == {
        "address": "h",
        "user": "ops",
        "accounts": {"admin": "${env:BENCH_ADMIN_PASSWORD}"},
    }
    assert "su-1234" not in "\n".join(conversion.notes())


def test_what_is_missing_is_told() -> None:
    resources = {
        "RemotePlace": {"name": "b7"},
        "NetworkPowerPort": {"model": "x"},
        "NetworkService": {"address": Tagged.made("!template", "$A")},
    }
    conversion = converted(
        {"resources": resources, "drivers": {"QEMUDriver": {}, "ShellDriver": {"init_commands": []}}}, images={}
    )
    assert [note.partition(" is not carried over")[0] for note in conversion.notes()] == [
        "main: its RemotePlace",
        "main: resource NetworkPowerPort",
        "main: driver QEMUDriver",
        "main: 'ShellDriver.init_commands'",
        "main: 'address'",
        "'images'",
    ]
