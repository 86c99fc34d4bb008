"""The queue for leases, as a pure function of state and time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from OttoLibrary.contracts.reservations import Demand, Lease
from OttoLibrary.errors import LeaseLostError, ReservationError
from OttoLibrary.reservation import queue


def demand(*hosts: str, count: int = 0, priority: int = 0, lease_s: float = 60.0) -> Demand:
    return Demand({host: (host,) for host in hosts}, count or len(hosts), "alice", "testing", lease_s, priority)


def granted(state: queue.State, ticket: str, now: float = 0.0) -> Lease:
    lease = queue.attempt(state, ticket, now)
    assert lease is not None
    return lease


def test_a_free_host_is_granted_and_held() -> None:
    state = queue.new_state()
    lease = granted(state, queue.join(state, demand("a"), "me"))
    assert (lease.hosts, lease.resources) == (("a",), ("a",))
    assert [(held.resource, held.user, held.purpose) for held in queue.holdings(state, 0.0)] == [("a", "alice", "testing")]
    assert state["queue"] == []


def test_a_demand_gets_all_or_nothing() -> None:
    state = queue.new_state()
    granted(state, queue.join(state, demand("a"), "me"))
    assert queue.attempt(state, queue.join(state, demand("a", "b"), "you"), 0.0) is None
    assert set(state["leases"]) == {"a"}


def test_an_earlier_demand_is_not_overtaken() -> None:
    state = queue.new_state()
    first = granted(state, queue.join(state, demand("a"), "me"))
    large = queue.join(state, demand("a", "b"), "you")
    small = queue.join(state, demand("b"), "they")
    assert queue.attempt(state, small, 0.0) is None
    queue.release(state, first, "me")
    assert granted(state, large).hosts == ("a", "b")


def test_a_higher_priority_goes_first() -> None:
    state = queue.new_state()
    normal = queue.join(state, demand("a"), "me")
    urgent = queue.join(state, demand("a", priority=5), "you")
    assert queue.attempt(state, normal, 0.0) is None
    granted(state, urgent)


def test_hosts_that_share_a_resource_are_not_in_one_lease() -> None:
    state = queue.new_state()
    wanted = Demand({"a": ("rack",), "b": ("rack",), "c": ("bench",)}, 2, "alice")
    assert granted(state, queue.join(state, wanted, "me")).hosts == ("a", "c")


def test_a_lease_ends_unless_it_is_renewed() -> None:
    state = queue.new_state()
    lease = granted(state, queue.join(state, demand("a"), "me"), now=0.0)
    queue.renew(state, lease, "me", 50.0)
    queue.remove_dead(state, (), 100.0)
    assert "a" in state["leases"]
    queue.remove_dead(state, (), 111.0)
    assert state["leases"] == {}
    with pytest.raises(LeaseLostError, match="it was not renewed for 60 seconds"):
        queue.renew(state, lease, "me", 111.0)


def test_the_dead_leave_nothing() -> None:
    state = queue.new_state()
    granted(state, queue.join(state, demand("a"), "dead"))
    queue.join(state, demand("a"), "dead")
    queue.join(state, demand("a"), "alive")
    queue.remove_dead(state, {"dead"}, 0.0)
    assert queue.owners(state) == {"alive"}


def test_only_the_owner_renews_and_releases() -> None:
    state = queue.new_state()
    lease = granted(state, queue.join(state, demand("a"), "me"))
    queue.release(state, lease, "somebody")
    assert "a" in state["leases"]
    with pytest.raises(LeaseLostError):
        queue.renew(state, lease, "somebody", 0.0)


def test_a_lease_taken_by_force_says_who_and_why() -> None:
    state = queue.new_state()
    lease = granted(state, queue.join(state, demand("a"), "me"))
    assert [held.user for held in queue.release_forced(state, "a", "carol", "release day", 0.0)] == ["alice"]
    assert queue.release_forced(state, "a", "carol", "again", 0.0) == []
    with pytest.raises(LeaseLostError, match=r"carol took it by force \(release day\)"):
        queue.renew(state, lease, "me", 0.0)


def test_leaving_releases_what_the_ticket_got() -> None:
    state = queue.new_state()
    ticket = queue.join(state, demand("a"), "me")
    granted(state, ticket)
    queue.leave(state, ticket)
    assert state["leases"] == {}
    with pytest.raises(ReservationError, match="lost its place in the queue"):
        queue.attempt(state, ticket, 0.0)


def test_tokens_grow() -> None:
    state = queue.new_state()
    first = granted(state, queue.join(state, demand("a"), "me"))
    queue.release(state, first, "me")
    assert granted(state, queue.join(state, demand("a"), "me")).token > first.token


def test_nobody_gets_what_is_in_quarantine_until_it_is_lifted() -> None:
    state = queue.new_state()
    queue.quarantine(state, ["a"], "carol", "the fan is broken")
    queue.quarantine(state, ["a"], "dave", "no reason")
    ticket = queue.join(state, demand("a", "b", count=1), "me")
    assert granted(state, ticket).hosts == ("b",)
    later = queue.join(state, demand("a"), "me")
    assert queue.attempt(state, later, 0.0) is None
    assert [(one.resource, one.user, one.reason) for one in queue.lift(state, ["a", "z"])] == [
        ("a", "carol", "the fan is broken")
    ]
    assert granted(state, later).hosts == ("a",)
    assert queue.lift(state, ["a"]) == []


def test_who_has_a_host_keeps_it_when_it_is_put_in_quarantine() -> None:
    state = queue.new_state()
    lease = granted(state, queue.join(state, demand("a"), "me"))
    queue.quarantine(state, ["a"], "carol", "smoke")
    assert queue.renew(state, lease, "me", 1.0).hosts == ("a",)
    queue.release(state, lease, "me")
    assert queue.attempt(state, queue.join(state, demand("a"), "me"), 2.0) is None


def test_who_waits_for_the_end_of_a_quarantine_keeps_nobody_waiting() -> None:
    state = queue.new_state()
    queue.quarantine(state, ["a"], "carol", "smoke")
    both = queue.join(state, demand("a", "b"), "me")
    assert granted(state, queue.join(state, demand("b"), "you")).hosts == ("b",)
    assert queue.attempt(state, both, 0.0) is None


def test_the_queue_is_listed_with_the_next_one_first() -> None:
    state = queue.new_state()
    for user, priority in (("alice", 0), ("bob", 0), ("carol", 1)):
        queue.join(state, replace(demand("a", priority=priority), user=user), "me")
    assert [one.user for one in queue.waiting(state)] == ["carol", "alice", "bob"]


def test_a_state_from_before_there_were_quarantines_is_read() -> None:
    old = {key: value for key, value in queue.new_state().items() if key != "quarantine"}
    assert queue.checked(json.dumps(old)) == queue.new_state()


@pytest.mark.parametrize("note", [{}, {"by": 1, "reason": "", "at": 0}, {"by": "", "reason": "", "at": "now"}, None])
def test_a_quarantine_that_is_none_is_no_state(note: object) -> None:
    with pytest.raises(ValueError, match=r"quarantine|reservations"):
        queue.checked(json.dumps(queue.new_state() | {"quarantine": {"a": note}}))
