"""Leases from a backend without a queue: what is granted, kept and released in this process."""

from __future__ import annotations

import threading
from collections.abc import Collection

import pytest

from OttoLibrary.contracts.reservations import Demand, Lease
from OttoLibrary.errors import LeaseLostError, ReservationError
from OttoLibrary.examples.reservations import MemoryBookings
from OttoLibrary.reservation.without_queue import QueuelessLeasing


@pytest.fixture
def bookings() -> QueuelessLeasing:
    return QueuelessLeasing(MemoryBookings(), "bookings")


def granted(bookings: QueuelessLeasing, demand: Demand) -> Lease:
    lease = bookings.attempt(bookings.join(demand))
    assert lease is not None
    return lease


def test_it_takes_the_first_free_hosts_that_share_nothing(bookings: QueuelessLeasing) -> None:
    wanted = Demand({"a": ("q-rack",), "b": ("q-rack",), "c": ("q-bench",), "d": ("q-desk",)}, 2, "alice")
    lease = granted(bookings, wanted)
    assert (lease.hosts, lease.resources) == (("a", "c"), ("q-rack", "q-bench"))
    assert bookings.attempt(bookings.join(Demand({"b": ("q-rack",)}, 1, "bob"))) is None
    bookings.close()
    assert MemoryBookings().who_reserved("q-rack") == []


def test_leaving_releases_what_the_ticket_got(bookings: QueuelessLeasing) -> None:
    ticket = bookings.join(Demand({"a": ("q-left",)}, 1, "alice"))
    assert bookings.attempt(ticket) is not None
    bookings.leave(ticket)
    bookings.leave(ticket)
    assert bookings.who_reserved("q-left") == []


def test_what_was_released_cannot_be_renewed(bookings: QueuelessLeasing) -> None:
    lease = granted(bookings, Demand({"a": ("q-gone",)}, 1, "alice"))
    bookings.release(lease)
    with pytest.raises(LeaseLostError, match="it was released or lost earlier"):
        bookings.renew(lease)


def test_tokens_grow(bookings: QueuelessLeasing) -> None:
    first = granted(bookings, Demand({"a": ("q-token",)}, 1, "alice"))
    bookings.release(first)
    second = granted(bookings, Demand({"a": ("q-token",)}, 1, "alice"))
    bookings.release(second)
    assert second.token > first.token


def test_a_wrong_answer_is_an_error_that_names_the_method() -> None:
    class Wrong(MemoryBookings):
        def who_reserved(self, resource: str) -> list[str]:
            return "bob"  # type: ignore[return-value]

    with pytest.raises(ReservationError, match=r"who_reserved\(\) returned 'bob' where a list of users is expected"):
        QueuelessLeasing(Wrong(), "bookings").who_reserved("a")


def test_a_renewal_that_hangs_lets_the_next_one_through() -> None:
    hangs, may_end = threading.Event(), threading.Event()

    class Hanging(MemoryBookings):
        def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
            if "q-hang" in resources:
                hangs.set()
                may_end.wait(60)
            return super().renew(username, resources, lease_s)

    bookings = QueuelessLeasing(Hanging(), "bookings")
    first = granted(bookings, Demand({"a": ("q-hang",)}, 1, "alice", lease_s=4.0))
    second = granted(bookings, Demand({"b": ("q-through",)}, 1, "alice", lease_s=4.0))
    hanging = threading.Thread(target=bookings.renew, args=(first,))
    hanging.start()
    try:
        assert hangs.wait(20)
        assert bookings.renew(second).hosts == ("b",)
    finally:
        may_end.set()
        hanging.join()
    bookings.close()
