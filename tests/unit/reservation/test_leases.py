"""The leases of a run, with a backend that answers what the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from OttoLibrary.contracts.reservations import Demand, Holding, Lease
from OttoLibrary.errors import LeaseLostError, NotFreeError, ReservationError
from OttoLibrary.reservation.leases import Leases, holding_text, holdings_of, obstacles

DEMAND = Demand({"a": ("a",)}, 1, "alice", "testing", 60.0)
LEASE = Lease(("a",), ("a",), 1, 0.0, 60.0)


class FakeBackend:
    """A backend with a queue; ``answer`` is what an attempt returns, ``fail`` what a renewal raises."""

    def __init__(self) -> None:
        self.answer: Lease | None = LEASE
        self.fail: Exception | None = None
        self.calls: list[str] = []
        self.renewed = threading.Event()

    def backend_name(self) -> str:
        return "fake"

    def get_reserved_resources(self, username: str) -> set[str]:
        return set()

    def who_reserved(self, resource: str) -> list[str]:
        return ["bob"]

    def join(self, demand: Demand) -> str:
        self.calls.append("join")
        return "ticket"

    def attempt(self, ticket: str) -> Lease | None:
        self.calls.append("attempt")
        return self.answer

    def wait(self, ticket: str, seconds: float) -> None:
        self.calls.append("wait")

    def leave(self, ticket: str) -> None:
        self.calls.append("leave")

    def holdings(self) -> list[Holding]:
        return [Holding("a", "bob", purpose="soak test", process="bench:7"), Holding("z", "bob")]

    def renew(self, lease: Lease) -> Lease:
        self.renewed.set()
        if self.fail is not None:
            raise self.fail
        return replace(lease, until=lease.until + lease.lease_s)

    def release(self, lease: Lease) -> None:
        self.calls.append("release")

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        return []

    def close(self) -> None:
        self.calls.append("close")


def ran(work: Callable[[Leases, FakeBackend], object]) -> list[LeaseLostError]:
    """Do some work with leases, and return what was lost."""
    lost: list[LeaseLostError] = []
    backend = FakeBackend()

    async def main() -> None:
        leases = Leases(backend, lambda sentence: None, lost.append)
        try:
            await work(leases, backend)  # type: ignore[misc]
        finally:
            await leases.close()

    asyncio.run(main())
    return lost


def test_what_is_reserved_is_listed_until_it_is_released() -> None:
    async def work(leases: Leases, backend: FakeBackend) -> None:
        await leases.reserve(DEMAND, 0.0)
        assert leases.hosts == ["a"]
        assert await leases.release(["b"]) == []
        assert await leases.release(["a"]) == ["a"]
        assert leases.leases == []
        assert "release" in backend.calls

    assert ran(work) == []


def test_more_than_there_is_to_choose_from_is_an_error_before_queueing() -> None:
    async def work(leases: Leases, backend: FakeBackend) -> None:
        with pytest.raises(ReservationError, match="2 hosts were requested, but only 1 host can be chosen from"):
            await leases.reserve(replace(DEMAND, count=2), 0.0)
        assert backend.calls == []

    ran(work)


def test_what_does_not_become_free_leaves_the_queue_and_names_the_holder() -> None:
    async def work(leases: Leases, backend: FakeBackend) -> None:
        backend.answer = None
        with pytest.raises(NotFreeError, match=r"'a': bob \(bench:7\) for 'soak test'"):
            await leases.reserve(DEMAND, 0.0)
        assert backend.calls == ["join", "attempt", "leave"]

    ran(work)


def test_a_lease_that_was_lost_is_reported_once_and_not_listed() -> None:
    async def work(leases: Leases, backend: FakeBackend) -> None:
        await leases.reserve(DEMAND, 0.0)
        backend.fail = LeaseLostError(("a",), "carol took it by force (release day)")
        await leases.renew()
        await leases.renew()
        assert leases.hosts == []

    assert len(ran(work)) == 1


def test_a_renewal_without_an_answer_is_no_loss_before_the_end() -> None:
    async def work(leases: Leases, backend: FakeBackend) -> None:
        await leases.reserve(DEMAND, 0.0)
        backend.fail = ReservationError("no answer")
        await leases.renew()
        assert leases.hosts == ["a"]
        backend.fail = None

    assert ran(work) == []


def test_extending_changes_the_length() -> None:
    async def work(leases: Leases, backend: FakeBackend) -> None:
        await leases.reserve(DEMAND, 0.0)
        (longer,) = await leases.extend([], 600.0)
        assert longer.lease_s == leases.leases[0].lease_s == 600.0

    ran(work)


def test_a_holding_in_words() -> None:
    assert holding_text(Holding("a", "bob")) == "'a': bob"
    assert obstacles(DEMAND, FakeBackend()) == ["'a': bob (bench:7) for 'soak test'"]


def test_holdings_of_a_backend_that_cannot_list_them() -> None:
    class Names:
        def backend_name(self) -> str:
            return "names"

        def get_reserved_resources(self, username: str) -> set[str]:
            return set()

        def who_reserved(self, resource: str) -> list[str]:
            return ["bob"] if resource == "a" else []

    assert holdings_of(Names(), ["a", "b"]) == [Holding("a", "bob")]


def test_a_plug_in_that_raises_anything_is_warned_of_and_asked_again() -> None:
    warned: list[str] = []

    async def main() -> None:
        backend = FakeBackend()
        lost: asyncio.Queue[LeaseLostError] = asyncio.Queue()
        leases = Leases(backend, lambda sentence: None, lost.put_nowait, warned.append)
        backend.answer = replace(LEASE, lease_s=0.2)
        backend.fail = RuntimeError("a mistake of the plug-in")
        await leases.reserve(DEMAND, 0.0)
        async with asyncio.timeout(20):
            error = await lost.get()
        assert "it could not be renewed (RuntimeError: a mistake of the plug-in)" in str(error)
        backend.fail = None
        backend.answer = replace(LEASE, token=2, lease_s=0.2)
        await leases.reserve(DEMAND, 0.0)
        backend.renewed.clear()
        assert await asyncio.to_thread(backend.renewed.wait, 20)
        await leases.close()

    asyncio.run(main())
    assert warned == ["The lease of a could not be renewed (RuntimeError: a mistake of the plug-in); this is tried again."]


def test_a_cancelled_reservation_leaves_no_place_in_the_queue() -> None:
    """The thread that joins cannot be cancelled: its ticket must be given up when it comes."""
    may_join = threading.Event()

    class SlowToJoin(FakeBackend):
        def join(self, demand: Demand) -> str:
            may_join.wait(20)
            return super().join(demand)

    async def main() -> None:
        backend = SlowToJoin()
        leases = Leases(backend, lambda sentence: None, lambda error: None)
        reserving = asyncio.ensure_future(leases.reserve(DEMAND, 0.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reserving.cancel()
        may_join.set()
        with pytest.raises(asyncio.CancelledError):
            await reserving
        assert backend.calls == ["join", "leave"]
        await leases.close()

    asyncio.run(main())


def test_a_renewal_that_never_returns_holds_up_no_other_and_is_asked_once() -> None:
    never, asked = threading.Event(), [0]

    class Hanging(FakeBackend):
        def renew(self, lease: Lease) -> Lease:
            if lease.token != LEASE.token:
                return super().renew(lease)
            asked[0] += 1
            never.wait(60)
            return lease

    async def main() -> list[LeaseLostError]:
        backend = Hanging()
        lost: asyncio.Queue[LeaseLostError] = asyncio.Queue()
        leases = Leases(backend, lambda sentence: None, lost.put_nowait)
        backend.answer = replace(LEASE, lease_s=0.4)
        await leases.reserve(DEMAND, 0.0)
        backend.answer = replace(LEASE, token=LEASE.token + 1, hosts=("b",), lease_s=60)
        await leases.reserve(DEMAND, 0.0)
        async with asyncio.timeout(20):
            error = await lost.get()
            backend.renewed.clear()
            await leases.renew()
        assert backend.renewed.is_set()
        assert leases.hosts == ["b"]
        await leases.close()
        return [error]

    try:
        (error,) = asyncio.run(main())
    finally:
        never.set()
    assert "it could not be renewed (The reservations did not answer in 0.1 seconds.)" in str(error)
    assert asked == [1]
