"""What a process of Locust tells of its users."""

from __future__ import annotations

import time
from typing import Any

import pytest

from OttoLibrary.load.locust_engine.locust_battery import EarlyRequests, LocustBattery, request_name, users_at
from OttoLibrary.load.turret.cannons import RunClock
from OttoLibrary.load.turret.firing import FiringPlan


class Transaction:
    """Counts how often it was done, and fails the second time."""

    def __init__(self) -> None:
        self.custom_timers: dict[str, float] = {}
        self.done = 0

    def setup(self) -> None:
        pass

    def run(self) -> None:
        self.done += 1
        if self.done == 2:
            raise ValueError

    def tear_down(self) -> None:
        pass


def battery(**plan: Any) -> LocustBattery:
    values: dict[str, Any] = {"stages": [[0, 4], [100, 4]], "all_users": 4, "rows": True} | plan
    return LocustBattery(FiringPlan.from_plain(values), Transaction, RunClock(1000.0), count_users=lambda: 3)


def test_each_request_is_a_result_and_a_timer() -> None:
    made = battery()
    made.note("GET /books", 0.25, None, 1.5)
    made.note("GET /books", 0.5, ConnectionError(), 1.6)
    made.note("POST /cart", 0.1, "HTTP status 500", 2.0)
    plain = made.take().to_plain()
    assert plain["count"] == 3
    assert [[second, failed, sorted(kinds)] for second, failed, kinds in plain["seconds"]] == [
        [1001, 1, ["response", "timer:GET /books"]],
        [1002, 1, ["response", "timer:POST /cart"]],
    ]
    assert [error[:3] for error in plain["errors"]] == [
        ["ConnectionError", "ConnectionError", 1],
        ["Failure", "HTTP status 500", 1],
    ]
    assert made.counters.totals() == (3, 3)
    assert made.take().is_empty


def test_an_exception_of_a_task_is_a_failure_without_a_time() -> None:
    made = battery()
    made.note_failure(KeyError("price"))
    tally = made.take()
    assert not tally.is_empty
    assert tally.count == 0
    plain = tally.to_plain()
    assert [error[:3] for error in plain["errors"]] == [["KeyError", "task: 'price'", 1]]
    assert plain["seconds"][0][1:] == [1, {}]
    assert made.counters.totals() == (0, 0)


def test_requests_before_the_start_is_known_are_not_lost() -> None:
    early = EarlyRequests()
    early.add("GET /", 0.1, None)
    time.sleep(0)
    made = battery()
    early.tell(made)
    early.tell(made)
    assert made.take().count == 1


def test_users_of_ours_are_counted_also_when_another_one_takes_over() -> None:
    made = battery()
    cannon = made.borrow()
    assert [note.failure for note in (cannon.fire(), cannon.fire()) if note is not None] == [None, ("ValueError", "ValueError")]
    made.give_back(cannon)
    again = made.borrow()
    assert again is cannon
    note = again.fire()
    assert note is not None
    assert note.failure is None
    assert made.borrow() is not cannon
    assert made.take().count == 3
    assert made.counters.totals() == (3, 3)


def test_after_the_end_nothing_is_counted() -> None:
    made = battery()
    assert made.users == 3
    made.finish()
    made.note("GET /", 0.1, None)
    made.note_failure(ValueError("late"))
    assert made.take().is_empty
    assert made.users == 0


def test_what_does_not_end_is_given_up_after_the_grace() -> None:
    made = battery(stages=[], grace_s=0.0)
    made.stop()
    assert not made.is_over
    made.look()
    assert made.is_over


@pytest.mark.parametrize(("at_s", "users"), [(0.0, 1), (5.0, 5), (10.0, 10), (15.0, 10), (25.0, 5), (30.0, 1), (99.0, 1)])
def test_locust_gets_the_users_of_the_plan(at_s: float, users: int) -> None:
    plan = FiringPlan.from_plain({"stages": [[10, 10], [10, 10], [10, 0]], "all_users": 10})
    assert users_at(plan, at_s) == users


def test_a_request_is_called_as_in_locusts_own_tables() -> None:
    assert request_name("GET", "/books") == "GET /books"
    assert request_name("", "/books") == "/books"
