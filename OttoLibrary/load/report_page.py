"""The report of a run: one HTML file that needs no other, in which everything foreign is escaped. Only this file knows jinja2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.errors import PluginError, UsageError
from OttoLibrary.load.comparison import ComparedTimes
from OttoLibrary.load.load_limits import LimitVerdict, load_value_text
from OttoLibrary.load.result_store import LoadPhase, ResultReader
from OttoLibrary.load.second import Second, together
from OttoLibrary.load.sockets import EXTRA
from OttoLibrary.load.summary import LoadSummary, TimesRow, load_lines, load_summary
from OttoLibrary.load.turret.batches import RESPONSE
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.masking import mask
from OttoLibrary.report.charts import ChartLine, charts
from OttoLibrary.units import duration_text

_TEMPLATES = Path(__file__).parent / "templates"
_COLUMNS = ("count", "errors", "min", "mean", "p50", "p80", "p90", "p95", "p99", "p99.9", "max", "stdev")
_CHART_BYTES = 60_000
_BARS, _BAR_WIDTH, _BAR_HEIGHT = 60, 12, 120
_HISTORY = 50
# Its name, in the folder of the results.
REPORT = "report.html"


def require_jinja() -> Any:
    """Return jinja2; raise PluginError with the command that installs it."""
    try:
        import jinja2
    except ImportError as error:
        raise PluginError.missing_package("The report", EXTRA, error) from error
    return jinja2


def write_report(
    results: ResultReader,
    target: Path,
    verdicts: Sequence[LimitVerdict] = (),
    beside: Sequence[ChartLine] = (),
    interval_s: float = 10.0,
) -> Path:
    """Write the report of a run and return its path; raise UsageError when that cannot be.

    Args:
        results: What was measured.
        target: The file.
        verdicts: How limits stand.
        beside: Readings of hosts over the same time.
        interval_s: Length of a row of the interval table.
    """
    return _write(mask(report_page(results, verdicts, beside, interval_s)), target)


def _write(page: str, target: Path) -> Path:
    try:
        target.write_bytes(page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"The report cannot be written to '{target}': {error.strerror or error}.") from error
    return target


def write_comparison(old: ResultReader, new: ResultReader, rows: Sequence[ComparedTimes], target: Path) -> Path:
    """Write a page with two runs over each other and return its path; raise UsageError when that cannot be.

    Args:
        old: The first run.
        new: The second; it is shown as if it had begun with the first.
        rows: What ``compare`` found.
        target: The file.
    """
    page: str = (
        _environment()
        .get_template("comparison.html")
        .render(
            old=str(old.path.parent),
            new=str(new.path.parent),
            rows=rows,
            is_slower=any(row.is_slower for row in rows),
            charts=require_jinja().utils.markupsafe.Markup(_overlay(old.seconds(), new.seconds())),
            time=lambda value: load_value_text("p50", value),
            change=lambda row: f"{(row.new / row.old - 1) * 100:+.1f} %" if row.old else "-",
        )
    )
    return _write(mask(page), target)


def _overlay(old: Sequence[Second], new: Sequence[Second]) -> str:
    if not old or not new:
        return "<p>Nothing was measured.</p>"
    shift = new[0].at - old[0].at
    lines = [replace(line, host="old") for line in load_lines(old)]
    lines += [replace(line, host="new", times=[at - shift for at in line.times]) for line in load_lines(new)]
    ended = max(old[-1].at, new[-1].at - shift) + 1
    return charts(lines, (), old[0].at, ended, 1.0, _CHART_BYTES)


def report_page(
    results: ResultReader, verdicts: Sequence[LimitVerdict] = (), beside: Sequence[ChartLine] = (), interval_s: float = 10.0
) -> str:
    """Return the report as HTML; the arguments are those of ``write_report``."""
    jinja, environment = require_jinja(), _environment()
    run, seconds, summary = results.run(), results.seconds(), load_summary(results, interval_s)
    phases = results.phases()
    page: str = environment.get_template("report.html").render(
        title=str((run.get("plan") or {}).get("title") or results.path.parent.name),
        summary=summary,
        reason=run.get("reason", ""),
        warnings=[str(warning).removesuffix(".") for warning in run.get("warnings", [])],
        verdicts=verdicts,
        passed=all(verdict.passed for verdict in verdicts),
        charts=jinja.utils.markupsafe.Markup(_charts(seconds, summary, phases, beside)),
        distribution=jinja.utils.markupsafe.Markup(_distribution(seconds)),
        columns=_COLUMNS,
        rows=(summary.whole, *summary.kinds),
        interval_text=duration_text(interval_s),
        errors=results.errors(),
        turrets=results.turrets(),
        histories=_histories(results),
        phases=phases,
        cells=cells,
        value_text=load_value_text,
        moment=_moment,
        duration=lambda value_s: duration_text(max(0.0, value_s)),
    )
    return page


def _environment() -> Any:
    jinja = require_jinja()
    return jinja.Environment(loader=jinja.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def cells(row: TimesRow) -> list[str]:
    """Return the columns of a row of statistics."""
    times = (row.min, row.mean, row.p50, row.p80, row.p90, row.p95, row.p99, row.p999, row.max, row.stdev)
    return [str(row.count), "-" if row.errors is None else str(row.errors), *(load_value_text("p50", value) for value in times)]


def _charts(seconds: Sequence[Second], summary: LoadSummary, phases: Sequence[LoadPhase], beside: Sequence[ChartLine]) -> str:
    if not seconds:
        return "<p>Nothing was measured.</p>"
    events = [Event(phase.began, phase.name, "span", "", phase.ended) for phase in phases]
    began, ended = min(summary.began, seconds[0].at), max(summary.ended, seconds[-1].at + 1)
    return charts([*load_lines(seconds), *beside], events, began, ended, 1.0, _CHART_BYTES)


def _distribution(seconds: Sequence[Second]) -> str:
    """Return a picture of how many took how long; each bar is of a range whose ends have the same ratio."""
    whole = together(seconds).kinds.get(RESPONSE) or Histogram()
    if not whole.count:
        return "<p>Nothing was measured.</p>"
    low, high = max(whole.low, 1e-9), max(whole.high, whole.low, 1e-9) * 1.0001
    ratio = math.log(high / low) / _BARS or 1.0
    counts = [0] * _BARS
    for middle, count in whole.shares():
        counts[min(_BARS - 1, max(0, int(math.log(max(middle, low) / low) / ratio)))] += count
    bars = "".join(
        _bar(number, count, max(counts), low * math.exp(number * ratio)) for number, count in enumerate(counts) if count
    )
    ends = f"<text x=0 y={_BAR_HEIGHT + 14}>{duration_text(whole.low)}</text>"
    ends += f"<text x={_BARS * _BAR_WIDTH} y={_BAR_HEIGHT + 14} text-anchor=end>{duration_text(whole.high)}</text>"
    size = f"viewBox='0 0 {_BARS * _BAR_WIDTH} {_BAR_HEIGHT + 20}' style='max-width:800px;font:12px sans-serif;fill:currentColor'"
    return f"<svg {size}><g fill='#28d'>{bars}</g>{ends}</svg>"


def _bar(number: int, count: int, most: int, begin_s: float) -> str:
    height = max(1.0, _BAR_HEIGHT * count / most)
    place = f"x={number * _BAR_WIDTH} y={_BAR_HEIGHT - height:.1f} width={_BAR_WIDTH - 1} height={height:.1f}"
    return f"<rect {place}><title>{count} from {duration_text(begin_s)}</title></rect>"


def _histories(results: ResultReader) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for who, at, status in results.statuses():
        found.setdefault(who, []).append(f"{_moment(at)[11:19]} {status}")
    return {who: ", ".join(words[:_HISTORY]) for who, words in found.items()}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).isoformat(" ", "seconds")  # noqa: DTZ006 - as the clock of this machine shows it


# -- a project's own template


class _Frame:
    """A table, as far as templates for OCT use one: its rows, and how many there are."""

    def __init__(self, rows: Sequence[tuple[str, dict[str, Any]]], count: int) -> None:
        self._rows, self._count = rows, count

    def iterrows(self) -> Sequence[tuple[str, dict[str, Any]]]:
        """Return pairs of an index and a row."""
        return self._rows

    def count(self) -> dict[str, int]:
        """Return how many values each column has."""
        return {"scriptrun_time": self._count}


def render_template(template: Path, results: ResultReader, run_time_s: float, interval_s: float) -> str:
    """Return a project's own report; the names are those that OCT's template had. Raises UsageError."""
    jinja = require_jinja()
    from jinja2.sandbox import SandboxedEnvironment

    summary = load_summary(results, interval_s)
    timers = {row.name: _octs(row, ()) for row in summary.kinds}
    names = {
        "report": {
            "total_transactions": summary.whole.count,
            "total_errors": summary.errors,
            "total_timers": sum(row.count for row in summary.kinds),
            "start_datetime": _moment(summary.began),
            "finish_datetime": _moment(summary.ended),
            "epoch_start": summary.began,
            "epoch_finish": summary.ended,
        },
        "run_time": run_time_s,
        "ts_interval": interval_s,
        "turrets_config": [{**vars(turret), "canons": turret.cannons} for turret in results.turrets()],
        "results": {"all": _octs(summary.whole, [(_moment(row.at), row.times) for row in summary.intervals]), "timers": timers},
    }
    environment = SandboxedEnvironment(loader=jinja.FileSystemLoader(template.parent), autoescape=True)
    try:
        return environment.get_template(template.name).render(names)
    except jinja.TemplateError as error:
        raise UsageError(f"The template '{template}' cannot be rendered: {error}.") from error


def _octs(row: TimesRow, intervals: Sequence[tuple[str, TimesRow]]) -> dict[str, Any]:
    compiled = _Frame([(at, {"count": each.count, **octs_columns(each)}) for at, each in intervals], len(intervals))
    return {"summary": octs_columns(row), "compiled": compiled, "raw": _Frame((), row.count)}


def octs_columns(row: TimesRow) -> dict[str, float]:
    """Return the columns of OCT's report, rounded to hundredths of a second as there."""
    values = {"min": row.min, "mean": row.mean, "80%": row.p80, "90%": row.p90, "95%": row.p95, "max": row.max, "std": row.stdev}
    return {name: round(value, 2) for name, value in values.items()}
