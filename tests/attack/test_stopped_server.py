"""A server that stops in the middle of a transfer: the wait has a bound, and the session is not spoiled."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import HostError, TransferError, WaitTimeoutError
from tests.peers.requirements import require

_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")


class Subsystem:
    """SFTP servers that the test can stop; each notes its process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._pids = folder / "pids"
        self._hangs = folder / "hangs"
        real = next((path for path in _SERVERS if shutil.which(path)), "")
        if not real:
            require("sftp-server")
        self.script = folder / "sftp-server"
        self.script.write_text(f"#!/bin/sh\n[ ! -e {self._hangs} ] || exec sleep 600\necho $$ >>{self._pids}\nexec {real}\n")
        self.script.chmod(0o755)

    def hang(self) -> None:
        """Let those that are started from now on say nothing at all."""
        self._hangs.touch()

    def recover(self) -> None:
        """Let those that are started from now on serve again."""
        self._hangs.unlink()

    def stop(self) -> None:
        """Stop those that run."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids.read_text().split() if self._pids.exists() else ():
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                continue


@pytest.fixture
def subsystem(tmp_path: Path) -> Iterator[Subsystem]:
    made = Subsystem(tmp_path / "subsystem")
    yield made
    made.resume()


@pytest.fixture
def session(subsystem: Subsystem, make_sshd: Callable[..., Any], open_lab: Any, keys: Any) -> Iterator[Any]:
    with ExitStack():
        sshd = make_sshd(options={"Subsystem": f"sftp {subsystem.script}"})
        host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
        yield open_lab(box=host | {"timeout": 2})


@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_stopped_sftp_server(direction: str, session: Any, subsystem: Subsystem, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    with source.open("wb") as file:
        file.truncate(200 << 20)
    files = session.files.on("box")
    files.progress = lambda news: subsystem.stop() if news.moved_bytes else None
    options = TransferOptions(via="sftp", verify="no")
    put, get = files.put([source], f"{tmp_path}/sent.bin", options), files.get(str(source), f"{tmp_path}/got.bin", options)
    moving, other = (put, get) if direction == "put" else (get, put)
    other.close()
    with pytest.raises(TransferError, match="no byte moved for 2 seconds"):
        session.engine.call(moving)
    files.progress = lambda news: None
    # The server stands still for ever, as far as we know: the next transfer does not wait for it.
    small = tmp_path / "small.bin"
    small.write_bytes(b"data")
    session.engine.call(files.put([small], f"{tmp_path}/small-sent.bin", options))
    assert (tmp_path / "small-sent.bin").read_bytes() == b"data"
    assert not (tmp_path / "sent.bin").exists()
    assert not (tmp_path / "got.bin").exists()


def test_an_sftp_server_that_never_begins(session: Any, subsystem: Subsystem, tmp_path: Path) -> None:
    subsystem.hang()
    source = tmp_path / "source.bin"
    source.write_bytes(b"data")
    files = session.files.on("box")
    with pytest.raises(HostError, match="no byte moved for 2 seconds"):
        session.engine.call(files.put([source], f"{tmp_path}/sent.bin", TransferOptions(via="sftp")))
    with pytest.raises(WaitTimeoutError, match="in 1 second"):
        session.engine.call(files.put([source], f"{tmp_path}/sent.bin", TransferOptions(via="sftp", timeout_s=1)))
    subsystem.recover()
    session.engine.call(files.put([source], f"{tmp_path}/sent.bin", TransferOptions(via="sftp")))
    assert (tmp_path / "sent.bin").read_bytes() == b"data"
