"""Arguments whose mistakes are a sentence of ours: time spans and exit statuses.

Robot Framework converts arguments before a keyword begins, and its own message for a wrong one names a class of Python. Here
the conversion always succeeds, with a ``Mistake`` in the place of a wrong value, and the library refuses the call.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from robot.utils import timestr_to_secs  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError
from OttoLibrary.keywords.component import ExpectedRc

_LONGEST_S = 1e9
_SPAN_FORMS = "a time span. Write seconds as a number from 0 on, or text such as '500 ms', '10 s' or '1 min 30 s'."
_STATUS_FORMS = "an exit status. Write a number such as 0, several such as 0,2 or [0, 2], or 'any'."
_STATUSES = re.compile(r"\[?\s*-?\d{1,9}(?:\s*,\s*-?\d{1,9})*\s*\]?")


class TimeSpan:
    """Seconds as a number from 0 on, or text such as `500 ms`, `10 s` or `1 min 30 s`."""


class ExitStatuses:
    """A number such as `0`, several such as `0,2`, or `any`."""


@dataclass(frozen=True)
class Mistake:
    """A value that is wrong.

    Attributes:
        given: The value.
        wanted: What was wanted, and how to write it, as the end of a sentence.
    """

    given: object
    wanted: str


def time_span(value: object) -> timedelta | Mistake | None:
    """Return a time span, or a mistake."""
    if value is None or (isinstance(value, str) and value.strip().upper() == "NONE"):
        return None
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(timestr_to_secs(value))
    except (ValueError, TypeError, OverflowError):
        return Mistake(value, _SPAN_FORMS)
    return timedelta(seconds=seconds) if 0 <= seconds <= _LONGEST_S else Mistake(value, _SPAN_FORMS)


def exit_statuses(value: object) -> int | list[int] | str | Mistake:
    """Return which exit statuses are right, or a mistake."""
    if isinstance(value, bool):
        return Mistake(value, _STATUS_FORMS)
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.strip().lower() == "any":
        return "any"
    if isinstance(value, str) and _STATUSES.fullmatch(value.strip()):
        numbers = [int(number) for number in re.findall(r"-?\d+", value)]
        return numbers[0] if len(numbers) == 1 else numbers
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        numbers = [number for number in map(exit_statuses, value) if isinstance(number, int)]
        if value and len(numbers) == len(value):
            return numbers
    return Mistake(value, _STATUS_FORMS)


CONVERTERS: dict[type, Any] = {TimeSpan: time_span, ExitStatuses: exit_statuses}


def checked_types(types: Mapping[str, Any]) -> dict[str, Any]:
    """Return the types of arguments with ours in the place of those that Robot Framework would convert."""
    return {name: _OURS.get(str(hint), hint) for name, hint in types.items()}


def check_arguments(keyword: Callable[..., object], arguments: Sequence[object], named: Mapping[str, object]) -> None:
    """Raise UsageError when an argument of a call is a mistake; the sentence names it."""
    names = list(inspect.signature(keyword).parameters)
    for name, value in [*zip(names, arguments, strict=False), *named.items()]:
        if isinstance(value, Mistake):
            raise UsageError(f"{name}={value.given} is not {value.wanted}")


_OURS = {
    str(timedelta): TimeSpan,
    str(timedelta | None): TimeSpan,
    str(ExpectedRc): ExitStatuses,
    str(int | list[int] | Literal["any"]): ExitStatuses,
}
