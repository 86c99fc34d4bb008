"""A server in the middle that shows SSHLibrary another key than OttoLibrary gets no password."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest

from OttoLibrary.errors import HostKeyError
from OttoLibrary.keywords import sshlibrary
from OttoLibrary.keywords.component import Component
from tests.peers.background import Background

PASSWORD = "right password"


class Middle:
    """An address where the first connection meets the real server, and each later one meets somebody else.

    Attributes:
        heard: The passwords that each server was told.
    """

    def __init__(self, honest: bool) -> None:
        self.heard: dict[str, list[str]] = {"real": [], "other": []}
        self.honest, self.met, self.port = honest, 0, 0
        self._keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in self.heard}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._ports = {name: await self._listen(name) for name in self.heard}
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _listen(self, name: str) -> int:
        heard = self.heard[name]

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                heard.append(password)
                return password == PASSWORD

        async def answer(process: asyncssh.SSHServerProcess[str]) -> None:
            process.stdout.write("welcome $ ")
            await process.stdin.read()
            process.exit(0)

        keys = [self._keys[name]]
        made = await asyncssh.listen("127.0.0.1", 0, server_host_keys=keys, server_factory=Server, process_factory=answer)
        return made.get_port()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        name = "real" if self.met == 1 or self.honest else "other"
        there, back = await asyncio.open_connection("127.0.0.1", self._ports[name])
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    target.close()


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


def shared(middle: Middle, open_lab: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    library = pytest.importorskip("SSHLibrary").SSHLibrary()
    # Robot Framework would say which instance the suite has.
    monkeypatch.setattr(sshlibrary, "_library", lambda: library)
    host = {"address": "127.0.0.1", "port": middle.port, "user": "tester", "password": PASSWORD, "host_key": "accept-new"}
    sshlibrary.share(Component(open_lab(box=host)), "box", 10)
    return library


def test_a_server_with_another_key_gets_no_password(
    background: Background, open_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = Middle(honest=False)
    background.run(middle.start())
    with pytest.raises(HostKeyError, match="SSHLibrary got a different host key than OttoLibrary"):
        shared(middle, open_lab, monkeypatch)
    assert middle.heard == {"real": [PASSWORD], "other": []}
    assert middle.met == 2


def test_the_server_that_we_know_gets_it(background: Background, open_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    middle = Middle(honest=True)
    background.run(middle.start())
    library = shared(middle, open_lab, monkeypatch)
    assert middle.heard == {"real": [PASSWORD, PASSWORD], "other": []}
    library.close_all_connections()
