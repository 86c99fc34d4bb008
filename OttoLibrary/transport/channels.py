"""Channels made of other things: a stream of a process, and a channel around another one."""

from __future__ import annotations

from typing import Protocol

from OttoLibrary.contracts.connections import Channel


class Readable(Protocol):
    """Where bytes wait for one reader."""

    @property
    def ended(self) -> bool:
        """True when nothing more will arrive."""

    async def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes; raise EndOfStream when no more will come."""


class Streams(Protocol):
    """A process as the owner of its streams."""

    async def write(self, data: bytes) -> None:
        """Send ``data`` to its standard input; raise EndOfStream when it is gone."""

    async def resize(self, columns: int, rows: int) -> None:
        """Set the size of its terminal, if it has one."""

    async def close(self) -> None:
        """Close all its streams; never raises."""


class ProcessChannel:
    """One stream of a process: what is read is its own, all else is the process's."""

    def __init__(self, process: Streams, received: Readable, description: str) -> None:
        self._received, self._description = received, description
        self.read = received.read
        self.write, self.resize, self.close = process.write, process.resize, process.close

    @property
    def closed(self) -> bool:
        """True after the end."""
        return self._received.ended

    def describe(self) -> str:
        """Return what it is."""
        return self._description


class WrappedChannel:
    """A channel around another one, the same in everything; a subclass changes what it needs."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def closed(self) -> bool:
        """True after the end."""
        return self._channel.closed

    async def read(self, limit: int) -> bytes:
        """Return what came."""
        return await self._channel.read(limit)

    async def write(self, data: bytes) -> None:
        """Send ``data``."""
        await self._channel.write(data)

    async def resize(self, columns: int, rows: int) -> None:
        """Report the size of the terminal."""
        await self._channel.resize(columns, rows)

    async def close(self) -> None:
        """Close it."""
        await self._channel.close()

    def describe(self) -> str:
        """Return what it is."""
        return self._channel.describe()


class ResumedChannel(WrappedChannel):
    """A channel of which somebody has read the beginning already: that is read first, once more."""

    def __init__(self, channel: Channel, beginning: bytes) -> None:
        super().__init__(channel)
        self._beginning = beginning

    async def read(self, limit: int) -> bytes:
        """Return the beginning, then what came."""
        if not self._beginning:
            return await self._channel.read(limit)
        data, self._beginning = self._beginning[:limit], self._beginning[limit:]
        return data
