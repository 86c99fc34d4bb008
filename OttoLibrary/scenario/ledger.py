"""What became of the events of a scenario, as numbers that take no more memory after a million runs than after ten.

``due = run + skipped + missed``, always, for each event: what was due either began, or was left out for a reason that the
description or an earlier run gave, or could not begin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_MOST_FAILURES_KEPT = 50
_MOST_REASONS = 10
_WIDTH = math.log(1.05)
_LEAST_S = 1e-5


class Spread:
    """The distribution of many times, within 5 percent."""

    def __init__(self) -> None:
        self.count, self.total_s, self.max_s = 0, 0.0, 0.0
        self._buckets: dict[int, int] = {}

    def add(self, value_s: float) -> None:
        """Count one more."""
        value_s = max(0.0, value_s)
        self.count += 1
        self.total_s += value_s
        self.max_s = max(self.max_s, value_s)
        bucket = math.ceil(math.log(value_s / _LEAST_S) / _WIDTH) if value_s > _LEAST_S else 0
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def merge(self, other: Spread) -> None:
        """Count all that another one has counted."""
        self.count += other.count
        self.total_s += other.total_s
        self.max_s = max(self.max_s, other.max_s)
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    @property
    def mean_s(self) -> float:
        """The mean; 0 of none."""
        return self.total_s / self.count if self.count else 0.0

    def percentile_s(self, percent: float) -> float:
        """Return the time that so many percent do not exceed; 0 of none."""
        wanted, seen = math.ceil(self.count * percent / 100), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(self.max_s, _LEAST_S * math.exp(bucket * _WIDTH))
        return 0.0

    def state(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {"count": self.count, "total": self.total_s, "max": self.max_s, "buckets": sorted(self._buckets.items())}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Spread:
        """Return what ``state`` gave."""
        made = cls()
        made.count, made.total_s, made.max_s = int(state["count"]), float(state["total"]), float(state["max"])
        made._buckets = {int(bucket): int(count) for bucket, count in state["buckets"]}
        return made


@dataclass(frozen=True)
class RunFailure:
    """One run that failed.

    Attributes:
        event: Name of the event.
        number: Which run of it, counted from 1.
        at_s: When, in seconds after the start.
        wall_s: When, in seconds since 1970.
        host: The host, or empty.
        error: What it said.
    """

    event: str
    number: int
    at_s: float
    wall_s: float
    host: str
    error: str


@dataclass
class EventLedger:
    """The numbers of one event.

    Attributes:
        name: Its name.
        due: How often it was due.
        run: How often it began.
        skipped: How often it was left out, for a reason of the description or because it still ran.
        missed: How often it could not begin.
        failed: How many runs failed.
        ended_early: How many runs ended with the scenario, before they were done.
        late: How late the runs began.
        took: How long they took.
        last_error: What the last failure said.
        reasons: Why it was skipped or missed, with how often.
        delays: Why it was late, with how often.
        failures: The first failures.
    """

    name: str
    due: int = 0
    run: int = 0
    skipped: int = 0
    missed: int = 0
    failed: int = 0
    ended_early: int = 0
    late: Spread = field(default_factory=Spread)
    took: Spread = field(default_factory=Spread)
    last_error: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    delays: dict[str, int] = field(default_factory=dict)
    failures: list[RunFailure] = field(default_factory=list)

    def skip(self, why: str) -> None:
        """Count one that was left out."""
        self.skipped += 1
        _count(self.reasons, f"skipped: {why}")

    def miss(self, why: str, count: int = 1) -> None:
        """Count some that could not begin."""
        self.missed += count
        if count:
            _count(self.reasons, f"missed: {why}", count)

    def delay(self, late_s: float, why: str) -> None:
        """Count how late a run began."""
        self.late.add(late_s)
        if why:
            _count(self.delays, why)

    def fail(self, failure: RunFailure) -> None:
        """Count a run that failed."""
        self.failed += 1
        self.last_error = failure.error
        if len(self.failures) < _MOST_FAILURES_KEPT:
            self.failures.append(failure)

    def state(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        plain = {key: getattr(self, key) for key in _COUNTS}
        failures = [asdict(failure) for failure in self.failures]
        return plain | {"late": self.late.state(), "took": self.took.state(), "failures": failures}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> EventLedger:
        """Return what ``state`` gave."""
        made = cls(**{key: state[key] for key in _COUNTS})
        made.late, made.took = Spread.from_state(state["late"]), Spread.from_state(state["took"])
        made.failures = [RunFailure(**failure) for failure in state["failures"]]
        return made


_COUNTS = ("name", "due", "run", "skipped", "missed", "failed", "ended_early", "last_error", "reasons", "delays")


class ScenarioLedger:
    """The numbers of all events, in their order."""

    def __init__(self, events: Iterable[EventLedger]) -> None:
        self.events = {event.name: event for event in events}

    def total(self, count: str) -> int:
        """Return the sum of a number, such as ``failed``, over all events."""
        return sum(getattr(event, count) for event in self.events.values())

    def late_s(self, percent: float) -> float:
        """Return how late a run of all events was that so many percent do not exceed."""
        whole = Spread()
        for event in self.events.values():
            whole.merge(event.late)
        return whole.percentile_s(percent)

    @property
    def is_balanced(self) -> bool:
        """True when every run that was due is accounted for."""
        return all(event.due == event.run + event.skipped + event.missed for event in self.events.values())


def _count(counts: dict[str, int], key: str, more: int = 1) -> None:
    if key not in counts and len(counts) >= _MOST_REASONS:
        key = "for other reasons"
    counts[key] = counts.get(key, 0) + more
