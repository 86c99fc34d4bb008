"""A moment by which something must be done, passed down instead of a duration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def since_boot_s() -> float:
    """Return the seconds since the machine booted: a clock that cannot be set and keeps running while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Deadline:
    """``seconds`` from now.

    Attributes:
        seconds: The whole time span, for messages.
    """

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self._clock())

    @property
    def expired(self) -> bool:
        """True when no time is left."""
        return self.remaining_s <= 0

    def timeout(self) -> asyncio.Timeout:
        """Return ``asyncio.timeout`` for what is left."""
        return asyncio.timeout(self.remaining_s)
