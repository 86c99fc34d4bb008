"""What the page of the dashboard shows, and the parts of its data. ``docs/decisions/0009-dashboard.md`` describes it."""

from __future__ import annotations

import itertools
import math
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TextIO, TypeAlias, cast

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.errors import UnknownNameError, UsageError, ValueFormatError
from OttoLibrary.monitor import export
from OttoLibrary.units import unit_of

# What a user may change; all else was found by the monitor.
EDITABLE = ("mark", "span")
EXPORTS = {"json": "json", "csv": "csv", "prom": "prometheus"}
_LONGEST_TEXT = 500
HostSamples: TypeAlias = Mapping[str, tuple["array[float]", "array[float]"]]


@dataclass(frozen=True)
class Window:
    """Which readings and events an export contains.

    Attributes:
        host: One host, or empty for all.
        since: The earliest time, in seconds since 1970.
        until: The latest.
    """

    host: str = ""
    since: float = -math.inf
    until: float = math.inf


class Source(Protocol):
    """Where a page gets its data. Everything may be called from any thread, and nothing takes long but ``chunk``."""

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
        """Call back when there will be no more news; perhaps immediately, and on any thread."""


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
        facts: ``at``, ``until``, ``text`` and ``host``; a key that is left out keeps its value.
        hosts: The hosts that it may concern.
        base: What it was, or None for a new one: then it is now, has no end, and concerns all hosts.

    Raises:
        ValueFormatError: Something is not as it must be.
    """
    given = event_facts(0, base or Event(time.time(), "", "mark")) | dict(facts)
    at, until, text, host = (given[name] for name in ("at", "until", "text", "host"))
    if not _is_moment(at) or not (until is None or (_is_moment(until) and until >= at)):
        raise ValueFormatError(
            "An event begins ('at') and ends ('until') in seconds since 1970, and does not end before it begins."
        )
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
        raise UsageError(f"An event of kind '{event.kind}' comes from the monitor and cannot be changed.")
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


def _in_order(times: Sequence[float]) -> bool:
    return all(at < later for at, later in itertools.pairwise(times))


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
