r"""Samples and events as text that other programs read.

``csv``
    RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180): one line per sample, under a heading. It has no place for events.
``jsonl``
    JSON Lines (https://jsonlines.org): one object per sample, then one object per event, which is known by its key ``event``.
``prometheus``
    Text exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/): the last value of each series,
    since the format knows one value only. It has no place for events.
``influx``
    Line protocol of InfluxDB 2 (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/): one line per sample,
    then one line per event, measurement ``event``. The format cannot hold a newline, which becomes ``\n``, and no tag or name
    that ends in a backslash, which gets a space behind it.

A series such as ``cpu_percent[0]`` is the measurement ``cpu_percent`` with the label ``0`` in the last two. A value that is not
finite is not a sample, and is left out of all.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.errors import UnknownNameError
from OttoLibrary.units import unit_of

_COLUMNS = ("host", "series", "unit", "time", "uptime_s", "value")
_LABELLED = re.compile(r"([^\[]+)\[(.+)\]", re.DOTALL)
_NO_LINES = str.maketrans({"\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class _Point:
    """The last value of a series of a host, as Prometheus wants it."""

    at: float
    value: float
    labels: str


def write(form: str, ticks: Iterable[Tick], events: Iterable[Event], out: TextIO) -> int:
    """Write samples and events to an open text file and return how many samples there were.

    Args:
        form: One of ``FORMS``.
        ticks: The samples, oldest first.
        events: The events; ``csv`` and ``prometheus`` have no place for them.
        out: Where they go: UTF-8, and opened with ``newline=""``, since each form says how its lines end.

    Raises:
        UnknownNameError: There is no such form.
        OSError: The file cannot be written.
    """
    if form not in FORMS:
        raise UnknownNameError("export format", form, FORMS)
    return _WRITERS[form](ticks, events, out)


def _csv(ticks: Iterable[Tick], _events: Iterable[Event], out: TextIO) -> int:
    lines = csv.writer(out)
    lines.writerow(_COLUMNS)
    count = 0
    for tick in ticks:
        time, uptime_s = _time(tick.at), _known(tick.uptime_s)
        rows = [(tick.host, series, unit_of(series), time, uptime_s, value) for series, value in _samples(tick)]
        lines.writerows(rows)
        count += len(rows)
    return count


def _jsonl(ticks: Iterable[Tick], events: Iterable[Event], out: TextIO) -> int:
    count = 0
    for tick in ticks:
        time, uptime_s = _time(tick.at), _known(tick.uptime_s)
        for series, value in _samples(tick):
            sample = dict(zip(_COLUMNS, (tick.host, series, unit_of(series), time, uptime_s, value), strict=True))
            out.write(json.dumps(sample) + "\n")
            count += 1
    for event in events:
        until = None if event.until is None else _time(event.until)
        shown = {"event": event.text, "kind": event.kind, "host": event.host, "time": _time(event.at), "until": until}
        out.write(json.dumps(shown) + "\n")
    return count


def _prometheus(ticks: Iterable[Tick], _events: Iterable[Event], out: TextIO) -> int:
    found: dict[str, dict[tuple[str, str], _Point]] = {}
    for tick in ticks:
        for series, value in _samples(tick):
            name, labels = _exposed(tick.host, series)
            found.setdefault(name, {})[tick.host, series] = _Point(tick.at, value, labels)
    for name, points in found.items():
        out.write(f"# HELP {name} {_help(next(series for _, series in points))}\n# TYPE {name} gauge\n")
        out.writelines(f"{name}{{{point.labels}}} {point.value!r} {round(point.at * 1000)}\n" for point in points.values())
    return sum(map(len, found.values()))


def _exposed(host: str, series: str) -> tuple[str, str]:
    measured, label = _split(series)
    name = re.sub(r"[^a-zA-Z0-9_]", "_", measured)
    labels = {"host": host}
    if label:
        labels["label"] = label
    if name != measured:
        # Two series may become the same name; they must not become the same line.
        labels["series"] = series
    return f"otto_{name}", ",".join(f'{key}="{_quoted(text)}"' for key, text in labels.items())


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(series: str) -> str:
    measured, _ = _split(series)
    unit = unit_of(series)
    said = f"{measured} of a host" + (f", in {unit}" if unit else "")
    return said.replace("\\", "\\\\").replace("\n", "\\n")


def _influx(ticks: Iterable[Tick], events: Iterable[Event], out: TextIO) -> int:
    count = 0
    for tick in ticks:
        at = _nanoseconds(tick.at)
        for series, value in _samples(tick):
            measured, label = _split(series)
            # A name that begins with a # would be a comment.
            name = _escaped("\\" + measured if measured.startswith("#") else measured, ", ")
            out.write(f"{name}{_tags(host=tick.host, label=label)} value={value!r} {at}\n")
            count += 1
    for event in events:
        text = event.text.translate(_NO_LINES).replace("\\", "\\\\").replace('"', '\\"')
        until = "" if event.until is None else f",until={float(event.until)!r}"
        out.write(f'event{_tags(host=event.host, kind=event.kind)} text="{text}"{until} {_nanoseconds(event.at)}\n')
    return count


def _tags(**tags: str) -> str:
    # A tag without a value is not allowed.
    return "".join(f",{key}={_escaped(text, ',= ')}" for key, text in tags.items() if text)


def _escaped(text: str, special: str) -> str:
    line = text.translate(_NO_LINES)
    # A backslash at the end would take what follows with it, and cannot be escaped itself.
    line += " " if line.endswith("\\") else ""
    return re.sub(f"([{special}])", r"\\\1", line)


def _nanoseconds(at: float) -> int:
    # Anything below a microsecond is only the rounding of a float.
    return round(at * 1_000_000) * 1000


def _samples(tick: Tick) -> Iterator[tuple[str, float]]:
    return ((series, float(value)) for series, value in tick.values.items() if math.isfinite(value))


def _split(series: str) -> tuple[str, str]:
    found = _LABELLED.fullmatch(series)
    return (found[1], found[2]) if found else (series, "")


def _known(uptime_s: float) -> float | None:
    return uptime_s if math.isfinite(uptime_s) else None


def _time(at: float) -> str:
    # The time of day that log.html shows too, with its distance to UTC.
    return datetime.fromtimestamp(round(at, 3), UTC).astimezone().isoformat(timespec="milliseconds")


_WRITERS: dict[str, Callable[[Iterable[Tick], Iterable[Event], TextIO], int]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "prometheus": _prometheus,
    "influx": _influx,
}
FORMS = tuple(_WRITERS)
