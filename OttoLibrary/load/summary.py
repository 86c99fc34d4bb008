"""What a run did, in numbers and as blocks for the log of a test."""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Protocol

from OttoLibrary.load.load_limits import LimitVerdict, load_value_text
from OttoLibrary.load.result_store import ResultReader
from OttoLibrary.load.second import Second, together
from OttoLibrary.load.turret.batches import RESPONSE, SERVICE, TIMER
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.report.charts import ChartLine, charts
from OttoLibrary.report.summaries import clean
from OttoLibrary.units import duration_text

PERCENTILES = (50.0, 80.0, 90.0, 95.0, 99.0, 99.9)
_CHART_BYTES = 12_000
_CELL = 120
# The module of the standard library is exact for any numbers, and slow.
_FEW = 10_000


class Times(Protocol):
    """Durations in seconds of which statistics are made."""

    @property
    def count(self) -> int: ...  # noqa: D102 - how many
    @property
    def low(self) -> float: ...  # noqa: D102 - the shortest
    @property
    def high(self) -> float: ...  # noqa: D102 - the longest
    @property
    def mean(self) -> float: ...  # noqa: D102 - the mean; NaN of none
    @property
    def stdev(self) -> float: ...  # noqa: D102 - the deviation of a sample; NaN of fewer than two
    def percentile(self, percent: float) -> float: ...  # noqa: D102 - NaN of none


class ExactTimes:
    """Durations of which each is known; percentiles as OCT computes them, between two neighbours in proportion."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = sorted(values)
        self.count = len(self._values)

    @property
    def low(self) -> float:
        """The shortest."""
        return self._values[0] if self.count else math.nan

    @property
    def high(self) -> float:
        """The longest."""
        return self._values[-1] if self.count else math.nan

    @property
    def mean(self) -> float:
        """The mean."""
        return math.fsum(self._values) / self.count if self.count else math.nan

    @property
    def stdev(self) -> float:
        """The deviation of a sample."""
        if self.count < 2:
            return math.nan
        return statistics.stdev(self._values) if self.count < _FEW else self._stdev_of_many()

    def _stdev_of_many(self) -> float:
        mean = self.mean
        return math.sqrt(sum([(value - mean) * (value - mean) for value in self._values]) / (self.count - 1))

    def percentile(self, percent: float) -> float:
        """Return the duration that so many of a hundred do not exceed."""
        if not self.count:
            return math.nan
        rank = percent / 100 * (self.count - 1)
        below = int(rank)
        if below + 1 >= self.count:
            return self._values[-1]
        return self._values[below] + (rank - below) * (self._values[below + 1] - self._values[below])


@dataclass(frozen=True)
class TimesRow:
    """Statistics of durations, in seconds.

    Attributes:
        name: Of what; empty for all transactions.
        errors: How many failed; None where that is not known.
    """

    name: str
    count: int
    errors: int | None
    min: float
    mean: float
    p50: float
    p80: float
    p90: float
    p95: float
    p99: float
    p999: float
    max: float
    stdev: float

    @classmethod
    def of(cls, name: str, times: Times, errors: int | None = None) -> TimesRow:
        """Return the statistics of some durations."""
        p50, p80, p90, p95, p99, p999 = (times.percentile(percent) for percent in PERCENTILES)
        low, high = (times.low, times.high) if times.count else (math.nan, math.nan)
        return cls(name, times.count, errors, low, times.mean, p50, p80, p90, p95, p99, p999, high, times.stdev)


@dataclass(frozen=True)
class IntervalRow:
    """One row of the interval table."""

    at: int
    users: int
    failed: int
    dropped: int
    rate: float
    times: TimesRow


@dataclass(frozen=True)
class LoadSummary:
    """What a run did.

    Attributes:
        whole: Statistics of all transactions.
        kinds: The same for the service, where it differs, and for each custom timer.
        intervals: The rows of the interval table.
        began: When it began, in seconds since 1970.
        ended: When it ended.
        dropped: Iterations that could not start.
        lost: Results that never came.
        planned: Iterations that were to start; None in the closed model.
        state: ``ended``, ``aborted``, or another one of a run that has not ended.
        exact: Whether percentiles are exact; otherwise they are within 0.4 %.
    """

    whole: TimesRow
    kinds: tuple[TimesRow, ...]
    intervals: tuple[IntervalRow, ...]
    began: float
    ended: float
    dropped: int
    lost: int
    planned: int | None
    state: str
    exact: bool

    @property
    def errors(self) -> int:
        """How many iterations failed."""
        return self.whole.errors or 0

    @property
    def error_rate(self) -> float:
        """The share of those that failed."""
        return self.errors / self.whole.count if self.whole.count else math.nan

    @property
    def rate(self) -> float:
        """Iterations a second."""
        return self.whole.count / (self.ended - self.began) if self.ended > self.began else math.nan

    def as_dictionary(self) -> dict[str, Any]:
        """Return the totals, and the statistics of each timer under ``timers``."""
        whole = asdict(self.whole)
        del whole["name"]
        names = ("error_rate", "rate", "dropped", "lost", "planned", "state", "began", "ended")
        timers = {row.name: asdict(row) for row in self.kinds}
        return {**whole, **{name: getattr(self, name) for name in names}, "errors": self.errors, "timers": timers}


def load_summary(results: ResultReader, interval_s: float = 10.0) -> LoadSummary:
    """Return what a run did up to now."""
    if results.is_octs:
        return _of_rows(results, interval_s)
    run, seconds, turrets = results.run(), results.seconds(), results.turrets()
    whole = together(seconds)
    kinds = [TimesRow.of(_shown_kind(kind), whole.kinds[kind]) for kind in sorted(whole.kinds) if kind != RESPONSE]
    planned = [turret.planned for turret in turrets if turret.planned is not None]
    began = float(run.get("began") or run.get("created") or 0.0)
    last = float(seconds[-1].at + 1) if seconds else began
    return LoadSummary(
        TimesRow.of("", whole.kinds.get(RESPONSE) or Histogram(), whole.failed),
        tuple(kinds),
        tuple(_interval(at, group, interval_s) for at, group in _grouped(seconds, interval_s)),
        began,
        float(run.get("ended") or last),
        whole.dropped,
        sum(turret.lost for turret in turrets),
        sum(planned) if planned else None,
        str(run.get("state", "")),
        False,
    )


def _of_rows(results: ResultReader, interval_s: float) -> LoadSummary:
    """Return what a file of OCT holds, exactly."""
    columns = results.columns()
    timers: dict[str, array[float]] = {}
    for _, own_timers in results.timers():
        for name, value in own_timers.items():
            timers.setdefault(name, array("d")).append(value)
    rows = []
    for at, part in columns.spans(interval_s):
        times, failed = ExactTimes(columns.taken[part]), sum(columns.failed[part])
        rows.append(IntervalRow(at, 0, failed, 0, times.count / interval_s, TimesRow.of("", times, failed)))
    return LoadSummary(
        TimesRow.of("", ExactTimes(columns.taken), sum(columns.failed)),
        tuple(TimesRow.of(name, ExactTimes(values)) for name, values in timers.items()),
        tuple(rows),
        columns.epochs[0] if columns.epochs else 0.0,
        columns.epochs[-1] if columns.epochs else 0.0,
        0,
        0,
        None,
        "ended",
        True,
    )


def _shown_kind(kind: str) -> str:
    return "service (without the wait for a start)" if kind == SERVICE else kind.removeprefix(TIMER)


def _grouped(seconds: Sequence[Second], interval_s: float) -> list[tuple[int, list[Second]]]:
    groups: dict[int, list[Second]] = {}
    for second in seconds:
        groups.setdefault(int(second.at // interval_s * interval_s), []).append(second)
    return list(groups.items())


def _interval(at: int, group: Sequence[Second], interval_s: float) -> IntervalRow:
    whole = together(group)
    times = TimesRow.of("", whole.kinds.get(RESPONSE) or Histogram(), whole.failed)
    return IntervalRow(at, whole.users, whole.failed, whole.dropped, whole.count / interval_s, times)


def load_lines(seconds: Sequence[Second]) -> list[ChartLine]:
    """Return the lines of a load for charts: users, rate, errors and times, each second."""
    at = [second.at + 0.5 for second in seconds]
    responses = [second.kinds.get(RESPONSE) or Histogram() for second in seconds]
    values: dict[str, list[float]] = {
        "users": [float(second.users) for second in seconds],
        "rate_per_s": [float(second.count) for second in seconds],
        "errors_per_s": [float(second.failed) for second in seconds],
        "response_p50_ms": [each.percentile(50) * 1000 for each in responses],
        "response_p95_ms": [each.percentile(95) * 1000 for each in responses],
        "response_p99_ms": [each.percentile(99) * 1000 for each in responses],
    }
    if any(second.dropped for second in seconds):
        values["dropped_per_s"] = [float(second.dropped) for second in seconds]
    return [ChartLine("load", name, at, numbers) for name, numbers in values.items()]


# -- blocks for the log


def verdict_block(verdicts: Sequence[LimitVerdict]) -> str:
    """Return a table of limits, each with its value and whether it holds."""
    rows = "".join(
        f"<tr><td style='color:{'#294' if verdict.passed else '#d44'}'><b>{'PASS' if verdict.passed else 'FAIL'}</b>"
        f"<td>{clean(verdict.limit.text, _CELL)}<td>{escape(load_value_text(verdict.limit.statistic, verdict.value))}"
        for verdict in verdicts
    )
    return f"<table cellpadding=2 style='white-space:normal'><tr><th><th align=left>limit<th align=left>measured{rows}</table>"


def load_block(results: ResultReader, summary: LoadSummary, report: str) -> str:
    """Return charts, totals and a link to the report, in one block."""
    seconds = results.seconds()
    shown = (
        charts(load_lines(seconds), (), summary.began, max(summary.ended, summary.began + 1), 1.0, _CHART_BYTES)
        if seconds
        else ""
    )
    titles = ("", "count", "errors", "min", "mean", "p50", "p95", "p99", "max")
    rows = "".join(_row(row) for row in (summary.whole, *summary.kinds))
    head = "".join(f"<th align=left>{title}" for title in titles)
    table = f"<table cellpadding=2 style='white-space:normal'><tr>{head}{rows}</table>"
    return f"{shown}<p>{totals_text(summary)} <a href='{escape(report, quote=True)}'>Report</a></p>{table}"


def totals_text(summary: LoadSummary) -> str:
    """Return the totals in one sentence, for HTML."""
    parts = [
        f"{summary.whole.count} iterations in {duration_text(max(0.0, summary.ended - summary.began))}",
        f"{load_value_text('rate', summary.rate)}",
        f"{summary.errors} failed ({load_value_text('error_rate', summary.error_rate)})",
    ]
    if summary.planned is not None:
        parts.append(f"{summary.planned} planned, {summary.dropped} dropped")
    if summary.lost:
        parts.append(f"{summary.lost} lost")
    return escape(", ".join(parts)) + "."


def _row(row: TimesRow) -> str:
    errors = "-" if row.errors is None else str(row.errors)
    times = (row.min, row.mean, row.p50, row.p95, row.p99, row.max)
    cells = [clean(row.name, _CELL) or "all", str(row.count), errors, *(load_value_text("p50", value) for value in times)]
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells)
