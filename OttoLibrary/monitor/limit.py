"""Limits on readings: relations that must hold, or must not, while they are in force."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass

from OttoLibrary.errors import LimitError
from OttoLibrary.units import value_text

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Limit:
    """A relation of a statistic to a value.

    Attributes:
        host: Name of the host.
        metric: The metric or series as the user named it.
        statistic: Of the readings since the limit was set.
        relation: ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
        value: What it is compared with.
        must: True when the relation must hold, False when it must not.
        since: When it was set, in seconds since 1970.
        at_once: Called with the error as soon as it is broken; None for a limit that is judged at its end.
    """

    host: str
    metric: str
    statistic: str
    relation: str
    value: float
    must: bool
    since: float
    at_once: Callable[[LimitError], None] | None = None

    def is_broken(self, value: float) -> bool:
        """Return True when this statistic breaks it."""
        return RELATIONS[self.relation](value, self.value) != self.must

    def error(self, value: float, at: float | None, unit: str) -> LimitError:
        """Return the error: by which value the limit was broken, and when."""
        said = f"Metric '{self.metric}' of host '{self.host}' {self.statistic} {value_text(value, unit)}"
        when = f"at {clock_text(at)}, " if at is not None else ""
        rule = f"{'must' if self.must else 'must not'} be {self.relation} {value_text(self.value, unit)}"
        return LimitError(self.host, self.metric, f"{said} {rule} ({when}watched since {clock_text(self.since)}).")


def clock_text(at: float) -> str:
    """Return a moment as this machine's clock shows it, ``12:03:07``."""
    return time.strftime("%H:%M:%S", time.localtime(at))
