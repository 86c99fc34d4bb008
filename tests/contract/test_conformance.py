"""The public promises: what is built in keeps them, and a class that breaks one is told."""

from __future__ import annotations

import doctest
import importlib
import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis

from OttoLibrary import testing
from OttoLibrary.contracts.labs import LabRepository
from OttoLibrary.contracts.reservations import Acquiring, Demand, Holding, Lease, Leasing, Reservations
from OttoLibrary.examples import reservations as example
from OttoLibrary.examples.labs import MemoryLabs
from OttoLibrary.examples.reservations import MemoryBookings, MemoryReservations
from OttoLibrary.lab.sources.command import CommandLabs
from OttoLibrary.lab.sources.json import JsonLabs
from OttoLibrary.lab.sources.ssh_config import SshConfigLabs
from OttoLibrary.registry import load
from OttoLibrary.reservation.backends.file import FileReservations
from OttoLibrary.reservation.backends.json import JsonReservations
from OttoLibrary.reservation.backends.none import NoReservations
from OttoLibrary.testing import AcquiringTests, LabRepositoryTests, LeasingTests, ReservationTests
from tests.peers.redisd import Redisd
from tests.peers.requirements import require

HOSTS = {"hosts": {"dut1": {"address": "10.0.0.1"}}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OTTO_LABS", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["labs", "options", "reservations"])
def test_an_example_does_what_it_says(name: str) -> None:
    module = importlib.import_module(f"OttoLibrary.examples.{name}")
    assert doctest.testmod(module).failed == 0


# -- what is built in


class TestMemoryLabs(LabRepositoryTests):
    def repository(self) -> LabRepository:
        return MemoryLabs()


class TestMemoryLabsThatAreToldSomething(LabRepositoryTests):
    preferences: ClassVar = {"user": "alice"}

    def repository(self) -> LabRepository:
        return MemoryLabs()


class TestJson(LabRepositoryTests):
    def repository(self) -> LabRepository:
        Path("labs").mkdir(exist_ok=True)
        Path("labs/bench.json").write_text(json.dumps(HOSTS))
        otto = [{"ip": "10.0.0.1", "creds": {"a": "b"}, "ne": "one", "labs": ["east"]}]
        Path("labs/hosts.json").write_text(json.dumps(otto))
        return JsonLabs()


class TestSshConfig(LabRepositoryTests):
    def repository(self) -> LabRepository:
        Path(".ssh/config.d").mkdir(parents=True, exist_ok=True)
        Path(".ssh/config").write_text("Host gw\n  User tester\nHost dut1\n  ProxyJump gw\n")
        Path(".ssh/config.d/rack").write_text("Host rack-1\n  HostName 10.0.0.1\n")
        return SshConfigLabs()


class TestCommand(LabRepositoryTests):
    labs: ClassVar = ["bench"]
    preferences: ClassVar = {"command": f"{sys.executable} inventory.py", "timeout": "20 s"}

    def repository(self) -> LabRepository:
        Path("inventory.py").write_text(f"import json\nprint(json.dumps({HOSTS!r}))\n")
        return CommandLabs()

    # What a program says about a name that it does not know is its own: it ends with a status, which is an error.
    test_an_unknown_lab_is_a_lookup_error = None  # type: ignore[assignment]


class TestMemoryReservations(ReservationTests):
    reserved: ClassVar = {"alice": ["rack-1", "bench"], "bob": ["rack-2", "bench"]}

    def backend(self) -> Reservations:
        return MemoryReservations()


class TestMemoryBookings(AcquiringTests):
    def backend(self) -> Acquiring:
        return MemoryBookings()


class TestNone(ReservationTests):
    def backend(self) -> Reservations:
        return NoReservations()


class TestJsonReservations(ReservationTests):
    reserved: ClassVar = {"alice": ["a", "b"], "bob": ["b"]}

    def backend(self) -> Reservations:
        entries = [{"user": user, "resources": list(resources)} for user, resources in self.reserved.items()]
        Path("reservations.json").write_text(json.dumps({"version": 1, "reservations": entries}))
        return JsonReservations("reservations.json")


class TestFile(LeasingTests):
    @pytest.fixture(autouse=True)
    def _where(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "leases"

    def backend(self) -> Leasing:
        return FileReservations(str(self.folder))


@pytest.fixture(scope="module")
def redisd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redisd]:
    require("redis-server")
    with Redisd(tmp_path_factory.mktemp("redis")) as server:
        yield server


class TestRedis(LeasingTests):
    @pytest.fixture(autouse=True)
    def _where(self, redisd: Redisd) -> None:
        self.url = redisd.url
        redis.Redis.from_url(self.url).flushall()

    def backend(self) -> Leasing:
        backend: Leasing = load("reservation", "redis", self.url)
        return backend


# -- broken promises


def broken_promises(tests: Any) -> set[str]:
    """Return the tests of a class that fail, having run all of them as pytest does."""
    failed = set()
    for name in promises(type(tests)):
        begin, end = getattr(tests, "setup_method", None), getattr(tests, "teardown_method", None)
        if begin:
            begin()
        try:
            getattr(tests, name)()
        except AssertionError as error:
            failed.add(name if str(error).startswith("Broken promise: ") else f"{name}: {error}")
        finally:
            if end:
                end()
    return failed


def promises(tests: type) -> list[str]:
    return [name for name in dir(tests) if name.startswith("test_")]


class Labs:
    """Keeps every promise, for others to break."""

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        if name != "bench":
            raise LookupError(name)
        return json.loads(json.dumps(HOSTS))

    def list_labs(self) -> Any:
        return ["bench"]


class NamesAsTuple(Labs):
    def list_labs(self) -> Any:
        return ("bench",)


class NamesTwice(Labs):
    def list_labs(self) -> Any:
        return ["bench", "bench"]


class NameWithComma(Labs):
    def list_labs(self) -> Any:
        return ["bench", "a,b"]

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        return super().load_lab("bench" if name == "a,b" else name)


class SharedNames(Labs):
    def __init__(self) -> None:
        self.names = ["bench"]

    def list_labs(self) -> Any:
        return self.names


class WrongLab(Labs):
    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        return super().load_lab(name) | {"hots": {}}


class NotPlain(Labs):
    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        super().load_lab(name)
        return {"hosts": {"dut1": {"address": "x", "tags": {"a", "b"}}}}


class Moody(Labs):
    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        return super().load_lab(name) | {"description": str(time.monotonic_ns())}


class Shared(Labs):
    def __init__(self) -> None:
        self.lab = super().load_lab("bench")

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        super().load_lab(name)
        return self.lab


class SharedInside(Labs):
    def __init__(self) -> None:
        self.hosts = super().load_lab("bench")["hosts"]

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        return super().load_lab(name) | {"hosts": self.hosts}


class EmptyForUnknown(Labs):
    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        return super().load_lab(name) if name == "bench" else {"hosts": {}}


class OtherError(Labs):
    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> Any:
        if name != "bench":
            raise ValueError(name)
        return super().load_lab(name)


class NeedsPreferences(Labs):
    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = {}) -> Any:
        return super().load_lab(name) | {"description": f"for {preferences}"}


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (NamesAsTuple, "test_list_labs_gives_names"),
        (NamesTwice, "test_list_labs_gives_names"),
        (NameWithComma, "test_list_labs_gives_names"),
        (SharedNames, "test_list_labs_is_the_same_each_time"),
        (WrongLab, "test_every_lab_loads"),
        (NotPlain, "test_every_lab_loads"),
        (Moody, "test_a_lab_is_the_same_each_time"),
        (Shared, "test_a_lab_is_the_caller_s_own"),
        (SharedInside, "test_a_lab_is_the_caller_s_own"),
        (EmptyForUnknown, "test_an_unknown_lab_is_a_lookup_error"),
        (OtherError, "test_an_unknown_lab_is_a_lookup_error"),
        (NeedsPreferences, "test_preferences_may_be_missing_and_stay_as_they_are"),
    ],
)
def test_a_lab_source_that_breaks_a_promise_is_told(broken: type, promise: str) -> None:
    class Tests(LabRepositoryTests):
        def repository(self) -> LabRepository:
            made: LabRepository = broken()
            return made

    tests: Any = Tests()
    if broken is NamesAsTuple:
        # What is no list cannot be worked with.
        with pytest.raises(AssertionError, match="returned \\('bench',\\)"):
            tests.test_list_labs_gives_names()
        return
    assert promise in broken_promises(tests)


def test_a_lab_source_that_keeps_its_promises_is_told_nothing() -> None:
    class Tests(LabRepositoryTests):
        def repository(self) -> LabRepository:
            return Labs()

    assert broken_promises(Tests()) == set()


def test_a_source_that_changes_its_preferences_is_told() -> None:
    class Greedy(Labs):
        def load_lab(self, name: str, preferences: Any = None) -> Any:
            preferences.pop("user", None)
            return super().load_lab(name)

    class Tests(LabRepositoryTests):
        preferences: ClassVar = {"user": "alice"}

        def repository(self) -> LabRepository:
            return Greedy()

    assert "test_preferences_may_be_missing_and_stay_as_they_are" in broken_promises(Tests())


def test_no_lab_at_all_proves_nothing() -> None:
    class Tests(LabRepositoryTests):
        def repository(self) -> LabRepository:
            return CommandLabs()

    with pytest.raises(AssertionError, match="name some in the attribute 'labs'"):
        Tests().test_every_lab_loads()


# Each breaks one method of the example.
RESERVATIONS: list[tuple[str, Callable[..., Any], str]] = [
    ("backend_name", lambda backend: None, "test_backend_name_is_text"),
    ("get_reserved_resources", lambda backend, user: [], "test_who_has_nothing_is_no_mistake"),
    ("get_reserved_resources", lambda backend, user: {"rack-1"}, "test_who_has_nothing_is_no_mistake"),
    ("who_reserved", lambda backend, resource: None, "test_what_nobody_has_is_no_mistake"),
    ("who_reserved", lambda backend, resource: ["alice"], "test_what_nobody_has_is_no_mistake"),
    ("get_reserved_resources", lambda backend, user: set(), "test_users_have_what_they_reserved"),
    ("who_reserved", lambda backend, resource: [], "test_both_questions_agree"),
    ("who_reserved", lambda backend, resource: ["alice", "bob"] if "-" in resource else [], "test_both_questions_agree"),
    ("list_usernames", lambda backend: ["alice"], "test_list_usernames_names_who_has_something"),
    ("list_usernames", lambda backend: ["alice", "bob", "bob"], "test_list_usernames_names_who_has_something"),
]


@pytest.mark.parametrize(("method", "wrong", "promise"), RESERVATIONS)
def test_a_backend_that_breaks_a_promise_is_told(method: str, wrong: Callable[..., Any], promise: str) -> None:
    class Tests(TestMemoryReservations):
        def backend(self) -> Reservations:
            made: Reservations = type("Broken", (MemoryReservations,), {method: wrong})()
            return made

    tests = Tests()
    tests.setup_method()
    with pytest.raises(AssertionError, match="Broken promise"):
        getattr(tests, promise)()


def test_a_backend_whose_answers_are_shared_is_told() -> None:
    class Sharing(MemoryReservations):
        def __init__(self) -> None:
            self.sets: dict[str, set[str]] = {}
            self.lists: dict[str, list[str]] = {}

        def get_reserved_resources(self, username: str) -> set[str]:
            return self.sets.setdefault(username, super().get_reserved_resources(username))

        def who_reserved(self, resource: str) -> list[str]:
            return self.lists.setdefault(resource, super().who_reserved(resource))

    class Tests(TestMemoryReservations):
        def backend(self) -> Reservations:
            return Sharing()

    assert broken_promises(Tests()) == {"test_answers_are_the_caller_s_own"}


class WhatIsFree(MemoryBookings):
    """Gives a part of what is wanted, and says so only of the whole."""

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        given = [super(WhatIsFree, self).acquire(username, [one], lease_s, purpose) for one in resources]
        return all(given)


class UntilTaken(MemoryBookings):
    """Takes one after the other, and leaves what it took before it was refused."""

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        return all(super(UntilTaken, self).acquire(username, [one], lease_s, purpose) for one in resources)


class Snatches(MemoryBookings):
    """Gives everything, whoever has it."""

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        example._BOOKED.update(dict.fromkeys(resources, (username, time.monotonic() + lease_s, purpose)))
        return True


class SameUserAgain(MemoryBookings):
    """Gives a user what he has already."""

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        self.release(username, resources)
        return super().acquire(username, resources, lease_s, purpose)


class SameInstanceAgain(MemoryBookings):
    """Gives a user what he has from here already."""

    def __init__(self) -> None:
        self.had: set[str] = set()

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        got = super().acquire(username, resources, lease_s, purpose)
        self.had.update(resources if got else ())
        return got or self.had.issuperset(resources)


class SaysNothing(MemoryBookings):
    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> Any:
        super().acquire(username, resources, lease_s, purpose)


class NobodyHasIt(MemoryBookings):
    def who_reserved(self, resource: str) -> list[str]:
        return []


class HasNothing(MemoryBookings):
    def get_reserved_resources(self, username: str) -> set[str]:
        return set()


class EachForItself(MemoryBookings):
    """Does not see what other instances have."""

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        return super().acquire(username, [f"{id(self)} {one}" for one in resources], lease_s, purpose)

    def who_reserved(self, resource: str) -> list[str]:
        return super().who_reserved(f"{id(self)} {resource}")

    def get_reserved_resources(self, username: str) -> set[str]:
        return {one.partition(" ")[2] for one in super().get_reserved_resources(username) if one.startswith(str(id(self)))}

    def release(self, username: str, resources: Collection[str]) -> None:
        super().release(username, [f"{id(self)} {one}" for one in resources])


class KeepsBookings(MemoryBookings):
    def release(self, username: str, resources: Collection[str]) -> None:
        pass


class ReleasesAllOfUser(MemoryBookings):
    def release(self, username: str, resources: Collection[str]) -> None:
        super().release(username, self.get_reserved_resources(username))


class ReleasesOfAnybody(MemoryBookings):
    def release(self, username: str, resources: Collection[str]) -> None:
        for one in resources:
            example._BOOKED.pop(one, None)


class ReleasesOnce(MemoryBookings):
    """Complains of what is not the user's."""

    def release(self, username: str, resources: Collection[str]) -> None:
        if not self.get_reserved_resources(username).issuperset(resources):
            raise KeyError(*resources)
        super().release(username, resources)


class RenewsNothing(MemoryBookings):
    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        return self.get_reserved_resources(username).issuperset(resources)


class RenewsSilently(MemoryBookings):
    def renew(self, username: str, resources: Collection[str], lease_s: float) -> Any:
        super().renew(username, resources, lease_s)


class LastsForEver(MemoryBookings):
    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        return super().acquire(username, resources, 1000 * lease_s, purpose)


class RenewsAnything(MemoryBookings):
    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        return super().renew(username, resources, lease_s) or True


class RenewsWhatIsLeft(MemoryBookings):
    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        renewed = [super(RenewsWhatIsLeft, self).renew(username, [one], lease_s) for one in resources]
        return any(renewed)


class TakesItBack(MemoryBookings):
    """Reserves anew what is to be renewed and was not lost to others."""

    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        return super().renew(username, resources, lease_s) or (super().acquire(username, resources, lease_s, "") and False)


ACQUIRING: list[tuple[type[MemoryBookings], str]] = [
    (WhatIsFree, "test_acquire_takes_all_or_none"),
    (UntilTaken, "test_acquire_takes_all_or_none"),
    (Snatches, "test_acquire_takes_all_or_none"),
    (SaysNothing, "test_acquire_takes_all_or_none"),
    (SameUserAgain, "test_the_same_user_does_not_get_it_twice"),
    (SameInstanceAgain, "test_the_same_user_does_not_get_it_twice"),
    (NobodyHasIt, "test_who_reserved_tells_what_was_acquired"),
    (HasNothing, "test_who_reserved_tells_what_was_acquired"),
    (EachForItself, "test_instances_share_what_is_reserved"),
    (KeepsBookings, "test_release_frees_it"),
    (ReleasesAllOfUser, "test_release_frees_it"),
    (ReleasesOfAnybody, "test_release_frees_it"),
    (ReleasesOnce, "test_release_frees_it"),
    (RenewsNothing, "test_renewing_moves_the_end"),
    (RenewsSilently, "test_renewing_moves_the_end"),
    (LastsForEver, "test_a_lease_that_is_not_renewed_ends"),
    (RenewsAnything, "test_a_lease_that_is_not_renewed_ends"),
    (RenewsAnything, "test_what_was_released_is_not_renewed"),
    (RenewsWhatIsLeft, "test_what_was_released_is_not_renewed"),
    (TakesItBack, "test_what_was_released_is_not_renewed"),
]


@pytest.mark.parametrize(("broken", "promise"), ACQUIRING)
def test_an_acquiring_backend_that_breaks_a_promise_is_told(
    broken: type[MemoryBookings], promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(example, "_BOOKED", {})

    class Tests(AcquiringTests):
        lease_s = 0.1

        def backend(self) -> Acquiring:
            return broken()

    tests = Tests()
    tests.setup_method()
    with pytest.raises(AssertionError, match="Broken promise"):
        getattr(tests, promise)()


def test_the_promises_of_acquiring_leave_nothing_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "_BOOKED", {})

    class Tests(AcquiringTests):
        lease_s = 0.2

        def backend(self) -> Acquiring:
            return MemoryBookings()

    assert broken_promises(Tests()) == set()
    assert MemoryBookings().list_usernames() == []


class AnyPart(FileReservations):
    """Gives a part of what is wanted."""

    def join(self, demand: Demand) -> str:
        return super().join(replace(demand, count=1))


class Everything(FileReservations):
    """Takes all that would do."""

    def join(self, demand: Demand) -> str:
        return super().join(replace(demand, count=len(demand.candidates)))


class EachHostAlone(FileReservations):
    """Does not know that hosts share resources."""

    def join(self, demand: Demand) -> str:
        alone = {host: tuple(f"{host}/{one}" for one in resources) for host, resources in demand.candidates.items()}
        return super().join(replace(demand, candidates=alone))


class Alone(FileReservations):
    """Does not see the others."""

    count = 0

    def __init__(self, folder: str) -> None:
        type(self).count += 1
        super().__init__(f"{folder}-{self.count}")


class LastFirst(FileReservations):
    """Who comes last goes first."""

    count = 0

    def join(self, demand: Demand) -> str:
        type(self).count += 1
        return super().join(replace(demand, priority=self.count))


class NoPriority(FileReservations):
    def join(self, demand: Demand) -> str:
        return super().join(replace(demand, priority=0))


class StaysInQueue(FileReservations):
    def leave(self, ticket: str) -> None:
        pass


class Sleepy(FileReservations):
    def wait(self, ticket: str, seconds: float) -> None:
        time.sleep(seconds + 0.6)


class KeepsReleased(FileReservations):
    def release(self, lease: Lease) -> None:
        pass


class ReleasesOthers(FileReservations):
    """Gives back what a lease was about, whoever has it now."""

    def release(self, lease: Lease) -> None:
        for resource in lease.resources:
            super().release_forced(resource, "", "")


class SameToken(FileReservations):
    def attempt(self, ticket: str) -> Lease | None:
        lease = super().attempt(ticket)
        return replace(lease, token=1) if lease else None


class NeverLost(FileReservations):
    def renew(self, lease: Lease) -> Lease:
        return replace(lease, until=time.time() + lease.lease_s)


class NotRenewed(FileReservations):
    def renew(self, lease: Lease) -> Lease:
        super().renew(lease)
        return lease


class NeverEnds(FileReservations):
    def join(self, demand: Demand) -> str:
        return super().join(replace(demand, lease_s=1000 * demand.lease_s))


class Silent(FileReservations):
    """Takes by force, and says neither who nor why."""

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        return super().release_forced(resource, "somebody", "")


class NotTaken(FileReservations):
    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        return []


class NotClosed(FileReservations):
    def close(self) -> None:
        pass


class SomebodyElse(FileReservations):
    """Holds in another name."""

    def join(self, demand: Demand) -> str:
        return super().join(replace(demand, user="root"))


LEASING: list[tuple[type[FileReservations], str]] = [
    (AnyPart, "test_all_or_none"),
    (NeverEnds, "test_a_lease_says_what_it_is"),
    (Everything, "test_as_many_hosts_as_wanted"),
    (EachHostAlone, "test_hosts_that_share_a_resource_are_not_had_together"),
    (Alone, "test_two_instances_see_each_other"),
    (SomebodyElse, "test_two_instances_see_each_other"),
    (LastFirst, "test_first_come_first_served"),
    (LastFirst, "test_a_wide_demand_is_not_starved"),
    (NoPriority, "test_a_higher_priority_goes_first"),
    (StaysInQueue, "test_leaving_gives_up_the_place"),
    (StaysInQueue, "test_leaving_gives_back_what_the_ticket_came_to"),
    (Sleepy, "test_wait_is_bounded"),
    (KeepsReleased, "test_a_released_lease_is_free"),
    (ReleasesOthers, "test_a_released_lease_is_free"),
    (SameToken, "test_a_released_lease_is_free"),
    (NotRenewed, "test_renewing_moves_the_end"),
    (NeverEnds, "test_a_lease_that_is_not_renewed_ends"),
    (NeverLost, "test_a_lease_that_is_not_renewed_ends"),
    (NeverLost, "test_renewing_what_was_released_is_a_loss"),
    (NeverLost, "test_force_takes_it_and_says_who_and_why"),
    (Silent, "test_force_takes_it_and_says_who_and_why"),
    (NotTaken, "test_force_takes_it_and_says_who_and_why"),
    (NotClosed, "test_closing_gives_everything_back"),
]


@pytest.mark.parametrize(("broken", "promise"), LEASING)
def test_a_leasing_backend_that_breaks_a_promise_is_told(
    broken: type[FileReservations], promise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(testing, "_SLACK_S", 0.5)

    class Tests(LeasingTests):
        def backend(self) -> Leasing:
            return broken(str(tmp_path / "leases"))

    tests = Tests()
    tests.setup_method()
    try:
        with pytest.raises(AssertionError, match="Broken promise"):
            getattr(tests, promise)()
    finally:
        for made in tests._made:
            FileReservations.close(made)


def test_no_promise_is_without_a_class_that_breaks_it() -> None:
    of_telling = set(promises(ReservationTests))
    assert of_telling - {promise for _, _, promise in RESERVATIONS} == {"test_answers_are_the_caller_s_own"}
    assert set(promises(LeasingTests)) - of_telling == {promise for _, promise in LEASING}
    assert set(promises(AcquiringTests)) - of_telling == {promise for _, promise in ACQUIRING}


def test_what_is_tested_has_to_be_said() -> None:
    with pytest.raises(NotImplementedError, match="LabRepositoryTests needs a method repository"):
        LabRepositoryTests().repository()
    with pytest.raises(NotImplementedError, match="LeasingTests needs a method backend"):
        LeasingTests().backend()
    with pytest.raises(NotImplementedError, match="AcquiringTests needs a method backend"):
        AcquiringTests().backend()
