"""A Redis server of Debian's package, on a loopback port, that keeps nothing."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from types import TracebackType

from tests.peers import processes
from tests.peers.requirements import find


class Redisd:
    """The server; ``url`` is how it is reached."""

    def __init__(self, folder: Path) -> None:
        self.port = processes.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        program = find("redis-server")
        assert program, "redis-server is missing"
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        processes.wait_until(self._answers, "the start of redis-server")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Redisd:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                client.sendall(b"PING\r\n")
                return client.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
