"""Cron expressions: seconds, time zones, and what is wrong in plain words."""

from __future__ import annotations

import datetime

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.scenario.cron import Cron, mistake, time_zone_mistake

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "after_s"),
    [("*/5 * * * *", 300), ("*/10 * * * * *", 10), ("@hourly", 3600), ("30 12 * * *", 1800), ("@daily", 12 * 3600)],
)
def test_the_next_time(expression: str, after_s: float) -> None:
    assert Cron(expression, "UTC").next_after(NOON) == NOON + after_s


def test_a_time_zone_is_where_the_clock_hangs() -> None:
    assert Cron("0 14 * * *", "Europe/Berlin").next_after(NOON) == NOON + 3600


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("@often", "is no time. Write five fields"),
        ("@reboot", "no time of a clock"),
        ("0 0 31 2 *", "names a date that never comes"),
        ("0 0 30 feb *", "names a date that never comes"),
        ("0 0 31 4 *", "names a date that never comes"),
        ("61 * * * *", "'61' is no minute"),
        ("* * *", "has 3 fields. Write five"),
        ("", "has 0 fields"),
        ("* * * * mondayish", "'mondayish' is no day of the week"),
    ],
)
def test_what_is_wrong_is_told_in_plain_words(expression: str, words: str) -> None:
    assert words in mistake(expression)


def test_an_unknown_time_zone_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="There is no time zone 'Mars/Olympus'"):
        Cron("* * * * *", "Mars/Olympus")
    assert "no time zone" in time_zone_mistake("../../etc/passwd")


def test_a_right_one_has_no_mistake() -> None:
    assert mistake("0 0 29 2 *") == time_zone_mistake("UTC") == ""
