"""What happened in one second of a run: the unit of which all statistics of time are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from OttoLibrary.load.turret.batches import RESPONSE
from OttoLibrary.load.turret.histogram import Histogram


@dataclass
class Second:
    """One second.

    Attributes:
        at: When it began, in seconds since 1970.
        kinds: The histograms of what ended in it: ``response``, ``service`` and ``timer:NAME``.
        failed: How many iterations failed.
        dropped: How many iterations of the open model could not start.
        users: The most users that were active.
    """

    at: int
    kinds: dict[str, Histogram] = field(default_factory=dict)
    failed: int = 0
    dropped: int = 0
    users: int = 0

    @property
    def count(self) -> int:
        """How many iterations ended, those that failed among them."""
        response = self.kinds.get(RESPONSE)
        return response.count if response is not None else 0

    def histogram(self, kind: str) -> Histogram:
        """Return the histogram of a kind, a new one where there is none."""
        found = self.kinds.get(kind)
        if found is None:
            found = self.kinds[kind] = Histogram()
        return found

    def merge(self, other: Second) -> None:
        """Add another part of the same second, or of another one."""
        for kind, histogram in other.kinds.items():
            self.histogram(kind).merge(histogram)
        self.failed += other.failed
        self.dropped += other.dropped
        self.users = max(self.users, other.users)


def together(seconds: Iterable[Second]) -> Second:
    """Return several in one."""
    whole = Second(0)
    for second in seconds:
        whole.merge(second)
    return whole
