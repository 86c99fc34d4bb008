"""Consoles behind a program on a terminal, such as ``docker exec -it box sh`` or ``adb shell``; each line starts it anew."""

from __future__ import annotations

import asyncio
import contextlib

from OttoLibrary import registry
from OttoLibrary.contracts.connections import Channel, Connection, EndOfStream, Process, Terminal
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.transport.lines_only import LinesOnly

_LINES = 8
_FIRST_S = 2.0
_CHUNK = 1 << 16


class Program:
    """The transport ``program``: the address of a host is the command line, run on the hop or on this machine."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Return immediately: the program starts with the first line."""
        if hop is not None:
            return ProgramConnection(facts.address, hop, is_ours=False)
        local = await registry.load("transport", "local").connect(facts, path, None, deadline)
        return ProgramConnection(facts.address, local, is_ours=True)


class ProgramConnection(LinesOnly):
    """What starts the program; nobody knows what waits behind it, a login or a prompt."""

    kind = "a host behind a program"
    line_limit = _LINES
    logs_in = False

    def __init__(self, command: str, starter: Connection, *, is_ours: bool) -> None:
        self._command, self._starter, self._is_ours = command, starter, is_ours
        self._lines: list[ProgramLine] = []
        self._closed = False

    @property
    def lost(self) -> str | None:
        """Why it is gone, or None."""
        return "closed" if self._closed else self._starter.lost

    async def open_line(self) -> Channel:
        """Start the program on a terminal."""
        line = ProgramLine(await self._starter.execute(self._command, Terminal()))
        self._lines.append(line)
        await line.listen()
        return line

    async def close(self) -> None:
        """End the program on all lines."""
        self._closed = True
        lines, self._lines = self._lines, []
        for line in lines:
            await line.close()
        if self._is_ours:
            await self._starter.close()

    def describe(self) -> str:
        """Return ``program COMMAND``."""
        return f"program {self._command}"


class ProgramLine:
    """The terminal of one program."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._first = b""

    async def listen(self) -> None:
        """Wait a moment for what it says first: what is typed before a program has set up its terminal is thrown away."""
        with contextlib.suppress(TimeoutError, EndOfStream):
            async with asyncio.timeout(_FIRST_S):
                self._first = await self._process.channel.read(_CHUNK)

    @property
    def closed(self) -> bool:
        """True after the end."""
        return self._process.channel.closed

    async def read(self, limit: int) -> bytes:
        """Return what it wrote."""
        if self._first:
            first, self._first = self._first[:limit], self._first[limit:]
            return first
        return await self._process.channel.read(limit)

    async def write(self, data: bytes) -> None:
        """Type."""
        await self._process.channel.write(data)

    async def resize(self, columns: int, rows: int) -> None:
        """Report the size of the terminal."""
        await self._process.channel.resize(columns, rows)

    async def close(self) -> None:
        """Hang up."""
        await self._process.close()

    def describe(self) -> str:
        """Return ``program on a terminal``."""
        return "program on a terminal"
