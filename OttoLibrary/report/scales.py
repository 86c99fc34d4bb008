"""Scales of charts: which numbers are beside an axis, and where it begins and ends. They know nothing of pictures.

The page of the dashboard makes its scales by the same rules from the same numbers, ``NUMBERS``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from OttoLibrary.units import BINARY_PREFIXES, binary_power

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TIME_STEPS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(factor * _MINUTE for factor in (1, 2, 5, 10, 20, 30)),
    *(factor * _HOUR for factor in (1, 2, 4, 6, 12)),
)
_MOST_TIME_STEPS = 5
_LEAST_STEP = 1e-9
# Below this, a percent axis that goes up to 100 would leave most of the chart empty.
_NEAR_ALL_PERCENT = 60.0
# Noise near zero percent must not look like a mountain.
_LEAST_PERCENT = 5.0
# Each is used with every power of ten.
_NICE = (1, 2, 5, 10, 20)
NUMBERS = {
    "time_steps_s": _TIME_STEPS_S,
    "day_s": _DAY,
    "least_step": _LEAST_STEP,
    "nice": _NICE,
    "near_all_percent": _NEAR_ALL_PERCENT,
    "least_percent": _LEAST_PERCENT,
}


@dataclass(frozen=True)
class Scale:
    """An axis of values, from its lowest to its highest tick.

    Attributes:
        low: Value of its lowest tick.
        high: Value of its highest tick.
        step: Between two ticks.
        factor: Multiplies the numbers beside the axis to values.
        unit: Unit of those numbers.
    """

    low: float
    high: float
    step: float
    factor: float
    unit: str

    def share(self, value: float) -> float:
        """Return where a value is: 0 at the lowest tick, 1 at the highest."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the values of the ticks and their numbers, lowest first."""
        count = round((self.high - self.low) / self.step)
        values = [self.low + index * self.step for index in range(count + 1)]
        return [(value, _number(value / self.factor)) for value in values]


def value_scale(low: float, high: float, unit: str) -> Scale:
    """Return a scale with two to five ticks from zero, or what is below it, to at least ``high``.

    Args:
        low: The lowest value.
        high: The highest value.
        unit: Of both. Bytes get a larger unit when they are many, percents an end at 100 when they come near.
    """
    low, high = min(0.0, low), max(0.0, high)
    if unit == "%" and low == 0:
        if _NEAR_ALL_PERCENT < high <= 100:
            return Scale(0, 100, 50, 1, unit)
        high = max(high, _LEAST_PERCENT)
    factor, unit = _larger_unit(max(high, -low), unit) if unit in {"B", "B/s"} else (1.0, unit)
    step = _nice((high - low) / factor / 3) * factor if high > low else 1.0
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return Scale(first * step, last * step, step, factor, unit)


def time_ticks(length_s: float) -> list[tuple[float, str]]:
    """Return seconds from the start of a period and their numbers, six at most; the last one has the unit."""
    step = next((step for step in _TIME_STEPS_S if length_s / step <= _MOST_TIME_STEPS), None)
    if step is None:
        step = _nice(length_s / _DAY / _MOST_TIME_STEPS) * _DAY
    size, unit = next((size, unit) for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (0, "s")) if step >= size)
    count = int(length_s / step + 1e-9)
    ticks = [(index * step, f"{index * step / (size or 1):g}") for index in range(count + 1)]
    at, text = ticks[-1]
    return [*ticks[:-1], (at, f"{text} {unit}")]


def elapsed_text(value_s: float) -> str:
    """Return a duration as people write it: ``42 s``, ``5 min 10 s``, ``3 h 5 min``."""
    if value_s < _MINUTE:
        return f"{value_s:.3g} s"
    size, unit, small, smaller = (_HOUR, "h", _MINUTE, "min") if value_s >= _HOUR else (_MINUTE, "min", 1, "s")
    whole, rest = divmod(round(value_s / small), size // small)
    return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"


def _larger_unit(largest: float, unit: str) -> tuple[float, str]:
    """Return a divisor that leaves ticks few digits, and the unit of the quotient."""
    power = binary_power(largest)
    return 1024.0**power, BINARY_PREFIXES[power] + unit


def _nice(least: float) -> float:
    """Return the first of 1, 2, 5, 10, 20 and so on that is not less."""
    if least < _LEAST_STEP:
        return _LEAST_STEP
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in _NICE if factor * power >= least)


def _number(value: float) -> str:
    """Return a number that fits beside an axis."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{round(value, 9):g}"
