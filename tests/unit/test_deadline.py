"""A moment by which something must be done."""

from __future__ import annotations

from OttoLibrary.deadline import Deadline, since_boot_s


def test_a_deadline_counts_down_and_is_never_negative() -> None:
    now = [100.0]
    deadline = Deadline(5, clock=lambda: now[0])
    assert (deadline.seconds, deadline.remaining_s, deadline.expired) == (5, 5.0, False)
    now[0] = 104.5
    assert (deadline.remaining_s, deadline.expired) == (0.5, False)
    now[0] = 105.0
    assert deadline.expired
    now[0] = 200.0
    assert (deadline.remaining_s, deadline.expired) == (0.0, True)


def test_the_clock_since_boot_grows() -> None:
    before = since_boot_s()
    assert 0 < before <= since_boot_s()
