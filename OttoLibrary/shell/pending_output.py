"""What channels deliver, gathered by one reading task each, for waiters that look at it as it grows."""

from __future__ import annotations

import asyncio

from OttoLibrary.contracts.connections import Channel, EndOfStream

_CHUNK = 1 << 18


class Notifier:
    """Wakes all who wait for news."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        """Wake everybody."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Return at the next ring."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter


class PendingOutput:
    """What one channel has delivered and nobody has taken yet.

    Attributes:
        data: The bytes.
        ended: The end of the stream, or None while it lasts.
    """

    def __init__(self, channel: Channel | None, notifier: Notifier) -> None:
        self.data = bytearray()
        self.ended: EndOfStream | None = None
        self._notifier = notifier
        self._scanned: dict[bytes, int] = {}
        self._task = asyncio.create_task(self._pump(channel)) if channel else None
        if channel is None:
            self.ended = EndOfStream()

    def find(self, mark: bytes) -> int:
        """Return where ``mark`` begins, or -1; bytes searched before are not searched again."""
        at = self.data.find(mark, self._scanned.get(mark, 0))
        if at < 0:
            self._scanned[mark] = max(0, len(self.data) - len(mark) + 1)
        return at

    def take(self, count: int | None = None) -> bytes:
        """Return and forget the first ``count`` bytes, or all."""
        count = len(self.data) if count is None else count
        taken = bytes(self.data[:count])
        del self.data[:count]
        self._scanned.clear()
        return taken

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _pump(self, channel: Channel) -> None:
        try:
            while True:
                self.data += await channel.read(_CHUNK)
                self._notifier.notify()
        except EndOfStream as end:
            self.ended = end
        except asyncio.CancelledError:
            self.ended = EndOfStream("reading was stopped")
            raise
        finally:
            self._notifier.notify()
