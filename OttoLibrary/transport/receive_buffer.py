"""Bytes that arrive by callback, to be read by one reader: the reading half of a channel."""

from __future__ import annotations

import asyncio

from OttoLibrary.contracts.connections import EndOfStream


class ReceiveBuffer:
    """Holds what arrived until it is read."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._end: EndOfStream | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """True when nothing more will arrive."""
        return self._end is not None

    @property
    def size(self) -> int:
        """Bytes that wait to be read."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add ``data``."""
        self._data += data
        self._wake()

    def end(self, lost: str | None = None) -> None:
        """Nothing more comes; ``lost`` says why the connection broke, None is a clean end."""
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
            return data
        data = bytes(self._data[:limit])
        del self._data[:limit]
        return data

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
