"""What channels deliver, gathered by one reading task each, for waiters that look at it as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from OttoLibrary.contracts.connections import Channel, EndOfStream
from OttoLibrary.shell.output_file import OutputFile, OutputLimits

_CHUNK = 1 << 18
# Of one stream; what is left out is left out of its middle.
_LIMIT_BYTES = OutputLimits().memory_bytes
# A stream that floods is read in slices, so that everything else on the loop has its share.
_FLOOD_PAUSE_S = 0.02


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
        """Return at the next notification."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter


class PendingOutput:
    """What one channel has delivered and nobody has taken yet.

    Of more than ``limit_bytes`` the oldest and the newest are kept, and a line in between counts what was left out.

    Attributes:
        data: The bytes.
        ended: The end of the stream, or None while it lasts.
        left_out_bytes: How many bytes were left out since somebody set it to 0.
        received_bytes: How many bytes have come so far.
        is_waiting: True when all that has come is here, and more is waited for.
    """

    def __init__(self, channel: Channel | None, notifier: Notifier, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.data = bytearray()
        self.ended: EndOfStream | None = None
        self.left_out_bytes = self.received_bytes = 0
        self.is_waiting = False
        self._limit, self._notifier = limit_bytes, notifier
        self._hole: slice | None = None
        self._missing = 0
        self._new_file: Callable[[], OutputFile | None] | None = None
        self._file: OutputFile | None = None
        self._scanned: dict[bytes, int] = {}
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._task = asyncio.create_task(self._pump(channel)) if channel else None
        if channel is None:
            self.ended = EndOfStream()

    def add(self, news: bytes) -> None:
        """Take bytes that came another way than through the channel."""
        self.data += news
        self.received_bytes += len(news)
        if len(self.data) > self._limit:
            self._shorten()

    def find(self, mark: bytes) -> int:
        """Return where ``mark`` begins, or -1; bytes searched before are not searched again."""
        at = self.data.find(mark, self._scanned.get(mark, 0))
        if at < 0:
            self._scanned[mark] = max(0, len(self.data) - len(mark) + 1)
        return at

    def take(self, count: int | None = None) -> bytes:
        """Return and forget the first ``count`` bytes, or all."""
        count = len(self.data) if count is None else count
        if self._file is not None:
            self._file.add(self._unfiled(count))
        taken = bytes(memoryview(self.data)[:count])
        del self.data[:count]
        self._scanned.clear()
        if self._hole is not None:
            at = slice(self._hole.start - count, self._hole.stop - count)
            self._hole = at if at.start >= 0 else None
            self._missing = self._missing if self._hole else 0
        return taken

    def keep_whole(self, new_file: Callable[[], OutputFile | None]) -> None:
        """Keep all that comes from now on in a file too; it is asked for just before the first of it is left out here."""
        self._new_file, self._file = new_file, None

    def end_file(self, at: int | None = None) -> OutputFile | None:
        """End the file with what is here up to ``at``, or with all; return it, or None when nothing was left out."""
        file, self._new_file, self._file = self._file, None, None
        if file is not None:
            file.add(self._unfiled(len(self.data) if at is None else at), last=True)
        return file

    def _unfiled(self, end: int) -> bytes:
        """Return what is not in the file yet, up to a place."""
        return bytes(memoryview(self.data)[self._hole.stop if self._hole is not None else 0 : end])

    def pause(self) -> None:
        """Read no more for the moment, so that a sender has to wait."""
        self._wanted.clear()

    def resume(self) -> None:
        """Read again."""
        self._wanted.set()

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    def release(self, keep_bytes: int) -> None:
        """Stop, and keep only the newest bytes."""
        self.stop()
        self._leave_out(0, max(0, len(self.data) - keep_bytes))

    async def _pump(self, channel: Channel) -> None:
        try:
            while True:
                if not self._wanted.is_set():
                    await self._wanted.wait()
                self.is_waiting = True
                news = await channel.read(_CHUNK)
                self.is_waiting = False
                self.data += news
                self.received_bytes += len(news)
                self._notifier.notify()
                if len(self.data) > self._limit:
                    # Those who look for something look first.
                    await asyncio.sleep(_FLOOD_PAUSE_S)
                    self._shorten()
                    if self._file is not None:
                        await self._file.ended()
        except EndOfStream as end:
            self.ended = end
        except asyncio.CancelledError:
            self.ended = EndOfStream("reading was stopped")
            raise
        finally:
            self._notifier.notify()

    def _shorten(self) -> None:
        """Leave out so much of the middle that there is room for a while."""
        if self._new_file is not None:
            new_file, self._new_file = self._new_file, None
            self._file = new_file()
        end = len(self.data) - self._limit // 4
        start = self._hole.start if self._hole else self._limit // 2
        if end > start:
            self._leave_out(start, end)

    def _leave_out(self, start: int, end: int) -> None:
        """Put a line in the place of the bytes between two positions; a hole before it is part of them."""
        if end <= start:
            return
        if self._file is not None:
            self._file.add(self._unfiled(end))
        known = len(range(*self._hole.indices(end))) if self._hole is not None and self._hole.stop <= end else 0
        count = end - start - known
        self.left_out_bytes += count
        self._missing += count
        line = b"\n[... %d bytes left out ...]\n" % self._missing
        self.data[start:end] = line
        self._hole = slice(start, start + len(line))
        self._scanned = {mark: min(at, start) for mark, at in self._scanned.items()}
