"""Cron expressions: when they are due next, and what is wrong with one, in plain words."""

from __future__ import annotations

import datetime
import sys
import zoneinfo
from types import ModuleType
from typing import TYPE_CHECKING

from OttoLibrary.errors import PluginError, UsageError

if TYPE_CHECKING:
    from cronsim import CronSim

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = {
    5: ("minute", "hour", "day of the month", "month", "day of the week"),
    6: ("second", "minute", "hour", "day of the month", "month", "day of the week"),
}
_THEIR_NAMES = {
    "second": "second",
    "minute": "minute",
    "hour": "hour",
    "day-of-month": "day of the month",
    "month": "month",
    "day-of-week": "day of the week",
}
_DAYS_OF_MONTH = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def mistake(expression: str) -> str:
    """Return what is wrong with an expression, or nothing."""
    try:
        Cron(expression).next_after(0.0)
    except UsageError as error:
        return str(error).removesuffix(".")
    return ""


def time_zone_mistake(name: str) -> str:
    """Return what is wrong with the name of a time zone, or nothing."""
    try:
        _zone(name)
    except UsageError as error:
        return str(error).removesuffix(".")
    return ""


class Cron:
    """One expression.

    Args:
        expression: Five fields, or six with seconds in front, or a word such as ``@hourly``.
        time_zone: Name of a time zone; this machine's when empty.

    Raises:
        UsageError: The expression or the time zone means nothing.
        PluginError: The package cronsim is not installed.
    """

    def __init__(self, expression: str, time_zone: str = "") -> None:
        self.expression = _without_macro(expression.strip())
        self._zone = _zone(time_zone)
        self._iterate(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))

    def next_after(self, wall_s: float) -> float:
        """Return the next time after one, both in seconds since 1970; raise UsageError when there is none in 50 years."""
        start = datetime.datetime.fromtimestamp(wall_s, self._zone or datetime.UTC)
        if self._zone is None:
            start = start.astimezone()
        try:
            return next(self._iterate(start)).timestamp()
        except StopIteration:
            raise UsageError(f"'{self.expression}' names a date that never comes.") from None

    def _iterate(self, start: datetime.datetime) -> CronSim:
        cronsim = _cronsim()
        try:
            made: CronSim = cronsim.CronSim(self.expression, start)
        except cronsim.CronSimError as error:
            raise UsageError(_in_words(self.expression, str(error))) from error
        return made


def _cronsim() -> ModuleType:
    try:
        import cronsim
    except ImportError as error:
        raise PluginError(
            "'cron' needs a package that is not installed. "
            f"Install it with: {sys.executable} -m pip install 'robotframework-ottolibrary[scenario]'"
        ) from error
    return cronsim


def _without_macro(expression: str) -> str:
    if not expression.startswith("@"):
        return expression
    if expression.lower() in _MACROS:
        return _MACROS[expression.lower()]
    if expression.lower() == "@reboot":
        raise UsageError("'@reboot' is no time of a clock. Leave 'cron' out: an event is due at the start by itself.")
    raise UsageError(f"'{expression}' is no time. Write five fields, such as '0 * * * *', or one of {', '.join(_MACROS)}.")


def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    if not name:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"There is no time zone '{name}'. Write one such as 'Europe/Berlin' or 'UTC'.") from error


def _in_words(expression: str, said: str) -> str:
    fields = expression.split()
    if len(fields) not in _FIELDS:
        return (
            f"'{expression}' has {len(fields)} fields. Write five (minute, hour, day of the month, month, day of the week), "
            "or six with the second in front."
        )
    wrong = _THEIR_NAMES.get(said.removeprefix("Bad ").strip(), "")
    names = _FIELDS[len(fields)]
    if wrong not in names:
        return f"'{expression}' is not a cron expression: {said}."
    day, month = fields[names.index("day of the month")], fields[names.index("month")]
    if wrong == "day of the month" and _never_comes(day, month):
        return f"'{expression}' names a date that never comes: the day {day} of the month {month}."
    return f"'{expression}' is not a cron expression: '{fields[names.index(wrong)]}' is no {wrong}."


def _never_comes(day: str, month: str) -> bool:
    number = _MONTHS.index(month.lower()) + 1 if month.lower() in _MONTHS else int(month) if month.isdecimal() else 0
    return number in _DAYS_OF_MONTH and day.isdecimal() and _DAYS_OF_MONTH[number] < int(day) <= 31
