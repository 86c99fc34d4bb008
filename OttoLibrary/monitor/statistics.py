"""Statistics of the samples of a series: highest, mean, percentiles, trend; and fewer points for a chart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

from OttoLibrary.errors import UnknownNameError
from OttoLibrary.text import plural
from OttoLibrary.units import unit_of, value_text

STATISTICS = ("last", "min", "max", "mean", "p50", "p95", "p99", "slope", "delta")


@dataclass(frozen=True)
class Statistics:
    """The statistics of the samples of one series of one host.

    Attributes:
        host: Name of the host.
        series: Name of the series, such as ``cpu_percent``.
        unit: Its unit, such as ``%``; empty when it has none.
        count: How many samples there are.
        last: The newest value.
        min: The lowest value.
        max: The highest value.
        mean: The mean value; every sample counts the same.
        p50: The median; percentiles lie on the line between the two nearest samples.
        p95: What 95 of 100 samples do not exceed.
        p99: What 99 of 100 samples do not exceed.
        slope: How fast it grows, in units per second: the line with the least squares through all samples.
        delta: The last value minus the first.
        began: When the first sample was taken, in seconds since 1970.
        ended: When the last one was taken.
        max_at: When it was highest for the first time.
        min_at: When it was lowest for the first time.
    """

    host: str
    series: str
    unit: str
    count: int
    last: float
    min: float
    max: float
    mean: float
    p50: float
    p95: float
    p99: float
    slope: float
    delta: float
    began: float
    ended: float
    max_at: float
    min_at: float

    def __getitem__(self, key: str) -> Any:
        """Return an attribute by name, so that ``${cpu}[max]`` works too."""
        if key not in self.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self, key)

    def __str__(self) -> str:
        """Return it in short."""
        shown = ((name, value_text(getattr(self, name), self.unit)) for name in ("last", "min", "mean", "max", "p95"))
        return (
            f"{self.host} {self.series}: {', '.join(f'{name} {value}' for name, value in shown)} ({plural(self.count, 'sample')})"
        )


def summarize(host: str, series: str, times: Sequence[float], values: Sequence[float]) -> Statistics:
    """Return the statistics of the samples of a series.

    Args:
        host: Name of the host.
        series: Name of the series.
        times: When they were taken, in seconds since 1970, oldest first.
        values: The samples, each finite; as many as ``times``.

    Raises:
        ValueError: There are none, or not as many times as values.
    """
    _check(times, values)
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    return Statistics(
        host=host,
        series=series,
        unit=unit_of(series),
        count=len(ordered),
        last=values[-1],
        min=low,
        max=high,
        mean=_mean(values, low, high),
        p50=_percentile(ordered, 0.50),
        p95=_percentile(ordered, 0.95),
        p99=_percentile(ordered, 0.99),
        slope=_slope(times, values),
        delta=values[-1] - values[0],
        began=times[0],
        ended=times[-1],
        max_at=times[values.index(high)],
        min_at=times[values.index(low)],
    )


def one(name: str, times: Sequence[float], values: Sequence[float]) -> tuple[float, float | None]:
    """Return one statistic, and the moment of the sample that it is; None for one that is made of many samples.

    Args:
        name: One of ``STATISTICS``.
        times: As in ``summarize``.
        values: As in ``summarize``.

    Raises:
        UnknownNameError: There is no such statistic.
        ValueError: As in ``summarize``.
    """
    if name not in STATISTICS:
        raise UnknownNameError("statistic", name, STATISTICS)
    _check(times, values)
    if name in _OF_ONE_SAMPLE:
        value = _OF_ONE_SAMPLE[name](values)
        return value, times[-1] if name == "last" else times[values.index(value)]
    if name == "slope":
        return _slope(times, values), None
    return _OF_ALL_VALUES[name](values), None


def downsample(times: Sequence[float], values: Sequence[float], limit: int) -> list[tuple[float, float]]:
    """Return fewer points that show the same picture: of each stretch the lowest and the highest, in their order.

    All stretches have the same number of samples, or one more. Gaps in time are ignored: pass each piece by itself.

    Args:
        times: When the samples were taken, oldest first.
        values: The samples.
        limit: How many points may come back, 2 at least.

    Raises:
        ValueError: The limit is too low, or there are not as many times as values.
    """
    if limit < 2 or len(times) != len(values):
        raise ValueError(f"{len(times)} times and {len(values)} values cannot become {limit} points")
    count, stretches = len(values), limit // 2
    if count <= limit:
        return list(zip(times, values, strict=True))
    points: list[tuple[float, float]] = []
    for stretch in range(stretches):
        places = range(stretch * count // stretches, (stretch + 1) * count // stretches)
        ends = {min(places, key=values.__getitem__), max(places, key=values.__getitem__)}
        points += [(times[place], values[place]) for place in sorted(ends)]
    return points


def _check(times: Sequence[float], values: Sequence[float]) -> None:
    if not values or len(times) != len(values):
        raise ValueError(f"{len(values)} values at {len(times)} times have no statistics")


def _mean(values: Sequence[float], low: float, high: float) -> float:
    # Rounding must not make a mean that no sample reaches.
    return min(high, max(low, math.fsum(values) / len(values)))


def _percentile(ordered: Sequence[float], share: float) -> float:
    place, rest = divmod(share * (len(ordered) - 1), 1)
    below = ordered[int(place)]
    if not rest:
        return below
    above = ordered[int(place) + 1]
    return min(above, below + (above - below) * rest)


def _slope(times: Sequence[float], values: Sequence[float]) -> float:
    away = _from_the_middle(times)
    spread = math.fsum(map(mul, away, away))
    if not spread:
        return 0.0
    return math.fsum(map(mul, away, _from_the_middle(values))) / spread


def _from_the_middle(numbers: Sequence[float]) -> list[float]:
    # First the distance to the first one: seconds since 1970 are large, and equal numbers must become zeros without rounding.
    distances = [number - numbers[0] for number in numbers]
    middle = math.fsum(distances) / len(distances)
    return [distance - middle for distance in distances]


_OF_ONE_SAMPLE: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "min": min,
    "max": max,
}
_OF_ALL_VALUES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: _mean(values, min(values), max(values)),
    "p50": lambda values: _percentile(sorted(values), 0.50),
    "p95": lambda values: _percentile(sorted(values), 0.95),
    "p99": lambda values: _percentile(sorted(values), 0.99),
    "delta": lambda values: values[-1] - values[0],
}
