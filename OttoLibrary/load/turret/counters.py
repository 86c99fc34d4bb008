"""Counts that survive the process that counts: two numbers for each user, in a file that is mapped into memory."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_SLOT = struct.Struct("=QQ")


class Counters:
    """How many iterations each user began, and how many of them became a result.

    Args:
        users: How many users at most.
        path: The file; without one nothing survives.
    """

    def __init__(self, users: int, path: str = "") -> None:
        size = max(1, users) * _SLOT.size
        if path:
            with Path(path).open("w+b") as file:
                file.truncate(size)
                self._memory = mmap.mmap(file.fileno(), size)
        else:
            self._memory = mmap.mmap(-1, size)
        self._numbers = memoryview(self._memory).cast("Q")

    def slot(self, user: int) -> CounterSlot:
        """Return the two numbers of a user."""
        return CounterSlot(self._numbers, 2 * user)

    def totals(self) -> tuple[int, int]:
        """Return how many were begun and how many became results."""
        return _totals(self._memory[:])


class CounterSlot:
    """The two numbers of one user, written by that user alone."""

    __slots__ = ("_at", "_numbers", "begun", "done")

    def __init__(self, numbers: memoryview, at: int) -> None:
        self._numbers, self._at = numbers, at
        self.begun = self.done = 0

    def begin(self) -> None:
        """Count an iteration that begins."""
        self.begun += 1
        self._numbers[self._at] = self.begun

    def finish(self) -> None:
        """Count a result."""
        self.done += 1
        self._numbers[self._at + 1] = self.done


def counters_path(folder: Path, uuid: str) -> Path:
    """Return where the counters of a turret are."""
    return folder / f"{uuid}.counts"


def read_counts(path: Path) -> tuple[int, int]:
    """Return how many were begun and done, from the file of a process that may be gone; nothing of a file that is not there."""
    try:
        return _totals(path.read_bytes())
    except OSError:
        return 0, 0


def _totals(data: bytes) -> tuple[int, int]:
    whole = len(data) // _SLOT.size * _SLOT.size
    pairs = list(_SLOT.iter_unpack(data[:whole]))
    return sum(begun for begun, _ in pairs), sum(done for _, done in pairs)
