"""What the page of the dashboard shows while hosts are watched."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.dashboard.chunks import pack
from OttoLibrary.dashboard.page_source import (
    HostSamples,
    Window,
    editable,
    event_facts,
    event_list,
    events_in,
    made_event,
    rows,
    series_facts,
    write,
)
from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.recording_reader import Recording
from OttoLibrary.run.session import Session

if TYPE_CHECKING:
    from OttoLibrary.monitor.monitor import Monitor

T = TypeVar("T")
# For pages that are open: one that comes later loads everything anyway.
_MOST_NEWS = 20_000
_MOST_TESTS = 2_000


class LiveSource:
    """A running monitor, as a page sees it. It stays up to date by itself until the monitor stops.

    Everything may be called from any thread but the engine's, except what the monitor calls.

    Args:
        session: Whose monitor runs.

    Raises:
        NotOpenError: No monitor is running. Every method that asks it raises it too, once it has stopped.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._news: deque[Tick | tuple[int, Event | None] | Mapping[str, Any]] = deque(maxlen=_MOST_NEWS)
        self._tests: dict[float, Mapping[str, Any]] = {}
        self._ended = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._monitor = session.monitor.running
        self._session.monitor.do(self._subscribe)
        self._session.tests.follow(self.test)

    # -- what the page asks for

    def page(self) -> dict[str, Any]:
        """Return the page's data."""
        series, events = self._session.monitor.do(
            lambda monitor: ({host: monitor.known(host) for host in monitor.hosts}, monitor.numbered_events())
        )
        watched = self._monitor.hosts
        hosts = [{"name": name, "path": list(host.path), "tags": list(host.tags)} for name, host in watched.items()]
        return {
            "title": self._session.lab.references,
            "mode": "live",
            "interval_s": self._monitor.interval_s,
            "began": self._monitor.began,
            "ended": None,
            "hosts": hosts,
            "series": {host: series_facts(names) for host, names in series.items()},
            "events": event_list(events),
            "tests": list(self._tests.values()),
        }

    def chunk(self, host: str) -> bytes:
        """Return the chunk of a host: what the monitor remembers, and what is older from its recording."""
        return pack(host, *rows(self._samples(host)))

    def export(self, form: str, window: Window, out: TextIO) -> None:
        """Write readings and events in a form of ``EXPORTS``; raise UnknownNameError for the form or the host."""
        if window.host:
            self._monitor.check_host(window.host)
        hosts = [window.host] if window.host else list(self._monitor.hosts)
        ticks = itertools.chain.from_iterable(self._ticks(host, window) for host in hosts)
        write(form, ticks, events_in(window, self.events()), out)

    # -- events

    def events(self) -> dict[int, Event]:
        """Return the events by their numbers."""
        return self._session.monitor.do(lambda monitor: monitor.numbered_events())

    def add_event(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Add a mark or a span and return it as the page's data has it."""
        event = made_event(facts, self._monitor.hosts)
        return self._session.monitor.do(lambda monitor: _shown(monitor, monitor.mark(event)))

    def change_event(self, number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Change a mark or a span and return it as the page's data has it."""

        def change(monitor: Monitor) -> dict[str, Any]:
            before = editable(monitor.numbered_events(), number)
            monitor.change_event(number, made_event(facts, monitor.hosts, before))
            return _shown(monitor, number)

        return self._session.monitor.do(change)

    def delete_event(self, number: int) -> None:
        """Delete a mark or a span."""

        def delete(monitor: Monitor) -> None:
            editable(monitor.numbered_events(), number)
            monitor.change_event(number, None)

        self._session.monitor.do(delete)

    # -- news

    def news(self) -> list[tuple[str, Any]]:
        """Return what happened since the last call: all readings together, and each event and test."""
        ticks: list[dict[str, Any]] = []
        found: list[tuple[str, Any]] = []
        while self._news:
            item = self._news.popleft()
            if isinstance(item, Tick):
                ticks.append({"host": item.host, "at": item.at, "values": dict(item.values)})
            elif isinstance(item, Mapping):
                found.append(("test", item))
            elif item[1] is None:
                found.append(("gone", {"id": item[0]}))
            else:
                found.append(("event", event_facts(item[0], item[1])))
        return [("ticks", ticks), *found] if ticks else found

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call back when the monitor stops; on its thread, so the callback must not wait."""
        self._callbacks.append(callback)
        if self._ended.is_set():
            callback()

    # -- what the session calls

    def test(self, test: Mapping[str, Any]) -> None:
        """Take a test that has begun or ended; those of one process follow each other."""
        kept = list(self._tests.items())[-_MOST_TESTS:]
        self._tests = {**dict(kept), test["began"]: test}
        self._news.append(test)

    # -- what the monitor calls

    def tick(self, tick: Tick) -> None:
        """Take readings."""
        self._news.append(tick)

    def event(self, number: int, event: Event | None) -> None:
        """Take an event that is new, has changed or was deleted."""
        self._news.append((number, event))

    def end(self) -> None:
        """The monitor has stopped."""
        self._ended.set()
        self._session.tests.leave(self.test)
        for callback in self._callbacks:
            callback()

    # -- inside

    def _subscribe(self, monitor: Monitor) -> None:
        monitor.subscribe(self)

    def _samples(self, host: str) -> HostSamples:
        self._monitor.check_host(host)
        found, is_whole = self._session.monitor.do(lambda monitor: monitor.remembered(host))
        if is_whole:
            return found
        with self._recorded() as recording:
            if recording is None:
                return found
            return {series: samples for (_, series), samples in recording.all(self._monitor.began, host=host).items()}

    def _ticks(self, host: str, window: Window) -> Iterator[Tick]:
        with self._recorded() as recording:
            if recording is not None:
                yield from recording.ticks(max(window.since, self._monitor.began), window.until, host)
                return
        times, columns = rows(self._samples(host))
        for row, at in enumerate(times):
            if window.since <= at <= window.until:
                # Where one series has a reading and another has none, the other's row holds no number.
                there = {name: values[row] for name, values in columns.items() if math.isfinite(values[row])}
                yield Tick(host, at, math.nan, there)

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[Recording | None]:
        """Open the monitor's recording, all of it written; None when it keeps none."""
        store = self._monitor.store
        if store is None:
            yield None
            return
        with contextlib.suppress(UsageError):
            # The monitor reports a full disk; what was written before can be read.
            store.flush()
        with contextlib.closing(Recording(store.path)) as recording:
            yield recording


def _shown(monitor: Monitor, number: int) -> dict[str, Any]:
    # As the monitor has it: secrets are hidden.
    return event_facts(number, monitor.numbered_events()[number])
