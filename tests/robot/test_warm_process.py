"""Suites that are forked from a warm process: what they do not share, and what happens when it is not there."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from robot.api import ExecutionResult

from OttoLibrary.parallel.warm_process import warm_process
from OttoLibrary.parallel.warm_stub import WARM
from tests.peers.processes import wait_until

ROOT = Path(__file__).parents[2]
# Says what its process is like, and changes all of it.
_STATE = """
import asyncio, os, random, signal, sys, tempfile, threading
from OttoLibrary import registry

def state():
    said = {
        "OTTO_CHANGED": os.environ.get("OTTO_CHANGED", ""),
        "folder": os.getcwd(),
        "path": [entry for entry in sys.path if entry.startswith("/changed")],
        "umask": oct(_umask()),
        "signal": signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL and signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL,
        "interrupt": signal.getsignal(signal.SIGINT) is not None and callable(signal.getsignal(signal.SIGINT)),
        "threads": threading.active_count(),
        "registered": "changed" in registry.names("reference"),
        "sockets": len([link for link in _links() if link.startswith("socket:")]),
        "arguments": sys.argv[0],
    }
    return said

def chance():
    return f"{random.random()} {next(tempfile._get_candidate_names())}"

def change():
    os.environ["OTTO_CHANGED"] = "yes"
    os.chdir("/")
    sys.path.insert(0, "/changed")
    os.umask(0o077)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    registry.register_reference("changed", Changed)

class Changed:
    def resolve(self, text): ...
    def close(self): ...

def _umask():
    now = os.umask(0)
    os.umask(now)
    return now

def _links():
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass
"""
_SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo
Library     state.py

*** Test Cases ***
State
    ${state}=    State
    ${chance}=    Chance
    Run On Host    local    true
    Change
    Log    ${state}
    Set Test Message    ${state}|${chance}
"""


def _pabot(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "OttoLibrary", "pabot", "--processes", "1", "--outputdir", "results", *arguments, "suites"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _messages(folder: Path) -> list[str]:
    return [test.message for test in ExecutionResult(folder / "results" / "output.xml").suite.all_tests]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "suites").mkdir()
    (tmp_path / "state.py").write_text(_STATE)
    for name in ("one", "two"):
        (tmp_path / "suites" / f"{name}.robot").write_text(_SUITE)
    return tmp_path


def test_a_suite_finds_nothing_that_another_changed(folder: Path) -> None:
    found = {}
    for way in ("--no-warm", "--randomize=none"):
        process = _pabot(folder, way)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        found[way] = [message.split("|") for message in _messages(folder)]
    states = {state for messages in found.values() for state, _ in messages}
    # As in a process that was started for it.
    assert len(states) == 1, states
    chances = [chance for messages in found.values() for _, chance in messages]
    assert len(set(chances)) == len(chances)


_KILLS_ITS_ORIGIN = """*** Settings ***
Library     state.py

*** Test Cases ***
Without A Warm Process
    Evaluate    os.kill(psutil.Process(os.getppid()).ppid(), signal.SIGKILL)    modules=os, psutil, signal
"""


def test_suites_after_the_death_of_the_warm_process_are_started_in_full(folder: Path) -> None:
    (folder / "suites" / "a.robot").write_text(_KILLS_ITS_ORIGIN)
    process = _pabot(folder)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(_messages(folder)) == 3


# -- the warm process by itself


@pytest.fixture
def warm() -> Iterator[tuple[int, str]]:
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    with warm_process(environment) as process:
        assert process is not None
        yield process.pid, environment[WARM]


def _connect(name: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(f"\0{name}")
    return connection


@pytest.mark.parametrize(
    "request_bytes", [b"", b"no number at all", b"%16d" % 5 + b"a\0b", b"%16d" % -1, b"%16d" % 10**15], ids=str
)
def test_what_is_no_request_is_hung_up_on_and_starts_nothing(warm: tuple[int, str], request_bytes: bytes) -> None:
    process, name = warm
    with _connect(name) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert not psutil.Process(process).children()
    with _connect(name) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


_AS_ANOTHER = """
import os, socket, sys
os.setgid({group}); os.setuid({user})
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(30)
connection.connect("\\0" + sys.argv[1])
request = b"\\0".join([b"/", b"18", b"0", b"touch", b"/tmp/never"])
try:
    socket.send_fds(connection, [b"%16d" % len(request)], [0, 1, 2])
    connection.sendall(request)
    print(connection.recv(1))
except OSError:
    print(b"")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_of_this_machine_starts_nothing(warm: tuple[int, str]) -> None:
    process, name = warm
    nobody = pwd.getpwnam("nobody")
    script = _AS_ANOTHER.format(user=nobody.pw_uid, group=nobody.pw_gid)
    # A Python that everybody may run.
    done = subprocess.run(["/usr/bin/python3", "-c", script, name], capture_output=True, text=True, check=True)
    assert done.stdout == "b''\n"
    assert not psutil.Process(process).children()


def test_it_ends_with_its_launcher(tmp_path: Path) -> None:
    script = (
        "import os, time\n"
        "from OttoLibrary.parallel.warm_process import warm_process\n"
        "with warm_process(dict(os.environ)) as process:\n"
        "    print(process.pid, flush=True)\n"
        "    time.sleep(300)\n"
    )
    environment: dict[str, Any] = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        child = psutil.Process(int(launcher.stdout.readline()))
        launcher.send_signal(signal.SIGKILL)
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the end of the warm process")
