"""Fakes that satisfy the contracts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, ClassVar

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


class FakeProcess:
    """A process that ends when the test says so; its output is fed by the test."""

    def __init__(self) -> None:
        self.channel, self.errors = FakeChannel(), FakeChannel()
        self.closed = 0
        self.input_ended = False
        self._exit: asyncio.Future[ExitStatus] | None = None
        self._status: ExitStatus | None = None

    def exit(self, rc: int) -> None:
        """End with a status, and with both streams."""
        self._status = ExitStatus(rc)
        self.channel.inbox.end()
        self.errors.inbox.end()
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(self._status)

    async def end_input(self) -> None:
        self.input_ended = True

    async def wait(self) -> ExitStatus:
        if self._status is not None:
            return self._status
        if self._exit is None:
            self._exit = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        self.closed += 1
        await self.channel.close()
        await self.errors.close()


class FakeConnection:
    """A connection whose processes are made by the test; each tells a process id as a real one does.

    Attributes:
        commands: What was started, in order.
    """

    native: object = None
    line_limit = 0
    logs_in = True

    def __init__(self, made: Callable[[str], Any]) -> None:
        self.lost: str | None = None
        self.commands: list[str] = []
        self._made = made

    async def execute(self, command: str, terminal: object = None, *, login_shell: bool = False) -> Any:
        self.commands.append(command)
        process = self._made(command)
        nonce = re.search(r"echo \"?@(\w+):\$\$", command)
        if nonce is not None:
            process.errors.inbox.feed(b"@%b\n" % nonce[1].encode())
            process.channel.inbox.feed(b"@%b:4711\n" % nonce[1].encode())
        return process

    async def open_line(self) -> Any:
        raise EndOfStream("it has no terminal lines")

    async def dial(self, address: str, port: int) -> Any:
        raise OSError(f"{address}:{port}")

    async def listen(self, port: int, accept: object) -> Any:
        raise OSError("it cannot listen")

    async def close(self) -> None:
        self.lost = "closed"

    def describe(self) -> str:
        return "fake"


class FakeTransport:
    """The transport ``fake``: gives the connections of ``ready``, in order, or raises what stands there."""

    ready: ClassVar[list[Any]] = []

    async def connect(self, facts: object, path: object, hop: object, deadline: object) -> Any:
        connection = self.ready.pop(0)
        if isinstance(connection, BaseException):
            raise connection
        return connection
