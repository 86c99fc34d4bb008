"""What the page of the dashboard shows: from recordings, and as one file. ``docs/decisions/0009-dashboard.md`` says how."""

from __future__ import annotations

import base64
import contextlib
import html
import itertools
import json
import math
import re
import secrets
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeAlias, cast

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.dashboard.chunks import pack
from OttoLibrary.errors import UnknownNameError, UsageError, ValueFormatError
from OttoLibrary.monitor import export, store
from OttoLibrary.monitor.recording import RecordedSession, Recording
from OttoLibrary.units import unit_of

# What a user may change; all else was found by the monitor.
EDITABLE = ("mark", "span")
EXPORTS = {"json": "json", "csv": "csv", "prom": "prometheus"}
_FOLDER = Path(__file__).parent / "web"
_LONGEST_TEXT = 500
_PLACE = re.compile(r"OTTO-NONCE|/\*OTTO-(?:UPLOT-CSS|CSS|UPLOT|JS)\*/|/\*OTTO-JS:(\w+\.js)\*/|<!--OTTO-DATA-->")
HostSamples: TypeAlias = Mapping[str, tuple["array[float]", "array[float]"]]


@dataclass(frozen=True)
class Window:
    """What an export is of.

    Attributes:
        host: One host, or empty for all.
        since: The earliest time, in seconds since 1970.
        until: The latest.
    """

    host: str = ""
    since: float = -math.inf
    until: float = math.inf


class Source(Protocol):
    """Where a page has its data from. Everything may be called from any thread, and nothing takes long but ``chunk``."""

    def page(self) -> dict[str, Any]:
        """Return the page's data."""

    def chunk(self, host: str) -> bytes:
        """Return the chunk of a host; raise UnknownNameError."""

    def export(self, form: str, window: Window, out: TextIO) -> None:
        """Write readings and events in a form of ``EXPORTS``; raise UnknownNameError for the form or the host."""

    def events(self) -> dict[int, Event]:
        """Return the events by the numbers that the page knows them by."""

    def add_event(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Add a mark or a span and return it as the page's data has it; raise UsageError."""

    def change_event(self, number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Change a mark or a span and return it as the page's data has it; raise UsageError."""

    def delete_event(self, number: int) -> None:
        """Delete a mark or a span; raise UsageError."""

    def news(self) -> list[tuple[str, Any]]:
        """Return what happened since the last call, for the page's stream: kinds and data."""

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call back when there will be no more news; it may be at once, and on any thread."""


class RecordedSource:
    """Recordings of one run, together on one page.

    Args:
        paths: The files, at least one.
        tests: The tests of the run, as the page's data has them.
        title: What the page is called; by default what the first recording is called, or its file.

    Raises:
        UsageError: One of the files is no recording. Every method raises it too, when a file cannot be read.
    """

    def __init__(self, paths: Sequence[str | Path], tests: Sequence[Mapping[str, Any]] = (), title: str = "") -> None:
        self.paths = [Path(path) for path in paths]
        self._tests, self._title = [dict(test) for test in tests], title
        self._news: list[tuple[str, Any]] = []
        self._chunks: dict[str, bytes] = {}
        self._stamp: object = None
        self._keeping = threading.Lock()
        for path in self.paths:
            Recording(path).close()

    def page(self) -> dict[str, Any]:
        """Return the page's data."""
        with self._open() as recordings:
            sessions = [session for recording in recordings for session in recording.sessions()]
            series = _series(recordings)
            reaches = [reach for recording in recordings if (reach := recording.reach()) is not None]
            events = self._numbered(recordings)
            # A file may hold older runs, from days before: the page begins with the last one of each file.
            lasts = [found[-1] for recording in recordings if (found := recording.sessions())]
        # Readings count too: a session whose process was killed, or that is still written, has no end, and a clock may be set.
        began = min((session.began for session in lasts), default=min((first for first, _ in reaches), default=0.0))
        ends = [*(session.ended for session in sessions if session.ended is not None), *(last for _, last in reaches)]
        return {
            "title": self._title or next((session.label for session in sessions if session.label), self.paths[0].name),
            "mode": "replay",
            "interval_s": max((session.interval_s for session in sessions), default=0.0),
            "began": began,
            "ended": max([began, *ends]),
            "hosts": _hosts(sessions, series),
            "series": {host: series_facts(names) for host, names in series.items()},
            "events": event_list(events),
            "tests": self._tests,
        }

    def chunk(self, host: str) -> bytes:
        """Return the chunk of a host, packed once; raise UnknownNameError."""
        stamp = [_stamp(path) for path in self.paths]
        with self._keeping:
            if stamp != self._stamp:
                self._chunks, self._stamp = {}, stamp
            # What is made from files as they were stays with those who asked for that.
            chunks = self._chunks
        if host not in chunks:
            chunks[host] = pack(host, *rows(self._samples(host)))
        return chunks[host]

    def export(self, form: str, window: Window, out: TextIO) -> None:
        """Write readings and events in a form of ``EXPORTS``; raise UnknownNameError for the form or the host."""
        with self._open() as recordings:
            hosts = _chosen(window, _series(recordings))
            ticks = itertools.chain.from_iterable(
                recording.ticks(window.since, window.until, host) for host in hosts for recording in recordings
            )
            write(form, ticks, events_in(window, self._numbered(recordings)), out)

    def events(self) -> dict[int, Event]:
        """Return the events by the numbers that the page knows them by."""
        with self._open() as recordings:
            return self._numbered(recordings)

    def add_event(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Add a mark or a span to the recording that it is nearest to and return it as the page's data has it."""
        event = made_event(facts, self._hosts())
        index = self._nearest(event.at)
        number = store.add_event(self.paths[index], event) * len(self.paths) + index
        return self._told(number, event)

    def change_event(self, number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Change a mark or a span and return it as the page's data has it."""
        event = made_event(facts, self._hosts(), editable(self.events(), number))
        store.change_event(*self._place(number), event)
        return self._told(number, event)

    def delete_event(self, number: int) -> None:
        """Delete a mark or a span."""
        editable(self.events(), number)
        store.change_event(*self._place(number), None)
        self._news.append(("gone", {"id": number}))

    def news(self) -> list[tuple[str, Any]]:
        """Return what users did since the last call."""
        news, self._news = self._news, []
        return news

    def on_end(self, callback: Callable[[], None]) -> None:
        """Do nothing: a recording does not end."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[list[Recording]]:
        # Opened each time: others may write them, and so does editing an event.
        with contextlib.ExitStack() as opened:
            yield [opened.enter_context(contextlib.closing(Recording(path))) for path in self.paths]

    def _numbered(self, recordings: Sequence[Recording]) -> dict[int, Event]:
        # Each file counts its events from 1; on the page a number says the file too.
        return {
            number * len(recordings) + index: event
            for index, recording in enumerate(recordings)
            for number, event in recording.numbered_events().items()
        }

    def _place(self, number: int) -> tuple[Path, int]:
        return self.paths[number % len(self.paths)], number // len(self.paths)

    def _hosts(self) -> list[str]:
        with self._open() as recordings:
            return list(_series(recordings))

    def _nearest(self, at: float) -> int:
        with self._open() as recordings:
            sessions = [(session, index) for index, recording in enumerate(recordings) for session in recording.sessions()]
        if not sessions:
            return 0
        return min((max(found.began - at, at - (found.ended or found.began), 0.0), index) for found, index in sessions)[1]

    def _samples(self, host: str) -> HostSamples:
        found: dict[str, tuple[array[float], array[float]]] = {}
        with self._open() as recordings:
            for recording in recordings:
                for (_, series), (times, values) in recording.all(host=host).items():
                    kept = found.setdefault(series, (array("d"), array("d")))
                    kept[0].extend(times)
                    kept[1].extend(values)
            if not found:
                raise UnknownNameError("host", host, list(_series(recordings)))
        return found

    def _told(self, number: int, event: Event) -> dict[str, Any]:
        facts = event_facts(number, event)
        self._news.append(("event", facts))
        return facts


# -- parts of the page's data


def event_facts(number: int, event: Event) -> dict[str, Any]:
    """Return an event as the page's data has it."""
    return {
        "id": number,
        "at": event.at,
        "until": event.until,
        "kind": event.kind,
        "text": event.text,
        "host": event.host,
    }


def event_list(events: Mapping[int, Event]) -> list[dict[str, Any]]:
    """Return events as the page's data has them, in the order in which they began."""
    return [event_facts(number, event) for number, event in sorted(events.items(), key=lambda item: (item[1].at, item[0]))]


def series_facts(names: Iterable[str]) -> list[dict[str, str]]:
    """Return series as the page's data has them."""
    return [{"name": name, "unit": unit_of(name)} for name in names]


def rows(samples: HostSamples) -> tuple[Sequence[float], dict[str, Sequence[float]]]:
    """Return the samples of a host as rows in the order of time; NaN where a series has none."""
    widest = max((times for times, _ in samples.values()), key=len, default=array("d"))
    if _in_order(widest) and all(times == widest for times, _ in samples.values()):
        return widest, {name: values for name, (_, values) in samples.items()}
    moments = sorted(set().union(*(times for times, _ in samples.values())))
    places = {at: row for row, at in enumerate(moments)}
    columns: dict[str, Sequence[float]] = {}
    for name, (times, values) in samples.items():
        column = array("d", [math.nan]) * len(moments)
        for at, value in zip(times, values, strict=True):
            column[places[at]] = value
        columns[name] = column
    return moments, columns


def made_event(facts: Mapping[str, Any], hosts: Iterable[str], base: Event | None = None) -> Event:
    """Return the mark or span that a user described; with an end it is a span.

    Args:
        facts: ``at``, ``until``, ``text`` and ``host``; what is left out is as it was.
        hosts: The hosts that it may concern.
        base: What it was, or None for a new one: then it is now, has no end, and concerns all hosts.

    Raises:
        ValueFormatError: Something is not as it must be.
    """
    given = event_facts(0, base or Event(time.time(), "", "mark")) | dict(facts)
    at, until, text, host = (given[name] for name in ("at", "until", "text", "host"))
    if not _is_moment(at) or not (until is None or (_is_moment(until) and until >= at)):
        raise ValueFormatError("An event begins ('at') and ends ('until') at seconds since 1970, and not before it begins.")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= _LONGEST_TEXT:
        raise ValueFormatError(f"An event has a text of 1 to {_LONGEST_TEXT} characters.")
    if host != "" and host not in list(hosts):
        raise ValueFormatError(f"No host named {str(host)!r} is on this page.")
    return Event(float(at), text.strip(), "mark" if until is None else "span", host, None if until is None else float(until))


def editable(events: Mapping[int, Event], number: int) -> Event:
    """Return an event that a user may change; raise UsageError."""
    event = events.get(number)
    if event is None:
        raise UsageError(f"There is no event {number}.")
    if event.kind not in EDITABLE:
        raise UsageError(f"An event of kind '{event.kind}' was found by the monitor and stays. Marks and spans can be changed.")
    return event


def events_in(window: Window, events: Mapping[int, Event]) -> list[Event]:
    """Return the events of a window, in the order in which they began."""
    found = [
        event
        for event in events.values()
        if event.at <= window.until
        and (event.until or event.at) >= window.since
        and (not window.host or event.host in {"", window.host})
    ]
    return sorted(found, key=lambda event: event.at)


def write(form: str, ticks: Iterable[Tick], events: Iterable[Event], out: TextIO) -> None:
    """Write readings and events in a form of ``EXPORTS``; raise UnknownNameError."""
    if form not in EXPORTS:
        raise UnknownNameError("export format", form, EXPORTS)
    if form != "json":
        export.write(EXPORTS[form], ticks, events, out)
        return
    # The lines of "jsonl", with events last, as the two lists of one object.
    out.write('{"samples": [')
    lines = _JsonLists(out)
    export.write("jsonl", ticks, events, cast("TextIO", lines))
    lines.finish()


class _JsonLists:
    """Makes one JSON object of JSON lines as they come, so that an export of any length needs no memory."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._before = "\n"
        self._at_events = False

    def write(self, line: str) -> int:
        if not self._at_events and line.startswith('{"event":'):
            self._begin_events()
        self._out.write(self._before + line.rstrip("\n"))
        self._before = ",\n"
        return len(line)

    def finish(self) -> None:
        if not self._at_events:
            self._begin_events()
        self._out.write("\n]}\n")

    def _begin_events(self) -> None:
        self._out.write('\n], "events": [')
        self._before, self._at_events = "\n", True


def _series(recordings: Sequence[Recording]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for recording in recordings:
        for host in recording.hosts():
            found.setdefault(host, {}).update(dict.fromkeys(recording.series(host)))
    return {host: list(names) for host, names in found.items()}


def _hosts(sessions: Sequence[RecordedSession], names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the hosts that were to be watched and those with readings."""
    paths: dict[str, Any] = {}
    tags: dict[str, Any] = {}
    for session in sessions:
        paths |= _mapping(session.lab.get("hosts"))
        tags |= _mapping(session.lab.get("tags"))
    return [
        {"name": name, "path": _texts(paths.get(name)) or [name], "tags": _texts(tags.get(name))}
        for name in dict.fromkeys([*paths, *names])
    ]


def _mapping(found: object) -> dict[str, Any]:
    # Other programs write recordings too, and what a lab looks like is theirs to say.
    return dict(found) if isinstance(found, dict) else {}


def _texts(found: object) -> list[str]:
    return [str(item) for item in found] if isinstance(found, list) else []


def _chosen(window: Window, hosts: Mapping[str, object]) -> list[str]:
    if window.host and window.host not in hosts:
        raise UnknownNameError("host", window.host, hosts)
    return [window.host] if window.host else list(hosts)


def _stamp(path: Path) -> list[tuple[int, int]]:
    # What a writer has not brought to the file yet is in the one beside it.
    files = [path, Path(f"{path}-wal")]
    return [(found.st_mtime_ns, found.st_size) for found in (file.stat() for file in files if file.exists()) if found.st_size]


def _in_order(times: Sequence[float]) -> bool:
    return all(at < later for at, later in itertools.pairwise(times))


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11


# -- the page itself


def served_page(nonce: str) -> str:
    """Return the page as a server hands it out, without data; ``nonce`` says which scripts and styles are its own."""
    return _filled(nonce, "")


def static_page(source: Source) -> str:
    """Return one HTML file with all that a source has; it needs nothing else and asks for nothing."""
    page = source.page() | {"mode": "static"}
    data = [f'<script type="application/json" id="otto-page">{_harmless(page)}</script>']
    for host in page["series"]:
        chunk = base64.b64encode(source.chunk(host)).decode()
        data.append(f'<script type="application/octet-stream" data-host="{html.escape(host)}">{chunk}</script>')
    return _filled(secrets.token_urlsafe(16), "\n".join(data))


def _harmless(page: Mapping[str, Any]) -> str:
    # Without a "<" nothing ends the element and nothing begins a comment.
    return json.dumps(page).replace("<", "\\u003c")


def _filled(nonce: str, data: str) -> str:
    """Return the page with what belongs in its places; in one pass, since the data may look like a place."""
    known = {
        "OTTO-NONCE": lambda: nonce,
        "/*OTTO-UPLOT-CSS*/": lambda: _part("vendor/uPlot.min.css"),
        "/*OTTO-CSS*/": lambda: _part("page.css"),
        "/*OTTO-UPLOT*/": lambda: _part("vendor/uPlot.iife.min.js"),
        "/*OTTO-JS*/": lambda: _part("page.js"),
        "<!--OTTO-DATA-->": lambda: data,
    }
    return _PLACE.sub(lambda found: _part(found[1]) if found[1] else known[found[0]](), _part("page.html"))


@cache
def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
