"""What fails or comes too late leaves nothing open."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, HostError, OttoError
from OttoLibrary.transport.serial import Serial
from tests.peers import processes
from tests.unit.fakes import FakeConnection, FakeProcess
from tests.unit.host.hosts import make_host


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Processes:
    """Processes that never say anything."""

    def __init__(self) -> None:
        self.made: list[FakeProcess] = []

    def __call__(self, command: str) -> FakeProcess:
        self.made.append(FakeProcess())
        return self.made[-1]


def test_shells_that_start_too_late_leave_nothing(open_lab: Any, hostile: Any) -> None:
    box = hostile("sshd")
    session = open_lab(box=box.lab)
    host = session.hosts.use("box")
    session.engine.call(host.connection.open(Deadline(10)))
    box.tool("bash", 'case "$*" in *noediting*) sleep 60 ;; esac; exec $REAL "$@"')
    before = _descriptors()
    for _ in range(5):  # a server with all its sessions in use could not be asked to end any
        with pytest.raises(HostError):
            session.engine.call(host.run("true", timeout_s=0.1))
    processes.wait_until(lambda: _descriptors() <= before + 3, "the descriptors are closed")


@pytest.mark.parametrize("at_once", [1, 12])
def test_shells_that_hang_while_they_start_are_ended_on_the_host(open_lab: Any, hostile: Any, at_once: int) -> None:
    """Their login files hang, so that none says which process it is; twelve are more than MaxSessions."""
    box = hostile("sshd")
    session = open_lab(box=box.lab)
    host = session.hosts.use("box")
    session.engine.call(host.connection.open(Deadline(10)))
    hanging = box.folder / "hanging"
    hanging.touch()
    # The shell of the starts in this test hangs before it runs anything, as one with such a login file does.
    box.tool("sh", f'case "$*" in *OTTO_STAT*noediting*) [ -e {hanging} ] && sleep 600 ;; esac; exec $REAL "$@"')

    async def all_at_once() -> list[object]:
        runs = []
        for number in range(at_once):
            await asyncio.sleep(0)
            runs.append(host.open_shell(f"shell{number}", Deadline(2)))
        return await asyncio.gather(*runs, return_exceptions=True)

    outcomes = session.engine.call(all_at_once())
    assert all(isinstance(outcome, HostError) for outcome in outcomes)
    processes.wait_until(lambda: not _with_words(str(box.tools / "sh"), "noediting"), "no shell hangs on the host")
    hanging.unlink()
    assert session.engine.call(host.run("echo fine", timeout_s=20)).stdout == "fine\n"


def _with_words(*words: str) -> list[str]:
    """Return the processes of this machine whose command lines have all of these words."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_text(errors="replace")
            if all(word in line for word in words):
                found.append(f"{file.parent.name} {line[:300]}")
    return found


def test_every_start_that_fails_closes_its_process() -> None:
    async def go() -> None:
        made = Processes()
        connection = FakeConnection(made)
        # The greeting is not all: these wait for what never comes.
        host = make_host(connection, environment={"A": "b"})
        with pytest.raises(HostError):
            await host.run("true", timeout_s=0.05)
        await host.close()
        assert made.made
        # What ends a command that was given up has a time of its own.
        async with asyncio.timeout(30):
            while not all(process.closed for process in made.made):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    asyncio.run(go())


def test_a_forward_that_fails_closes_the_connection(open_lab: Any, faulty_ssh: Any) -> None:
    server = faulty_ssh("none")
    lab = {"address": server.address, "port": server.port, "user": server.user, "password": server.password}
    session = open_lab(box={**lab, "ssh": {"forwards": [f"{server.port}:localhost:1"]}})
    for _ in range(3):
        with pytest.raises(ConnectError):
            session.engine.call(session.hosts.use("box").connection.open(Deadline(10)))
    assert server.connections == 3
    processes.wait_until(lambda: not server._accepted, "the server has no connection left")


def test_a_serial_port_that_comes_too_late_leaves_nothing() -> None:
    closed: list[str] = []

    class Way:
        async def close(self) -> None:
            closed.append("way")

        async def read(self, limit: int) -> bytes:
            await asyncio.Event().wait()
            return b""

        async def write(self, data: bytes) -> None:
            return

    class Hop:
        async def dial(self, address: str, port: int) -> Any:
            return Way()

    async def go() -> None:
        # Nobody answers the negotiation of RFC 2217.
        facts = HostFacts("box", transport="serial", device="rfc2217://192.0.2.1:7000")
        before = _descriptors()
        hop: Any = Hop()
        with pytest.raises(OttoError, match="no answer from rfc2217"):
            await Serial().connect(facts, ("hop", "box"), hop, Deadline(0.3))
        assert "way" in closed
        for _ in range(100):
            if _descriptors() <= before + 1:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("Descriptors stay open.")

    asyncio.run(go())


_IGNORING = """
import sys
from OttoLibrary.run.session import Session
session = Session(sys.argv[1])
host = session.hosts.use("box")
print(session.engine.call(host.run("grep SigIgn /proc/self/status")).stdout)
print(session.engine.call(host.run_once("grep SigIgn /proc/self/status")).stdout)
session.close()
"""


def test_signals_that_we_ignore_count_in_local_processes(tmp_path: Path) -> None:
    """A shell without job control starts what ends in & with these two ignored."""
    lab = tmp_path / "lab.json"
    lab.write_text('{"hosts": {"box": {"transport": "local"}}}')
    words = ["sh", "-c", 'trap "" INT QUIT; exec "$0" "$@"', sys.executable, "-c", _IGNORING, str(lab)]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [int(line.split()[1], 16) & 0b110 for line in said.splitlines() if line] == [0, 0]
