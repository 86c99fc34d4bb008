"""Metrics that a lab or a plug-in defines: a command and what its output means, or a file to follow."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from OttoLibrary.contracts.facts import OwnMetric
from OttoLibrary.contracts.metrics import CommandMetric, FollowedMetric
from OttoLibrary.errors import UsageError

# A number, or numbers by series; each may be text.
Parsed = Mapping[str, float | str] | float | str
Parse = Callable[[str], Parsed]


class Command(CommandMetric):
    """A metric that runs a command.

    Args:
        name: The metric's name; the names of its series begin with it.
        command: Shell text.
        parse: Returns numbers by series, or one number, from the command's output.
        interval_s: It is run at most this often; 0 for every tick.

    Attributes:
        main: The series called ``name`` if there is one, otherwise the first that was read.
    """

    def __init__(self, name: str, command: str, parse: Parse, interval_s: float = 0) -> None:
        self.main = name
        self.interval_s = interval_s
        self._name, self._command, self._parse = name, command, parse
        self._main_known = False

    def script(self) -> str:
        """Print the command's output and its exit status."""
        # eval, so that a mistake in the command ends only its own shell.
        return f"""own_output=$(unset IFS; eval {shlex.quote(self._command)} </dev/null 2>&1)
own_status=$?
say "$own_output"
say "$own_status"
"""

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return the readings; the metric's name is put before the names that do not begin with it."""
        output, _, status = printed.removesuffix("\n").rpartition("\n")
        if not status.isdecimal():
            raise ValueError(f"The command of '{self._name}' gave no exit status: {_first_line(printed)}")
        if status != "0":
            raise ValueError(f"The command of '{self._name}' ended with exit status {status}: {_first_line(output)}")
        readings = self._numbers(output)
        if not self._main_known and readings:
            self.main = self._name if self._name in readings else next(iter(readings))
            self._main_known = True
        elif self._name in readings:
            self.main = self._name
        return readings

    def _numbers(self, output: str) -> dict[str, float]:
        try:
            parsed = self._parse(output)
            given = parsed if isinstance(parsed, Mapping) else {self._name: parsed}
            return {self._series(key): float(value) for key, value in given.items()}
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            raise ValueError(f"The output of '{self._name}' cannot be parsed: {error}. It was: {_first_line(output)}") from error

    def _series(self, key: str) -> str:
        return key if key.startswith(self._name) else f"{self._name}_{key}"


class Follow(FollowedMetric):
    """A metric that follows a file of the host, such as a log, from its present end on, also when it is rotated.

    Args:
        name: The metric's name.
        file: Its path.
        pattern: As for ``pattern_parser``; lines that it does not match are no readings. Empty for none.
        event: Regular expression for lines that are events. Empty for none.
    """

    def __init__(self, name: str, file: str, pattern: str = "", event: str = "") -> None:
        self.main = name
        self._file = file
        self._expression = re.compile(pattern) if pattern else None
        self._parse = pattern_parser(name, pattern) if pattern else None
        self._event = re.compile(event) if event else None

    def script(self) -> str:
        """Return the command that prints new lines."""
        return f"tail -n 0 -F {shlex.quote(self._file) if self._file[:1] != '-' else shlex.quote(f'./{self._file}')} 2>/dev/null"

    def take(self, line: str) -> tuple[dict[str, float], str]:
        """Return the readings and the event of a line."""
        readings: dict[str, float] = {}
        if self._parse is not None and self._expression is not None and self._expression.search(line):
            readings = dict(self._parse(line))  # type: ignore[arg-type]
            self.main = next(iter(readings))
        return readings, line.strip() if self._event is not None and self._event.search(line) else ""


def from_lab(name: str, facts: OwnMetric) -> Command | Follow:
    """Return the metric that a lab file describes; raise UsageError."""
    if facts.file:
        return Follow(name, facts.file, facts.pattern, facts.event)
    return Command(name, facts.command, pattern_parser(name, facts.pattern) if facts.pattern else str.strip, facts.interval)


def pattern_parser(name: str, pattern: str) -> Parse:
    """Return a function that makes readings of text by a regular expression.

    Args:
        name: The metric's name.
        pattern: Each of its named groups is a series ``NAME_GROUP``. Every match counts; the group ``label`` is not a
            number but what the series of its match have in brackets.

    Raises:
        UsageError: The pattern is not a regular expression, or has no group for a number.
    """
    try:
        expression = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"The pattern {pattern!r} of metric '{name}' is not a regular expression: {error}.") from error
    if not set(expression.groupindex) - {"label"}:
        raise UsageError(f"The pattern {pattern!r} of metric '{name}' has no named group. Name the number's: (?P<name>\\d+).")

    def parse(output: str) -> dict[str, float]:
        readings: dict[str, float] = {}
        for match in expression.finditer(output):
            label = match.groupdict().get("label")
            for group, text in match.groupdict().items():
                if group != "label" and text is not None:
                    readings[f"{name}_{group}[{label}]" if label else f"{name}_{group}"] = _number(name, group, text)
        if not readings:
            raise ValueError(f"the pattern {pattern!r} does not match: {_first_line(output)}")
        return readings

    return parse


def _number(name: str, group: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"the group {group!r} of metric '{name}' matches {text!r}, which is not a number") from error


def _first_line(output: str) -> str:
    return next((line for line in output.splitlines() if line.strip()), "no output")
