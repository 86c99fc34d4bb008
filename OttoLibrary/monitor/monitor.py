"""The monitor: remembers what hosts were read as, and answers questions about it."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import math
import platform
import time
from array import array
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from OttoLibrary.contracts.metrics import Event, Metric, Tick
from OttoLibrary.engine import BackOff, Failure, supervise
from OttoLibrary.errors import LimitError, OttoError, UnknownNameError, UsageError
from OttoLibrary.monitor import export
from OttoLibrary.monitor.limit import RELATIONS, Limit
from OttoLibrary.monitor.recording_reader import Recording
from OttoLibrary.monitor.recording_writer import Store
from OttoLibrary.monitor.statistics import STATISTICS, Statistics, one, summarize
from OttoLibrary.monitor.watching import WatchRequest, interval_of
from OttoLibrary.report.charts import ChartLine, charts
from OttoLibrary.report.summaries import metadata, summary
from OttoLibrary.text import printable
from OttoLibrary.units import duration_text, quantity, unit_of, value_text
from OttoLibrary.version import VERSION

_FLUSH_S = 1.0
# Of each series; older readings are read from the store. With very many series it is less, so that all stay within bounds.
_KEPT = 3600
_KEPT_OF_ALL = 2_000_000
_LEAST_KEPT = 60
# Of one host. Names of series may come from what a host prints.
_MOST_SERIES = 5000
_EVENTS_KEPT = 10_000
_LONGEST_EVENT = 500
_WARNINGS_KEPT = 1000
_PICTURE_BYTES = 6000
_FIRST_READING_S = 10.0
_LATE_S = 0.5
_NO_NAMES: frozenset[str] = frozenset()


@dataclass
class _Series:
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    dropped: bool = False

    def add(self, at: float, value: float, kept: int) -> None:
        self.times.append(at)
        self.values.append(value)
        if len(self.times) > 2 * kept:
            del self.times[:-kept], self.values[:-kept]
            self.dropped = True


class Audience(Protocol):
    """Hears what a monitor takes, on the engine's loop: it must neither wait nor fail."""

    def tick(self, tick: Tick) -> None:
        """Take readings."""

    def event(self, number: int, event: Event | None) -> None:
        """Take an event that is new or has changed, or with None was deleted."""

    def end(self) -> None:
        """The monitor has stopped."""


def open_store(path: Path, label: str, lab: Mapping[str, Any], interval_s: float) -> Store:
    """Return a store with a new session; raise UsageError when the file is not a recording or another process writes it."""
    store = Store(path)
    store.begin(label, lab, {"OttoLibrary": VERSION, "Python": platform.python_version()}, interval_s)
    return store


@dataclass(frozen=True)
class WatchedHost:
    """A host that is, or was, watched.

    Attributes:
        path: The way to it, itself last.
        tags: Its tags in the lab.
    """

    path: tuple[str, ...]
    tags: tuple[str, ...] = ()


class Monitor:
    """Remembers what watched hosts are read as, until it is stopped; everything is called on its engine's loop.

    Args:
        interval_s: Seconds between two readings while nothing else is asked for.
        mask: Hides secrets.

    Attributes:
        hosts: Who has readings, by name: the hosts that are or were watched, and what is shown beside them, such as a load.
        store: Where readings and events are recorded, or None.
    """

    def __init__(self, interval_s: float, mask: Callable[[str], str] = str) -> None:
        self.hosts: dict[str, WatchedHost] = {}
        self._interval_s = interval_s
        self._requests: list[WatchRequest] = []
        self.store: Store | None = None
        self.began = time.time()
        self._warnings: deque[str] = deque(maxlen=_WARNINGS_KEPT)
        self._warned: dict[str, None] = {}
        self._mask = mask
        self._metrics: dict[str, dict[str, Metric]] = {}
        self._series: dict[tuple[str, str], _Series] = {}
        self._events: dict[int, Event] = {}
        self._last_event = 0
        self._limits: list[Limit] = []
        self._keeper: asyncio.Task[None] | None = None
        self._open_spans: dict[str, int] = {}
        self._recorded: set[str] = set()
        self._names: dict[str, set[str]] = {}
        self._kept = _KEPT
        self._full: set[str] = set()
        self._odd: set[tuple[str, str]] = set()
        self._audiences: list[Audience] = []

    # -- life

    async def start(self) -> None:
        """Begin to record, when there is a store."""
        self.began = time.time()
        if self.store is not None:
            self._keeper = asyncio.create_task(supervise(self._keep, self._recording_failed, BackOff()))

    def _recording_failed(self, failure: Failure) -> None:
        self.mark(Event(time.time(), f"Recording failed: {failure}", "error"))

    def admit(self, request: WatchRequest, hosts: Mapping[str, WatchedHost]) -> None:
        """Expect readings of what a request asks for.

        Args:
            request: What is asked for.
            hosts: Who its hosts are.
        """
        self._requests.append(request)
        for name, metrics in request.metrics.items():
            self.hosts.setdefault(name, hosts[name])
            self._metrics[name] = {**metrics, **self._metrics.get(name, {})}

    async def release(self, request: WatchRequest) -> list[LimitError]:
        """Expect no more readings of what only this request asks for; return the limits of its hosts that were broken."""
        if request not in self._requests:
            return []
        self._requests.remove(request)
        left = {name for name in request.metrics if interval_of(name, self._requests) is None}
        return await self.take_limits(0.0, left if self._requests else None)

    @property
    def is_wanted(self) -> bool:
        """True while somebody wants hosts to be read."""
        return bool(self._requests)

    @property
    def watched(self) -> list[str]:
        """The hosts that are read now."""
        return [name for name in self.hosts if interval_of(name, self._requests) is not None]

    @property
    def interval_s(self) -> float:
        """Seconds between two readings, of the host that is read least often."""
        intervals = [interval for name in self.hosts if (interval := interval_of(name, self._requests)) is not None]
        return max(intervals, default=self._interval_s)

    async def stop(self) -> None:
        """Write what is left; idempotent."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        store, self.store = self.store, None
        if store is not None:
            now = time.time()
            for number in list(self._open_spans.values()):
                self.end(number, now)
            try:
                await asyncio.to_thread(store.close)
            except OttoError as error:
                self._warn(str(error))
        audiences, self._audiences = self._audiences, []
        for audience in audiences:
            audience.end()

    async def _keep(self) -> None:
        while self.store is not None:
            await asyncio.sleep(_FLUSH_S)
            try:
                await asyncio.to_thread(self.store.flush)
            except OttoError as error:
                self._warn(str(error))

    def take_warnings(self) -> list[str]:
        """Return the warnings that the user has not seen yet."""
        warnings = list(self._warnings)
        self._warnings.clear()
        return warnings

    def _warn(self, sentence: str) -> None:
        sentence = self._mask(sentence)
        if sentence not in self._warned:
            self._warned[sentence] = None
            self._warnings.append(sentence)
        if len(self._warned) > _WARNINGS_KEPT:
            del self._warned[next(iter(self._warned))]

    # -- taking

    def tick(self, tick: Tick) -> None:
        """Take readings."""
        if not all(map(math.isfinite, tick.values.values())):
            tick = self._finite(tick)
        if not tick.values.keys() <= self._names.get(tick.host, _NO_NAMES):
            tick = self._admitted(tick)
        for audience in self._audiences:
            audience.tick(tick)
        kept = self._kept
        for name, value in tick.values.items():
            self._series[tick.host, name].add(tick.at, value, kept)
        if self.store is not None:
            self.store.add(tick)
        if self._limits:
            self._check_limits(tick.host)

    def _admitted(self, tick: Tick) -> Tick:
        """Begin series that are new; leave out those of a host that has too many."""
        # Labels may be what a host prints, and they are shown on terminals.
        values = {printable(name): value for name, value in tick.values.items()}
        names = self._names.setdefault(tick.host, set())
        new = [name for name in values if name not in names]
        room = max(0, _MOST_SERIES - len(names))
        for name in new[:room]:
            names.add(name)
            self._series[tick.host, name] = _Series()
        self._kept = max(_LEAST_KEPT, min(_KEPT, _KEPT_OF_ALL // len(self._series)))
        if len(new) > room and tick.host not in self._full:
            self._full.add(tick.host)
            text = f"There are more than {_MOST_SERIES} series; '{new[room]}' and all further ones are left out"
            self.mark(Event(tick.at, text, "error", tick.host))
        return replace(tick, values={name: value for name, value in values.items() if name in names})

    def _finite(self, tick: Tick) -> Tick:
        """Leave out what is not a finite number: it would be neither above nor below a limit."""
        odd = [name for name, value in tick.values.items() if not math.isfinite(value)]
        for name in odd:
            if (tick.host, name) not in self._odd and len(self._odd) < _MOST_SERIES:
                self._odd.add((tick.host, name))
                self.mark(
                    Event(
                        tick.at,
                        f"'{name}' was read as {tick.values[name]}, which is not a finite number, and was left out",
                        "error",
                        tick.host,
                    )
                )
        return replace(tick, values={name: value for name, value in tick.values.items() if name not in odd})

    def mark(self, event: Event) -> int:
        """Take an event and return its number; errors are warnings too."""
        event = replace(event, text=self._shown_text(event.text))
        self._last_event += 1
        number = self.store.mark(event) if self.store is not None else self._last_event
        self._events[number] = event
        if len(self._events) > _EVENTS_KEPT:
            del self._events[next(iter(self._events))]
        self._tell(number, event)
        if event.kind in {"error", "gap"}:
            subject = f"Monitor, host '{event.host}'" if event.host else "Monitor"
            self._warn(f"{subject}: {event.text}")
        return number

    def end(self, number: int, until: float) -> None:
        """Note when an event ended."""
        if number in self._events:
            self._events[number] = replace(self._events[number], until=until)
            self._tell(number, self._events[number])
        if self.store is not None:
            self.store.end_event(number, until)

    def change_event(self, number: int, event: Event | None) -> None:
        """Put another event in the place of one, or delete it with None; raise UsageError for one unknown or still open."""
        if number not in self._events:
            raise UsageError(f"There is no event {number}.")
        if number in self._open_spans.values():
            name = self._events[number].text
            raise UsageError(f"The span '{name}' is open. It can be changed when 'End Monitor Span' has ended it.")
        if event is None:
            del self._events[number]
        else:
            event = self._events[number] = replace(event, text=self._shown_text(event.text))
        if self.store is not None:
            self.store.change_event(number, event)
        self._tell(number, event)

    def _shown_text(self, text: str) -> str:
        """Return what a host, a plug-in or a user wrote without secrets and terminal escapes, of limited length."""
        # Once more after the escapes are gone: they may stand in the middle of a secret.
        shown = self._mask(printable(self._mask(text)))
        return shown if len(shown) <= _LONGEST_EVENT else f"{shown[: _LONGEST_EVENT - 1]}…"

    def _tell(self, number: int, event: Event | None) -> None:
        for audience in self._audiences:
            audience.event(number, event)

    def record_beside(self, subject: str, at: float, values: Mapping[str, float]) -> None:
        """Take readings of something that is no host, such as a load, to be shown beside those of the hosts."""
        self.hosts.setdefault(subject, WatchedHost((subject,)))
        self._recorded.update(values)
        self.tick(Tick(subject, at, 0.0, values))

    def record(self, host: str, series: str, value: float) -> None:
        """Take a reading that the caller made; raise UnknownNameError."""
        self.check_host(host)
        self._recorded.add(series)
        self.tick(Tick(host, time.time(), 0.0, {series: value}))

    def begin_span(self, name: str) -> None:
        """Begin a span; raise UsageError when it is open already."""
        if name in self._open_spans:
            raise UsageError(f"The span '{name}' is open already. End it with 'End Monitor Span', or give this one another name.")
        self._open_spans[name] = self.mark(Event(time.time(), name, "span"))

    def end_span(self, name: str) -> Event:
        """End a span and return it; raise UnknownNameError."""
        if name not in self._open_spans:
            raise UnknownNameError("open span", name, sorted(self._open_spans))
        number = self._open_spans.pop(name)
        self.end(number, time.time())
        return self._events[number]

    # -- asking

    def check_host(self, host: str) -> None:
        """Raise UnknownNameError for a host that was never watched."""
        if host not in self.hosts:
            raise UnknownNameError("watched host", host, sorted(self.hosts))

    def subscribe(self, audience: Audience) -> Callable[[], None]:
        """Call an audience with everything that is taken from now on; return a function that ends this."""
        self._audiences.append(audience)
        return lambda: self._audiences.remove(audience) if audience in self._audiences else None

    def numbered_events(self) -> dict[int, Event]:
        """Return the events that are remembered, by their numbers."""
        return dict(self._events)

    def remembered(self, host: str) -> tuple[dict[str, tuple[array[float], array[float]]], bool]:
        """Return copies of the times and values of each series of a host, and whether all of them are still there."""
        kept = {name: series for (owner, name), series in self._series.items() if owner == host}
        whole = not any(series.dropped for series in kept.values())
        return {name: (series.times[:], series.values[:]) for name, series in kept.items()}, whole

    def events(self, since: float, until: float | None = None) -> list[Event]:
        """Return the events that touch a time."""
        last = until if until is not None else time.time()
        return [event for event in self._events.values() if event.at <= last and (event.until or event.at) >= since]

    def span(self, name: str) -> tuple[float, float | None]:
        """Return when a span began and ended, the last one of that name; raise UnknownNameError."""
        spans = [event for event in self._events.values() if event.kind == "span"]
        for event in reversed(spans):
            if event.text == name:
                return event.at, event.until
        raise UnknownNameError("span", name, sorted({event.text for event in spans}))

    def series_of(self, host: str, metric: str) -> str:
        """Return the series that a name means for a host; raise UnknownNameError.

        A metric means its main series (``cpu``: ``cpu_percent``), with a label the one with that label (``disk[/var]``).
        """
        self.check_host(host)
        metrics = self._metrics.get(host, {})
        base, bracket, label = metric.partition("[")
        if metric in metrics:
            return printable(metrics[metric].main)
        if base in metrics:
            return printable(f"{metrics[base].main}{bracket}{label}")
        known = self.known(host)
        if metric in known:
            return metric
        if any(metric.startswith(_stem(name)) for name in metrics):
            return metric  # a reading that has not arrived yet
        raise UnknownNameError("metric or series", metric, sorted({*metrics, *known}))

    def known(self, host: str) -> list[str]:
        """Return the series of which a host has readings."""
        return [name for owner, name in self._series if owner == host]

    def mains(self, host: str) -> list[str]:
        """Return the series that stand for the metrics of a host, and the series that callers recorded."""
        metrics = self._metrics.get(host, {})
        main = [printable(metric.main) for metric in metrics.values()]
        known = self.known(host)
        return [name for name in dict.fromkeys([*main, *sorted(self._recorded)]) if name in known]

    def latest(self, since: float) -> dict[str, dict[str, float]]:
        """Return the last reading of each main series by host; those from before ``since`` are left out."""
        found: dict[str, dict[str, float]] = {}
        for host in self.hosts:
            columns = {name: self._series[host, name] for name in self.mains(host)}
            found[host] = {name: column.values[-1] for name, column in columns.items() if column.times[-1] >= since}
        return found

    async def readings(
        self, host: str, series: str, since: float, until: float | None = None
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Return times and values of a window, older ones from the store."""
        return (await self._windows([(host, series)], since, until)).get((host, series), ((), ()))

    async def _windows(
        self, wanted: Sequence[tuple[str, str]], since: float, until: float | None
    ) -> dict[tuple[str, str], tuple[Sequence[float], Sequence[float]]]:
        """Return times and values of the series that were ever read, by host and series."""
        found: dict[tuple[str, str], tuple[Sequence[float], Sequence[float]]] = {}
        for place in wanted:
            kept = self._series.get(place)
            if kept is not None:
                first = bisect.bisect_left(kept.times, since)
                end = bisect.bisect_left(kept.times, until) if until is not None else len(kept.times)
                found[place] = kept.times[first:end], kept.values[first:end]
        dropped = [place for place in found if self._series[place].dropped and self._series[place].times[0] > since]
        if dropped and self.store is not None:
            last = until if until is not None else math.inf
            found |= await asyncio.to_thread(_recorded, self.store, dropped, since, last)
        return found

    async def _summarized(self, since: float, until: float | None, main_only: bool) -> list[tuple[Statistics, ChartLine]]:
        wanted = [(host, name) for host in self.hosts for name in (self.mains(host) if main_only else self.known(host))]
        windows = await self._windows(wanted, since, until)
        return [(summarize(*place, *window), ChartLine(*place, *window)) for place, window in windows.items() if window[0]]

    async def lines(self, since: float, until: float | None = None) -> list[ChartLine]:
        """Return the readings of a window for charts of others, for each host and main series that has any."""
        return [line for _, line in await self._summarized(since, until, True)]

    async def statistics(self, since: float, until: float | None = None, *, main_only: bool = True) -> list[Statistics]:
        """Return the statistics of a window, for each host and series that has readings in it."""
        return [row for row, _ in await self._summarized(since, until, main_only)]

    async def statistic(
        self, host: str, metric: str, name: str, since: float, until: float | None = None, wait_s: float = _FIRST_READING_S
    ) -> tuple[float, float | None, str]:
        """Return a statistic, the moment it was taken at where it has one, and its unit.

        Raises:
            UnknownNameError: There is no such host, metric or statistic.
            LimitError: There is no reading in the window, also none that came within ``wait_s`` seconds.
        """
        if name not in STATISTICS:
            raise UnknownNameError("statistic", name, STATISTICS)
        series = self.series_of(host, metric)
        times, values = await self.readings(host, series, since, until)
        patience = time.monotonic() + (wait_s if host in self.watched else 0.0)
        while not times and until is None and time.monotonic() < patience:
            await asyncio.sleep(min(0.05, self.interval_s / 4))
            times, values = await self.readings(host, series, since, until)
        if not times:
            raise LimitError(host, metric, self._nothing(host, metric, series))
        value, at = one(name, times, values)
        return value, at, unit_of(series)

    def _nothing(self, host: str, metric: str, series: str) -> str:
        problems = [event.text for event in self._events.values() if event.host == host and event.kind in {"error", "gap"}]
        because = f" {problems[-1]}" if problems else f" Series with readings: {', '.join(self.known(host)) or 'none'}."
        return f"Metric '{metric}' of host '{host}' has no reading of '{series}' in this period.{because}"

    async def picture(
        self, since: float, until: float | None = None, *, hosts: Sequence[str] = (), marks: Sequence[Event] = ()
    ) -> tuple[str, list[Statistics]]:
        """Return charts and a table of a period as HTML, empty without a reading in it, and its statistics.

        Args:
            since: When it begins, in seconds since 1970.
            until: When it ends; now by default.
            hosts: Which; all by default.
            marks: Events to show besides its own.
        """
        last = until if until is not None else time.time()
        found = [(row, line) for row, line in await self._summarized(since, last, True) if not hosts or row.host in hosts]
        if not found:
            return "", []
        rows, lines = [row for row, _ in found], [line for _, line in found]
        events = [event for event in self.events(since, last) if not hosts or event.host in {"", *hosts}]
        return charts(lines, [*events, *marks], since, last, self.interval_s, _PICTURE_BYTES) + summary(rows), rows

    async def shown(self, since: float, marks: Sequence[Event]) -> tuple[str, dict[str, str]]:
        """Return charts and table of a test that ends now, as HTML, and metadata of it; without readings, why there are none."""
        html, rows = await self.picture(since, marks=marks)
        return html or self._no_chart(time.time() - since), metadata(rows)

    def _no_chart(self, lasted_s: float) -> str:
        paces = {interval for name in self.hosts if (interval := interval_of(name, self._requests)) is not None}
        if lasted_s < min(paces, default=0.0):
            return f"No chart: the test took {duration_text(lasted_s)}, and hosts are read every {duration_text(min(paces))}."
        return "No chart: no host answered during the test." if paces else "No chart: no host is watched."

    async def totals(self, since: float) -> dict[str, str]:
        """Return the statistics of a suite that ends now as metadata."""
        return metadata(await self.statistics(since))

    async def export(self, path: Path, form: str, since: float, until: float | None = None) -> int:
        """Write readings and events to a file and return how many readings; raise UsageError without a recording."""
        if self.store is None:
            raise UsageError("There is nothing to export: the monitor was started with store=none.")
        await asyncio.to_thread(self.store.flush)
        return await asyncio.to_thread(_export, self.store.path, path, form, since, until if until is not None else time.time())

    # -- limits

    def limit(
        self,
        host: str,
        metric: str,
        statistic: str,
        relation: str,
        value: str,
        *,
        must: bool = False,
        since: float | None = None,
        at_once: Callable[[LimitError], None] | None = None,
    ) -> None:
        """Watch a limit until ``take_limits``.

        Args:
            host: Name of the host.
            metric: A metric or series.
            statistic: Of the readings since then.
            relation: ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
            value: To compare with, a number or one with a unit.
            must: Whether the relation must hold, or must not.
            since: From when on, in seconds since 1970; from now on by default.
            at_once: Called with the error as soon as it is broken.

        Raises:
            UnknownNameError: There is no such host, metric, statistic or relation.
            ValueFormatError: The value is none.
        """
        if relation not in RELATIONS:
            raise UnknownNameError("relation", relation, RELATIONS)
        if statistic not in STATISTICS:
            raise UnknownNameError("statistic", statistic, STATISTICS)
        bound = quantity(value, unit_of(self.series_of(host, metric)))
        began = time.time() if since is None else since
        self._limits.append(Limit(host, metric, statistic, relation, bound, must, began, at_once))

    async def take_limits(self, wait_s: float | None = None, hosts: Collection[str] | None = None) -> list[LimitError]:
        """End limits and return those that were broken, and those without a reading: no reading is no proof.

        Args:
            wait_s: How long to wait for a first reading, in seconds; two intervals by default.
            hosts: Of which hosts; of all by default.
        """
        patience_s = 2 * self.interval_s + _LATE_S if wait_s is None else wait_s
        limits = [limit for limit in self._limits if hosts is None or limit.host in hosts]
        self._limits = [limit for limit in self._limits if limit not in limits]
        # Together: many without a reading take no longer than one.
        judged = await asyncio.gather(*(self._judged(limit, patience_s) for limit in limits))
        return [error for error in judged if error is not None]

    async def _judged(self, limit: Limit, wait_s: float) -> LimitError | None:
        try:
            value, at, unit = await self.statistic(limit.host, limit.metric, limit.statistic, limit.since, None, wait_s)
        except LimitError as error:
            return error
        return limit.error(value, at, unit) if limit.is_broken(value) else None

    def _check_limits(self, host: str) -> None:
        for limit in [limit for limit in self._limits if limit.at_once and limit.host == host]:
            name = self.series_of(host, limit.metric)
            series = self._series.get((host, name))
            if series is None or not series.times or series.times[-1] < limit.since:
                continue
            first = bisect.bisect_left(series.times, limit.since)
            value, at = one(limit.statistic, series.times[first:], series.values[first:])
            if limit.at_once is not None and limit.is_broken(value):
                self._limits.remove(limit)
                unit = unit_of(name)
                self.mark(Event(time.time(), f"Limit: {limit.metric} {limit.statistic} {value_text(value, unit)}", "limit", host))
                limit.at_once(limit.error(value, at, unit))


def _recorded(
    store: Store, wanted: Sequence[tuple[str, str]], since: float, until: float
) -> dict[tuple[str, str], tuple[Sequence[float], Sequence[float]]]:
    """Read older readings from the recording, opened once for all of them."""
    store.flush()
    with contextlib.closing(Recording(store.path)) as recording:
        return {(host, series): recording.read(host, series, since, until) for host, series in wanted}


def _export(recording: Path, path: Path, form: str, since: float, until: float) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Recording(recording)) as source, path.open("w", encoding="utf-8", newline="") as out:
        return export.write(form, source.ticks(since, until), source.events(since, until), out)


def _stem(metric: str) -> str:
    return metric.partition(":")[0] + "_"
