"""Charts of readings for the log of a test: small SVG pictures in one block of HTML.

The pictures need no script and no style sheet, and have a maximum size, since each test of a run has its own.
Everything that came from a host, a lab or a user is escaped. Text and axes follow the page's own text colour, and the colours of
the lines have a contrast of three to one at least on white and on the log's dark background.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice, pairwise
from operator import itemgetter
from statistics import median
from typing import TypeAlias

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.report.scales import Scale, elapsed_text, time_ticks, value_scale
from OttoLibrary.report.summaries import clean, label, noun
from OttoLibrary.text import plural, some
from OttoLibrary.units import unit_of, value_text

# The picture in about pixels, so that coordinates are short whole numbers; the numbers of the axis end at zero, left of it.
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 5, 350, 10, 104, 120
_VIEW = f"-32 0 400 {_HEIGHT}"
# What is nearer to a line than this does not show.
_VISIBLE = 0.5
# What all charts share is written once and inherited. Two are side by side in Robot's log.
_STYLE = (
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(360px,1fr));gap:6px 16px;overflow-x:auto;"
    "font:12px/1.5 sans-serif;white-space:normal;fill:currentColor;text-anchor:end;stroke-width:1.5;stroke-linejoin:round"
)
_COLORS = ("#28d", "#d60", "#294", "#c3c", "#099", "#963", "#75d", "#980")
_DASHES = ("", "6 3", "2 3", "9 3 2 3")
_SIGNS = ("━", "╍", "┈", "╌")
# Points of a line: as many as there can be, what it gets before events are marked, and before other lines are drawn.
_MOST_POINTS, _GOOD_POINTS, _FEW_POINTS = 300, 20, 8
# No line and no chart takes less, with its words: that saves looking at what cannot fit.
_LINE_BYTES, _CHART_BYTES = 70, 300
_NAME_LENGTH, _TEXT_LENGTH = 40, 60
# No sensor gives more; such a number is an arithmetic error and breaks the line as NaN does.
_LARGEST = 1e24
# Colours of events. Bands are faint, and so is a line that only shows where a step began.
_RED, _BLUE, _GRAY = "#d44", "#48c", "#888"
_TONES = {"error": _RED, "limit": _RED, "reboot": _RED, "mark": _BLUE, "span": _BLUE}
# The first are kept when there is no space for all.
_RANKS = ("limit", "error", "reboot", "gap", "span", "mark", "clock", "test", "log", "keyword")
# These may have no end: they last to the end of the picture.
_LASTING = {"span", "gap"}
# The share of the whole that marks of events may have, and their share when lines are hidden.
_MARKS_SHARE, _LEAST_MARKS_SHARE = 4, 16
# A place in the picture: x, y, and the piece of the line; pieces are not joined.
_Point: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class ChartLine:
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


def charts(
    lines: Sequence[ChartLine], events: Sequence[Event], began: float, ended: float, interval_s: float, limit_bytes: int = 6000
) -> str:
    """Return one block of HTML with a chart for each kind of readings, all of them over the same time.

    Lines whose series differ in the label only share a chart; a host has the same colour in all. Peaks survive: where points are
    left out, the lowest and the highest of each stretch stay. When there are more lines than fit with a few points each, those
    with the highest peaks are shown, and the chart says how many are not. Series with one reading have no chart beside others.
    Samples and events outside of the time are left out.

    Args:
        lines: The lines, in the order in which they are shown.
        events: What happened in that time.
        began: Start of the time, in seconds since 1970.
        ended: Its end.
        interval_s: How often hosts were asked. Where a line has no sample for more than three times as long it is broken; a
            line that has its own slower pace is measured by that.
        limit_bytes: The block is never longer, in UTF-8; 300 at least.
    """
    span = _Span(began, max(ended - began, 0.001), interval_s)
    groups = _groups(lines, span)
    read = [group for group in groups if group.traces]
    if not read:
        return f"No readings from {span.clock} on for {elapsed_text(span.length_s)}."
    drawn = [group for group in read if any(len(trace.samples) > 1 for trace in group.traces)] or read
    notes = _note("No readings of", [group for group in groups if not group.traces])
    notes += _note("Only one reading of", [group for group in read if group not in drawn])
    for count in range(len(drawn), 0, -1):
        unseen = _note("No room for", drawn[count:])
        html = _Block(drawn[:count], span, notes + unseen, limit_bytes).html(_marks(events, span))
        if html:
            return html
    return f"No room for {plural(len(drawn), 'chart')} in {limit_bytes} bytes."


def _note(text: str, groups: Sequence[_Group]) -> str:
    return f" {text} {some((group.noun for group in groups), 1)}." if groups else ""


@dataclass(frozen=True)
class _Span:
    """The time that all charts show, and how often hosts were asked in it."""

    began: float
    length_s: float
    interval_s: float

    @property
    def ended(self) -> float:
        return self.began + self.length_s

    @property
    def clock(self) -> str:
        return f"{datetime.fromtimestamp(self.began, tz=UTC).astimezone():%H:%M:%S}"

    def x(self, at: float) -> int:
        share = (at - self.began) / self.length_s
        return round(_LEFT + min(max(share, 0.0), 1.0) * (_RIGHT - _LEFT))


@dataclass(frozen=True)
class _Trace:
    """The samples of a line within the time, in its order, and what they reach."""

    host: str
    label: str
    samples: Sequence[tuple[float, float]]
    low: float
    high: float


@dataclass(frozen=True)
class _Group:
    """The lines of one chart, and the names of those without readings."""

    noun: str
    unit: str
    traces: list[_Trace]
    silent: list[str]


def _groups(lines: Sequence[ChartLine], span: _Span) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for line in lines:
        series = line.series.partition("[")[0]
        group = groups.setdefault(series, _Group(clean(noun(series), _NAME_LENGTH), unit_of(series), [], []))
        trace = _trace(line, span)
        if trace:
            group.traces.append(trace)
        else:
            group.silent.append(clean(f"{line.host} {label(line.series)}", _NAME_LENGTH))
    return list(groups.values())


def _trace(line: ChartLine, span: _Span) -> _Trace | None:
    """Return the readings within the time, or None when there are none."""
    began, ended = span.began, span.ended
    samples = [sample for sample in zip(line.times, line.values, strict=False) if began <= sample[0] <= ended]
    values = [value for _, value in samples if -_LARGEST < value < _LARGEST]
    if not values:
        return None
    samples.sort(key=itemgetter(0))
    host, name = clean(line.host, _NAME_LENGTH), clean(label(line.series), _NAME_LENGTH)
    return _Trace(host, name, samples, min(values), max(values))


def _points(trace: _Trace, span: _Span, scale: Scale) -> list[_Point]:
    """Return the places of readings, in pieces between gaps."""
    per_s, per_unit = (_RIGHT - _LEFT) / span.length_s, (_BOTTOM - _TOP) / (scale.high - scale.low)
    began, low, longest = span.began, scale.low, 3 * _pace(trace.samples, span.interval_s)
    points: list[_Point] = []
    piece, before = 0, trace.samples[0][0]
    for at, value in trace.samples:
        if not -_LARGEST < value < _LARGEST:
            piece += 1
            continue
        if at - before > longest:
            piece += 1
        points.append((round(_LEFT + (at - began) * per_s), round(_BOTTOM - (value - low) * per_unit), piece))
        before = at
    if len(points) <= _MOST_POINTS:
        return points
    # Of what lies above each other only the highest and the lowest show.
    columns = [list(column) for _, column in groupby(points, key=itemgetter(0, 2))]
    return [place for column in columns for place in sorted({min(column), max(column)})]


def _pace(samples: Sequence[tuple[float, float]], interval_s: float) -> float:
    """Return how often a line is read: some metrics are slower than the others. A few samples do not show it."""
    if interval_s <= 0:
        return math.inf
    if len(samples) < 4:
        return interval_s
    return max(interval_s, median(after - before for (before, _), (after, _) in pairwise(samples)))


class _Block:
    """The charts in one block that keeps its size."""

    def __init__(self, groups: Sequence[_Group], span: _Span, notes: str, limit_bytes: int) -> None:
        self._span, self._notes, self._limit_bytes = span, notes, limit_bytes
        possible = max(limit_bytes // len(groups) - _CHART_BYTES, 0) // _LINE_BYTES + 1
        self._most = min(possible, max(len(group.traces) for group in groups))
        self._charts = [_Chart(group, span, self._most) for group in groups]
        self._hosts = list(dict.fromkeys(trace.host for group in groups for trace in group.traces))

    def html(self, marks: Sequence[_Mark]) -> str:
        """Return the block with as many lines as fit, or nothing when not one line of each chart fits."""
        none = _marking(marks, len(self._charts), 0)
        room = self._room(self._most, _FEW_POINTS, none)
        if room >= 0:
            # Events get what good lines leave; when lines cannot be good, what poor ones leave.
            good = self._room(self._most, _GOOD_POINTS, none)
            points, room = (_GOOD_POINTS, good) if good >= 0 else (_FEW_POINTS, room)
            marking = _marking(marks, len(self._charts), min(room, self._limit_bytes // _MARKS_SHARE))
            return self._filled(self._most, points, marking)
        for marking in (_marking(marks, len(self._charts), self._limit_bytes // _LEAST_MARKS_SHARE), none):
            count = bisect.bisect_left(range(1, self._most), True, key=lambda count: self._room(count, _FEW_POINTS, marking) < 0)
            if count:
                return self._filled(count, _FEW_POINTS, marking)
        return ""

    def _room(self, count: int, points: int, marking: _Marking) -> int:
        """Return how many bytes are left beside some lines of some points each."""
        return self._limit_bytes - len(self._drawn(count, points, marking).encode())

    def _filled(self, count: int, points: int, marking: _Marking) -> str:
        """Return the block with about as many points as there is room for; it is known how many fit at least."""
        bare = self._limit_bytes - self._room(count, 0, marking)
        most, html = _MOST_POINTS, self._drawn(count, points, marking)
        while True:
            # More points lie closer and take less each, so a guess from fewer is seldom too many.
            guess = points * (self._limit_bytes - bare) // (len(html.encode()) - bare)
            guess = min(guess, (points + most) // 2)
            # A few more points are not worth another try.
            fuller = self._drawn(count, guess, marking) if guess > points + points // 20 else html
            if fuller == html:
                return html
            if len(fuller.encode()) > self._limit_bytes:
                most = guess
            else:
                points, html = guess, fuller

    def _drawn(self, count: int, points: int, marking: _Marking) -> str:
        """Return the block with some lines in each chart, of some points each."""
        shown = {pen.host for chart in self._charts for pen in chart.pens[:count]}
        hosts = [host for host in self._hosts if host in shown]
        marks = [marking.first] + [marking.others] * (len(self._charts) - 1)
        drawn = [chart.html(count, points, each, hosts) for chart, each in zip(self._charts, marks, strict=True)]
        head = "".join(_legend(place, host) for place, host in enumerate(hosts))
        head += f"from {self._span.clock}.{self._notes}{marking.note}"
        return f'<div style="{_STYLE}"><div style="grid-column:1/-1">{head}</div>{"".join(drawn)}</div>'


def _legend(place: int, host: str) -> str:
    sign = _SIGNS[place // len(_COLORS) % len(_SIGNS)]
    # No break within an entry: its own spaces are hard, and the line ends between two entries.
    name = host.replace(" ", "\u00a0")
    return f'<b style="color:{_COLORS[place % len(_COLORS)]}">{sign}</b>\u00a0{name} \u2003'


class _Chart:
    """One chart: its lines, the highest first, of which some are drawn."""

    def __init__(self, group: _Group, span: _Span, most: int) -> None:
        self._group = group
        self._traces = sorted(group.traces, key=lambda trace: -trace.high)
        self._scale = value_scale(min(trace.low for trace in group.traces), self._traces[0].high, group.unit)
        self._labels = list(dict.fromkeys(trace.label for trace in group.traces))
        self._axes = _axes(self._scale, span)
        self.pens = [
            _Pen(trace.host, _points(trace, span, self._scale), self._labels.index(trace.label), self._title(trace))
            for trace in self._traces[:most]
        ]

    def html(self, count: int, points: int, marks: str, hosts: Sequence[str]) -> str:
        """Return it with some lines of some points each, over the marks of events."""
        lines = "".join(pen.html(points, hosts.index(pen.host)) for pen in self.pens[:count])
        grid, numbers = self._axes
        spoken = f"{self._group.noun} up to {self._peak(self._traces[0])} on {self._traces[0].host}"
        return (
            f'<div>{self._heading(count)}<svg viewBox="{_VIEW}" role="img" aria-label="{spoken}">'
            f'<g fill="none" stroke="#8885">{grid}{marks}{lines}</g>{numbers}</svg></div>'
        )

    def _peak(self, trace: _Trace) -> str:
        return value_text(trace.high, self._group.unit)

    def _title(self, trace: _Trace) -> str:
        name = f"{trace.host} {trace.label}".rstrip() if len(self._labels) > 1 else trace.host
        return f"{name}: max {self._peak(trace)}"

    def _heading(self, count: int) -> str:
        """Say what it is of, and what is not in it."""
        only = self._labels[0] if len(self._labels) == 1 else ""
        unit = f" in {self._scale.unit}" if self._scale.unit else ""
        parts = [f"<b>{f'{self._group.noun} {only}'.rstrip()}</b>{unit}"]
        if len(self._labels) > 1:
            parts.append(" ".join(f"{sign}\u00a0{text}" for sign, text in zip(_SIGNS, self._labels, strict=False)))
        hidden = self._traces[count:]
        if hidden:
            hosts = {trace.host for trace in hidden} - {trace.host for trace in self._traces[:count]}
            what = plural(len(hidden), "more host" if len(hosts) == len(hidden) else "more line")
            parts.append(f"and {what}, max {self._peak(hidden[0])}")
        single = [trace.host for trace in self._group.traces if len(trace.samples) == 1]
        if single:
            parts.append(f"only one reading of {some(single, 1)}, so no line")
        if self._group.silent:
            parts.append(f"no readings of {some(self._group.silent, 1)}")
        return "; ".join(parts)


def _axes(scale: Scale, span: _Span) -> tuple[str, str]:
    """Return the lines behind the data, and the numbers beside and below them."""
    ticks = [(round(_BOTTOM - scale.share(value) * (_BOTTOM - _TOP)), text) for value, text in scale.ticks()]
    grid = "".join(f"M{_LEFT} {y}H{_RIGHT}" for y, _ in ticks)
    beside = "".join(f'<text y="{y + 4}">{text}</text>' for y, text in ticks)
    below = "".join(f'<tspan x="{span.x(span.began + at)}">{text}</tspan>' for at, text in time_ticks(span.length_s))
    return f'<path d="{grid}"/>', f'{beside}<text y="118" text-anchor="middle">{below}</text>'


@dataclass(frozen=True)
class _Mark:
    """An event in the picture: a line, or a band when it lasted; as it looks, and with its words."""

    paint: str
    path: str
    html: str


@dataclass(frozen=True)
class _Marking:
    """The marks in the first chart, which says what they are, in the others, and what is not shown."""

    first: str
    others: str
    note: str


def _marks(events: Sequence[Event], span: _Span) -> list[_Mark]:
    """Return the marks of events within the time, the gravest first."""
    ranks = {kind: rank for rank, kind in enumerate(_RANKS)}
    ordered = sorted(events, key=lambda event: (ranks.get(event.kind, len(ranks)), event.at))
    return [mark for mark in (_mark(event, span) for event in ordered) if mark]


def _mark(event: Event, span: _Span) -> _Mark | None:
    """Return the mark of an event, or None when it is outside of the time."""
    until = event.until if event.until is not None else span.ended if event.kind in _LASTING else event.at
    if not (-math.inf < event.at <= span.ended and until >= span.began):
        return None
    tone, x, lasted_s = _TONES.get(event.kind, _GRAY), span.x(event.at), min(until, span.ended) - event.at
    when = "" if event.at < span.began else f"{elapsed_text(event.at - span.began)}: "
    lasted = f" ({elapsed_text(lasted_s)})" if lasted_s > 0 else ""
    what = " ".join(part for part in (event.host, event.kind) if part)
    title = f"<title>{clean(f'{when}{what}{lasted}: {event.text}', _TEXT_LENGTH)}</title></path>"
    if lasted_s > 0:
        paint, path = f' fill="{tone}3"', f"M{x} {_TOP}h{max(span.x(until) - x, 2)}v{_BOTTOM - _TOP}H{x}z"
        return _Mark(paint, path, f'<path d="{path}"{paint}>{title}')
    # Its head makes it stand out, and gives the pointer something to hit.
    paint, path = f' stroke="{tone}"', f"M{x} {_BOTTOM}V{_TOP}"
    return _Mark(paint, path, f'<path d="{path}l-4-7h8l-4 7" fill="{tone}"{paint}>{title}')


def _marking(marks: Sequence[_Mark], charts: int, room: int) -> _Marking:
    """Return the gravest marks, as many as there is room for besides the note of those that are not shown."""
    kept: list[_Mark] = []
    paths: dict[str, str] = {}
    room -= len(" more")  # by which the note may grow
    for mark in marks:
        wordless = mark.path if mark.paint in paths else f'<path d="{mark.path}"{mark.paint}/>'
        room -= len(mark.html.encode()) + len(wordless) * (charts - 1)
        if room < 0:
            break
        kept.append(mark)
        paths[mark.paint] = paths.get(mark.paint, "") + mark.path
    # Bands come first, since the lines lie on them.
    first = "".join(mark.html for mark in sorted(kept, key=lambda mark: "stroke" in mark.paint))
    others = "".join(f'<path d="{path}"{paint}/>' for paint, path in sorted(paths.items()))
    hidden = len(marks) - len(kept)
    return _Marking(first, others, f" {plural(hidden, 'more event' if kept else 'event')} not shown." if hidden else "")


class _Pen:
    """A line ready to be drawn with any number of points, and its words."""

    def __init__(self, host: str, points: list[_Point], dashes: int, title: str) -> None:
        self.host, self._points, self._dashes, self._title = host, points, dashes, title
        # The indexes of points that matter most, and those not yet asked for.
        self._known, self._rest = list[int](), _by_weight(points)

    def html(self, count: int, place: int) -> str:
        """Return its path, with at most some points, in the look of a place in the legend."""
        dashes = _DASHES[(self._dashes + place // len(_COLORS)) % len(_DASHES)]
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._known += islice(self._rest, max(count - len(self._known), 0))
        data = _data(self._points[index] for index in sorted(self._known[:count]))
        return f'<path stroke="{_COLORS[place % len(_COLORS)]}"{dashed} d="{data}"><title>{self._title}</title></path>'


def _by_weight(points: Sequence[_Point]) -> Iterator[int]:
    """Yield the indexes of points, first those without which the line would look most different.

    The highest and the lowest come first with both ends, then the edges of gaps, then always the one that is farthest from the
    line through those before. What is on that line does not come.
    """
    heights = [y for _, y, _ in points]
    first = {heights.index(min(heights)): None, 0: None, len(points) - 1: None, heights.index(max(heights)): None}
    yield from first
    breaks = [after for after, (one, other) in enumerate(pairwise(points), 1) if one[2] != other[2]]
    edges = [after - side for after in breaks for side in (1, 0)]
    heap = [_farthest(points, edges, *ends) for ends in pairwise(sorted(first))]
    heapq.heapify(heap)
    while heap and heap[0][0] < -_VISIBLE:
        _, index, left, right = heapq.heappop(heap)
        yield index
        for ends in ((left, index), (index, right)):
            heapq.heappush(heap, _farthest(points, edges, *ends))


def _farthest(points: Sequence[_Point], edges: Sequence[int], left: int, right: int) -> tuple[float, int, int, int]:
    """Return how far, as a negative number, and which point between two others is from the line through them, and those."""
    if right - left < 2:
        return 0, left, left, right
    between = edges[bisect.bisect_right(edges, left) : bisect.bisect_left(edges, right)]
    if between:
        return -_HEIGHT - right + left, between[len(between) // 2], left, right
    x, y, _ = points[left]
    end, height, _ = points[right]
    slope = (height - y) / (end - x) if end > x else 0.0
    heights = [there - at * slope for at, there, _ in points[left + 1 : right]]
    above, below = max(heights), min(heights)
    middle = y - x * slope
    if above - middle > middle - below:
        return middle - above, left + 1 + heights.index(above), left, right
    return below - middle, left + 1 + heights.index(below), left, right


def _data(points: Iterable[_Point]) -> str:
    """Return the drawing commands: relative, in whole numbers; a point on its own becomes a dot."""
    parts: list[str] = []
    x = y = 0
    for _, run in groupby(points, key=itemgetter(2)):
        piece = [place[:2] for place in run]
        dot = min(piece) == max(piece)
        places = [(piece[0][0] - 1, piece[0][1] - 1)] if dot else piece
        steps = []
        for right, below in places:
            steps.append(f"{right - x}{below - y}" if below < y else f"{right - x} {below - y}")
            x, y = right, below
        parts.append(f"{'m' if parts else 'M'}{steps[0]}{'h2v2h-2z' if dot else 'l'}{' '.join(steps[1:])}")
    return "".join(parts)
