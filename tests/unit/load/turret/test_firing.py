"""When users fire."""

from __future__ import annotations

import pytest

from OttoLibrary.load.turret.firing import Arrivals, FiringPlan


def plan(*stages: tuple[float, float], **more: object) -> FiringPlan:
    return FiringPlan.from_plain({"stages": stages, **more})


def test_without_a_ramp_all_users_begin_at_once() -> None:
    assert [plan((0, 5), (60, 5)).windows(user) for user in range(6)] == [[(0, 60)]] * 5 + [[]]


def test_the_ramp_is_exact() -> None:
    begins = [plan((4, 10), (6, 10)).windows(user)[0][0] for user in range(10)]
    assert begins == pytest.approx([0.4 * user for user in range(10)])


def test_users_leave_as_they_came() -> None:
    windows = [plan((10, 10), (10, 10), (10, 0)).windows(user) for user in (0, 5, 9)]
    assert windows == [[(0.0, 30.0)], [(5.0, 25.0)], [(9.0, 21.0)]]


def test_a_user_may_come_again() -> None:
    assert plan((10, 10), (10, 0), (10, 10)).windows(5) == [(5.0, 15.0), (25.0, 30.0)]


def test_turrets_share_the_users_evenly() -> None:
    stages = [(4.0, 10.0), (6.0, 10.0)]
    mine = [plan(*stages, share=(1, 2)).windows(user)[0][0] for user in range(5)]
    assert mine == pytest.approx([0.4, 1.2, 2.0, 2.8, 3.6])


def test_iterations_are_divided_to_the_last_one() -> None:
    parts = [
        plan((1, 4), iterations=10, all_users=4, share=(turret, 2)).iterations_of(user) for turret in (0, 1) for user in (0, 1)
    ]
    assert sorted(parts) == [2, 2, 3, 3]


def test_a_constant_rate_has_equal_distances() -> None:
    assert list(plan((0, 50), (2, 50)).starts()) == pytest.approx([number / 50 for number in range(100)])


def test_a_rate_that_grows_starts_as_many_as_the_area_below_it() -> None:
    starts = list(plan((10, 20)).starts())
    assert len(starts) == 100
    assert starts == sorted(starts)
    assert starts[25] == pytest.approx(5.0)


def test_a_rate_that_falls_to_nothing_ends_there() -> None:
    starts = list(plan((0, 10), (10, 0)).starts())
    assert len(starts) == 50
    assert all(0 <= start <= 10 for start in starts)


def test_turrets_share_the_arrivals() -> None:
    whole = list(plan((0, 30), (1, 30)).starts())
    parts = [start for turret in range(3) for start in plan((0, 30), (1, 30), share=(turret, 3)).starts()]
    assert sorted(parts) == pytest.approx(whole)


def test_planned_is_begun_and_dropped() -> None:
    arrivals = Arrivals(plan((0, 10), (10, 10), patience_s=1.0))
    begun = [arrivals.begin(taken, taken + late) for late in (0.0, 0.5, 2.0) if (taken := arrivals.take()) is not None]
    assert begun == [True, True, False]
    waiting = arrivals.take()
    assert waiting is not None
    arrivals.stop(0.75)
    assert not arrivals.begin(waiting, 0.8)
    assert arrivals.take() is None
    # Due by then: 0.0, 0.1, ... 0.7.
    assert (arrivals.planned, arrivals.begun, arrivals.dropped) == (8, 2, 6)


def test_what_was_not_due_at_the_end_was_not_planned() -> None:
    arrivals = Arrivals(plan((0, 10), (10, 10)))
    taken = [arrivals.take() for _ in range(3)]
    arrivals.stop(0.05)
    assert not any(arrivals.begin(start or 0.0, 1.0) for start in taken)
    assert arrivals.planned == arrivals.dropped == 1
