"""Histograms: how far a percentile may be off, and that two are merged by adding."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.load.turret.histogram import Histogram

TIMES = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=300)


def histogram_of(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(TIMES, st.sampled_from([0, 50, 90, 95, 99, 99.9, 100]))
def test_a_percentile_is_within_one_percent_of_the_exact_one(values: list[float], percent: float) -> None:
    exact = sorted(values)[math.floor(percent / 100 * (len(values) - 1))]
    assert histogram_of(values).percentile(percent) == pytest.approx(exact, rel=0.005, abs=1e-300)


@given(TIMES, TIMES)
def test_merged_ones_say_what_one_of_all_says(first: list[float], second: list[float]) -> None:
    both, whole = Histogram.merged([histogram_of(first), histogram_of(second)]), histogram_of(first + second)
    assert (both.count, both.low, both.high, both.buckets) == (whole.count, whole.low, whole.high, whole.buckets)
    assert both.mean == pytest.approx(whole.mean)


@given(TIMES)
def test_json_keeps_all_of_it(values: list[float]) -> None:
    before = histogram_of(values)
    after = Histogram.from_plain(json.loads(json.dumps(before.to_plain())))
    assert after.to_plain() == before.to_plain()


@given(TIMES, TIMES)
def test_many_at_once_are_as_one_after_the_other(first: list[float], second: list[float]) -> None:
    made = histogram_of(first)
    made.add_many(second)
    one_by_one = histogram_of(first + second)
    assert (made.buckets, made.count) == (one_by_one.buckets, one_by_one.count)
    assert (made.low, made.high) == (one_by_one.low, one_by_one.high)
    assert made.total == pytest.approx(one_by_one.total)
    assert made.squares == pytest.approx(one_by_one.squares)


def test_mean_and_deviation_are_exact() -> None:
    values = [0.010, 0.020, 0.030, 0.5]
    made = histogram_of(values)
    assert made.mean == pytest.approx(statistics.mean(values))
    assert made.stdev == pytest.approx(statistics.stdev(values))


def test_of_nothing_nothing_is_said() -> None:
    assert math.isnan(Histogram().percentile(50))
    assert math.isnan(Histogram().mean)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        [1, 2, 3],
        [2, 0.1, 0.1, 0.1, 0.1, [1, 1]],
        [1, math.inf, 0, 0, 0, [1, 1]],
        [0, 0, 0, None, 0, [1, 1, 2, -1]],
        "x",
    ],
)
def test_what_is_no_histogram_is_refused(plain: object) -> None:
    with pytest.raises(ValueError, match="no histogram"):
        Histogram.from_plain(plain)
