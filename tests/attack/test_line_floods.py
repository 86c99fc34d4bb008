"""Telnet and serial lines that do not stop to write: at the login, during a command, between commands and on the console."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import ConnectError, HostError, WaitTimeoutError
from tests.attack.test_floods import BUSY_S, bounded_memory
from tests.peers.telnetd import KINDS, PASSWORD, USER, login_program

_LINE = "the end is not near"
# The last line may have come in part only.
_FLOOD_TOLD = rf"(?s)prompt.* in 2 seconds.*[Ll]ast output:.*({'|'.join(_LINE[:end] for end in range(len(_LINE), 0, -1))})"
_BOUND_S = 5 + BUSY_S


def _program(folder: Path, text: str) -> Path:
    program = folder / "flood"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


@pytest.fixture(params=[*KINDS, "serial"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Return the keys of a host on a line: with a shell on it, or with what a script writes."""

    def made(script: str = "") -> dict[str, Any]:
        if request.param == "serial":
            start = request.getfixturevalue("serial_console")
            words = [str(_program(tmp_path, script))] if script else ["busybox", "sh", "-i"]
            console = start(lambda terminal: words, on_open=True)
            return {"transport": "serial", "port": console.device, "profile": "busybox", "user": USER, "password": PASSWORD}
        login = _program(tmp_path, script) if script else login_program(tmp_path, "sh -i")
        server = request.getfixturevalue("telnetd")(request.param, login=login)
        return {"transport": "telnet", "address": server.address, "port": server.port, "user": USER, "password": PASSWORD}

    return made


@pytest.mark.parametrize("script", [f"yes '{_LINE}'", f"yes '{_LINE}' | tr '\\n' ' '"])
def test_a_login_that_floods_ends_in_time_and_says_what_came_last(open_lab: Any, line: Any, script: str) -> None:
    host = line(script)
    session = open_lab(box={**host, "connect_timeout": "2 s"})
    began = time.monotonic()
    with bounded_memory(), pytest.raises((ConnectError, WaitTimeoutError), match=_FLOOD_TOLD):
        session.engine.call(session.hosts.use("box").run("true", timeout_s=2 if host["transport"] == "serial" else 20))
    assert time.monotonic() - began < _BOUND_S


def test_a_command_that_floods_ends_in_time_and_the_shell_lives(open_lab: Any, line: Any) -> None:
    session = open_lab(box=line())
    host = session.hosts.use("box")
    session.engine.call(host.run("KEPT=yes"))
    with bounded_memory():
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError, match=r"(?s)did not finish 'yes .*Last output:.*the end is not near"):
            session.engine.call(host.run(f"yes {_LINE}", timeout_s=2))
        assert time.monotonic() - began < 2 + _BOUND_S
    assert session.engine.call(host.run("echo $KEPT", timeout_s=20)).stdout == "yes\n"


def test_a_job_that_floods_between_commands_is_bounded(open_lab: Any, line: Any) -> None:
    session = open_lab(box=line())
    host = session.hosts.use("box")
    session.engine.call(host.run(f"(sleep 1; yes {_LINE}) >/dev/tty 2>&1 &"))
    with bounded_memory():
        # Whoever writes between the lines of a shell can spoil its answer: that is an error, in time.
        _in_time(lambda: session.engine.call(host.expect([_LINE], timeout_s=20)), 20)
        for _ in range(3):
            _in_time(lambda: session.engine.call(host.run("true", timeout_s=1)), 1)
    _in_time(lambda: session.engine.call(host.close()), 5)


def _in_time(work: Callable[[], object], seconds: float) -> None:
    began = time.monotonic()
    with contextlib.suppress(HostError):
        work()
    assert time.monotonic() - began < seconds + _BOUND_S


def test_a_console_that_floods_is_bounded_and_expect_ends_in_time(open_lab: Any, line: Any) -> None:
    session = open_lab(box=line())
    host = session.hosts.use("box")
    with bounded_memory():
        session.engine.call(host.send(f"yes {_LINE}\n"))
        session.engine.call(host.expect([_LINE], timeout_s=20))
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError, match=r"(?s)did not show 'never'.*the end is not near"):
            session.engine.call(host.expect(["never"], timeout_s=1))
        assert time.monotonic() - began < 1 + _BOUND_S
        session.engine.call(host.interrupt())
        session.engine.call(host.send("echo en''d\n"))
        session.engine.call(host.expect(["^end"], timeout_s=10))
