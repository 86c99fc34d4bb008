"""Scales: which numbers are beside an axis."""

from __future__ import annotations

import pytest

from OttoLibrary.report.scales import elapsed_text, time_ticks, value_scale


@pytest.mark.parametrize(
    ("length_s", "texts"),
    [
        (0.05, ["0", "0.01", "0.02", "0.03", "0.04", "0.05 s"]),
        (300, ["0", "1", "2", "3", "4", "5 min"]),
        (7 * 3600, ["0", "2", "4", "6 h"]),
        (30 * 86400, ["0", "10", "20", "30 d"]),
    ],
)
def test_the_time_axis_counts_in_what_fits(length_s: float, texts: list[str]) -> None:
    assert [text for _, text in time_ticks(length_s)] == texts


def test_values_of_bytes_have_few_digits() -> None:
    scale = value_scale(0, 5 * 1024**2, "B/s")
    assert [text for _, text in scale.ticks()] == ["0", "2", "4", "6"]
    assert scale.unit == "MiB/s"


@pytest.mark.parametrize(("value_s", "text"), [(0.5, "0.5 s"), (310, "5 min 10 s"), (3600, "1 h"), (11100, "3 h 5 min")])
def test_a_time_is_told_as_people_do(value_s: float, text: str) -> None:
    assert elapsed_text(value_s) == text


def test_a_percent_scale_ends_at_100_only_when_values_come_near() -> None:
    assert [value_scale(0, high, "%").high for high in (0.1, 17, 61, 100, 101)] == [6, 20, 100, 100, 150]


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-5.0, 5.0), (-7.0, -2.0), (0.0, 1e-12), (3.0, 1e15)])
def test_a_scale_has_zero_and_all_values(low: float, high: float) -> None:
    scale = value_scale(low, high, "ms")
    assert scale.low <= min(low, 0.0)
    assert scale.high >= max(high, 0.0)
    assert 2 <= len(scale.ticks()) <= 6
    assert (scale.share(scale.low), scale.share(scale.high)) == (0.0, 1.0)


def test_large_sizes_have_the_prefix_that_leaves_few_digits() -> None:
    assert [value_scale(0, 3 * 1024**power, "B").unit for power in range(6)] == ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
