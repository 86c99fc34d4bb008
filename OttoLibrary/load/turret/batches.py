"""What a user noted since the last time, and the batch that a turret makes of all of them: counts, histograms, and rows."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

from OttoLibrary.load.turret.histogram import Histogram

# How a histogram is called: what all iterations took, what their service took where that differs, and each custom timer.
RESPONSE, SERVICE, TIMER = "response", "service", "timer:"
_MOST_ERRORS = 200
_MOST_KINDS = 200
OTHERS = "others"


class Note(NamedTuple):
    """One iteration.

    Attributes:
        ended: When it ended, by the clock of the run, in seconds since 1970.
        elapsed_s: How long after the start of the turret.
        service_s: How long its ``run`` took.
        response_s: From the moment at which it was to start; in the closed model that is when it did.
        failure: Type and message of what went wrong, or None.
        timers: Its custom timers, or None.
    """

    ended: float
    elapsed_s: float
    service_s: float
    response_s: float
    failure: tuple[str, str] | None
    timers: dict[str, float] | None


class IterationTally:
    """The iterations of one user or of several, since the last time.

    Args:
        rows: Whether each iteration is kept by itself, too.
        is_open: Whether response and service are measured apart.
    """

    __slots__ = ("_current", "_is_open", "_kinds", "_odd", "_rows", "_times", "count", "errors", "failed", "seconds")

    def __init__(self, *, rows: bool, is_open: bool) -> None:
        self.count = 0
        self.seconds: dict[int, dict[str, Histogram]] = {}
        self.failed: dict[int, int] = {}
        self.errors: dict[tuple[str, str], list[float]] = {}
        self._rows, self._is_open = rows, is_open
        # Elapsed and service of each, and what is particular about a few of them.
        self._times = array("d")
        self._odd: list[tuple[int, str, dict[str, float]]] = []
        self._current = -1
        self._kinds: dict[str, Histogram] = {}

    def add(self, note: Note) -> None:
        """Count an iteration."""
        ended, elapsed_s, service_s, response_s, failure, timers = note
        second = int(ended)
        if second != self._current:
            self._current, self._kinds = second, self.seconds.setdefault(second, {})
            self._kinds.setdefault(RESPONSE, Histogram())
        kinds = self._kinds
        kinds[RESPONSE].add(response_s)
        if self._is_open:
            self._add(SERVICE, service_s)
        if failure is not None or timers is not None:
            self._add_odd(second, ended, failure, timers or {})
        if self._rows:
            self._times.append(elapsed_s)
            self._times.append(service_s)
        self.count += 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing was noted."""
        return not self.count and not self.failed

    def add_failure(self, ended: float, failure: tuple[str, str]) -> None:
        """Count a failure that is no iteration, so that it has no time."""
        second = int(ended)
        self.seconds.setdefault(second, {})
        self.failed[second] = self.failed.get(second, 0) + 1
        self._count_error(failure, 1, ended, ended)

    def merge(self, other: IterationTally) -> None:
        """Add what another has."""
        for second, kinds in other.seconds.items():
            mine = self.seconds.setdefault(second, {})
            for name, histogram in kinds.items():
                mine.setdefault(name, Histogram()).merge(histogram)
        for second, count in other.failed.items():
            self.failed[second] = self.failed.get(second, 0) + count
        for kind, (failures, first, last) in other.errors.items():
            self._count_error(kind, int(failures), first, last)
        shift = len(self._times) // 2
        self._odd += [(index + shift, error, timers) for index, error, timers in other._odd]
        self._times.extend(other._times)
        self.count += other.count

    def to_plain(self) -> dict[str, Any]:
        """Return a batch for JSON."""
        return {
            "count": self.count,
            "seconds": [[second, self.failed.get(second, 0), _plain(kinds)] for second, kinds in self.seconds.items()],
            "errors": [[*kind, *values] for kind, values in self.errors.items()],
            "times": base64.b64encode(self._times.tobytes()).decode(),
            "odd": self._odd,
        }

    def _add(self, kind: str, value: float) -> None:
        histogram = self._kinds.get(kind)
        if histogram is None:
            histogram = self._kinds.setdefault(kind if len(self._kinds) < _MOST_KINDS else TIMER + OTHERS, Histogram())
        histogram.add(value)

    def _add_odd(self, second: int, ended: float, failure: tuple[str, str] | None, timers: dict[str, float]) -> None:
        for name, value in timers.items():
            self._add(TIMER + name, value)
        if failure is not None:
            self.failed[second] = self.failed.get(second, 0) + 1
            self._count_error(failure, 1, ended, ended)
        if self._rows:
            self._odd.append((len(self._times) // 2, failure[1] if failure is not None else "", timers))

    def _count_error(self, kind: tuple[str, str], count: int, first: float, last: float) -> None:
        if kind not in self.errors and len(self.errors) >= _MOST_ERRORS:
            kind = (OTHERS, "Further errors")
        known = self.errors.setdefault(kind, [0, first, last])
        known[0] += count
        known[1], known[2] = min(known[1], first), max(known[2], last)


def rows_of(batch: dict[str, Any]) -> list[tuple[str, float, float, dict[str, float]]]:
    """Return error, service, elapsed and timers of each iteration of a batch that is kept by itself; raise ValueError."""
    times = array("d")
    times.frombytes(base64.b64decode(batch["times"]))
    rows: list[tuple[str, float, float, dict[str, float]]] = [
        ("", service_s, elapsed_s, {})
        for elapsed_s, service_s in zip(times[::2], times[1::2])  # noqa: B905 - as in Python 3.8
    ]
    for index, error, timers in batch["odd"]:
        rows[index] = (error, *rows[index][1:3], timers)
    return rows


def _plain(kinds: dict[str, Histogram]) -> dict[str, Any]:
    return {name: histogram.to_plain() for name, histogram in kinds.items()}


def merged(parts: Iterable[IterationTally], *, rows: bool, is_open: bool) -> IterationTally:
    """Return several in one."""
    whole = IterationTally(rows=rows, is_open=is_open)
    for part in parts:
        whole.merge(part)
    return whole
