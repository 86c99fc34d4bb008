"""Reserving by a third party's backend that can acquire, renew and release: what it lacks shows in the waiting alone."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts.reservations import Acquiring, Demand, Lease, Leasing
from OttoLibrary.engine import Engine
from OttoLibrary.errors import LeaseLostError, NotFreeError, PluginError, ReservationError
from OttoLibrary.reservation.leases import Leases
from OttoLibrary.reservation.reservations import RunReservations
from OttoLibrary.reservation.without_queue import QueuelessLeasing
from OttoLibrary.testing import AcquiringTests, LeasingTests
from tests.peers import processes
from tests.peers.bookings import ROOT, Holder, SqliteBookings
from tests.robot.running import run as run_robot

Work = Callable[[Leases, list[str], list[LeaseLostError]], Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bookings.sqlite"


@pytest.fixture
def holder(file: Path) -> Iterator[Callable[..., Holder]]:
    with contextlib.ExitStack() as ends:

        def start(user: str, hosts: str, lease_s: float = 30) -> Holder:
            started = Holder(file, user, hosts, lease_s)
            ends.callback(started.end)
            started.said("GOT")
            return started

        yield start


def demand(*names: str, count: int = 0, lease_s: float = 30, user: str = "alice") -> Demand:
    return Demand({name: (name,) for name in names}, count or len(names), user, "testing", lease_s)


def run(backend: Acquiring, work: Work) -> Any:
    """Do something with the leases of a run, which then ends."""

    async def whole() -> Any:
        told, lost = list[str](), list[LeaseLostError]()
        leases = Leases(QueuelessLeasing(backend, "bookings"), told.append, lost.append)
        try:
            return await work(leases, told, lost)
        finally:
            await leases.close()

    return asyncio.run(whole())


# -- the promises


class TestSqliteBookings(AcquiringTests):
    @pytest.fixture(autouse=True)
    def _where(self, file: Path) -> None:
        self.file = file

    def backend(self) -> Acquiring:
        return SqliteBookings(str(self.file))


class TestQueuelessLeasing(LeasingTests):
    """It keeps all promises of a backend with a queue but those about the queue, about force, and about what others say."""

    @pytest.fixture(autouse=True)
    def _where(self, file: Path) -> None:
        self.file = file

    def backend(self) -> Leasing:
        return QueuelessLeasing(SqliteBookings(str(self.file)), "bookings")

    test_first_come_first_served = None  # type: ignore[assignment]
    test_a_wide_demand_is_not_starved = None  # type: ignore[assignment]
    test_a_higher_priority_goes_first = None  # type: ignore[assignment]
    test_force_takes_it_and_says_who_and_why = None  # type: ignore[assignment]
    test_two_instances_see_each_other = None  # type: ignore[assignment]


def test_holdings_tell_all_of_our_own_and_the_user_of_others(file: Path) -> None:
    ours, theirs = (QueuelessLeasing(SqliteBookings(str(file)), "bookings") for _ in range(2))
    lease = ours.attempt(ours.join(demand("a")))
    assert lease is not None
    assert theirs.attempt(theirs.join(demand("b", user="bob"))) is not None
    assert ours.attempt(ours.join(demand("b"))) is None
    mine, other = ours.holdings()
    assert (mine.resource, mine.user, mine.purpose, mine.token, mine.until) == ("a", "alice", "testing", lease.token, lease.until)
    assert re.fullmatch(r".+:\d+", mine.process)
    assert (other.resource, other.user, other.purpose, other.token) == ("b", "bob", "", None)
    assert theirs.holdings_of(["a", "c"])[0].token is None


# -- among processes


def test_all_or_none_among_processes(file: Path, holder: Any) -> None:
    holder("bob", "b")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(NotFreeError, match=r"^'a', 'b' did not become free\. Who has what: 'b': bob\. Wait longer"):
            await leases.reserve(demand("a", "b"), 0)
        assert leases.backend.who_reserved("a") == []
        assert (await leases.reserve(demand("a", "b", "c", count=2), 0)).hosts == ("a", "c")
        with pytest.raises(NotFreeError):
            await leases.reserve(demand("a"), 0)

    run(SqliteBookings(str(file)), work)
    assert SqliteBookings(str(file)).list_usernames() == ["bob"]


def test_whoever_waits_is_told_and_gets_what_is_given_back(file: Path, holder: Any) -> None:
    other = holder("bob", "a")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        waiting = asyncio.create_task(leases.reserve(demand("a"), 60))
        await asyncio.to_thread(processes.wait_until, lambda: told, "the first word about waiting")
        assert re.match(r"Waiting for 'a', up to .* more\. 'a': bob\.", told[0])
        await asyncio.to_thread(other.let_go)
        await waiting
        assert leases.backend.who_reserved("a") == ["alice"]

    run(SqliteBookings(str(file)), work)
    assert SqliteBookings(str(file)).list_usernames() == []


def test_what_was_killed_is_free_after_its_lease(file: Path, holder: Any) -> None:
    other = holder("bob", "a", lease_s=1.5)
    other.process.kill()
    other.process.wait()

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 60)

    run(SqliteBookings(str(file)), work)


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_a_process_that_stood_still_loses_its_hosts_to_any_user_and_is_told(file: Path, holder: Any, user: str) -> None:
    other = holder("bob", "a", lease_s=1.5)
    other.process.send_signal(signal.SIGSTOP)

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a", user=user), 60)
        other.process.send_signal(signal.SIGCONT)
        said = await asyncio.to_thread(other.said, "LOST")
        assert said.startswith("The reservation of 'a' was lost: it was not renewed for 1.5 seconds.")
        await asyncio.to_thread(other.let_go)
        assert leases.backend.who_reserved("a") == [user]

    run(SqliteBookings(str(file)), work)


def test_what_the_backend_gave_away_is_a_loss(file: Path) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a", "b"), 0)
        SqliteBookings(str(file)).release("alice", ["b"])
        assert SqliteBookings(str(file)).acquire("bob", ["b"], 30, "")
        await leases.renew()
        assert "'a', 'b' was lost: the reservations 'bookings' say that alice no longer has it." in str(lost[0])
        assert not leases.hosts

    run(SqliteBookings(str(file)), work)
    assert SqliteBookings(str(file)).who_reserved("b") == ["bob"]


def test_a_lease_is_extended(file: Path) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        lease = await leases.reserve(demand("a", lease_s=60), 0)
        (longer,) = await leases.extend(["a"], 7200)
        assert longer.until > lease.until + 7000
        SqliteBookings(str(file)).release("alice", ["a"])
        # Who notices first is not sure: this, or the renewal that runs beside it.
        reasons = "the reservations 'bookings' say that alice no longer has it|it was released or lost earlier"
        with pytest.raises(LeaseLostError, match=rf"'a' was lost: ({reasons})\."):
            await leases.extend([], 7200)

    run(SqliteBookings(str(file)), work)


# -- what a backend may do wrong


class Bookings:
    """In memory, for others to break."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.ended = 0

    def backend_name(self) -> Any:
        return "bookings"

    def get_reserved_resources(self, username: str) -> Any:
        return {resource for resource, user in self.users.items() if user == username}

    def who_reserved(self, resource: str) -> Any:
        return [user for name, user in self.users.items() if name == resource]

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> Any:
        if not self.users.keys().isdisjoint(resources):
            return False
        self.users |= dict.fromkeys(resources, username)
        return True

    def renew(self, username: str, resources: Collection[str], lease_s: float) -> Any:
        return all(self.users.get(resource) == username for resource in resources)

    def release(self, username: str, resources: Collection[str]) -> Any:
        self.users = {name: user for name, user in self.users.items() if name not in resources or user != username}

    def close(self) -> None:
        self.ended += 1


CALLS: dict[str, Callable[[QueuelessLeasing, Lease, str], object]] = {
    "backend_name": lambda leasing, lease, ticket: leasing.backend_name(),
    "get_reserved_resources": lambda leasing, lease, ticket: leasing.get_reserved_resources("bob"),
    "who_reserved": lambda leasing, lease, ticket: leasing.holdings(),
    "acquire": lambda leasing, lease, ticket: leasing.attempt(ticket),
    "renew": lambda leasing, lease, ticket: leasing.renew(lease),
    "release": lambda leasing, lease, ticket: leasing.release(lease),
    "close": lambda leasing, lease, ticket: leasing.close(),
}


def prepared() -> tuple[Bookings, QueuelessLeasing, Lease, str]:
    """Return a backend, a lease of ``a``, and the ticket of a demand for ``b``."""
    backend = Bookings()
    leasing = QueuelessLeasing(backend, "bookings")
    lease = leasing.attempt(leasing.join(demand("a")))
    assert lease is not None
    return backend, leasing, lease, leasing.join(demand("b"))


@pytest.mark.parametrize("method", CALLS)
def test_what_a_method_raises_is_no_answer(method: str) -> None:
    backend, leasing, lease, ticket = prepared()

    def broken(*arguments: object) -> None:
        raise ConnectionRefusedError("nobody is there")

    setattr(backend, method, broken)
    with pytest.raises(ReservationError) as caught:
        CALLS[method](leasing, lease, ticket)
    assert str(caught.value) == (
        f"The reservations 'bookings' do not answer: {method}() failed with ConnectionRefusedError: nobody is there. "
        "It is unknown who has what."
    )


@pytest.mark.parametrize(
    ("method", "answer", "due"),
    [
        ("backend_name", None, "a name"),
        ("get_reserved_resources", ["a"], "a set of resources"),
        ("who_reserved", "bob", "a list of users"),
        ("who_reserved", None, "a list of users"),
        ("acquire", None, "True or False"),
        ("renew", 1, "True or False"),
    ],
)
def test_an_answer_of_another_kind_is_no_yes(method: str, answer: object, due: str) -> None:
    backend, leasing, lease, ticket = prepared()
    setattr(backend, method, lambda *arguments: answer)
    with pytest.raises(ReservationError, match=re.escape(f"contract: {method}() returned {answer!r} where {due} is expected.")):
        CALLS[method](leasing, lease, ticket)


def test_what_a_backend_says_itself_stays_its_sentence() -> None:
    backend, leasing, lease, _ = prepared()

    def closed(*arguments: object) -> None:
        raise ReservationError("The lab is closed until Monday.")

    backend.renew = closed  # type: ignore[method-assign]
    with pytest.raises(ReservationError, match=r"^The lab is closed until Monday\.$"):
        leasing.renew(lease)


def test_a_renewal_without_an_answer_is_no_loss_until_the_lease_has_ended() -> None:
    class Moody(Bookings):
        silent = False

        def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
            if self.silent:
                raise TimeoutError("no answer")
            return True

    backend = Moody()

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("b", lease_s=2), 0)
        await leases.reserve(demand("a", lease_s=30), 0)
        backend.silent = True
        await asyncio.to_thread(processes.wait_until, lambda: lost, "the word about the loss")
        assert "'b' was lost: it was not renewed for 2 seconds (The reservations 'bookings' do not answer: renew" in str(lost[0])
        assert leases.hosts == ["a"]

    run(backend, work)


def test_closing_gives_all_back_and_closes_the_backend_whatever_fails() -> None:
    backend, leasing, _, _ = prepared()
    assert leasing.attempt(leasing.join(demand("c"))) is not None
    sound = backend.release

    def broken(username: str, resources: Collection[str]) -> None:
        sound(username, resources)
        if "c" in resources:
            raise OSError("cut")

    backend.release = broken  # type: ignore[method-assign]
    with pytest.raises(ReservationError, match=r"release\(\) failed with OSError: cut"):
        leasing.close()
    assert (backend.users, backend.ended) == ({}, 1)
    leasing.close()
    assert backend.ended == 1


@pytest.mark.parametrize("end", ["release", "leave", "close"])
def test_what_has_ended_is_not_given_back_since_another_process_of_the_user_may_have_it(end: str) -> None:
    backend, leasing, _, _ = prepared()
    ticket = leasing.join(demand("b", lease_s=0))
    ended = leasing.attempt(ticket)
    assert ended is not None
    ways = {"release": lambda: leasing.release(ended), "leave": lambda: leasing.leave(ticket), "close": leasing.close}
    ways[end]()
    assert "b" in backend.users


def test_what_has_ended_is_not_renewed_since_another_process_of_the_user_may_have_it() -> None:
    backend, leasing, _, _ = prepared()
    ended = leasing.attempt(leasing.join(demand("b", lease_s=0)))
    assert ended is not None
    asked: list[object] = []
    backend.renew = lambda *arguments: asked.append(arguments)  # type: ignore[method-assign]
    with pytest.raises(LeaseLostError, match=r"'b' was lost: it was not renewed for 0 seconds\."):
        leasing.renew(ended)
    assert not asked


def test_an_answer_that_comes_after_the_end_is_a_loss() -> None:
    backend, leasing, _, _ = prepared()
    lease = leasing.attempt(leasing.join(demand("b", lease_s=0.3)))
    assert lease is not None

    def slow(*arguments: object) -> bool:
        processes.wait_until(lambda: time.time() > lease.until + 0.1, "the end of the lease")
        return True

    backend.renew = slow  # type: ignore[method-assign]
    with pytest.raises(LeaseLostError, match=r"'b' was lost: it was not renewed for 0\.3 seconds\."):
        leasing.renew(lease)


def test_what_came_when_nobody_waited_any_more_is_given_back() -> None:
    class Slow(Bookings):
        asked, go_on = threading.Event(), threading.Event()

        def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
            self.asked.set()
            assert self.go_on.wait(30)
            return bool(super().acquire(username, resources, lease_s, purpose))

    backend = Slow()

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        waiting = asyncio.create_task(leases.reserve(demand("a"), 60))
        await asyncio.to_thread(backend.asked.wait, 30)
        waiting.cancel()
        backend.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not backend.users
        assert not leases.hosts

    run(backend, work)


def test_a_backend_that_hangs_holds_up_the_next_question_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("OttoLibrary.reservation.without_queue._PATIENCE_S", 0.2)
    backend, leasing, lease, _ = prepared()
    asked, go_on = threading.Event(), threading.Event()

    def hanging(*arguments: object) -> bool:
        asked.set()
        return go_on.wait(30)

    backend.renew = hanging  # type: ignore[method-assign]
    renewing = threading.Thread(target=leasing.renew, args=[lease])
    renewing.start()
    try:
        assert asked.wait(30)
        with pytest.raises(ReservationError, match=r"'bookings' did not answer an earlier question for 0\.2 seconds\."):
            leasing.who_reserved("a")
    finally:
        go_on.set()
        renewing.join(30)
    assert leasing.who_reserved("a") == ["alice"]


def test_nothing_is_taken_by_force() -> None:
    _, leasing, _, _ = prepared()
    with pytest.raises(
        ReservationError, match=r"^The reservations 'bookings' cannot be taken by force: 'a' becomes free when its holder"
    ):
        leasing.release_forced("a", "carol", "release day")


# -- made known


class Half(Bookings):
    renew = None  # type: ignore[assignment]
    release = None  # type: ignore[assignment]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.usefixtures("registered")
def test_half_of_the_contract_is_an_error_that_names_what_is_missing() -> None:
    with pytest.raises(
        PluginError,
        match=r"^Reservation 'half' \(.*\.Half\) does not fulfil its contract: it lacks renew, release\(\)\. "
        r"A backend that reserves has all of acquire, renew, release\.$",
    ):
        registry.register_reservation_backend("half", Half)
    registry.register_reservation_backend("whole", Bookings)


def reserving(name: str, **table: str) -> RunReservations:
    return RunReservations(name, lambda: {"backend": name, **table}, Engine())


@pytest.mark.usefixtures("registered")
def test_a_run_reserves_with_it_and_closes_it() -> None:
    made: list[Bookings] = []

    class Told(Bookings):
        def __init__(self, place: str) -> None:
            super().__init__()
            assert place == "here"
            made.append(self)

    registry.register_reservation_backend("told", Told)
    reservations = reserving("told", path="here")
    assert reservations.backend.backend_name() == "bookings"
    assert isinstance(reservations.leasing, QueuelessLeasing)
    reservations.close()
    assert [one.ended for one in made] == [1]


@pytest.mark.usefixtures("registered")
def test_one_that_cannot_be_made_is_told() -> None:
    registry.register_reservation_backend("mute", Bookings)
    with pytest.raises(ReservationError, match=r"^The reservations 'mute' could not be opened: TypeError: .*argument"):
        _ = reserving("mute", path="here").backend


# -- a whole run

_SETTINGS = """name = "my-sut"
version = "1.0.0"
libs = ["python"]
init = ["sut_init"]

[lab]
default = "demo"

[reservations]
backend = "bookings"
path = "${sutDir}/bookings.sqlite"
"""
_INIT = """from OttoLibrary.registry import register_reservation_backend
from tests.peers.bookings import SqliteBookings

register_reservation_backend("bookings", SqliteBookings)
"""
_SUITE = """*** Settings ***
Library     OttoLibrary

*** Test Cases ***
Reserved And Extended
    ${hosts}=    Reserve Hosts    tag:dut    count=1    lease=1 min    purpose=soak test
    Should Be Equal    ${hosts}    ${{['dut2']}}
    Hosts Should Be Reserved    dut2
    Extend Lease    2 h    dut2
    ${all}=    Get Reservations
    ${held}=    Evaluate    {one['resource']: one for one in $all}
    Should Be Equal    ${held}[demo/dut1][user]    bob
    Should Be Equal    ${held}[demo/dut2][purpose]    soak test
    Should Be True    $held['demo/dut2']['until'] > time.time() + 7000
    Run On Host    dut2    true

Given Back With The Test
    ${all}=    Get Reservations
    Should Be Equal    ${{[one['user'] for one in $all]}}    ${{['bob']}}
    Reserve Hosts    dut2
    ${free}=    Release Hosts    dut2
    Should Be Equal    ${free}    ${{['dut2']}}
    Hosts Should Be Reserved    dut2

Not Free
    Reserve Hosts    dut1    wait=1 s

Another's
    Run On Host    dut1    true

Lost
    Reserve Hosts    dut3
    Evaluate    tests.peers.bookings.SqliteBookings(r'${EXECDIR}/bookings.sqlite').release('alice', ['demo/dut3'])
    Run On Host    dut3    sleep 30
"""


def test_a_run_reserves_with_a_third_party_s_backend(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTTO_SUT_DIRS", "OTTO_RESERVATION_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTTO_USER", "alice")
    for name, text in ((".otto/settings.toml", _SETTINGS), ("python/sut_init.py", _INIT)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    bookings = SqliteBookings(str(file))
    assert bookings.acquire("bob", ["demo/dut1"], 600, "")
    ran = run_robot(tmp_path, _SUITE)
    messages = {name: test.message if test.failed else test.status for name, test in ran.tests.items()}
    assert messages["Reserved And Extended"] == "PASS"
    assert messages["Given Back With The Test"].startswith("1 host not reserved by this run: dut2. Who has what: nobody.")
    assert re.match(r"'dut1' did not become free in 1\.?\d* s\. Who has what: 'demo/dut1': bob\.", messages["Not Free"])
    assert messages["Another's"].startswith("Host 'dut1' is reserved by somebody else. Who has what: 'demo/dut1': bob.")
    assert "The reservation of 'dut3' was lost: the reservations 'bookings' say that alice no longer has it." in messages["Lost"]
    assert ran.tests["Lost"].elapsed_time.total_seconds() < 20
    assert bookings.list_usernames() == ["bob"]

    def ottolibrary(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        command = [sys.executable, "-m", "OttoLibrary", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert re.search(r"^dut1 +demo/dut1 +bob", ottolibrary("reservations", "demo").stdout, re.MULTILINE)
    forced = ottolibrary("release", "demo", "dut1", "--force", "--reason", "release day")
    assert forced.returncode != 0
    assert "The reservations 'bookings' cannot be taken by force" in forced.stderr
    assert bookings.list_usernames() == ["bob"]
