"""The numbers of a scenario, in memory that does not grow."""

from __future__ import annotations

import random

import pytest

from OttoLibrary.scenario.ledger import EventLedger, RunFailure, ScenarioLedger, Spread


def test_percentiles_are_within_five_percent() -> None:
    spread, chance = Spread(), random.Random(4)
    values = sorted(chance.expovariate(20) for _ in range(20_000))
    for value in values:
        spread.add(value)
    for percent in (50, 90, 99):
        assert spread.percentile_s(percent) == pytest.approx(values[int(20_000 * percent / 100) - 1], rel=0.06)
    assert spread.percentile_s(100) == spread.max_s == values[-1]
    assert spread.mean_s == pytest.approx(sum(values) / 20_000)


def test_nothing_and_odd_times_are_counted() -> None:
    spread = Spread()
    assert (spread.percentile_s(99), spread.mean_s) == (0.0, 0.0)
    for value in (0.0, -1.0, 1e-9, 1e9):
        spread.add(value)
    assert spread.count == 4
    assert spread.percentile_s(75) <= 1e-5


def test_a_million_different_failures_take_little_memory() -> None:
    row = EventLedger("a")
    for number in range(10_000):
        row.fail(RunFailure("a", number, 0.0, 0.0, "", f"error {number}"))
        row.skip(f"reason {number}")
    assert (row.failed, row.skipped, len(row.failures)) == (10_000, 10_000, 50)
    assert len(row.reasons) <= 11
    assert sum(row.reasons.values()) == 10_000
    assert row.last_error == "error 9999"


def test_a_ledger_is_balanced_or_not() -> None:
    good, bad = EventLedger("a", due=3, run=1, skipped=1, missed=1), EventLedger("b", due=2, run=1)
    assert ScenarioLedger([good]).is_balanced
    assert not ScenarioLedger([good, bad]).is_balanced
    assert ScenarioLedger([good, bad]).total("due") == 5
