"""Charts of readings for the log of a test: small SVG pictures, a table, and text for its metadata.

The pictures need no script and no style sheet, and keep a promise about their size, since each test of a run carries its own.
Everything that came from a host, a lab or a user is escaped. Text and axes follow the page's own text colour, and the colours of
the lines have a contrast of three to one at least on white and on the log's dark background.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import fmean, median
from typing import Protocol, TypeAlias

from OttoLibrary.contracts import Event
from OttoLibrary.report import plain
from OttoLibrary.text import plural
from OttoLibrary.units import unit_of, value_text

# The picture, in its own units: about pixels, so that coordinates are short whole numbers.
_LEFT, _RIGHT, _TOP, _BOTTOM, _WIDTH, _HEIGHT = 38, 500, 10, 112, 520, 132
_COLORS = ("#28d", "#d60", "#294", "#c3c", "#099", "#963", "#75d", "#980")
_DASHES = ("", "6 3", "2 3", "9 3 2 3")
_MOST_POINTS = 300
# What a line may ask for when there are many, enough for about 10 points; and before more marks are shown.
_WANTED_BYTES, _GOOD_BYTES = 56, 140
# What each line gets, enough for any two dots.
_LEAST_BYTES = 40
# Which part of the whole may go into marks of events: the largest one that leaves the lines good room, or the smallest.
_MARKS_SHARES = (2, 4, 6, 9, 12)
# A line with its words is never shorter; it saves looking at more lines than can fit.
_LINE_BYTES = 100
# What all charts share is said once and inherited. They stand side by side when the page is wide enough.
_STYLE = (
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:10px 24px;overflow-x:auto;"
    "font:12px/1.5 sans-serif;white-space:normal;stroke-linejoin:round"
)
_NAME_LENGTH, _TEXT_LENGTH = 40, 60
# No sensor says more; such a number is a fault of arithmetic and breaks the line as NaN does.
_LARGEST = 1e24
_LEAST_PERCENT = 5.0
_NEAR_ALL_PERCENT = 60.0
_ROWS_UNFOLDED = 12
_HOSTS_APART = 8
# Bands are faint, and so is a line that only says where a step began.
_RED, _BLUE, _GRAY = "#d44", "#48c", "currentColor"
_TONES = {"error": _RED, "limit": _RED, "reboot": _RED, "mark": _BLUE, "span": _BLUE}
_STRENGTHS = {(True, _RED): 16, (True, _BLUE): 16, (True, _GRAY): 1, (False, _GRAY): 4}
# The first are kept when there is no room for all.
_RANKS = ("limit", "error", "reboot", "gap", "span", "mark", "clock", "test", "log", "keyword")
# What may last without an end: it goes on to the end of the picture.
_LASTING = {"span", "gap"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(factor * _MINUTE for factor in (1, 2, 5, 10, 20, 30)),
    *(factor * _HOUR for factor in (1, 2, 4, 6, 12)),
)
_MOST_TICKS = 5
_NO_DATA = "\0"
# A place in the picture, or a reading not yet placed: x, y or the value, and the piece; pieces are not joined.
_Point: TypeAlias = tuple[int, float, int]
_LOOK_ALIKE = str.maketrans({"*": "\N{ASTERISK OPERATOR}", "|": "\N{BROKEN BAR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"})


@dataclass(frozen=True)
class Line:
    """The readings of one series of one host.

    Attributes:
        host: Name of the host.
        series: Name of the series, such as ``cpu_percent`` or ``network_bytes_per_s[eth0]``.
        times: When, in seconds since 1970.
        values: The readings; NaN and infinity are gaps.
    """

    host: str
    series: str
    times: Sequence[float]
    values: Sequence[float]


class Row(Protocol):
    """What a series came to; numbers that are no numbers stand for no readings."""

    @property
    def host(self) -> str:
        """Name of the host."""

    @property
    def series(self) -> str:
        """Name of the series."""

    @property
    def unit(self) -> str:
        """Unit of its numbers."""

    @property
    def min(self) -> float:
        """The lowest reading."""

    @property
    def mean(self) -> float:
        """The mean of all."""

    @property
    def p95(self) -> float:
        """What 95 of 100 readings do not exceed."""

    @property
    def max(self) -> float:
        """The highest reading."""

    @property
    def last(self) -> float:
        """The latest reading."""


def charts(
    lines: Sequence[Line],
    events: Sequence[Event],
    began: float,
    ended: float,
    interval_s: float,
    limit_bytes: int = 6000,
) -> str:
    """Return one block of HTML with a chart for each kind of readings, all of them over the same time.

    Lines whose series differ in the label only share a chart. Peaks survive: where points are left out, the lowest and the
    highest of each stretch stay. When there are more lines than fit, those with the highest mean are shown, and the chart says
    how many are not. Samples and events outside of the time are left out.

    Args:
        lines: What is to be shown, in the order in which it is to be shown.
        events: What happened meanwhile.
        began: Start of the time, in seconds since 1970.
        ended: Its end.
        interval_s: How often hosts were asked. Where a line has no sample for more than three times as long it is broken; a
            line that has its own slower pace is measured by that.
        limit_bytes: The block is never longer, in UTF-8; 300 at least.
    """
    span = _Span(began, max(ended - began, 0.001))
    groups = _groups(lines, span, interval_s)
    drawn = [group for group in groups if group.traces]
    if not drawn:
        return f"No readings from {span.clock} on for {_elapsed(span.length_s)}."
    silent = [group.noun for group in groups if not group.traces]
    marks = _marks(events, span)
    for count in range(len(drawn), 0, -1):
        unseen = [group.noun for group in drawn[count:]]
        notes = (f"No readings of {_some(silent)}. " if silent else "") + (f"No room for {_some(unseen)}. " if unseen else "")
        html = _Block(drawn[:count], span, notes, limit_bytes).html(marks)
        if html:
            return html
    return f"No room for {plural(len(drawn), 'chart')} in {limit_bytes} bytes."


def summary(rows: Iterable[Row]) -> str:
    """Return a table with a row for each series, folded when it is long."""
    rows = list(rows)
    if not rows:
        return "No readings."
    titles = ("host", "series", "min", "mean", "p95", "max", "last")
    # Every test has one: plain cells, since styled ones would take more room than the charts.
    lines = ["".join(f"<td>{cell}" for cell in _cells(row)) for row in rows]
    head = "".join(f"<th align=left>{title}" for title in titles)
    html = f'<table cellpadding=2 style="white-space:normal"><tr>{head}<tr>{"<tr>".join(lines)}</table>'
    if len(rows) <= _ROWS_UNFOLDED:
        return html
    hosts = plural(len({row.host for row in rows}), "host")
    return f"<details><summary>{plural(len(rows), 'series').removesuffix('s')} of {hosts}</summary>{html}</details>"


def metadata(rows: Iterable[Row]) -> dict[str, str]:
    """Return plain text for the metadata of a test, such as ``{'cpu dut1': 'mean 12 %, max 42 %'}``.

    Of many hosts there is one entry for each series, ``{'cpu': 'mean 12 % on 50 hosts, max 93 % on dut7'}``. No name triggers Robot's markup, and no two keys are the same to Robot, which ignores case, spaces and underscores.
    """
    rows = list(rows)
    hosts = {row.host for row in rows}
    entries = [((_noun(row.series), _label(row.series), row.host), _of_one(row)) for row in rows]
    if len(hosts) > _HOSTS_APART:
        series = dict.fromkeys(row.series for row in rows)
        entries = [((_noun(name), _label(name)), _of_many([row for row in rows if row.series == name])) for name in series]
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for parts, text in entries:
        wanted = " ".join(_unmarked(plain(part)) for part in parts if part)
        key, number = wanted, 1
        while (known := key.lower().replace(" ", "").replace("_", "")) in taken:
            number += 1
            key = f"{wanted} ({number})"
        taken.add(known)
        texts[key] = text
    return texts


def _of_one(row: Row) -> str:
    return f"mean {_reading(row.mean, row.unit)}, max {_reading(row.max, row.unit)}"


def _of_many(rows: Sequence[Row]) -> str:
    worst = max(rows, key=lambda row: row.max)
    mean = sum(row.mean for row in rows) / len(rows)
    where = f"{plural(len(rows), 'host')}, max {_reading(worst.max, worst.unit)} on {_unmarked(plain(worst.host))}"
    return f"mean {_reading(mean, worst.unit)} on {where}"


# ---------------------------------------------------------------- readings


@dataclass(frozen=True)
class _Trace:
    """The samples of a line within the time, and what they come to."""

    host: str
    label: str
    points: Sequence[_Point]
    low: float
    mean: float
    high: float
    last: float

    @property
    def name(self) -> str:
        return f"{self.host} {self.label}".rstrip()


@dataclass(frozen=True)
class _Group:
    """The lines of one chart."""

    noun: str
    unit: str
    traces: list[_Trace]
    silent: list[str]

    def top(self, count: int) -> list[_Trace]:
        """Return the lines with the highest mean, in their own order."""
        best = sorted(range(len(self.traces)), key=lambda index: -self.traces[index].mean)[:count]
        return [self.traces[index] for index in sorted(best)]


@dataclass(frozen=True)
class _Span:
    """The time that all charts show."""

    began: float
    length_s: float

    @property
    def clock(self) -> str:
        return f"{datetime.fromtimestamp(self.began, tz=UTC).astimezone():%H:%M:%S}"

    def x(self, at: float) -> int:
        share = (at - self.began) / self.length_s
        return round(_LEFT + min(max(share, 0.0), 1.0) * (_RIGHT - _LEFT))


def _groups(lines: Sequence[Line], span: _Span, interval_s: float) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for line in lines:
        series = line.series.partition("[")[0]
        group = groups.setdefault(series, _Group(_clean(_noun(series), _NAME_LENGTH), unit_of(series), [], []))
        trace = _trace(line, span, interval_s)
        if trace:
            group.traces.append(trace)
        else:
            group.silent.append(_clean(f"{line.host} {_label(line.series)}", _NAME_LENGTH))
    return list(groups.values())


def _trace(line: Line, span: _Span, interval_s: float) -> _Trace | None:
    """Return the readings within the time in pieces between gaps, or None when there are none."""
    began, ended = span.began, span.began + span.length_s
    samples = [(at, value) for at, value in zip(line.times, line.values, strict=False) if began <= at <= ended]
    values = [value for _, value in samples if -_LARGEST < value < _LARGEST]
    if not values:
        return None
    samples.sort(key=itemgetter(0))
    longest = 3 * _pace(samples, interval_s)
    points: list[_Point] = []
    piece, before = 0, samples[0][0]
    for at, value in samples:
        if not -_LARGEST < value < _LARGEST:
            piece += 1
            continue
        if at - before > longest:
            piece += 1
        points.append((span.x(at), value, piece))
        before = at
    host, label = _clean(line.host, _NAME_LENGTH), _clean(_label(line.series), _NAME_LENGTH)
    last = points[-1][1]
    return _Trace(host, label, _thinned(points, _MOST_POINTS), min(values), fmean(values), max(values), last)


def _pace(samples: Sequence[tuple[float, float]], interval_s: float) -> float:
    """Return how often a line is read: some metrics are slower than the others. A few samples do not show it."""
    if interval_s <= 0:
        return math.inf
    if len(samples) < 4:
        return interval_s
    return max(interval_s, median(after - before for (before, _), (after, _) in pairwise(samples)))


# ---------------------------------------------------------------- the block


@dataclass(frozen=True)
class _Block:
    """The charts in one block that keeps its size."""

    groups: Sequence[_Group]
    span: _Span
    notes: str
    limit_bytes: int

    def html(self, marks: Sequence[_Mark]) -> str:
        """Return the block with as many lines as fit, or nothing when not one line of each chart fits."""
        *larger, smallest = (_marking(marks, len(self.groups), self.limit_bytes // share) for share in _MARKS_SHARES)
        for marking in (smallest, _marking(marks, len(self.groups), 0)):
            count = self._most_lines(marking)
            if count == 0:
                continue
            pens = self._pens(count)
            frame = self._frame(count, marking)
            if marking.note:
                need = _need(pens, _GOOD_BYTES)
                frames = (self._frame(count, more) for more in larger)
                frame = next((richer for richer in frames if self._room(richer) >= need), frame)
            parts = frame.split(_NO_DATA)
            paths = _paths(pens, self._room(frame))
            return parts[0] + "".join(path + part for path, part in zip(paths, parts[1:], strict=True))
        return ""

    def _most_lines(self, marking: _Marking) -> int:
        """Return how many lines each chart may have."""
        most = max(len(group.traces) for group in self.groups)
        possible = min(most, self.limit_bytes // _LINE_BYTES // len(self.groups) + 1)
        if self._fits(possible, marking):
            return possible
        return bisect.bisect_left(range(1, possible), True, key=lambda count: not self._fits(count, marking))

    def _fits(self, count: int, marking: _Marking) -> bool:
        room = self._room(self._frame(count, marking))
        return room > 0 and room >= _need(self._pens(count), _WANTED_BYTES)

    def _room(self, frame: str) -> int:
        return self.limit_bytes - len(frame.encode())

    def _pens(self, count: int) -> list[list[_Point]]:
        """Return what is to be drawn at the placeholders of the frame."""
        pens = []
        for group in self.groups:
            traces = group.top(count)
            scale = _scale(traces, group.unit)
            pens += [_points(trace, scale) for trace in traces]
        return pens

    def _frame(self, count: int, marking: _Marking) -> str:
        """Return the block with a placeholder for each line's data."""
        shown = [group.top(count) for group in self.groups]
        hosts = list(dict.fromkeys(trace.host for traces in shown for trace in traces))
        marks = [marking.first] + [marking.others] * (len(shown) - 1)
        html = "".join(_drawing(*each, hosts, self.span) for each in zip(self.groups, shown, marks, strict=True))
        foot = f"{self.notes}{marking.note}Numbers beside names are the last readings."
        return f'<div style="{_STYLE}">{html}<div style="grid-column:1/-1;opacity:.7">{foot}</div></div>'


def _drawing(group: _Group, traces: Sequence[_Trace], marks: str, hosts: Sequence[str], span: _Span) -> str:
    """Return one chart with its title and legend."""
    scale = _scale(traces, group.unit)
    looks = _looks(traces, hosts)
    drawn = "".join(_path_element(trace, look, group.unit) for trace, look in zip(traces, looks, strict=True))
    legend = "".join(_legend(trace, look, group.unit) for trace, look in zip(traces, looks, strict=True))
    unit = f" in {scale.unit}" if scale.unit else ""
    return (
        f"<div><b>{group.noun}</b>{unit} from {span.clock}"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_spoken(group)}" style="display:block;max-width:600px">'
        f'{_grid(scale, span)}{marks}<g fill="none" stroke-width="1.5">{drawn}</g></svg>'
        f"{legend}{_missing(group, traces)}</div>"
    )


def _spoken(group: _Group) -> str:
    """Return what a chart says, for those who hear it."""
    means = [trace.mean for trace in group.traces]
    worst = max(group.traces, key=lambda trace: trace.high)
    between = f" to {value_text(max(means), group.unit)}" if len(means) > 1 else ""
    mean, high = value_text(min(means), group.unit) + between, value_text(worst.high, group.unit)
    return f"{group.noun} of {plural(len(means), 'line')}: mean {mean}, max {high} on {worst.name}"


def _looks(traces: Sequence[_Trace], hosts: Sequence[str]) -> list[tuple[str, str]]:
    """Return colour and dashes of each line: a host has one colour, its second line in a chart has dashes."""
    labels = max(sum(1 for trace in traces if trace.host == host) for host in {trace.host for trace in traces})
    looks, seen = [], dict.fromkeys(hosts, 0)
    for trace in traces:
        place = hosts.index(trace.host)
        dashes = place // len(_COLORS) * labels + seen[trace.host]
        seen[trace.host] += 1
        looks.append((_COLORS[place % len(_COLORS)], _DASHES[dashes % len(_DASHES)]))
    return looks


def _path_element(trace: _Trace, look: tuple[str, str], unit: str) -> str:
    color, dashes = look
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    low, mean, high = (value_text(value, unit) for value in (trace.low, trace.mean, trace.high))
    title = f"<title>{trace.name}: min {low}, mean {mean}, max {high}</title>"
    return f'<path stroke="{color}"{dashed} d="{_NO_DATA}">{title}</path>'


def _legend(trace: _Trace, look: tuple[str, str], unit: str) -> str:
    color, dashes = look
    sign = "╍" if dashes else "━"
    # No break within an entry: its own spaces are hard, and the line ends between two entries.
    text = f"{trace.name} {value_text(trace.last, unit)}".replace(" ", "\u00a0")
    return f'<b style="color:{color}">{sign}</b>\u00a0{text} \u2003'


def _missing(group: _Group, traces: Sequence[_Trace]) -> str:
    """Say which lines are not in the chart."""
    texts = []
    shown = {id(trace) for trace in traces}
    hidden = [trace for trace in group.traces if id(trace) not in shown]
    if hidden:
        hosts = {trace.host for trace in hidden} - {trace.host for trace in traces}
        what = plural(len(hidden), "more host" if len(hosts) == len(hidden) else "more line")
        texts.append(f"and {what}, mean up to {value_text(max(trace.mean for trace in hidden), group.unit)}")
    if group.silent:
        texts.append(f"no readings of {_some(group.silent)}")
    return f'<span style="opacity:.7">{"; ".join(texts)}</span>' if texts else ""


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


# ---------------------------------------------------------------- axes


@dataclass(frozen=True)
class _Scale:
    """The vertical axis: from its lowest to its highest tick."""

    low: float
    high: float
    step: float
    factor: float
    unit: str

    def y(self, value: float) -> int:
        return round(_BOTTOM - (value - self.low) / (self.high - self.low) * (_BOTTOM - _TOP))

    def ticks(self) -> list[float]:
        return [self.low + index * self.step for index in range(round((self.high - self.low) / self.step) + 1)]


def _scale(traces: Sequence[_Trace], unit: str) -> _Scale:
    low, high = min(0.0, *(trace.low for trace in traces)), max(0.0, *(trace.high for trace in traces))
    if unit == "%" and low == 0:
        high = 100.0 if _NEAR_ALL_PERCENT < high <= 100 else max(high, _LEAST_PERCENT)
    factor, shown = _bytes(max(high, -low), unit) if unit in {"B", "B/s"} else (1.0, unit)
    step = _nice((high - low) / factor / 3) * factor if high > low else 1.0
    if unit == "%" and (low, high) == (0, 100):
        step = 50.0
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return _Scale(first * step, last * step, step, factor, shown)


def _bytes(largest: float, unit: str) -> tuple[float, str]:
    """Return what to divide by so that ticks have few digits, and the unit that is left."""
    power = min(int(math.log(largest, 1024)), 3) if largest >= 1024 else 0
    return 1024.0**power, ("", "Ki", "Mi", "Gi")[power] + unit


def _nice(least: float) -> float:
    """Return the first of 1, 2, 5, 10, 20 and so on that is not less."""
    if least < 1e-9:
        return 1e-9
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= least)


def _grid(scale: _Scale, span: _Span) -> str:
    """Return the lines behind the data, and the numbers beside them."""
    ticks = [(scale.y(value), _number(value / scale.factor)) for value in scale.ticks()]
    across = "".join(f"M{_LEFT} {y}H{_RIGHT}" for y, _ in ticks)
    beside = "".join(f'<text x="{_LEFT - 6}" y="{y + 4}">{text}</text>' for y, text in ticks)
    times = _times(span)
    places = [x for x, _ in times]
    notches = f"M{_LEFT} {_BOTTOM}v4" + "".join(f"m{after - before}-4v4" for before, after in pairwise(places))
    below = "".join(f'<tspan x="{x}">{text}</tspan>' for x, text in times)
    return (
        f'<path d="{across}{notches}" stroke="currentColor" opacity=".2"/><g fill="currentColor" text-anchor="end">'
        f'{beside}<text y="{_HEIGHT - 5}" text-anchor="middle">{below}</text></g>'
    )


def _number(value: float) -> str:
    """Return a number that fits beside the axis."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{round(value, 9):g}"


def _times(span: _Span) -> list[tuple[int, str]]:
    """Return places and words of the ticks of the time axis; the last one says the unit."""
    step = next((step for step in _STEPS_S if span.length_s / step <= _MOST_TICKS), None)
    if step is None:
        step = _nice(span.length_s / _DAY / _MOST_TICKS) * _DAY
    size, unit = next((size, unit) for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (0, "s")) if step >= size)
    count = int(span.length_s / step + 1e-9)
    ticks = [(span.x(span.began + index * step), f"{index * step / (size or 1):g}") for index in range(count + 1)]
    x, text = ticks[-1]
    return [*ticks[:-1], (x, f"{text} {unit}")]


# ---------------------------------------------------------------- marks


@dataclass(frozen=True)
class _Mark:
    """An event in the picture: a thin line, or a band when it lasted."""

    tone: str
    band: bool
    path: str
    title: str


@dataclass(frozen=True)
class _Marking:
    """The marks in the first chart, which always says what they are, and in the others."""

    first: str
    others: str
    note: str


def _marks(events: Sequence[Event], span: _Span) -> list[_Mark]:
    """Return the marks of events within the time, the most important first."""
    ended = span.began + span.length_s
    ranks = {kind: rank for rank, kind in enumerate(_RANKS)}
    inside = [event for event in events if math.isfinite(event.at) and event.at <= ended and _until(event, ended) >= span.began]
    return [_mark(event, span) for event in sorted(inside, key=lambda event: (ranks.get(event.kind, len(ranks)), event.at))]


def _until(event: Event, ended: float) -> float:
    if event.until is not None:
        return min(event.until, ended)
    return ended if event.kind in _LASTING else event.at


def _mark(event: Event, span: _Span) -> _Mark:
    until = _until(event, span.began + span.length_s)
    tone = _TONES.get(event.kind, _GRAY)
    x, high = span.x(event.at), _BOTTOM - _TOP
    when = "" if event.at < span.began else f"{_elapsed(event.at - span.began)}: "
    lasted = f" ({_elapsed(until - event.at)})" if until > event.at else ""
    what = " ".join(part for part in (event.host, event.kind) if part)
    title = _clean(f"{when}{what}{lasted}: {event.text}", _TEXT_LENGTH)
    if until > event.at:
        return _Mark(tone, True, f"M{x} {_TOP}h{max(span.x(until) - x, 2)}v{high}H{x}z", title)
    # A small head makes what matters stand out, and gives the pointer something to hit.
    head = "" if tone == _GRAY else "l-4-7h8l-4 7"
    return _Mark(tone, False, f"M{x} {_BOTTOM}V{_TOP}{head}", title)


def _marking(marks: Sequence[_Mark], charts: int, room: int) -> _Marking:
    """Return as many marks as there is room for, with their words in all charts or in the first one only."""
    everywhere = _marks_html(marks, True)
    if len(everywhere.encode()) * charts <= room:
        return _Marking(everywhere, everywhere, "")

    def too_long(count: int) -> bool:
        first, others = _marks_html(marks[:count], True), _marks_html(marks[:count], False)
        return len(first.encode()) + len(others) * (charts - 1) > room

    count = bisect.bisect_left(range(1, len(marks) + 1), True, key=too_long)
    note = f"{plural(len(marks) - count, 'more event' if count else 'event')} not shown. "
    return _Marking(_marks_html(marks[:count], True), _marks_html(marks[:count], False), note if count < len(marks) else "")


def _marks_html(marks: Sequence[_Mark], titled: bool) -> str:
    """Return bands first, since the lines lie on them."""
    kinds: dict[tuple[bool, str], list[_Mark]] = {}
    for mark in sorted(marks, key=lambda mark: not mark.band):
        kinds.setdefault((mark.band, mark.tone), []).append(mark)
    return "".join(_kind_html(band, tone, some, titled) for (band, tone), some in kinds.items())


def _kind_html(band: bool, tone: str, marks: Sequence[_Mark], titled: bool) -> str:
    look = f'fill="{tone}"' if band else f'fill="{tone}" stroke="{tone}"'
    if band or tone == _GRAY:
        look += f' opacity=".{_STRENGTHS[band, tone]}"'
    if not titled:
        return f'<path {look} d="{"".join(mark.path for mark in marks)}"/>'
    html = "".join(f'<path d="{mark.path}"><title>{mark.title}</title></path>' for mark in marks)
    return f"<g {look}>{html}</g>" if len(marks) > 1 else html.replace("<path", f"<path {look}", 1)


def _elapsed(value_s: float) -> str:
    """Return a time as people say it: ``42 s``, ``5 min 10 s``, ``3 h 5 min``."""
    if value_s < _MINUTE:
        return f"{value_s:.3g} s"
    size, unit, small, smaller = (_HOUR, "h", _MINUTE, "min") if value_s >= _HOUR else (_MINUTE, "min", 1, "s")
    whole, rest = divmod(round(value_s / small), size // small)
    return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"


# ---------------------------------------------------------------- lines


def _points(trace: _Trace, scale: _Scale) -> list[_Point]:
    low, units = scale.low, (_BOTTOM - _TOP) / (scale.high - scale.low)
    return [(x, round(_BOTTOM - (value - low) * units), piece) for x, value, piece in trace.points]


def _need(pens: Sequence[Sequence[_Point]], wanted: int) -> int:
    """Return how many bytes all lines take when each may have ``wanted``."""
    return sum(max(len(_path(points, wanted)), _LEAST_BYTES) for points in pens)


def _paths(pens: Sequence[Sequence[_Point]], room: int) -> list[str]:
    """Return the data of all lines, at most ``room`` bytes; what a short line does not need is left to the longer ones.

    Each finds its least room: it takes no more than its share of what is left.
    """
    paths = [""] * len(pens)
    order = sorted(range(len(pens)), key=lambda index: len(pens[index]))
    for done, index in enumerate(order):
        paths[index] = _path(pens[index], room // (len(order) - done))
        room -= len(paths[index])
    return paths


def _path(points: Sequence[_Point], room: int) -> str:
    """Return the data of one line with as many points as fit."""
    count = min(_MOST_POINTS, room * 2 // 9)
    while True:
        path = _data(_thinned(points, count))
        if len(path) <= room or count <= 2:
            return path
        count = max(2, min(count - 1, count * room // len(path)))


def _thinned(points: Sequence[_Point], count: int) -> Sequence[_Point]:
    """Return at most ``count`` points (two at least), with the lowest and the highest of each stretch of time."""
    if len(points) <= count:
        return points
    # Gaps keep their true edges when there is room for them.
    edges = [0, len(points) - 1, *_borders(points)]
    edges = edges if len(edges) <= count // 2 else []
    stretches = max(1, (count - len(edges)) // 2)
    left, width = points[0][0], points[-1][0] - points[0][0] + 1
    lows: dict[int, int] = {}
    highs: dict[int, int] = {}
    for index, (x, y, _) in enumerate(points):
        stretch = (x - left) * stretches // width
        if stretch not in lows:
            lows[stretch] = highs[stretch] = index
        elif y < points[lows[stretch]][1]:
            lows[stretch] = index
        elif y > points[highs[stretch]][1]:
            highs[stretch] = index
    kept = {*edges, *lows.values(), *highs.values()}
    return [points[index] for index in sorted(kept)]


def _borders(points: Sequence[_Point]) -> list[int]:
    """Return the indexes on both sides of each gap."""
    if points[0][2] == points[-1][2]:
        return []
    breaks = [index for index in range(1, len(points)) if points[index][2] != points[index - 1][2]]
    return [index - side for index in breaks for side in (1, 0)]


def _data(points: Sequence[_Point]) -> str:
    """Return the drawing commands: relative, in whole numbers; a point on its own becomes a dot."""
    parts: list[str] = []
    x: int = 0
    y: float = 0
    for _, run in groupby(points, key=itemgetter(2)):
        piece = list(run)
        left, top, _ = piece[0]
        if all(point[:2] == (left, top) for point in piece):
            parts.append(f"m{_step(left - 1 - x, top - 1 - y)}h2v2h-2z")
            x, y = left - 1, top - 1
            continue
        parts.append(f"m{_step(left - x, top - y)}")
        x, y = left, top
        for index, (right, height, _) in enumerate(piece[1:], 2):
            # Within a level stretch only its ends matter.
            if y == height and index < len(piece) and piece[index][1] == y:
                continue
            step = _step(right - x, height - y)
            parts.append(step if step[0] == "-" else f" {step}")
            x, y = right, height
    return "".join(parts)


def _step(x: int, y: float) -> str:
    return f"{x}{y}" if y < 0 else f"{x} {y}"


# ---------------------------------------------------------------- words


def _noun(series: str) -> str:
    """Return what a series is of, without its unit and its label: ``memory used`` for ``memory_used_percent``."""
    name = series.partition("[")[0]
    unit = unit_of(name)
    words = name.split("_")
    # The shortest ending that means the unit is the unit's own.
    length = next((length for length in range(1, len(words)) if unit and unit_of("_" + "_".join(words[-length:])) == unit), 0)
    return " ".join(words[: len(words) - length]).strip() or name


def _label(series: str) -> str:
    return series.partition("[")[2].removesuffix("]")


def _clean(text: str, length: int) -> str:
    """Return foreign text for HTML and XML, in one line of limited length."""
    text = " ".join(plain(text).split())
    return escape(text if len(text) <= length else f"{text[: length - 1]}…")


def _reading(value: float, unit: str) -> str:
    return value_text(value, unit) if math.isfinite(value) else "-"


def _cells(row: Row) -> list[str]:
    name = _clean(row.series, 2 * _NAME_LENGTH)
    numbers = [_reading(value, row.unit) for value in (row.min, row.mean, row.p95, row.max, row.last)]
    return [_clean(row.host, 2 * _NAME_LENGTH), name, *(escape(number) for number in numbers)]


def _unmarked(text: str) -> str:
    """Return text that Robot does not take for markup, with signs that look alike."""
    text = re.sub(r"(?<!\w)_|_(?!\w)", "\N{MODIFIER LETTER LOW MACRON}", " ".join(text.split()))
    return text.translate(_LOOK_ALIKE).replace("://", ":\N{FRACTION SLASH}\N{FRACTION SLASH}")
