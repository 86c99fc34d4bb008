"""Turns: one caller at a time has a shell or a line, and the next ones wait no longer than their deadlines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from OttoLibrary.deadline import Deadline
from OttoLibrary.host.records import HostRecords


class Turn:
    """Something that only so many callers may have at a time.

    Args:
        records: Of the host, for the error when a caller waits in vain.
        at_a_time: How many callers may have it at a time.
    """

    def __init__(self, records: HostRecords, at_a_time: int = 1) -> None:
        self._records = records
        self._free = asyncio.Semaphore(at_a_time)

    @property
    def taken(self) -> bool:
        """True when the next caller has to wait."""
        return self._free.locked()

    @contextlib.asynccontextmanager
    async def hold(self, deadline: Deadline) -> AsyncIterator[None]:
        """Have it for a while; raise WaitTimeoutError when the others do not give it back in time."""
        if self._free.locked():
            async with self._records.bounded(deadline, "was busy with another command"):
                await self._free.acquire()
        else:
            await self._free.acquire()  # returns at once, without the cost of a timer
        try:
            yield
        finally:
            self._free.release()
