"""Says in words, and as a list of times, what a scenario would do."""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Iterator
from itertools import islice

from OttoLibrary.scenario.due_times import due_offsets
from OttoLibrary.scenario.events import Scenario, ScenarioEvent
from OttoLibrary.text import plural, printable

_MOST_COUNTED = 1_000_000


def span_text(length_s: float) -> str:
    """Return ``3 h``, ``1 h 30 min``, ``5 min``, ``2.5 s`` or ``20 ms``."""
    if length_s and length_s < 1:
        return f"{length_s * 1000:g} ms"
    hours, rest = divmod(length_s, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(f"{hours:.0f} h", hours), (f"{minutes:.0f} min", minutes), (f"{round(seconds, 3):g} s", seconds)]
    return " ".join(text for text, value in parts if value) or "0 s"


def clock_text(offset_s: float) -> str:
    """Return a time of a scenario as ``0:05:00``, with thousandths when it has some."""
    whole = int(offset_s)
    part = round((offset_s - whole) * 1000)
    if part == 1000:
        whole, part = whole + 1, 0
    text = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{text}.{part:03}" if part else text


def words(scenario: Scenario, wall_s: float) -> list[str]:
    """Return the plan in words, a line for the whole and one for each event.

    Args:
        scenario: The scenario.
        wall_s: When it would start, in seconds since 1970.
    """
    length = span_text(scenario.duration_s) if scenario.duration_s is not None else "as long as who runs it says"
    lines = [f"Scenario '{printable(scenario.name)}': {length}, {plural(len(scenario.events), 'event')}."]
    if scenario.setup:
        lines.append(f"  Before all: {', '.join(map(printable, scenario.setup))}.")
    lines += [
        f"  Phase '{printable(phase.name)}': from {clock_text(phase.began_s)} to {clock_text(phase.ended_s)}."
        for phase in scenario.phases
    ]
    return [*lines, *(f"  {event_words(scenario, event, wall_s)}" for event in scenario.events)]


def event_words(scenario: Scenario, event: ScenarioEvent, wall_s: float) -> str:
    """Return what one event does and when, in a sentence."""
    what = f"{printable(event.name)}: {_action(event)}"
    when = _when(event)
    many = f" ({_count(scenario, event, wall_s)})" if event.is_scheduled and scenario.duration_s is not None else ""
    more = "".join(f"; {text}" for text in _details(event))
    return f"{what}, {when}{many}{more}."


def times(scenario: Scenario, wall_s: float, most: int) -> list[str]:
    """Return the first times, a line for each, with the events that are due then in their order."""
    lines: list[str] = []
    for offset_s, name in islice(_merged(scenario, wall_s), most):
        at = datetime.datetime.fromtimestamp(wall_s + offset_s).astimezone()
        lines.append(f"  {clock_text(offset_s):>12}  {at:%a %H:%M:%S}  {printable(name)}")
    lines += [f"  {'at the end':>12}  {'':12}  {printable(event.name)}" for event in scenario.events if event.at_teardown]
    return lines


def _merged(scenario: Scenario, wall_s: float) -> Iterator[tuple[float, str]]:
    def own(index: int, event: ScenarioEvent) -> Iterator[tuple[float, int, str]]:
        for number, due_s in enumerate(due_offsets(scenario, event, wall_s), 1):
            yield due_s, index, f"{event.name} {number}"

    every = [own(index, event) for index, event in enumerate(scenario.events)]
    return ((due_s, name) for due_s, _, name in heapq.merge(*every))


def _action(event: ScenarioEvent) -> str:
    if not event.kind:
        return f"calls '{printable(event.target or event.name)}'"
    where = f" on {printable(event.hosts)}" if event.hosts else ""
    return f"{event.kind} '{printable(event.target)}'{where}"


def _when(event: ScenarioEvent) -> str:
    parts = []
    if event.at_startup:
        parts.append("at the start")
    if event.start_after_s is not None:
        parts.append(f"{span_text(event.start_after_s)} after the start")
    if event.every_s is not None:
        parts.append(f"every {span_text(event.every_s)}")
    if event.cron:
        parts.append(f"by the clock '{printable(event.cron)}'" + (f" of {event.time_zone}" if event.time_zone else ""))
    if event.at_teardown:
        parts.append("after the end")
    return " and ".join(parts) or "never"


def _count(scenario: Scenario, event: ScenarioEvent, wall_s: float) -> str:
    count = sum(1 for _ in islice(due_offsets(scenario, event, wall_s), _MOST_COUNTED))
    return f"more than {_MOST_COUNTED} times" if count == _MOST_COUNTED else plural(count, "time")


def _details(event: ScenarioEvent) -> Iterator[str]:
    if event.params:
        yield ", ".join(f"{printable(str(name))}={printable(str(value))}" for name, value in event.params.items())
    if event.phase:
        yield f"only in phase '{printable(event.phase)}'"
    if event.lasts_s is not None:
        yield f"lasts {span_text(event.lasts_s)}"
    if event.undo:
        yield f"undone by '{printable(event.undo)}'"
    if event.probe:
        yield f"probed by '{printable(event.probe)}'"
    if event.depends_on:
        yield f"after {', '.join(printable(name) for name in event.depends_on)} passed"
    if event.jitter_s:
        yield f"late by up to {span_text(event.jitter_s)}"
    if event.timeout_s is not None:
        yield f"at most {span_text(event.timeout_s)} each"
    if event.overlap != "skip":
        yield {"queue": "waits while it still runs", "allow": "runs beside itself"}[event.overlap]
    if event.on_error != "fail":
        yield {"continue": "a failure counts, and fails nothing", "stop": "a failure ends the scenario"}[event.on_error]
    if event.max_failures is not None:
        yield f"given up after {plural(event.max_failures, 'failure')}"
