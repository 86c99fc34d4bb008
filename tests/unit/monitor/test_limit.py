"""Limits: what breaks them, and what they say then."""

from __future__ import annotations

import pytest

from OttoLibrary.monitor.limit import RELATIONS, Limit, clock_text


def limit(relation: str, *, must: bool) -> Limit:
    return Limit("dut1", "cpu", "max", relation, 90.0, must, 0.0)


@pytest.mark.parametrize(
    ("relation", "holds_for"),
    [("<", [89.0]), ("<=", [89.0, 90.0]), (">", [91.0]), (">=", [90.0, 91.0]), ("==", [90.0]), ("!=", [89.0, 91.0])],
)
def test_a_limit_that_must_hold_is_broken_by_all_other_values(relation: str, holds_for: list[float]) -> None:
    values = [89.0, 90.0, 91.0]
    assert [value for value in values if not limit(relation, must=True).is_broken(value)] == holds_for
    assert [value for value in values if limit(relation, must=False).is_broken(value)] == holds_for


def test_every_relation_is_known() -> None:
    assert set(RELATIONS) == {"<", "<=", ">", ">=", "==", "!="}


def test_the_message_names_value_rule_and_times() -> None:
    error = limit("<", must=True).error(93.2, 60.0, "%")
    assert str(error) == (
        f"Metric 'cpu' of host 'dut1' max 93.2 % must be < 90 % (at {clock_text(60.0)}, watched since {clock_text(0.0)})."
    )
    assert f"must not be < 90 % (watched since {clock_text(0.0)})" in str(limit("<", must=False).error(1.0, None, "%"))
