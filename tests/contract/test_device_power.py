"""How devices are switched: by commands, a real pdudaemon and a real snmpd."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.errors import HostError, UsageError
from tests.peers.pdud import PduDaemon
from tests.peers.requirements import find, require

OID = "1.3.6.1.4.1.9999.1"


@pytest.fixture
def pdudaemon(tmp_path: Path) -> Iterator[PduDaemon]:
    require("pdudaemon")
    with PduDaemon(tmp_path) as made:
        yield made


def switch(kind: str, part: dict[str, Any], hosts: Any = None) -> Any:
    return registry.load("power", kind, "box", part, hosts)


def test_commands_on_a_host(open_lab: Any, tmp_path: Path) -> None:
    session, file = open_lab(rig={"transport": "local"}), tmp_path / "relay"
    part = {"host": "rig", "on": f"echo on >>{file}", "off": f"echo off >>{file}", "pause": "10 ms"}
    power = switch("commands", part, session.hosts.use)
    for step in (power.on, power.off, power.cycle):
        session.engine.call(step())
    assert file.read_text().split() == ["on", "off", "off", "on"]
    session.engine.call(switch("commands", {**part, "cycle": f"echo cycle >>{file}"}, session.hosts.use).cycle())
    assert file.read_text().split()[-1] == "cycle"


def test_pdudaemon(pdudaemon: PduDaemon) -> None:
    power = switch("pdudaemon", {"pdudaemon": pdudaemon.url, "hostname": "shelf", "port": 7, "delay": 1})
    asyncio.run(power.on())
    pdudaemon.wait_for("7 on")
    asyncio.run(power.cycle())
    pdudaemon.wait_for("7 on", "7 off", "7 on")
    asyncio.run(power.off())
    pdudaemon.wait_for("7 on", "7 off", "7 on", "7 off")


def test_an_outlet_that_pdudaemon_does_not_know(pdudaemon: PduDaemon) -> None:
    power = switch("pdudaemon", {"pdudaemon": pdudaemon.url, "hostname": "shelv", "port": 7})
    with pytest.raises(
        HostError, match=r"The power of 'box' could not be switched \(on, port 7 of shelv\) by pdudaemon: it answered"
    ):
        asyncio.run(power.on())


def test_no_pdudaemon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(HostError, match="Connection refused"):
        asyncio.run(switch("pdudaemon", {"pdudaemon": url, "hostname": "shelf", "port": 7}).off())


@contextlib.contextmanager
def snmpd(folder: Path) -> Iterator[int]:
    """Run an snmpd with one integer that can be set, which a script writes into a file."""
    require("snmpd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = folder / "outlet.sh"
    script.write_text(
        f"""#!/bin/sh
case $1 in
-s) echo "$4" >>{folder}/outlet;;
*) printf '%s\\ninteger\\n1\\n' "$2";;
esac
"""
    )
    script.chmod(0o755)
    (folder / "snmpd.conf").write_text(
        f"rwcommunity geheim 127.0.0.1\nagentAddress udp:127.0.0.1:{port}\npass .{OID} /bin/sh {script}\n"
    )
    command = [str(find("snmpd")), "-f", "-Lo", "-C", "-c", str(folder / "snmpd.conf"), "-I", "-smux"]
    environment = {"SNMP_PERSISTENT_DIR": str(folder / "state"), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def test_snmp(tmp_path: Path) -> None:
    with snmpd(tmp_path) as port:
        part = {
            "address": "127.0.0.1",
            "port": port,
            "community": "geheim",
            "oid": f"{OID}.0",
            "on": 1,
            "off": 2,
            "pause": "10 ms",
        }
        power = switch("snmp", {"snmp": part})
        started(power)
        asyncio.run(power.off())
        asyncio.run(power.cycle())
        assert (tmp_path / "outlet").read_text().split()[-3:] == ["2", "2", "1"]
        with pytest.raises(HostError, match=r"could not be switched by SNMP"):
            asyncio.run(switch("snmp", {"snmp": {**part, "community": "wrong-word"}}).on())


def started(power: Any) -> None:
    """Switch it on until the agent has started."""
    end = time.monotonic() + 30
    while True:
        try:
            return asyncio.run(power.on())
        except HostError:
            assert time.monotonic() < end


@pytest.mark.parametrize(
    ("kind", "part", "problem"),
    [
        ("commands", {"on": "a", "off": "b"}, "'host', 'on' and 'off'"),
        ("pdudaemon", {"pdudaemon": "ftp://x", "hostname": "a", "port": 1}, "an http URL"),
        ("pdudaemon", {"pdudaemon": "http://x", "hostnam": "a", "port": 1}, "hostnam, hostname"),
        ("snmp", {"snmp": {"address": "a", "oid": "1.2.3", "on": "1", "off": 2}}, "whole numbers"),
        ("snmp", {"snmp": {"address": "a", "oid": "1.2.3", "on": 1}}, "address, oid, on, off"),
    ],
)
def test_a_wrong_part_is_named(kind: str, part: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        switch(kind, part)
