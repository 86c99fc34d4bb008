"""Fakes that satisfy the contracts."""

from __future__ import annotations

import re
from collections.abc import Callable

from OttoLibrary.contracts.connections import EndOfStream, ExitStatus
from OttoLibrary.transport.receive_buffer import ReceiveBuffer


class FakeChannel:
    """A channel fed by the test; ``on_write`` sees what is written."""

    def __init__(self, on_write: Callable[[bytes], None] = lambda data: None) -> None:
        self.inbox = ReceiveBuffer()
        self.written = b""
        self._on_write = on_write

    @property
    def closed(self) -> bool:
        return self.inbox.ended

    async def read(self, limit: int) -> bytes:
        return await self.inbox.read(limit)

    async def write(self, data: bytes) -> None:
        if self.inbox.ended:
            raise EndOfStream
        self.written += data
        self._on_write(data)

    async def resize(self, columns: int, rows: int) -> None:
        return

    async def close(self) -> None:
        self.inbox.end()

    def describe(self) -> str:
        return "fake"


class FakeShell:
    """A process that plays a shell: answers each command with given bytes and the marker that was asked for, in given pieces."""

    def __init__(self, stdout: bytes = b"", stderr: bytes = b"", rc: int = 0, pieces: int = 1 << 20, job: int = 1) -> None:
        self.channel = FakeChannel(self._answer)
        self.errors = FakeChannel()
        self.stdout, self.stderr, self.rc, self.pieces = stdout, stderr, rc, pieces
        self.job = job
        self._ready = False
        self._exit: ExitStatus | None = None

    async def end_input(self) -> None:
        return

    async def wait(self) -> ExitStatus:
        while True:
            if self._exit is not None:
                return self._exit
            await ReceiveBuffer().read(1)

    async def close(self) -> None:
        await self.channel.close()
        await self.errors.close()

    def _answer(self, data: bytes) -> None:
        tag = re.search(rb"@([0-9a-z]+\.\d+):", data)
        if tag is None:
            return
        mark = b"\n@" + tag[1] + b":"
        if b"jobs -p" in data:
            self._say(self.channel, mark + b"%d\n@\n" % (self.job if self._ready else 1))
            self._say(self.errors, mark + b"@\n")
            return
        setup = b"BASH_VERSION" in data
        self._ready = self._ready or not setup
        self._say(
            self.channel,
            (b"5.2\n" if setup else self.stdout) + mark + b"%d:%d@\n" % (0 if setup else self.rc, 1 if setup else self.job),
        )
        self._say(self.errors, (b"" if setup else self.stderr) + mark + b"@\n")

    def _say(self, channel: FakeChannel, data: bytes) -> None:
        for start in range(0, len(data), self.pieces):
            channel.inbox.feed(data[start : start + self.pieces])
