"""When events are due, on paper."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from OttoLibrary.scenario.due_times import DueTimes, due_offsets
from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC).timestamp()


def offsets(duration_s: float = 10.0, phases: tuple[Phase, ...] = (), wall_s: float = NOON, **event: Any) -> list[float]:
    made = ScenarioEvent("a", **event)
    return list(due_offsets(Scenario("s", duration_s, (made,), phases), made, wall_s))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, [0]),
        ({"at_startup": False}, []),
        ({"every_s": 4.0}, [0, 4, 8]),
        ({"every_s": 5.0}, [0, 5]),
        ({"every_s": 4.0, "at_startup": False}, [4, 8]),
        ({"every_s": 4.0, "times": 2}, [0, 4]),
        ({"start_after_s": 3.0, "at_startup": False}, [3]),
        ({"start_after_s": 3.0, "every_s": 4.0, "at_startup": False}, [3, 7]),
        ({"start_after_s": 3.0, "every_s": 4.0, "at_startup": True}, [0, 3, 7]),
        ({"start_after_s": 10.0, "at_startup": False}, []),
        ({"phase": "steady", "every_s": 3.0}, [2, 5]),
        ({"phase": "steady", "every_s": 3.0, "at_startup": False}, [5]),
        ({"cron": "*/4 * * * * *", "time_zone": "UTC", "at_startup": False}, [0, 4, 8]),
        ({"cron": "*/4 * * * * *", "time_zone": "UTC", "at_startup": True}, [0, 0, 4, 8]),
    ],
)
def test_times_of_an_event(event: dict[str, Any], expected: list[float]) -> None:
    assert offsets(phases=(Phase("ramp", 0, 2), Phase("steady", 2, 8)), **event) == pytest.approx(expected)


def test_an_interval_of_a_tenth_does_not_drift_in_a_day() -> None:
    found = offsets(86400.0, every_s=0.1)
    assert len(found) == 864_000
    assert found[-1] == pytest.approx(86399.9, abs=1e-6)


def test_jitter_is_the_same_for_the_same_seed_and_never_early() -> None:
    event = ScenarioEvent("a", every_s=1.0, jitter_s=0.5)
    scenario = Scenario("s", 100.0, (event,))
    first, again, other = (list(due_offsets(scenario, event, seed=seed)) for seed in ("x", "x", "y"))
    assert first == again != other
    assert all(0 <= at - number <= 0.5 for number, at in enumerate(first))


def test_a_step_of_the_wall_clock_moves_what_follows_it_and_no_interval() -> None:
    by_clock = ScenarioEvent("a", cron="0 * * * *", time_zone="UTC", at_startup=False)
    by_interval = ScenarioEvent("b", every_s=3600.0)
    scenario = Scenario("s", 1e5, (by_clock, by_interval))
    times = DueTimes(scenario, by_clock)
    assert times.next_s(0.0, NOON + 600) == pytest.approx(3000.0)
    times.take(3000.0, NOON + 3600)
    assert times.next_s(3000.0, NOON + 3600) == pytest.approx(6600.0)
    assert times.next_s(3010.0, NOON + 5410.0) == pytest.approx(4800.0)
    other = DueTimes(scenario, by_interval)
    other.take(0.0, NOON)
    assert other.next_s(10.0, NOON + 1e6) == 3600.0
