"""Bytes through nc: which program of a host is used, and what is refused before a port is opened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.transfers import Job, ScriptResult
from OttoLibrary.errors import UsageError
from OttoLibrary.transfer.protocols.nc import Nc
from tests.unit.fakes import FakeConnection

OPENBSD = "OpenBSD netcat (Debian patchlevel 1.219-1)\nusage: nc [-46CDdFhklNnrStUuvZz]\n"
TRADITIONAL = "[v1.10-47]\nconnect to somewhere:   nc [-options] hostname port\n"
NCAT = "Ncat 7.93 ( https://nmap.org/ncat )\nUsage: ncat [options]\n"
BUSYBOX = "BusyBox v1.35.0 multi-call binary.\n\nUsage: nc [OPTIONS] HOST PORT  - connect\nnc [OPTIONS] -l -p PORT\n"
BUSYBOX_THAT_CANNOT_LISTEN = "BusyBox v1.35.0 multi-call binary.\n\nUsage: nc [IPADDR PORT]\n"


class Refused(Exception):
    """Nothing may be started in these tests: it says what would have been."""


class Host:
    """A host with some programs."""

    def __init__(self, *helps: tuple[str, str]) -> None:
        self.facts = HostFacts("dut1", address="192.0.2.1")
        self.connection = FakeConnection(lambda command: None)
        self.user = ""
        self.parallel = True
        self.asked = 0
        self._helps = b"".join(b"\n@%b\n%b" % (name.encode(), text.encode()) for name, text in helps)

    async def run(self, script: str) -> ScriptResult:
        self.asked += 1
        return ScriptResult(0, self._helps, b"")

    async def execute(self, script: str) -> Any:
        raise Refused(script)

    async def dial(self, port: int) -> Any:
        raise OSError("nothing listens")


def job(folder: Path, size: int = 3) -> Job:
    (folder / "file").write_bytes(b"x" * size)
    return Job(folder / "file", "/srv/it's here", size)


def started(folder: Path, *helps: tuple[str, str], get: bool = False) -> str:
    """Return what would be started on a host with these programs."""
    host: Any = Host(*helps)
    with pytest.raises(Refused) as raised:
        asyncio.run(Nc().get(host, job(folder)) if get else Nc().put(host, job(folder)))
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "receives", "sends"),
    [
        ("nc", OPENBSD, "exec nc -l ", "exec nc -N -l "),
        ("nc", TRADITIONAL, "exec nc -n -l -p ", "exec nc -n -q 0 -l -p "),
        ("ncat", NCAT, "exec ncat -n -l ", "exec ncat -n --send-only -l "),
        ("busybox nc", BUSYBOX, "exec busybox nc -l -p ", "exec busybox nc -l -p "),
    ],
)
def test_each_nc_listens_in_its_own_way(tmp_path: Path, name: str, text: str, receives: str, sends: str) -> None:
    assert receives in started(tmp_path, (name, text))
    assert sends in started(tmp_path, (name, text), get=True)


def test_the_first_that_can_listen_is_used(tmp_path: Path) -> None:
    assert "exec ncat " in started(tmp_path, ("nc", BUSYBOX_THAT_CANNOT_LISTEN), ("ncat", NCAT), ("netcat", TRADITIONAL))


@pytest.mark.parametrize(
    ("helps", "said"),
    [
        ((), "it has no nc (looked for nc, ncat, netcat, busybox nc)"),
        (
            (("nc", BUSYBOX_THAT_CANNOT_LISTEN), ("netcat", "")),
            "none of its programs listens as a known nc does (it has nc, netcat)",
        ),
    ],
)
def test_a_host_without_one_says_what_it_has(tmp_path: Path, helps: tuple[tuple[str, str], ...], said: str) -> None:
    host: Any = Host(*helps)
    with pytest.raises(UsageError) as raised:
        asyncio.run(Nc().put(host, job(tmp_path)))
    assert str(raised.value) == said


def test_a_path_is_data_and_no_shell_text(tmp_path: Path) -> None:
    assert """/srv/it'"'"'s here""" in started(tmp_path, ("nc", OPENBSD))


def test_an_empty_file_asks_the_host_nothing(tmp_path: Path) -> None:
    host: Any = Host()
    asyncio.run(Nc().put(host, job(tmp_path, 0)))
    asyncio.run(Nc().get(host, job(tmp_path, 0)))
    assert host.asked == 0


def test_a_host_is_asked_once_for_all_its_files(tmp_path: Path) -> None:
    host: Any = Host(("nc", OPENBSD))

    async def two() -> None:
        for _ in range(2):
            with pytest.raises(Refused):
                await Nc().put(host, job(tmp_path))

    asyncio.run(two())
    assert host.asked == 1
