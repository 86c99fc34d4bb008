"""What hands a suite over to a warm process: what is sent, and to whom."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

import pytest

from OttoLibrary.parallel import warm_stub


def test_folder_variables_and_arguments_are_handed_over_with_the_streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stub", "python", "-m", "robot", "--name", "two words"])
    monkeypatch.setattr(os, "environb", {b"A": b"1", b"B": b"x=y\n"})
    here, there = socket.socketpair()
    umask = os.umask(0o027)
    try:
        warm_stub._hand_over(here)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)
    here.close()
    header, streams, *_ = socket.recv_fds(there, 16, 3)
    for stream in streams:
        os.close(stream)
    with there, there.makefile("rb") as rest:
        request = rest.read()
    assert len(streams) == 3
    assert int(header) == len(request)
    assert request.split(b"\0") == [
        os.fsencode(tmp_path),
        b"23",
        b"2",
        b"A=1",
        b"B=x=y\n",
        b"python",
        b"-m",
        b"robot",
        b"--name",
        b"two words",
    ]


def test_nothing_is_handed_to_a_process_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"otto-test-{secrets.token_hex(8)}"
    assert warm_stub._connected(name) is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        found = warm_stub._connected(name)
        assert found is not None
        assert warm_stub.user_of(found) == os.getuid()
        found.close()
        monkeypatch.setattr(warm_stub, "user_of", lambda connection: os.getuid() + 1)
        assert warm_stub._connected(name) is None
