"""What the log shows of a scenario that is over: a table, a timeline, and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from OttoLibrary.report.blocks import plain, table
from OttoLibrary.report.timelines import Lane, timeline
from OttoLibrary.scenario.events import Phase
from OttoLibrary.scenario.ledger import EventLedger
from OttoLibrary.scenario.schedule import Conclusion
from OttoLibrary.units import duration_text

_TITLES = ("event", "due", "run", "failed", "skipped", "missed", "late p50", "late p99", "mean", "max", "why", "last error")
_LONGEST = 300


def summary_html(conclusion: Conclusion, lanes: Sequence[Lane], phases: Sequence[Phase], length_s: float) -> str:
    """Return the table of events and the timeline of a scenario."""
    rows = [_row(row) for row in conclusion.ledger.events.values()]
    shown = [(phase.name, phase.began_s, phase.ended_s) for phase in phases]
    return table(_TITLES, rows) + timeline(lanes, shown, length_s)


def summary_text(conclusion: Conclusion) -> str:
    """Return the numbers of all events in one sentence."""
    ledger = conclusion.ledger
    numbers = [f"{ledger.total(key)} {key}" for key in ("due", "run", "failed", "skipped", "missed")]
    return f"{', '.join(numbers)} in {duration_text(conclusion.lasted_s)}; late p99 {duration_text(ledger.late_s(99))}"


def _row(row: EventLedger) -> tuple[str, ...]:
    counts = (row.due, row.run, row.failed, row.skipped, row.missed)
    times = (row.late.percentile_s(50), row.late.percentile_s(99), row.took.mean_s, row.took.max_s)
    whys = [f"{why} ({count})" for why, count in row.reasons.items()]
    whys += [f"late: {why} ({count})" for why, count in row.delays.items()]
    if row.ended_early:
        whys.append(f"ended with the scenario ({row.ended_early})")
    return (
        escape(plain(row.name)),
        *(str(count) for count in counts),
        *(duration_text(value_s) if row.run else "" for value_s in times),
        escape(plain("; ".join(whys))[:_LONGEST]),
        escape(plain(row.last_error)[:_LONGEST]),
    )
