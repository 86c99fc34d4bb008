"""An FTP server that replies what it should not: one sentence, in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import HostError, UsageError

_USUAL = {
    "USER": "331 go on",
    "PASS": "230 welcome",
    "TYPE": "200 fine",
    "EPSV": "229 (|||1|)",
    "SIZE": "213 4",
    "RETR": "150 here",
}


class LyingServer:
    """A server whose replies the test writes, by command; ``hello`` is what it says first."""

    def __init__(self, replies: dict[str, str], hello: str = "220 hello") -> None:
        self._replies, self._hello = _USUAL | replies, hello
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._say(connection, self._hello)
                for line in connection.makefile():
                    self._say(connection, self._replies.get(line[:4].strip().upper(), "500 what"))
            except OSError:
                return

    def _say(self, connection: socket.socket, reply: str) -> None:
        while reply.startswith("endless"):
            connection.sendall(b"220-more\r\n" * 1000 if reply == "endless lines" else b"2" * 65536)
        connection.sendall(f"{reply}\r\n".encode())


@pytest.fixture
def serve() -> Iterator[Callable[..., LyingServer]]:
    with ExitStack() as ending:

        def started(replies: dict[str, str], hello: str = "220 hello") -> LyingServer:
            made = LyingServer(replies, hello)
            ending.callback(made.close)
            return made

        yield started


REPLIES = [
    ({}, "endless lines"),
    ({}, "endless line"),
    ({}, "what"),
    ({}, ""),
    ({"PASS": "endless lines"}, "220 hello"),
    ({"EPSV": "229 (|||99999999|)"}, "220 hello"),
    ({"EPSV": "229 none"}, "220 hello"),
    ({"EPSV": "229 (|||" + "9" * 5000 + "|)"}, "220 hello"),
    ({"EPSV": "500 no", "PASV": "227 (1,2,3,4,999,999)"}, "220 hello"),
    ({"EPSV": "500 no", "PASV": "227 none"}, "220 hello"),
    ({"TYPE": "200-no end"}, "220 hello"),
]


@pytest.mark.parametrize(("replies", "hello"), REPLIES, ids=range(len(REPLIES)))
def test_a_reply_that_is_none(
    replies: dict[str, str], hello: str, serve: Callable[..., LyingServer], open_lab: Any, tmp_path: Path
) -> None:
    server = serve(replies, hello)
    ftp = {"user": "otto", "password": "secret", "port": server.port}
    session = open_lab(box={"transport": "local", "ftp": ftp, "timeout": 3, "connect_timeout": 3})
    (tmp_path / "a.bin").write_bytes(b"data")
    (tmp_path / "to").mkdir()
    with pytest.raises((HostError, UsageError)):
        session.engine.call(session.files.on("box").get(str(tmp_path / "a.bin"), f"{tmp_path}/to/", TransferOptions(via="ftp")))
    assert list((tmp_path / "to").iterdir()) == []
