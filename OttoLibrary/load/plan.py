"""Load plans: OCT's ``config.json`` with every key of it, or the same from arguments; checked, with all mistakes at once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from OttoLibrary.errors import UsageError, ValueFormatError
from OttoLibrary.load.load_limits import LoadLimit
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.field_types import AnyObject, Field, ListOf, ObjectOf, Scalar, shown
from OttoLibrary.schema.scalar_types import COUNT, DURATION, NON_EMPTY, SWITCH, TCP_PORT
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.text import plural
from OttoLibrary.units import seconds

CONFIG = "config.json"
PUBLISH_PORT, RC_PORT, EXTERNAL_PORT, OWN_PORT = 5000, 5001, 5002, 5003
_MOST_USERS = 100_000
_LONGEST_S = 30 * 86400.0
_GRACE_S = 30.0
_PATIENCE_S = 30.0
_MOST_ROWS = 5_000_000
# Users of an open model when none are stated: enough for answers of this many seconds.
_OPEN_USERS_S = 1.0
_OPEN_USERS = (10, 500)


class LoadPlanError(UsageError):
    """Mistakes in a load plan, all of them in one message."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        listed = problems[0] if len(problems) == 1 else f"The load plan has {plural(len(problems), 'mistake')}:"
        super().__init__(listed if len(problems) == 1 else "\n  ".join([listed, *problems]))


def _amount(value: object, _: SourcePosition) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_USERS:
        raise ValueError
    return value


def _limit(value: object, position: SourcePosition) -> LoadLimit | None:
    if not isinstance(value, str):
        raise ValueError
    try:
        return LoadLimit.parse(value)
    except UsageError as error:
        position.wrong(str(error).removesuffix("."))
        return None


_AMOUNT = Scalar(f"a whole number from 0 to {_MOST_USERS}", _amount, {"type": "integer", "minimum": 0, "maximum": _MOST_USERS})
_LIMIT = Scalar("a limit such as 'p(95)<300ms'", _limit, {"type": "string", "minLength": 1})


@dataclass(frozen=True)
class OpenObject:
    """An object with known fields that must be right, and any others, which are kept as they are."""

    group: ObjectOf

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a dictionary of all of them."""
        if not isinstance(value, Mapping):
            return self.group.read(value, position)
        known = {key: entry for key, entry in value.items() if key in self.group.fields}
        others = {key: entry for key, entry in value.items() if key not in known}
        return {**others, **self.group.read(known, position)}

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {**self.group.schema(), "additionalProperties": True}


@dataclass(frozen=True)
class TurretEntry:
    """A turret as an object, or the name of a file with it."""

    whole: OpenObject

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a dictionary, or the name."""
        if not isinstance(value, str):
            return self.whole.read(value, position)
        path = position.folder / value
        try:
            content = read_commented(path, position)
        except OSError as error:
            return position.wrong(f"{shown(value)} cannot be read: {error.strerror or error}")
        return self.whole.read(content, SourcePosition.in_file(path, position.problems)) if content is not None else None

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [{"type": "string"}, self.whole.schema()]}


_TURRET = OpenObject(
    ObjectOf(
        {
            "name": Field(NON_EMPTY, "What the turret is called; its archive is named after it."),
            "cannons": Field(COUNT, "How many users it has."),
            "rampup": Field(DURATION, "In how many seconds its users begin; 0 means all at once."),
            "script": Field(NON_EMPTY, "The script with the class 'Transaction', relative to the project."),
            "extra_files": Field(ListOf(NON_EMPTY), "Further files and folders for the archive."),
            "turret_class": Field(NON_EMPTY, "A class of OCT's client, for a real turret of OCT."),
            "cannon_class": Field(NON_EMPTY, "A class of OCT's client, for a real turret of OCT."),
        },
        required=("name", "cannons", "script"),
    )
)
_DATABASE = ObjectOf(
    {
        "db_uri": Field(NON_EMPTY, "Where OCT kept results; here only 'default', the folder of the results."),
        "params": Field(AnyObject(), "OCT's options for another database; not used."),
        "insert_limit": Field(_AMOUNT, "How many rows OCT was to write at once; not used, here or there."),
    }
)
_OCT_FIELDS: dict[str, Field] = {
    "run_time": Field(DURATION, "How long the load lasts, in seconds."),
    "results_ts_interval": Field(DURATION, "Length of a row of the interval tables, in seconds."),
    "testing": Field(SWITCH, "OCT wrote to /tmp then; here results are always in their folder."),
    "progress_bar": Field(SWITCH, "Whether a live table is shown."),
    "turrets": Field(ListOf(TurretEntry(_TURRET)), "The turrets, or names of files with one each."),
    "console_logging": Field(SWITCH, "OCT never read it."),
    "hq_address": Field(NON_EMPTY, "Where packed turrets find the HQ; 127.0.0.1 by default."),
    "publish_port": Field(TCP_PORT, f"Port of the orders; {PUBLISH_PORT} by default."),
    "rc_port": Field(TCP_PORT, f"Port of the results; {RC_PORT} by default."),
    "external_publisher": Field(TCP_PORT, "Port at which results are published for others; none by default."),
    "min_turrets": Field(_AMOUNT, "For how many turrets the HQ waits; 1 by default, 0 to begin at once."),
    "turrets_requirements": Field(ListOf(NON_EMPTY), "Packages that scripts need."),
    "extra_turret_config": Field(AnyObject(), "What every turret's configuration gets besides."),
    "hq_class": Field(NON_EMPTY, "OCT's own HQ; another one is not known here."),
    "results_database": Field(_DATABASE, "Where OCT kept results."),
}
_OWN_FIELDS: dict[str, Field] = {
    "own_port": Field(TCP_PORT, f"Port for turrets of ours; {OWN_PORT} by default."),
    "bind_address": Field(NON_EMPTY, "Where the HQ listens; the loopback by default."),
    "curve": Field(NON_EMPTY, "A folder with keys of 'load make-keys': only turrets packed with them come in."),
    "limits": Field(ListOf(_LIMIT), "What must hold, such as 'p(95)<300ms'."),
    "abort_on_limit": Field(SWITCH, "End the run as soon as a limit is broken for longer than its window."),
    "wait": Field(DURATION, "How long to wait for turrets; 10 min by default."),
    "grace": Field(DURATION, "How long what is in flight at the end may take; 30 s by default."),
}
_CONFIG = ObjectOf(
    _OCT_FIELDS | _OWN_FIELDS, required=("run_time", "results_ts_interval", "testing", "progress_bar", "turrets"), name="load"
)


@dataclass(frozen=True)
class ProjectPlan:
    """What a ``config.json`` says.

    Attributes:
        folder: The project.
        run_time_s: How long the load lasts.
        interval_s: Length of a row of the interval tables.
        turrets: The configurations of the turrets.
        hq_address: Where packed turrets find the HQ.
        bind_address: Where the HQ listens.
        publish_port: Port of the orders.
        rc_port: Port of the results.
        own_port: Port for turrets of ours.
        external_publisher: Port at which results are published, or None.
        min_turrets: For how many turrets the HQ waits.
        requirements: Packages that scripts need.
        extra: What every turret's configuration gets besides.
        limits: What must hold.
        abort: Whether a broken limit ends the run.
        wait_s: How long to wait for turrets.
        grace_s: How long what is in flight at the end may take.
        shows_progress: Whether a live table is shown.
        curve: The folder with the keys, or None.
        notes: What the reader has to know about keys that mean nothing here.
    """

    folder: Path
    run_time_s: float
    interval_s: float
    turrets: tuple[dict[str, Any], ...]
    hq_address: str = "127.0.0.1"
    bind_address: str = "127.0.0.1"
    publish_port: int = PUBLISH_PORT
    rc_port: int = RC_PORT
    own_port: int = OWN_PORT
    external_publisher: int | None = None
    min_turrets: int = 1
    requirements: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    limits: tuple[LoadLimit, ...] = ()
    abort: bool = False
    wait_s: float = 600.0
    grace_s: float = _GRACE_S
    shows_progress: bool = True
    curve: Path | None = None
    notes: tuple[str, ...] = ()


def read_project(folder: Path, config_file: str = "") -> ProjectPlan:
    """Return the plan of a project; raise LoadPlanError with all mistakes."""
    path = folder / (config_file or CONFIG)
    position = SourcePosition.in_file(path)
    try:
        content = read_commented(path, position)
    except OSError as error:
        raise LoadPlanError([f"{position.source} cannot be read: {error.strerror or error}."]) from error
    values = _CONFIG.read(content, position) if content is not None else None
    if position.problems:
        raise LoadPlanError(position.problems)
    assert values is not None
    return _project(folder, {key: value for key, value in values.items() if value is not None}, position)


def _project(folder: Path, values: dict[str, Any], position: SourcePosition) -> ProjectPlan:
    if not values["run_time"] > 0:
        position.at("run_time").wrong("it must be longer than 0")
    if not values["results_ts_interval"] > 0:
        position.at("results_ts_interval").wrong("it must be longer than 0")
    names = [turret["name"] for turret in values["turrets"]]
    for name in sorted({name for name in names if names.count(name) > 1}):
        position.at("turrets").wrong(f"two turrets are called {name!r}")
    database = values.get("results_database") or {}
    if database.get("db_uri", "default") != "default":
        position.at("results_database").at("db_uri").wrong(
            "only 'default' is possible: results are kept in SQLite, in their folder"
        )
    hq_class = values.get("hq_class", "oct.core.hq.HightQuarter")
    if hq_class != "oct.core.hq.HightQuarter":
        position.at("hq_class").wrong("another HQ cannot be used here; leave it out")
    if position.problems:
        raise LoadPlanError(position.problems)
    given = {key: values[key] for key in ("hq_address", "publish_port", "rc_port", "own_port", "bind_address") if key in values}
    address = values.get("hq_address", "127.0.0.1")
    return ProjectPlan(
        folder,
        values["run_time"],
        values["results_ts_interval"],
        tuple(values["turrets"]),
        external_publisher=values.get("external_publisher"),
        min_turrets=values.get("min_turrets", 1),
        requirements=values.get("turrets_requirements", ()),
        extra=values.get("extra_turret_config", {}),
        limits=values.get("limits", ()),
        abort=values.get("abort_on_limit", False),
        wait_s=values.get("wait", 600.0),
        grace_s=values.get("grace", _GRACE_S),
        shows_progress=values.get("progress_bar", True),
        curve=folder / values["curve"] if "curve" in values else None,
        notes=_notes(values, address),
        **given,
    )


def _notes(values: dict[str, Any], address: str) -> tuple[str, ...]:
    notes = []
    if address not in {"127.0.0.1", "localhost"} and "bind_address" not in values:
        notes.append(
            f"Turrets look for the HQ at {address}, but it listens on the loopback only. "
            f'To let them in, add "bind_address": "{address}".'
        )
    if values.get("testing"):
        notes.append("'testing' is true: OCT would write to /tmp/results.sqlite, here results are in their folder all the same.")
    return tuple(notes)


def read_commented(path: Path, position: SourcePosition) -> Any:
    """Return what a JSON file with ``//`` comments holds, or None with the mistake noted; raise OSError."""
    return plain_data.parse(without_comments(path.read_bytes()), position)


def without_comments(text: bytes) -> bytes:
    """Return JSON with blanks in place of ``//`` comments, so that lines and columns stay."""
    return _STRING_OR_COMMENT.sub(lambda found: b" " * len(found[0]) if found[0].startswith(b"//") else found[0], text)


_STRING_OR_COMMENT = re.compile(rb'"(?:[^"\\\n]|\\.)*"|//[^\n]*')


def load_schema() -> dict[str, Any]:
    """Return the JSON Schema of a ``config.json``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Load plan", **_CONFIG.definition()}


# -- from arguments


@dataclass(frozen=True)
class LoadShape:
    """How much is fired, from the arguments of a suite.

    Attributes:
        firing: As ``FiringPlan`` has it, for all turrets together.
        duration_s: How long.
        phases: The phases that follow from it: name, begin and end in seconds from the start.
    """

    firing: dict[str, Any]
    duration_s: float
    phases: tuple[tuple[str, float, float], ...]

    @property
    def users(self) -> int:
        """How many users at most."""
        return int(self.firing["all_users"])


def shape(
    *,
    users: int | None = None,
    ramp: object = 0,
    duration: object = None,
    stages: str = "",
    rate: str = "",
    pacing: object = 0,
    think_time: str = "",
    iterations: int = 0,
    grace: object = _GRACE_S,
) -> LoadShape:
    """Return how much is fired; raise UsageError or ValueFormatError.

    Args:
        users: Users of the closed model; of the open model, how many may be busy at once at most.
        ramp: In which time users, or the rate, grow from nothing.
        duration: How long the load lasts, the ramp in it.
        stages: In place of ``ramp`` and ``duration``: ``50 in 10 s, 50 for 1 min, 0 in 10 s``.
        rate: Open model: iterations in a time, ``50/s`` or ``600/min``; with ``stages``, whose numbers are then rates a second.
        pacing: From the start of an iteration to the start of the next, at least.
        think_time: Pause after each iteration: a time, or two joined by ``..``.
        iterations: All users together end after so many.
        grace: How long what is in flight at the end may take.
    """
    is_open = bool(rate)
    if users is not None and not 1 <= users <= _MOST_USERS:
        raise UsageError(f"There cannot be {users} users. Write a number from 1 to {_MOST_USERS}.")
    if iterations < 0 or (iterations and is_open):
        raise UsageError("'iterations' is a number of the closed model; with 'rate', say how long with 'duration'.")
    if is_open and (seconds(pacing) or think_time):
        raise UsageError("'pacing' and 'think_time' are of the closed model: with 'rate', iterations start when they are due.")
    if stages and (duration is not None or seconds(ramp)):
        raise UsageError("'stages' say how long and how fast. Leave out 'ramp' and 'duration'.")
    top = parse_rate(rate) if is_open and rate != "stages" else float(users or 1)
    spans = parse_stages(stages) if stages else _one_stage(top, seconds(ramp), duration, bool(iterations))
    length_s = math.fsum(span for span, _ in spans)
    peak = max((target for _, target in spans), default=0.0)
    if not 0 < length_s <= _LONGEST_S or not peak > 0:
        raise UsageError("The load is empty. Say how many users or which rate, and for how long.")
    all_users = (
        (users or min(_OPEN_USERS[1], max(_OPEN_USERS[0], math.ceil(peak * _OPEN_USERS_S)))) if is_open else math.ceil(peak)
    )
    if all_users > _MOST_USERS:
        raise UsageError(f"There cannot be {all_users} users. The most is {_MOST_USERS}.")
    firing = {
        "model": "open" if is_open else "closed",
        "stages": spans,
        "all_users": all_users,
        "users": all_users,
        "pacing_s": seconds(pacing),
        "think_s": _think(think_time),
        "iterations": iterations,
        "patience_s": _PATIENCE_S,
        "grace_s": seconds(grace),
    }
    return LoadShape(firing, length_s, _phases(spans))


def _one_stage(top: float, ramp_s: float, duration: object, has_end: bool) -> list[tuple[float, float]]:
    if duration is None and not has_end:
        raise UsageError("Say how long the load lasts with 'duration', 'stages' or 'iterations'.")
    duration_s = seconds(duration) if duration is not None else _LONGEST_S
    if ramp_s > duration_s:
        raise UsageError(f"The ramp of {ramp_s:g} s is longer than the load of {duration_s:g} s, which it is a part of.")
    return [(ramp_s, top), (duration_s - ramp_s, top)]


def parse_rate(text: str) -> float:
    """Return iterations a second from ``50/s``, ``600/min`` or ``3600/h``; raise ValueFormatError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/|\s+per\s+|\s+an?\s+)\s*(s|sec|second|m|min|minute|h|hour)\s*", text)
    if found is None:
        raise ValueFormatError(f"'{text}' is not a rate. Write such as '50/s', '600/min' or '3600/h'.")
    return float(found[1]) / seconds(f"1 {found[2]}")


def parse_stages(text: str) -> list[tuple[float, float]]:
    """Return pairs of a duration and what is reached at its end; raise ValueFormatError.

    ``50 in 10 s`` goes there in that time, ``50 for 1 min`` jumps there at once and stays.
    """
    spans: list[tuple[float, float]] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s+(in|for)\s+(.+?)\s*", part)
        if found is None:
            raise ValueFormatError(f"'{part.strip()}' is not a stage. Write such as '50 in 10 s' or '50 for 1 min'.")
        target, length_s = float(found[1]), seconds(found[3])
        if found[2] == "for" and (spans[-1][1] if spans else 0.0) != target:
            spans.append((0.0, target))
        spans.append((length_s, target))
    return spans


def _think(text: str) -> tuple[float, float]:
    if not text:
        return 0.0, 0.0
    low, dots, high = str(text).partition("..")
    found = seconds(low.strip()), seconds(high.strip() if dots else low.strip())
    if found[0] > found[1]:
        raise ValueFormatError(f"'{text}' is no think time: the first time is longer than the second.")
    return found


def _phases(spans: Sequence[tuple[float, float]]) -> tuple[tuple[str, float, float], ...]:
    found: list[tuple[str, float, float]] = []
    began, value = 0.0, 0.0
    for length_s, target in spans:
        if length_s > 0:
            name = "steady" if target == value else "ramp" if target > value else "ramp-down"
            found.append((name, began, began + length_s))
        began, value = began + length_s, target
    return tuple(found)


def plain_json(value: Any) -> Any:
    """Return what JSON makes of a value; raise UsageError for what it cannot hold."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"This cannot be sent to a turret: {error}.") from error
