"""What samples come to, against the standard library; fewer points for a chart."""

from __future__ import annotations

import math
import statistics
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.errors import UnknownNameError
from OttoLibrary.monitor.statistics import STATISTICS, downsample, one, summarize

numbers = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
samples = st.lists(numbers, min_size=1, max_size=60)
STARTED = 1_700_000_000.0


def _times(count: int, step_s: float = 2.0) -> list[float]:
    return [STARTED + step_s * place for place in range(count)]


def test_a_ramp_is_summarized() -> None:
    found = summarize("dut1", "cpu_percent", _times(5), [10.0, 20.0, 30.0, 50.0, 40.0])
    assert (found.host, found.series, found.unit, found.count) == ("dut1", "cpu_percent", "%", 5)
    assert (found.last, found.min, found.max, found.mean, found.p50) == (40.0, 10.0, 50.0, 30.0, 30.0)
    assert found.p95 == pytest.approx(48.0)
    assert found.slope == pytest.approx(4.5)
    assert found.delta == 30.0
    assert (found.began, found.ended) == (STARTED, STARTED + 8)
    assert (found.max_at, found.min_at) == (STARTED + 6, STARTED)


def test_a_single_value_has_no_trend() -> None:
    found = summarize("dut1", "load_1m", [STARTED], [0.5])
    assert {found[name] for name in ("last", "min", "max", "mean", "p50", "p95", "p99")} == {0.5}
    assert (found.slope, found.delta, found.unit) == (0.0, 0.0, "")


def test_samples_at_one_moment_have_no_slope() -> None:
    assert one("slope", [STARTED] * 3, [1.0, 2.0, 3.0]) == (0.0, None)
    assert one("slope", [STARTED + 0.1] * 3, [0.0, 0.0, 1.0]) == (0.0, None)


def test_what_does_not_change_has_no_slope() -> None:
    assert one("slope", _times(3), [0.1] * 3) == (0.0, None)


@pytest.mark.parametrize(("times", "values"), [([], []), ([1.0], []), ([], [1.0]), ([1.0, 2.0], [1.0])])
def test_no_samples_have_no_statistics(times: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="have no statistics"):
        summarize("dut1", "cpu_percent", times, values)
    with pytest.raises(ValueError, match="have no statistics"):
        one("max", times, values)


def test_statistics_are_taken_by_name_and_shown_in_short() -> None:
    found = summarize("dut1", "cpu_percent", _times(2), [10.0, 20.0])
    assert found["max"] == 20.0
    with pytest.raises(KeyError):
        found["median"]
    assert str(found) == "dut1 cpu_percent: last 20 %, min 10 %, mean 15 %, max 20 %, p95 19.5 % (2 samples)"


def test_the_first_of_equal_extremes_counts() -> None:
    times, values = _times(4), [1.0, 5.0, 1.0, 5.0]
    found = summarize("dut1", "cpu_percent", times, values)
    assert (found.min_at, found.max_at) == (times[0], times[1])
    assert one("max", times, values) == (5.0, times[1])
    assert one("min", times, values) == (1.0, times[0])
    assert one("last", times, values) == (5.0, times[3])


def test_an_unknown_statistic_says_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"No statistic named 'maxx'\. Did you mean 'max'\? Known: delta, last"):
        one("maxx", [1.0], [1.0])


@given(samples)
def test_numbers_are_those_of_the_standard_library(values: list[float]) -> None:
    found = summarize("dut1", "x", _times(len(values)), values)
    assert found.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    assert found.p50 == pytest.approx(statistics.median(values), rel=1e-9, abs=1e-6)
    if len(values) > 1:
        hundredths = statistics.quantiles(values, n=100, method="inclusive")
        assert found.p95 == pytest.approx(hundredths[94], rel=1e-9, abs=1e-6)
        assert found.p99 == pytest.approx(hundredths[98], rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(-1000, 1000)), min_size=2, max_size=60))
def test_slope_is_that_of_the_standard_library(pairs: list[tuple[int, int]]) -> None:
    times = sorted(STARTED + at / 10 for at, _ in pairs)
    values = [float(value) for _, value in pairs]
    if len(set(times)) == 1:
        assert one("slope", times, values)[0] == 0.0
        return
    expected = statistics.linear_regression([at - STARTED for at in times], values).slope
    assert one("slope", times, values)[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(samples)
def test_statistics_keep_their_order(values: list[float]) -> None:
    found = summarize("dut1", "x", _times(len(values)), values)
    assert found.min <= found.p50 <= found.p95 <= found.p99 <= found.max
    assert found.min <= found.mean <= found.max
    assert all(math.isfinite(found[name]) for name in STATISTICS)


@given(samples)
def test_one_is_what_all_say(values: list[float]) -> None:
    times = _times(len(values))
    found = summarize("dut1", "x", times, values)
    for name in STATISTICS:
        value, at = one(name, times, values)
        assert value == found[name]
        assert at == {"last": found.ended, "min": found.min_at, "max": found.max_at}.get(name)


@given(samples)
def test_arrays_will_do(values: list[float]) -> None:
    times = _times(len(values))
    assert summarize("dut1", "x", array("d", times), array("d", values)) == summarize("dut1", "x", times, values)


@given(st.lists(numbers, max_size=300), st.integers(2, 80))
def test_fewer_points_keep_the_extremes(values: list[float], limit: int) -> None:
    times = _times(len(values))
    points = downsample(times, values, limit)
    assert len(points) <= limit
    assert [at for at, _ in points] == sorted({at for at, _ in points})
    assert set(points) <= set(zip(times, values, strict=True))
    if values:
        kept = [value for _, value in points]
        assert (min(kept), max(kept)) == (min(values), max(values))


def test_each_stretch_keeps_its_lowest_and_its_highest() -> None:
    values = [5.0, 9.0, 1.0, 5.0, 5.0, 2.0, 8.0, 5.0]
    assert [value for _, value in downsample(_times(8), values, 4)] == [9.0, 1.0, 2.0, 8.0]


def test_few_points_stay_as_they_are() -> None:
    assert downsample([1.0, 2.0], [3.0, 4.0], 2) == [(1.0, 3.0), (2.0, 4.0)]
    assert downsample([], [], 2) == []


@pytest.mark.parametrize(("count", "limit"), [(3, 1), (3, 0), (2, 10)])
def test_what_cannot_be_thinned_is_refused(count: int, limit: int) -> None:
    with pytest.raises(ValueError, match="cannot become"):
        downsample(_times(count), [1.0] * 3, limit)
