"""What events measure: taken from any thread, written as JSON lines and CSV, and told to whoever registered."""

from __future__ import annotations

import csv
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from OttoLibrary.errors import PluginError, UsageError, ValueFormatError
from OttoLibrary.masking import mask
from OttoLibrary.units import SERIES_ENDINGS

# Which event reports; a run of one sets it for all that it calls.
CURRENT_EVENT: ContextVar[tuple[str, str]] = ContextVar("current event and host", default=("", ""))
_COLUMNS = ("wall_s", "event", "host", "name", "value", "unit", "text")
_SUFFIXES = {unit: ending for ending, unit in SERIES_ENDINGS.items()} | {"1/s": "_per_s"}
_hearers: list[Callable[[], Any]] = []


@dataclass(frozen=True)
class Reported:
    """One result.

    Attributes:
        wall_s: When, in seconds since 1970.
        event: The event that reported it; empty when nobody knows.
        host: The host that it is about, or empty.
        name: What was measured.
        value: The number; NaN when it is no number.
        unit: Its unit, or empty.
        text: What it is when it is no number.
    """

    wall_s: float
    event: str
    host: str
    name: str
    value: float
    unit: str = ""
    text: str = ""

    @property
    def series(self) -> str:
        """The name of its series in charts, which ends as its unit wants."""
        suffix = _SUFFIXES.get(self.unit, "")
        return self.name if self.name.endswith(suffix) else self.name + suffix


def register_reporter(kind: Callable[[], Any]) -> Callable[[], Any]:
    """Let an object of a class hear each result of each scenario: its ``on_result(result)`` is called with a ``Reported``.

    Args:
        kind: The class; an object of it is made when a scenario begins. Also usable as a decorator.

    Raises:
        PluginError: It has no method ``on_result``.
    """
    if not callable(getattr(kind, "on_result", None)):
        raise PluginError(f"The reporter {getattr(kind, '__qualname__', kind)!r} lacks on_result(result).")
    if kind not in _hearers:
        _hearers.append(kind)
    return kind


class Reporter:
    """Takes the results of a scenario; offered as ``reporter`` to each event that asks for it.

    Args:
        folder: Where results are written, as ``<name>-results.jsonl`` and ``.csv``; None writes none.
        name: Of the scenario, as part of a file name.
        told: Called with each result, in the thread that reports it.
        warn: Called with a sentence when somebody who hears results fails.
    """

    def __init__(
        self,
        folder: Path | None = None,
        name: str = "scenario",
        told: Callable[[Reported], None] = lambda result: None,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._folder, self._name, self._told, self._warn = folder, name, told, warn
        self._lock = threading.Lock()
        self._lines: TextIO | None = None
        self._table: TextIO | None = None
        self._hearers = [kind() for kind in _hearers]
        self.count = 0

    @property
    def files(self) -> list[Path]:
        """The files that were written."""
        return [Path(file.name) for file in (self._lines, self._table) if file is not None]

    def report(self, name: str, value: object, unit: str = "", host: str = "") -> None:
        """Take one result; raise UsageError for one without a name.

        Args:
            name: What was measured.
            value: A number; anything else is kept as text.
            unit: Its unit, such as ``ms`` or ``1/s``.
            host: The host that it is about; that of the event by default.
        """
        if not name.strip():
            raise UsageError("A result needs a name: report('fps', 24, '1/s').")
        event, own_host = CURRENT_EVENT.get()
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        shown = mask(str(value))
        if shown != str(value):
            # The number is a secret itself.
            number = math.nan
        text = "" if math.isfinite(number) else shown
        result = Reported(time.time(), event, host or own_host, mask(name), number, mask(unit), text)
        with self._lock:
            self.count += 1
            self._write(result)
        self._told(result)
        for hearer in self._hearers:
            try:
                hearer.on_result(result)
            except Exception as error:  # noqa: BLE001 - somebody else's code; the scenario goes on
                self._warn(mask(f"The reporter {type(hearer).__name__} failed: {type(error).__name__}: {error}"))

    def put(self, result: Mapping[str, object]) -> None:
        """Take several results at once, by name, as the queue of pytest-orchestration does; ``error`` is a warning too."""
        if not isinstance(result, Mapping):
            raise UsageError("reporter.put takes a dictionary, such as {'fps': 24}.")
        for name, value in result.items():
            self.report(str(name), value)
        if result.get("error"):
            self._warn(mask(f"An event reported an error: {result['error']}"))

    def close(self) -> None:
        """Write what is left; idempotent."""
        with self._lock:
            for file in (self._lines, self._table):
                if file is not None:
                    file.close()

    def _write(self, result: Reported) -> None:
        if self._folder is None:
            return
        if self._lines is None or self._table is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lines = (self._folder / f"{self._name}-results.jsonl").open("a", encoding="utf-8")
            self._table = (self._folder / f"{self._name}-results.csv").open("a", encoding="utf-8", newline="")
            if not self._table.tell():
                csv.writer(self._table).writerow(_COLUMNS)
        if self._lines.closed:
            return
        row = {column: mask(value) if isinstance(value, str) else value for column, value in asdict(result).items()}
        if result.text:
            row["value"] = None
        self._lines.write(json.dumps(row) + "\n")
        csv.writer(self._table).writerow([row[column] for column in _COLUMNS])
        self._lines.flush()
        self._table.flush()


def parsed(text: str) -> tuple[float, str]:
    """Return the number and the unit of text such as ``24 1/s`` or ``3.5 ms``; raise ValueFormatError."""
    number, _, unit = text.strip().partition(" ")
    try:
        return float(number), unit.strip()
    except ValueError as error:
        raise ValueFormatError(f"'{text}' is not a result. Write a number, or one with its unit: '24 1/s'.") from error
