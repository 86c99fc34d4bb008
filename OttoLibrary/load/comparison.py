"""Two runs side by side: whether the times of one are others than those of the other, and how surely."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from OttoLibrary.load.result_store import ResultReader
from OttoLibrary.load.second import Second, together
from OttoLibrary.load.turret.batches import RESPONSE, TIMER
from OttoLibrary.units import duration_text

# Two runs of one target differ by chance; only what is surer and larger than this is said to be slower.
_SURE = 0.999
_LEAST_CHANGE = 0.05
_LEAST_PARTS, _MOST_PARTS = 6, 30


@dataclass(frozen=True)
class ComparedTimes:
    """One statistic of two runs.

    Attributes:
        name: Of what; ``all`` for all transactions.
        statistic: Which.
        old: In the first run, in seconds.
        new: In the second.
        confidence: How sure it is that they differ, from 0 to 1.
        is_slower: Whether the second run is surely slower, and by more than chance explains.
    """

    name: str
    statistic: str
    old: float
    new: float
    confidence: float
    is_slower: bool

    def __str__(self) -> str:
        change = (self.new / self.old - 1) * 100 if self.old else math.nan
        said = "slower" if self.is_slower else "no difference that is sure"
        return (
            f"{self.name} {self.statistic}: {duration_text(self.old)} -> {duration_text(self.new)} ({change:+.1f} %), "
            f"confidence {self.confidence * 100:.1f} %: {said}"
        )


def compare(old: ResultReader, new: ResultReader) -> list[ComparedTimes]:
    """Return how mean, median and p95 of all transactions and of each timer differ."""
    before, after = old.seconds(), new.seconds()
    kinds = {kind for second in before for kind in second.kinds} & {kind for second in after for kind in second.kinds}
    return [
        _compared(kind, statistic, before, after)
        for kind in sorted(kinds, key=lambda kind: (kind != RESPONSE, kind))
        for statistic in ("mean", "p50", "p95")
    ]


def _compared(kind: str, statistic: str, before: Sequence[Second], after: Sequence[Second]) -> ComparedTimes:
    old, new = _value(kind, statistic, before), _value(kind, statistic, after)
    confidence = _confidence(_parts(kind, statistic, before), _parts(kind, statistic, after))
    is_slower = confidence >= _SURE and new > old * (1 + _LEAST_CHANGE)
    return ComparedTimes("all" if kind == RESPONSE else kind.removeprefix(TIMER), statistic, old, new, confidence, is_slower)


def _value(kind: str, statistic: str, seconds: Sequence[Second]) -> float:
    found = together(seconds).kinds.get(kind)
    if found is None:
        return math.nan
    return found.mean if statistic == "mean" else found.percentile(float(statistic[1:]))


def _parts(kind: str, statistic: str, seconds: Sequence[Second]) -> list[float]:
    """Return the statistic of stretches of a run: neighbours in time are alike, single results are no independent ones."""
    having = [second for second in seconds if kind in second.kinds]
    length = max(1, len(having) // _MOST_PARTS)
    stretches = [having[first : first + length] for first in range(0, len(having) - length + 1, length)]
    return [_value(kind, statistic, stretch) for stretch in stretches]


def _confidence(old: Sequence[float], new: Sequence[float]) -> float:
    """Return how sure it is that the means of two samples differ, by Welch's test."""
    if min(len(old), len(new)) < _LEAST_PARTS:
        return 0.0
    spread = statistics.variance(old) / len(old) + statistics.variance(new) / len(new)
    distance = abs(statistics.fmean(new) - statistics.fmean(old))
    if spread == 0:
        return 1.0 if distance else 0.0
    ratio = distance / math.sqrt(spread)
    freedom = spread**2 / (
        (statistics.variance(old) / len(old)) ** 2 / (len(old) - 1) + (statistics.variance(new) / len(new)) ** 2 / (len(new) - 1)
    )
    return 1 - 2 * _student_tail(ratio, freedom)


def _student_tail(ratio: float, freedom: float) -> float:
    """Return the chance of a larger value in Student's distribution, by a normal one that is close to it."""
    normal = ratio * (1 - 1 / (4 * freedom)) / math.sqrt(1 + ratio * ratio / (2 * freedom))
    return 0.5 * math.erfc(normal / math.sqrt(2))
