"""The queue for leases, as a pure function of state and time."""

from __future__ import annotations

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
