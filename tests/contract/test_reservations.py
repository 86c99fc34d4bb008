"""Reserving hosts among real processes: all or none, first come first served, given back however a process ends."""

from __future__ import annotations

import asyncio
import fcntl
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from OttoLibrary.cli.main import main
from OttoLibrary.contracts.reservations import Demand, Lease
from OttoLibrary.errors import LeaseLostError, NotFreeError, ReservationError
from OttoLibrary.registry import load
from OttoLibrary.reservation.backends.file import FileReservations
from OttoLibrary.reservation.backends.json import JsonReservations
from OttoLibrary.reservation.leases import Leases
from tests.peers import processes
from tests.peers.holding import HoldingProcess
from tests.peers.pabotlib import PabotLib
from tests.peers.redisd import Redisd

ROOT = Path(__file__).parents[2]
# PabotLib knows no queue: among those who wait chance decides.
WITH_QUEUE = pytest.mark.parametrize("shared", ["file", "redis"], indirect=True)
# Another process: it reserves what it is told, says so, and holds it until its input ends.
_HOLDER = """
import asyncio, os, sys, time
if "CLOCK" in os.environ:
    # The wall clock of this process is wrong by so many seconds as the file says.
    real = time.time
    time.time = lambda: real() + float(open(os.environ["CLOCK"]).read() or 0)
from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.reservation.leases import Leases
from OttoLibrary import registry
from OttoLibrary.reservation.backends import redis as quick
quick._LIFE_S, quick._BEAT_S, quick._LOOK_S = 1.0, 0.2, 0.2
kind, where, names, count, wait_s, lease_s, priority = sys.argv[1:8]
async def main():
    lost = lambda error: print("LOST", error, flush=True)
    leases = Leases(registry.load("reservation", kind, where), lambda text: None, lost)
    wanted = {name: (name,) for name in names.split(",")}
    demand = Demand(wanted, int(count), "bob", "holding", float(lease_s), int(priority))
    print("ASKING", flush=True)
    lease = await leases.reserve(demand, float(wait_s))
    print("GOT", ",".join(lease.hosts), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await leases.close()
    print("BYE", flush=True)
asyncio.run(main())
"""


class Shared:
    """What several processes share: a backend by name, and where it is."""

    def __init__(self, kind: str, where: str) -> None:
        self.kind, self.where = kind, where

    def backend(self) -> Any:
        return load("reservation", self.kind, self.where)

    def state(self) -> dict[str, Any]:
        if self.kind == "file":
            # Under the lock, as the processes do: the file is written in place.
            with (Path(self.where) / "mutex").open() as mutex:
                fcntl.flock(mutex, fcntl.LOCK_SH)
                written = (Path(self.where) / "state.json").read_text()
        else:
            written = str(redis.Redis.from_url(self.where, decode_responses=True).get("otto:state") or "{}")
        read: dict[str, Any] = json.loads(written)
        return read


class Holder(HoldingProcess):
    def __init__(
        self,
        shared: Shared,
        names: str,
        *,
        count: int = 1,
        wait_s: float = 30,
        lease_s: float = 30,
        priority: int = 0,
        clock: Path | None = None,
    ) -> None:
        words = [shared.kind, shared.where, names, str(count), str(wait_s), str(lease_s), str(priority)]
        super().__init__("-c", _HOLDER, *words, **({"CLOCK": str(clock)} if clock else {}))
        self.said("ASKING")


@pytest.fixture(scope="session")
def redisd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redisd]:
    with Redisd(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def pabotlib(tmp_path: Path) -> Iterator[PabotLib]:
    """PabotLib with a value set of the host ``a``, and one of two that are no hosts."""
    with PabotLib(tmp_path, "[one]\ntags=a,dut\naddress=1\n[two]\ntags=dut\naddress=2\n") as server:
        yield server


@pytest.fixture(params=["file", "redis", "pabot"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    if request.param == "file":
        return Shared("file", str(tmp_path / "leases"))
    if request.param == "pabot":
        return Shared("pabot", request.getfixturevalue("pabotlib").address)
    for name, seconds in (("_LIFE_S", 1.0), ("_BEAT_S", 0.2), ("_LOOK_S", 0.2)):
        monkeypatch.setattr(f"OttoLibrary.reservation.backends.redis.{name}", seconds)
    server = request.getfixturevalue("redisd")
    redis.Redis.from_url(server.url).flushall()
    return Shared("redis", server.url)


@pytest.fixture
def holder(shared: Shared) -> Iterator[Callable[..., Holder]]:
    started: list[Holder] = []

    def start(names: str, **options: Any) -> Holder:
        started.append(Holder(shared, names, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()


def demand(*names: str, count: int = 0, lease_s: float = 30, user: str = "alice", priority: int = 0) -> Demand:
    return Demand({name: (name,) for name in names}, count or len(names), user, "testing", lease_s, priority)


def leases_of(shared: Shared) -> tuple[Leases, list[str], list[LeaseLostError]]:
    told: list[str] = []
    lost: list[LeaseLostError] = []
    return Leases(shared.backend(), told.append, lost.append), told, lost


def run(shared: Shared, work: Callable[[Leases, list[str], list[LeaseLostError]], Any]) -> Any:
    async def whole() -> Any:
        leases, told, lost = leases_of(shared)
        try:
            return await work(leases, told, lost)
        finally:
            await leases.close()

    return asyncio.run(whole())


# -- all or none


def test_all_or_none(shared: Shared, holder: Any) -> None:
    holder("b").said("GOT")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(
            NotFreeError, match=r"^'a', 'b' did not become free\. Who has what: 'b': bob \(.*:\d+\) for 'holding', since"
        ):
            await leases.reserve(demand("a", "b"), 0)
        assert {holding.resource for holding in leases.backend.holdings()} == {"b"}
        assert (await leases.reserve(demand("a", "b", "c", count=2), 0)).hosts == ("a", "c")

    run(shared, work)


def test_hosts_that_share_a_resource_are_never_had_together(shared: Shared) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        rack = Demand({"a": ("psu",), "b": ("psu",), "c": ("c", "bench")}, 2, "alice")
        assert (await leases.reserve(rack, 0)).hosts == ("a", "c")
        with pytest.raises(NotFreeError):
            await leases.reserve(demand("psu"), 0)

    run(shared, work)


def test_more_than_there_are_is_an_error_at_once(shared: Shared) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(ReservationError, match=r"^3 hosts were requested, but only 2 hosts can be chosen from\."):
            await leases.reserve(demand("a", "b", count=3), 60)

    run(shared, work)


# -- waiting


def test_whoever_waits_is_told_and_gets_it_as_soon_as_it_is_free(shared: Shared, holder: Any) -> None:
    other = holder("a")
    other.said("GOT")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> float:
        waiting = asyncio.create_task(leases.reserve(demand("a"), 30))
        await asyncio.to_thread(processes.wait_until, lambda: told, "the first word about waiting")
        assert re.match(r"Waiting for 'a', up to [23]\d\.\d\d s more\. 'a': bob \(", told[0])
        began = time.monotonic()
        await asyncio.to_thread(other.let_go)
        await waiting
        return time.monotonic() - began

    assert run(shared, work) < 10  # the lease had 30 more


@WITH_QUEUE
def test_first_come_first_served_but_for_priority(shared: Shared, holder: Any) -> None:
    first = holder("a")
    first.said("GOT")
    second, third, urgent = holder("a"), holder("a"), None
    processes.wait_until(lambda: len(shared.state()["queue"]) == 2, "the queue")
    urgent = holder("a", priority=5)
    processes.wait_until(lambda: len(shared.state()["queue"]) == 3, "the queue")
    order = {entry["process"].rpartition(":")[2]: entry["ticket"] for entry in shared.state()["queue"]}
    earlier, later = sorted((second, third), key=lambda one: int(order[str(one.process.pid)]))
    first.let_go()
    urgent.said("GOT")
    urgent.let_go()
    earlier.said("GOT")
    earlier.let_go()
    later.said("GOT")


@WITH_QUEUE
def test_one_who_wants_more_is_not_starved_by_those_who_want_less(shared: Shared, holder: Any) -> None:
    one = holder("a")
    one.said("GOT")
    both = holder("a,b", count=2)
    processes.wait_until(lambda: len(shared.state()["queue"]) == 1, "the queue")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(NotFreeError):
            await leases.reserve(demand("b"), 0.3)

    run(shared, work)
    one.let_go()
    assert both.said("GOT") == "a,b"


@WITH_QUEUE
def test_giving_up_leaves_no_place_in_the_queue(shared: Shared, holder: Any) -> None:
    holder("a").said("GOT")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        waiting = asyncio.create_task(leases.reserve(demand("a"), 30))
        await asyncio.sleep(0.3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not shared.state()["queue"]

    run(shared, work)


# -- however it ends


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_gives_its_hosts_back(shared: Shared, holder: Any, number: signal.Signals) -> None:
    other = holder("a")
    other.said("GOT")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> float:
        waiting = asyncio.create_task(leases.reserve(demand("a"), 30))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        other.process.send_signal(number)
        await waiting
        return time.monotonic() - began

    assert run(shared, work) < 10  # the lease had 30 more
    assert shared.kind != "file" or not [name for name in Path(shared.where).iterdir() if name.name.startswith("alive-")]


@WITH_QUEUE
def test_one_who_waits_and_dies_is_passed_over(shared: Shared, holder: Any) -> None:
    first = holder("a")
    first.said("GOT")
    dying = holder("a")
    processes.wait_until(lambda: len(shared.state()["queue"]) == 1, "the queue")
    after = holder("a")
    processes.wait_until(lambda: len(shared.state()["queue"]) == 2, "the queue")
    dying.process.kill()
    first.let_go()
    after.said("GOT")


def test_a_process_that_stands_still_loses_its_hosts_and_is_told(shared: Shared, holder: Any) -> None:
    other = holder("a", lease_s=1.5)
    other.said("GOT")
    other.process.send_signal(signal.SIGSTOP)

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 10)
        other.process.send_signal(signal.SIGCONT)
        said = await asyncio.to_thread(other.said, "LOST")
        assert "The reservation of 'a' was lost: it was not renewed for 1.5 seconds." in said
        assert leases.hosts == ["a"]

    run(shared, work)


def test_a_lease_is_renewed_as_long_as_its_process_lives(shared: Shared, holder: Any) -> None:
    holder("a", lease_s=1.5).said("GOT")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(NotFreeError):
            await leases.reserve(demand("a"), 3)

    run(shared, work)


def test_a_wall_clock_that_is_set_frees_and_loses_nothing(shared: Shared, holder: Any, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    other = holder("a", lease_s=1.5, clock=clock)
    other.said("GOT")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        for jump_s in (86_400, -86_400):
            clock.write_text(str(jump_s))
            with pytest.raises(NotFreeError):
                await leases.reserve(demand("a"), 2)
        other.process.kill()
        await leases.reserve(demand("a"), 30)

    run(shared, work)
    with pytest.raises(AssertionError, match="did not say LOST"):
        other.said("LOST")


def test_a_short_lease_beside_a_long_one_is_renewed_in_time(shared: Shared) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a", lease_s=30), 0)
        await asyncio.sleep(0.1)
        await leases.reserve(demand("b", lease_s=1.6), 0)
        await asyncio.sleep(2.5)
        assert (leases.hosts, lost) == (["a", "b"], [])

    run(shared, work)


def test_closing_right_after_reserving_comes_to_its_end(shared: Shared) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 0)
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            await leases.reserve(demand("b"), 0)
            await leases.close()

    run(shared, work)


def test_a_host_taken_by_force_is_a_loss_that_names_who_and_why(shared: Shared) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a", "b", lease_s=1), 0)
        other = shared.backend()
        assert [holding.user for holding in other.release_forced("a", "carol", "release day")] == ["alice"]
        await asyncio.to_thread(processes.wait_until, lambda: lost, "the word about the loss")
        assert str(lost[0]).startswith("The reservation of 'a', 'b' was lost: carol took it by force (release day).")
        assert not leases.hosts

    run(shared, work)


class RenewingLate(FileReservations):
    """Renews for the first time only after the lease was given back."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.renewed: list[str] = []
        self.renewing, self.given_back = threading.Event(), threading.Event()

    def renew(self, lease: Lease) -> Lease:
        if not self.renewing.is_set():
            self.renewing.set()
            assert self.given_back.wait(30)
        renewed = super().renew(lease)
        self.renewed += lease.hosts
        return renewed

    def release(self, lease: Lease) -> None:
        super().release(lease)
        self.given_back.set()


def test_what_is_given_back_while_it_is_renewed_is_no_loss(tmp_path: Path) -> None:
    backend, lost = RenewingLate(str(tmp_path)), list[LeaseLostError]()

    async def work() -> None:
        leases = Leases(backend, lambda text: None, lost.append)
        await leases.reserve(demand("a", lease_s=4), 0)
        await asyncio.to_thread(backend.renewing.wait, 30)
        await leases.release()
        # The turn of that is over when the next has come.
        await leases.reserve(demand("b", lease_s=4), 0)
        await asyncio.to_thread(processes.wait_until, lambda: "b" in backend.renewed, "the next turn")
        await leases.close()

    asyncio.run(work())
    assert not lost


def test_what_was_lost_is_told_at_the_latest_when_it_is_given_back(shared: Shared) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 0)
        shared.backend().release_forced("a", "carol", "release day")
        assert await leases.release() == []
        assert len(lost) == 1

    run(shared, work)


# -- broken


def test_a_state_that_cannot_be_read_is_no_yes(tmp_path: Path) -> None:
    shared = Shared("file", str(tmp_path / "leases"))
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases" / "state.json").write_text("{half")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(ReservationError, match="so it is unknown who has what"):
            await leases.reserve(demand("a"), 0)
        (tmp_path / "leases" / "state.json").unlink()

    run(shared, work)


def test_a_process_that_stands_still_in_a_change_holds_nobody_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("OttoLibrary.reservation.backends.file._PATIENCE_S", 0.3)
    backend = load("reservation", "file", str(tmp_path / "leases"))
    backend.leave(backend.join(demand("a")))
    with (tmp_path / "leases" / "mutex").open() as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        with pytest.raises(ReservationError, match=r"were locked for 0\.3 seconds: .* 'fuser .*/mutex' shows which"):
            backend.join(demand("a"))
    backend.leave(backend.join(demand("a")))
    backend.close()


def test_reservations_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "reservations.json"
    entries = [
        {"user": "alice", "resources": ["a", "b"]},
        {"user": "bob", "resources": ["b", "c"], "expires": "2099-01-01T00:00:00+00:00"},
        {"user": "bob", "resources": ["d"], "expires": "2001-01-01T00:00:00"},
    ]
    path.write_text(json.dumps({"version": 1, "reservations": entries}))
    backend = JsonReservations(str(path))
    assert backend.who_reserved("b") == ["alice", "bob"]
    assert backend.get_reserved_resources("bob") == {"b", "c"}
    assert backend.list_usernames() == ["alice", "bob"]
    for text, sentence in (
        ("{", "cannot be read"),
        ("{}", "is not a file of reservations"),
        ('{"version": 1, "reservations": [1]}', "1"),
    ):
        path.write_text(text)
        with pytest.raises(ReservationError, match=sentence):
            backend.who_reserved("b")
    path.unlink()
    with pytest.raises(ReservationError, match="so it is unknown who has what"):
        backend.who_reserved("b")
    assert load("reservation", "none").who_reserved("b") == []


def test_a_server_that_does_not_answer_is_no_yes(tmp_path: Path) -> None:
    with Redisd(tmp_path) as server:
        backend = load("reservation", "redis", server.url)
        assert backend.who_reserved("a") == []
        server.stop()
        with pytest.raises(ReservationError, match=r"cannot be used .* so it is unknown who has what"):
            backend.who_reserved("a")
    with pytest.raises(ReservationError, match="Name it in OTTO_REDIS"):
        load("reservation", "redis")


def test_no_run_of_pabot_is_no_yes(pabotlib: PabotLib, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PABOTLIBURI", raising=False)
    with pytest.raises(
        ReservationError, match=r"belong to one run of pabot, and this is not one\. Run 'python -m OttoLibrary pabot'"
    ):
        load("reservation", "pabot")
    backend = load("reservation", "pabot", pabotlib.address)
    assert backend.who_reserved("a") == []
    pabotlib.stop()
    for question in (lambda: backend.who_reserved("a"), lambda: backend.attempt(backend.join(demand("a")))):
        with pytest.raises(ReservationError, match=r"does not answer \(.*\); so it is unknown who has what\."):
            question()


# -- the locks and value sets of suites that use PabotLib


def test_a_host_is_not_given_whose_value_set_another_suite_has(pabotlib: PabotLib) -> None:
    shared = Shared("pabot", pabotlib.address)
    name, values = pabotlib.ask("acquire_value_set", "suite 1", "a")
    assert (name, values["address"]) == ("one", "1")

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        with pytest.raises(NotFreeError):
            await leases.reserve(demand("a"), 0)
        assert (await leases.reserve(demand("a", "b", count=1), 0)).hosts == ("b",)
        pabotlib.ask("release_value_set", "suite 1")
        assert (await leases.reserve(demand("a"), 0)).hosts == ("a",)

    run(shared, work)


def test_a_value_set_is_not_given_whose_host_is_reserved(pabotlib: PabotLib) -> None:
    shared = Shared("pabot", pabotlib.address)

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 0)
        assert not pabotlib.ask("acquire_value_set", "suite 1", "a")[0]
        assert pabotlib.ask("acquire_value_set", "suite 1", "dut")[0] == "two"
        assert not pabotlib.ask("acquire_lock", "otto:a", "suite 1")
        await leases.release()
        assert pabotlib.ask("acquire_lock", "otto:a", "suite 1")
        assert pabotlib.ask("acquire_value_set", "suite 2", "a")[0] == "one"

    run(shared, work)


@pytest.mark.parametrize("shared", ["pabot"], indirect=True)
def test_what_died_gives_its_value_set_back_too(shared: Shared, pabotlib: PabotLib, holder: Any) -> None:
    dying = holder("a")
    dying.said("GOT")
    dying.process.kill()
    dying.process.wait()

    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 0)
        await leases.release()
        assert pabotlib.ask("acquire_value_set", "suite 1", "a")[0] == "one"

    run(shared, work)


# -- many


def test_rivals_never_meet_and_none_starves(shared: Shared, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.peers.rival", shared.kind, shared.where, str(log), "4", "3"]
    rivals = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        processes.wait_until(lambda: log.exists() and f"{rivals[0].pid} " in log.read_text(), "a lease of the first", 60)
        rivals[0].kill()
        for rival in rivals[1:]:
            _, complaint = rival.communicate(timeout=60)
            assert rival.returncode == 0, complaint
    finally:
        for rival in rivals:
            rival.kill()
            rival.communicate()
    held: dict[str, list[tuple[float, float]]] = {}
    lucky = set()
    for line in log.read_text().splitlines():
        rival_id, _, got, back, hosts = line.split()
        lucky.add(int(rival_id))
        for host in hosts.split(","):
            held.setdefault(host, []).append((float(got), float(back)))
    for times in held.values():
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(times)))
    assert len(held) == 3
    assert lucky == {rival.pid for rival in rivals}
    assert not shared.backend().holdings()


# -- quarantine


@WITH_QUEUE
def test_a_host_in_quarantine_is_kept_from_everybody_until_it_is_lifted(shared: Shared, holder: Any) -> None:
    async def work(leases: Leases, told: list[str], lost: list[LeaseLostError]) -> None:
        await leases.reserve(demand("a"), 0)
        ward = shared.backend()
        ward.quarantine(["a", "b"], "carol", "the fan is broken")
        await leases.renew()
        assert (leases.hosts, lost) == (["a"], [])  # who has it keeps it
        with pytest.raises(NotFreeError, match=r"'b': put in quarantine by carol on .* \(the fan is broken\)"):
            await leases.reserve(demand("b"), 0)
        await leases.release()
        waiting = holder("a")
        await asyncio.to_thread(processes.wait_until, ward.waiting, "the queue")
        assert [(one.user, list(one.candidates)) for one in ward.waiting()] == [("bob", ["a"])]
        assert [one.resource for one in ward.lift(["a", "b"])] == ["a", "b"]
        await asyncio.to_thread(waiting.said, "GOT")
        ward.close()

    run(shared, work)


def test_a_quarantine_outlives_a_reboot(tmp_path: Path) -> None:
    backend = FileReservations(str(tmp_path))
    backend.quarantine(["a"], "carol", "smoke")
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps(state | {"boot": "another"}))
    assert [(one.resource, one.reason) for one in backend.quarantines()] == [("a", "smoke")]


@WITH_QUEUE
def test_the_commands_show_who_has_and_waits_and_what_is_in_quarantine(
    shared: Shared, holder: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTTO_RESERVATION_BACKEND", shared.kind)
    monkeypatch.setenv("OTTO_LEASES" if shared.kind == "file" else "OTTO_REDIS", shared.where)
    monkeypatch.setenv("OTTO_USER", "carol")
    holder("demo/dut1").said("GOT")
    holder("demo/dut1")
    processes.wait_until(lambda: len(shared.state()["queue"]) == 1, "the queue")

    assert main(["quarantine", "demo", "dut[12]", "--reason", "the fan is broken"]) == 0
    assert "Still held: 'demo/dut1': bob" in capsys.readouterr().out
    assert main(["reservations", "demo", "--json"]) == 0
    rows = {row["host"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["dut1"]["user"], rows["dut1"]["purpose"], rows["dut2"]["user"]) == ("bob", "holding", "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", rows["dut1"]["until"])
    assert re.fullmatch(r"1\. bob \(.+:\d+\)", rows["dut1"]["queue"])
    assert re.fullmatch(r"carol since .+: the fan is broken", rows["dut2"]["quarantine"])

    assert main(["quarantine", "demo", "dut1", "--lift"]) == 0
    assert "Lifted: 'demo/dut1': put in quarantine by carol on" in capsys.readouterr().out
    assert main(["quarantine", "demo", "dut1", "--lift"]) == 0
    assert "None of these hosts was in quarantine." in capsys.readouterr().out
