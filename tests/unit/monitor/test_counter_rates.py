"""Rates of counters."""

from __future__ import annotations

import pytest

from OttoLibrary.monitor.counter_rates import Rates


def test_the_first_count_has_no_rate_and_the_second_has() -> None:
    rates = Rates()
    assert rates.per_second("eth0", 100, 10.0) is None
    assert rates.per_second("eth0", 300, 14.0) == 50.0


def test_counters_are_told_apart_by_name() -> None:
    rates = Rates()
    rates.per_second("eth0", 100, 10.0)
    assert rates.per_second("eth1", 100, 11.0) is None


@pytest.mark.parametrize(("count", "at_s"), [(99, 11.0), (200, 10.0), (200, 9.0)])
def test_a_counter_or_clock_that_goes_back_gives_no_rate_once(count: float, at_s: float) -> None:
    rates = Rates()
    rates.per_second("eth0", 100, 10.0)
    assert rates.per_second("eth0", count, at_s) is None
    assert rates.per_second("eth0", count + 10, at_s + 1) == 10.0
