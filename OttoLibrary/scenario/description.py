"""Reads the description of a scenario: a file of pytest-orchestration as it is, or one that says more."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from OttoLibrary.errors import ScenarioError, UsageError
from OttoLibrary.lab.plain_file import read_plain_file
from OttoLibrary.scenario import cron, event_check
from OttoLibrary.scenario.due_times import due_offsets
from OttoLibrary.scenario.events import KINDS, ON_ERRORS, OVERLAPS, Phase, Scenario, ScenarioEvent
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.field_types import Field, ListOf, MapOf, ObjectOf, kind_of, shown
from OttoLibrary.schema.scalar_types import COUNT, DURATION, LABEL, SWITCH, choice_of
from OttoLibrary.schema.source_position import SourcePosition, shown_path

_LARGEST_BYTES = 16 << 20
# An event that is due more often only counts what it misses.
_SHORTEST_S = 0.001
_INTERVALS = {"interval_sec": 1.0, "interval_min": 60.0, "interval_hour": 3600.0}
# A string of JSON, which may hold two slashes, or a comment up to the end of its line.
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*')


@dataclass(frozen=True)
class PlainText:
    """Text that is taken as it stands: in shell text, ``${NAME:-x}`` is no reference of ours."""

    may_be_empty: bool = False

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return the text."""
        if not isinstance(value, str) or "\0" in value:
            return position.wrong(f"{kind_of(value)} is not text")
        if not value.strip() and not self.may_be_empty:
            return position.wrong("the text is empty")
        return value

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string"} if self.may_be_empty else {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class AnyParams:
    """An object of names and values; nothing in it is resolved here."""

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return it."""
        return dict(value) if isinstance(value, Mapping) else position.wrong(f"{kind_of(value)} is not an object")

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "object"}


@dataclass(frozen=True)
class Amount:
    """A number that is not negative, such as of hours; 0 means none."""

    unit: str

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return the number."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
            return float(value)
        return position.wrong(f"{shown(value)} is not a number of {self.unit}")

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "number", "minimum": 0}


@dataclass(frozen=True)
class Names:
    """One name, or a list of them."""

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a tuple."""
        if isinstance(value, str):
            return (TEXT.read(value, position),)
        return ListOf(TEXT).read(value, position)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [TEXT.schema(), ListOf(TEXT).schema()]}


TEXT = PlainText()
_EVENT = ObjectOf(
    {
        "name": Field(TEXT, "What it is called; also the keyword or function, unless another key says what it does."),
        "keyword": Field(TEXT, "A keyword of the suite."),
        "function": Field(TEXT, "A Python function that was registered."),
        "command": Field(TEXT, "A command on 'hosts'."),
        "impairment": Field(TEXT, "A worse network: 'HOST [INTERFACE] delay=20 ms loss=1 %'."),
        "service": Field(TEXT, "A process: 'HOST stop|kill|pause NAME'."),
        "fill": Field(TEXT, "A bounded hog: 'HOST disk|memory|cpu AMOUNT'."),
        "clock": Field(TEXT, "A step of a clock: 'HOST +1 h'."),
        "reboot": Field(TEXT, "A host that reboots."),
        "power": Field(TEXT, "A host whose power is cut: 'HOST off'."),
        "load": Field(TEXT, "Virtual users: the keyword, or script, of 'Start Load', whose other arguments are 'params'."),
        "params": Field(AnyParams(), "Its arguments, by name."),
        "interval_sec": Field(Amount("seconds"), "Seconds from start to start; 0 for none."),
        "interval_min": Field(Amount("minutes"), "Minutes from start to start; 0 for none."),
        "interval_hour": Field(Amount("hours"), "Hours from start to start; 0 for none."),
        "every": Field(DURATION, "Time from start to start."),
        "cron": Field(TEXT, "When, by the wall clock: '*/5 * * * *', or with seconds in front."),
        "time_zone": Field(TEXT, "The time zone of 'cron', such as 'Europe/Berlin'; by default this machine's."),
        "jitter": Field(DURATION, "Each is late by a random time of at most this."),
        "start_after": Field(DURATION, "The first time is so long after the start."),
        "times": Field(COUNT, "How often at most."),
        "for": Field(DURATION, "It lasts so long, and is undone then."),
        "at_startup": Field(SWITCH, "The first time is at once; by default it is, unless 'cron' says when."),
        "at_teardown": Field(SWITCH, "It runs once after the end."),
        "hosts": Field(TEXT, "A selection of hosts; it runs on each."),
        "timeout": Field(DURATION, "How long a run may take."),
        "overlap": Field(choice_of(OVERLAPS), "What happens when it is due while it runs; 'skip' by default."),
        "on_error": Field(choice_of(ON_ERRORS), "What happens when it fails; 'fail' by default: the test fails at its end."),
        "max_failures": Field(COUNT, "After so many failures it is not run again, and the test fails."),
        "depends_on": Field(Names(), "It starts only after these have passed."),
        "phase": Field(TEXT, "It is due only in this phase."),
        "undo": Field(TEXT, "The keyword or command that undoes it."),
        "probe": Field(TEXT, "The keyword or command that fails when the system is not as it should be."),
    },
    required=("name",),
    name="event",
)
_SCENARIO = ObjectOf(
    {
        "test_name": Field(TEXT, "What the scenario is called; by default as its file."),
        "total_hours": Field(Amount("hours"), "How many hours it takes."),
        "duration": Field(DURATION, "How long it takes."),
        "unref_setup_fixtures": Field(ListOf(TEXT), "Keywords that run before all events."),
        "phases": Field(MapOf(LABEL, DURATION), "How long each phase takes, in their order."),
        "stop_on_lost_host": Field(SWITCH, "It ends when the connection to a host is lost."),
        "events": Field(ListOf(_EVENT), "Its events."),
    },
    required=("events",),
)


@dataclass(frozen=True)
class Description:
    """A description that was read.

    Attributes:
        scenario: What it says.
        notes: What is allowed and hardly meant, each a sentence.
    """

    scenario: Scenario
    notes: tuple[str, ...] = ()


def read(file: Path, scripts_in: Sequence[Path] = ()) -> Description:
    """Return what a file describes.

    Args:
        file: The file.
        scripts_in: Folders in one of which each script of a load has to be; without any, scripts are not looked for.

    Raises:
        ScenarioError: It cannot be read, or is wrong; the message has every mistake.
    """
    position = SourcePosition.in_file(file)
    content = _parsed(file, position)
    found = None if position.problems else _description(content, position, file.stem)
    for event in found.scenario.events if found is not None and scripts_in else ():
        event_check.check_script(event, replace(position, path=event.path), scripts_in)
    if found is None or position.problems:
        raise ScenarioError(position.problems)
    return found


def of_values(values: Mapping[str, Any], source: str) -> Description:
    """Return what values describe that stand in no file, such as those of keywords; raise ScenarioError.

    Args:
        values: As a file has them.
        source: What messages call them.
    """
    position = SourcePosition(source, Path.cwd())
    found = _description(dict(values), position, source)
    if found is None or position.problems:
        raise ScenarioError(position.problems)
    return found


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a description."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario of OttoLibrary",
        **_SCENARIO.schema(),
        "$defs": {"event": _EVENT.definition()},
    }


def files_in(folder: Path) -> list[Path]:
    """Return the descriptions in a folder and below it, in the order of their names; other files are none.

    Raises:
        UsageError: There is no such folder or file, or no description in it.
    """
    if folder.is_file():
        return [folder]
    found = sorted(path for path in folder.rglob("*.json") if path.is_file()) if folder.is_dir() else []
    if not found:
        raise UsageError(f"There is no description '*.json' of a scenario in '{shown_path(folder.absolute())}'.")
    return found


def without_comments(text: str) -> str:
    """Return the text of a file with blanks in the place of its ``//`` comments, so that lines and columns stay."""
    return _STRING_OR_COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " " * len(found[0]), text)


def _parsed(file: Path, position: SourcePosition) -> Any:
    try:
        content = read_plain_file(file, _LARGEST_BYTES)
    except OSError as error:
        return position.wrong(f"cannot be read: {error.strerror}")
    try:
        text = without_comments(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return position.wrong("is not UTF-8 text")
    return plain_data.parse(text.encode(), position)


def _description(content: object, position: SourcePosition, fallback: str) -> Description | None:
    values = _SCENARIO.read(content, position)
    if not isinstance(values, dict):
        return None
    before = len(position.problems)
    listed = position.at("events")
    given = values.get("events") or ()
    events = [_event(entry, listed.at(index)) for index, entry in enumerate(given) if isinstance(entry, dict)]
    if "events" in values and not given and len(position.problems) == before:
        listed.wrong("there is no event")
    scenario = Scenario(
        name=values.get("test_name") or fallback,
        duration_s=_total_s(values, position),
        events=_named_apart(events),
        phases=_phases(values.get("phases") or {}),
        setup=tuple(values.get("unref_setup_fixtures") or ()),
        stop_on_lost_host=bool(values.get("stop_on_lost_host")),
        source=position.source,
    )
    _check_names(scenario, listed, _names_in(content))
    return Description(scenario, tuple(_notes(scenario)))


def _total_s(values: Mapping[str, Any], position: SourcePosition) -> float | None:
    hours, duration_s = values.get("total_hours"), values.get("duration")
    if hours is not None and duration_s is not None:
        position.wrong("'total_hours' and 'duration' both say how long it takes; write one of them")
    phases = [each for each in (values.get("phases") or {}).values() if each is not None]
    total_s = hours * 3600 if hours is not None else duration_s
    if total_s is None and phases:
        total_s = sum(phases)
    if total_s is not None and phases and sum(phases) > total_s + 1e-6:
        position.at("phases").wrong(f"the phases take {sum(phases):g} s, and the scenario {total_s:g} s")
    if total_s == 0:
        position.wrong("it takes no time; write a 'duration' above 0")
    return float(total_s) if total_s is not None else None


def _phases(lengths: Mapping[str, float | None]) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for name, length_s in lengths.items():
        if length_s is None:
            continue
        began_s = phases[-1].ended_s if phases else 0.0
        phases.append(Phase(name, began_s, began_s + length_s))
    return tuple(phases)


def _event(values: Mapping[str, Any], position: SourcePosition) -> ScenarioEvent:
    kinds = [kind for kind in KINDS if values.get(kind)]
    if len(kinds) > 1:
        position.wrong(f"{' and '.join(map(repr, kinds))} both say what it does; write one of them")
    kind = kinds[0] if kinds else ""
    if values.get("command") and not values.get("hosts"):
        position.wrong("'command' needs 'hosts', a selection of where it runs")
    cron_text = values.get("cron") or ""
    start_after_s = values.get("start_after")
    waits = bool(cron_text) or start_after_s is not None
    at_startup = values.get("at_startup")
    made = ScenarioEvent(
        name=values.get("name") or "",
        kind=kind,
        target=values.get(kind, "") if kind else "",
        params=values.get("params") or {},
        every_s=_every_s(values, position),
        cron=cron_text,
        time_zone=values.get("time_zone") or "",
        jitter_s=values.get("jitter") or 0.0,
        start_after_s=start_after_s,
        times=values.get("times"),
        lasts_s=values.get("for"),
        at_startup=not waits if at_startup is None else at_startup,
        at_teardown=bool(values.get("at_teardown")),
        hosts=values.get("hosts") or "",
        timeout_s=values.get("timeout") or None,
        overlap=values.get("overlap") or "skip",
        on_error=values.get("on_error") or "fail",
        max_failures=values.get("max_failures"),
        depends_on=tuple(name for name in values.get("depends_on") or () if name),
        phase=values.get("phase") or "",
        undo=values.get("undo") or "",
        probe=values.get("probe") or "",
        path=position.path,
    )
    _check_times(made, position)
    event_check.check(made, position, _EVENT.fields)
    return made


def _every_s(values: Mapping[str, Any], position: SourcePosition) -> float | None:
    given = {key: values[key] * factor for key, factor in _INTERVALS.items() if values.get(key)}
    if values.get("every") is not None:
        given["every"] = values["every"]
        if not values["every"]:
            position.at("every").wrong("0 seconds from start to start are none; write a time above 0")
    if values.get("cron"):
        given["cron"] = 0.0
    if len(given) > 1:
        position.wrong(f"{' and '.join(map(repr, given))} both say when it is due; write one of them")
    given.pop("cron", None)
    for key, interval_s in given.items():
        if 0 < interval_s < _SHORTEST_S:
            position.at(key).wrong(f"{interval_s:g} s from start to start is too short; write 1 ms or more")
    return next(iter(given.values()), None) or None


def _check_times(event: ScenarioEvent, position: SourcePosition) -> None:
    if event.cron and (problem := cron.mistake(event.cron)):
        position.at("cron").wrong(problem)
    if event.time_zone and (problem := cron.time_zone_mistake(event.time_zone)):
        position.at("time_zone").wrong(problem)
    if event.time_zone and not event.cron:
        position.at("time_zone").wrong("a time zone is for 'cron', and there is none")
    if event.jitter_s and event.every_s and event.jitter_s >= event.every_s:
        position.at("jitter").wrong(f"{event.jitter_s:g} s may be later than the next time, {event.every_s:g} s after this one")
    if event.lasts_s is not None and event.every_s and event.lasts_s >= event.every_s:
        position.at("for").wrong(f"it lasts {event.lasts_s:g} s, and is due again after {event.every_s:g} s")
    if event.lasts_s is not None and not event.undo and event.kind in {"", "keyword", "function", "command"}:
        position.at("for").wrong("what lasts needs an 'undo', the keyword or command that ends it")


def _named_apart(events: Sequence[ScenarioEvent]) -> tuple[ScenarioEvent, ...]:
    """Return the events, those with the name of an earlier one numbered: one function may come twice with other arguments."""
    count: dict[str, int] = {}
    named = []
    for event in events:
        number = count[event.name] = count.get(event.name, 0) + 1
        if number == 1:
            named.append(event)
            continue
        called = event.target or event.name
        named.append(replace(event, name=f"{event.name} #{number}", target=called))
    return tuple(named)


def _names_in(content: object) -> set[str]:
    """Return the names of all events, also of those that are wrong: what depends on one of them has no mistake of its own."""
    given = content.get("events") if isinstance(content, Mapping) else None
    names = [entry.get("name") for entry in given if isinstance(entry, Mapping)] if isinstance(given, list) else []
    return {name for name in names if isinstance(name, str)}


def _check_names(scenario: Scenario, position: SourcePosition, given: Collection[str]) -> None:
    names = list(dict.fromkeys([*(event.name for event in scenario.events), *given]))
    phases = [phase.name for phase in scenario.phases]
    for event in scenario.events:
        here = replace(position, path=event.path)
        for needed in event.depends_on:
            if needed not in names:
                here.at("depends_on").wrong(f"no event is called {needed!r}", needed, names)
        if event.phase and event.phase not in phases:
            here.at("phase").wrong(f"no phase is called {event.phase!r}", event.phase, phases)
    needs = {event.name: [name for name in event.depends_on if name in names] for event in scenario.events}
    circle = _circle(needs)
    if circle:
        position.wrong(f"the events wait for each other: {' -> '.join(circle)}")


def _circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names that need each other in a circle, or none."""
    done: set[str] = set()
    for start in needs:
        trail = [(start, iter(needs[start]))]
        while trail:
            name, rest = trail[-1]
            following = next((each for each in rest if each not in done), None)
            if following is None:
                done.add(name)
                trail.pop()
                continue
            names = [each for each, _ in trail]
            if following in names:
                return [*names[names.index(following) :], following]
            trail.append((following, iter(needs[following])))
    return []


def _notes(scenario: Scenario) -> list[str]:
    notes = []
    for event in scenario.events:
        if not event.is_scheduled and not event.at_teardown:
            notes.append(f"Event '{event.name}' is never due: give it an interval, 'at_startup' or 'at_teardown'.")
        elif event.is_scheduled and not event.cron and next(due_offsets(scenario, event), None) is None:
            notes.append(f"Event '{event.name}' is first due when its time is over.")
    return notes
