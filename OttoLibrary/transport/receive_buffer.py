"""Bytes that arrive by callback, to be read by one reader: the reading half of a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from OttoLibrary.contracts.connections import EndOfStream

_HIGH_WATER = 4 << 20
_LOW_WATER = 1 << 20


class FlowControl:
    """Holds back a sender while too much of what it sent waits to be read; several buffers may share one.

    Args:
        pause: Stops what feeds the buffers; called once until ``resume``.
        resume: Lets it feed them again; it may be closed by then.
    """

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause, self._resume = pause, resume
        self._waiting = 0
        self._paused = False

    def arrived(self, count: int) -> None:
        """Count bytes that wait from now on."""
        self._waiting += count
        if self._waiting > _HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()

    def was_read(self, count: int) -> None:
        """Count bytes that wait no longer."""
        self._waiting -= count
        if self._waiting < _LOW_WATER and self._paused:
            self._paused = False
            self._resume()


class ReceiveBuffer:
    """Holds what arrived until it is read."""

    def __init__(self, flow: FlowControl | None = None) -> None:
        self._flow = flow
        self._data = bytearray()
        self._end: EndOfStream | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """True when nothing more will arrive."""
        return self._end is not None

    def feed(self, data: bytes) -> None:
        """Add ``data``."""
        self._data += data
        if self._flow is not None:
            self._flow.arrived(len(data))
        self._wake()

    def end(self, lost: str | None = None) -> None:
        """Note that nothing more comes; ``lost`` says why the connection broke, None is a clean end."""
        if self._end is None:
            self._end = EndOfStream(lost)
            self._wake()

    async def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes; raise EndOfStream when all was read and no more will come."""
        while not self._data:
            if self._end is not None:
                raise EndOfStream(self._end.lost)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if len(self._data) <= limit:
            data, self._data = bytes(self._data), bytearray()
        else:
            data = bytes(self._data[:limit])
            del self._data[:limit]
        if self._flow is not None:
            self._flow.was_read(len(data))
        return data

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
