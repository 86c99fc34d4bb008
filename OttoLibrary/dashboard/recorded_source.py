"""What the page of the dashboard shows of recordings."""

from __future__ import annotations

import contextlib
import itertools
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from OttoLibrary.contracts.metrics import Event
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
from OttoLibrary.errors import UnknownNameError
from OttoLibrary.monitor import recording_writer
from OttoLibrary.monitor.recording_reader import RecordedSession, Recording


class RecordedSource:
    """The recordings of one run, together on one page.

    Args:
        paths: The files, at least one.
        tests: The tests of the run, as the page's data has them.
        title: What the page is called; by default what the first recording is called, or its file.

    Raises:
        UsageError: One of the files is not a recording. Every method raises it too, when a file cannot be read.
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
            # A chunk made from older files goes only to the caller that asked for it.
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
        number = recording_writer.add_event(self.paths[index], event) * len(self.paths) + index
        return self._told(number, event)

    def change_event(self, number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Change a mark or a span and return it as the page's data has it."""
        event = made_event(facts, self._hosts(), editable(self.events(), number))
        recording_writer.change_event(*self._place(number), event)
        return self._told(number, event)

    def delete_event(self, number: int) -> None:
        """Delete a mark or a span."""
        editable(self.events(), number)
        recording_writer.change_event(*self._place(number), None)
        self._news.append(("gone", {"id": number}))

    def news(self) -> list[tuple[str, Any]]:
        """Return what users changed since the last call."""
        news, self._news = self._news, []
        return news

    def on_end(self, callback: Callable[[], None]) -> None:
        """Do nothing: a recording does not end."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[list[Recording]]:
        # Opened each time: other processes may write them, and so does editing an event.
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
    # Other programs write recordings too, and describe their labs as they like.
    return dict(found) if isinstance(found, dict) else {}


def _texts(found: object) -> list[str]:
    return [str(item) for item in found] if isinstance(found, list) else []


def _chosen(window: Window, hosts: Mapping[str, object]) -> list[str]:
    if window.host and window.host not in hosts:
        raise UnknownNameError("host", window.host, hosts)
    return [window.host] if window.host else list(hosts)


def _stamp(path: Path) -> list[tuple[int, int]]:
    # What a writer has not moved to the file yet is in the one beside it.
    files = [path, Path(f"{path}-wal")]
    return [(found.st_mtime_ns, found.st_size) for found in (file.stat() for file in files if file.exists()) if found.st_size]
