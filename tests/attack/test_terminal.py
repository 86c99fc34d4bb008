"""Nothing that a host says controls the terminal of who runs a command: no title, no clear, no clipboard."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.processes import wait_until

TITLE, CLEAR, CLIPBOARD = "\x1b]0;owned\x07", "\x1b[2J", "\x1b]52;c;b3duZWQ=\x07"
EVIL = TITLE + CLEAR + CLIPBOARD


@pytest.fixture
def rude() -> Iterator[int]:
    """A server that answers every connection with terminal escapes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(f"{EVIL} you are not welcome {EVIL}\r\n".encode() * 20)

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def lab(folder: Path, **host: object) -> str:
    (folder / "lab.json").write_text(json.dumps({"hosts": {"box": host}}))
    return str(folder / "lab.json")


@pytest.mark.parametrize("transport", ["ssh", "telnet"])
def test_check_prints_no_escape_of_a_host(transport: str, rude: int, tmp_path: Path) -> None:
    login = {"user": "x", "password": "y"} | ({"host_key": "ignore"} if transport == "ssh" else {})
    path = lab(tmp_path, transport=transport, address="127.0.0.1", port=rude, **login)
    words = [sys.executable, "-m", "OttoLibrary", "check", path, "--timeout", "3"]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"box" in done.stdout
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\x07" not in done.stdout + done.stderr


def test_a_watched_host_prints_no_escape_on_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    metrics = {
        "log": {"file": str(log), "pattern": r"depth (?P<label>\S+) (?P<depth>\d+)", "event": "ERROR"},
        "odd": {"command": f"printf '{TITLE}'; exit 1"},
    }
    path = lab(tmp_path, transport="local", metrics=metrics)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "OttoLibrary", "monitor", path, "--interval", "0.2s", "--metrics", "log,odd"]
    wide = os.environ | {"COLUMNS": "200", "LINES": "50", "TERM": "xterm"}
    with subprocess.Popen(words, stdout=theirs, stderr=theirs, stdin=theirs, env=wide) as watching, ExitStack() as ending:
        ending.callback(watching.kill)
        os.close(theirs)
        printed = bytearray()

        def gather() -> None:
            while True:
                try:
                    printed.extend(os.read(ours, 65536))
                except OSError:
                    return

        reader = threading.Thread(target=gather, daemon=True)
        reader.start()

        def noticed() -> bool:
            with log.open("a") as out:
                out.write(f"ERROR {EVIL} depth {CLIPBOARD} 5\n")
            return b"odd" in printed and b"log_depth" in printed

        wait_until(noticed, "warnings and readings")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    reader.join(5)
    os.close(ours)
    # What moves the cursor and colours the table is our own.
    for escape in (TITLE, CLEAR, CLIPBOARD, "owned\x07"):
        assert escape.encode() not in printed, escape
