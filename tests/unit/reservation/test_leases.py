"""The leases of a run, with a backend that answers what the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
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


class Around:
    """What is done around leases: it notes itself, and fails or waits as the test says."""

    def __init__(self, calls: list[str], fail: str = "", hang: str = "") -> None:
        self.calls, self.fail, self.hang = calls, fail, hang
        self.hanging = asyncio.Event()

    async def before(self, hosts: Sequence[str]) -> None:
        await self._do("before")

    async def after(self, hosts: Sequence[str]) -> None:
        await self._do("after")

    async def _do(self, what: str) -> None:
        self.calls.append(what)
        if self.hang == what:
            self.hanging.set()
            await asyncio.Event().wait()
        if self.fail == what:
            raise ReservationError(f"no {what}")


def around_ran(around: Around, backend: FakeBackend, work: Callable[[Leases], Awaitable[None]]) -> list[LeaseLostError]:
    lost: list[LeaseLostError] = []

    async def whole() -> None:
        leases = Leases(backend, lambda text: None, lost.append, around=around)
        try:
            async with asyncio.timeout(30):
                await work(leases)
        finally:
            await leases.close()

    asyncio.run(whole())
    return lost


def test_what_is_done_around_a_lease_is_done_while_it_is_held() -> None:
    backend = FakeBackend()

    async def work(leases: Leases) -> None:
        await leases.reserve(DEMAND, 0)
        await leases.release()

    around_ran(Around(backend.calls), backend, work)
    assert backend.calls == ["join", "attempt", "before", "after", "release", "close"]


def test_a_host_that_cannot_be_made_ready_is_given_back() -> None:
    backend = FakeBackend()

    async def work(leases: Leases) -> None:
        with pytest.raises(ReservationError, match="no before"):
            await leases.reserve(DEMAND, 0)
        assert leases.hosts == []

    around_ran(Around(backend.calls, fail="before"), backend, work)
    assert backend.calls == ["join", "attempt", "before", "after", "release", "close"]


def test_a_host_is_released_when_what_is_done_last_fails() -> None:
    backend = FakeBackend()

    async def work(leases: Leases) -> None:
        await leases.reserve(DEMAND, 0)
        with pytest.raises(ReservationError, match="no after"):
            await leases.release()
        assert leases.hosts == []

    around_ran(Around(backend.calls, fail="after"), backend, work)
    assert backend.calls[-2:] == ["release", "close"]


@pytest.mark.parametrize("hang", ["before", "after"])
def test_a_time_out_in_what_is_done_around_a_lease_releases_it(hang: str) -> None:
    backend = FakeBackend()
    around = Around(backend.calls, hang=hang)

    async def use(leases: Leases) -> None:
        await leases.reserve(DEMAND, 0)
        await leases.release()

    async def work(leases: Leases) -> None:
        using = asyncio.create_task(use(leases))
        await around.hanging.wait()
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert leases.hosts == []

    around_ran(around, backend, work)
    assert backend.calls[-2:] == ["release", "close"]


@pytest.mark.parametrize("hang", ["before", "after"])
def test_a_lease_lost_in_what_is_done_around_it_ends_that(hang: str) -> None:
    backend = FakeBackend()
    around = Around(backend.calls, hang=hang)

    async def work(leases: Leases) -> None:
        async def use() -> None:
            await leases.reserve(DEMAND, 0)
            await leases.release()

        using = asyncio.create_task(use())
        await around.hanging.wait()
        backend.fail = LeaseLostError(["a"], "somebody took it")
        await leases.renew()
        with pytest.raises(LeaseLostError):
            await using

    lost = around_ran(around, backend, work)
    assert len(lost) == 1
    # It may be another's by now.
    assert "release" not in backend.calls
