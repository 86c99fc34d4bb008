"""What a lab source or a reservation backend promises, as tests to run against your own class.

Derive a test class from one of these and say how to make what is tested; pytest does the rest::

    from OttoLibrary.testing import LabRepositoryTests

    class TestInventory(LabRepositoryTests):
        def repository(self):
            return Inventory("https://inventory.example")

A broken promise fails its test with a sentence that says which one it is, and what happened instead.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from OttoLibrary.contracts.labs import LabRepository
from OttoLibrary.contracts.reservations import Acquiring, Demand, Holding, Lease, Leasing, Reservations
from OttoLibrary.errors import LabError, LeaseLostError
from OttoLibrary.lab.loading import check_lab

_LEASE_S = 60.0
_SHORT_LEASE_S = 0.5
# How long something may take for which the contract gives no number.
_PATIENCE_S = 20.0
_SLACK_S = 5.0
_UNKNOWN = "otto-conformance-no-such-name"


class LabRepositoryTests:
    """The promises of ``contracts.labs.LabRepository``.

    Attributes:
        preferences: The preferences that the source needs, as in the table ``[lab.preferences]``.
        labs: Names of labs that load, for a source that does not list them.
        unknown: A name that no lab has.
    """

    preferences: ClassVar[Mapping[str, Any] | None] = None
    labs: ClassVar[Collection[str]] = ()
    unknown = _UNKNOWN

    def repository(self) -> LabRepository:
        """Return a new source; to be overridden."""
        raise NotImplementedError(f"{type(self).__name__} needs a method repository() that returns what is tested.")

    def test_list_labs_gives_names(self) -> None:
        """It returns a list of names without duplicates."""
        names: Any = self.repository().list_labs()
        _promise(isinstance(names, list), f"list_labs() returns a list; it returned {names!r}")
        for name in names:
            _promise(isinstance(name, str) and bool(name.strip()), f"list_labs() returns names; one of them is {name!r}")
            _promise("," not in name, f"a name has no comma, which joins labs; list_labs() returned {name!r}")
        _promise(len(set(names)) == len(names), f"list_labs() returns each name once; it returned {names}")

    def test_list_labs_is_the_same_each_time(self) -> None:
        """It returns the same each time, and the caller's changes do not affect it."""
        repository = self.repository()
        first = repository.list_labs()
        before = list(first)
        first.append(_UNKNOWN)
        second = repository.list_labs()
        _promise(second == before, f"list_labs() returns the same again; after {before} it returned {second}")

    def test_every_lab_loads(self) -> None:
        """Each lab is plain data that forms a valid lab."""
        for name in self._names():
            content = self._load(name)
            try:
                check_lab(content, name)
            except LabError as error:
                raise AssertionError(f"Broken promise: every lab is right; '{name}' is not.\n{error}") from error

    def test_a_lab_is_the_same_each_time(self) -> None:
        """Another load, also by another instance, returns the same."""
        for name in self._names():
            repository = self.repository()
            found = [self._load(name, repository), self._load(name, repository), self._load(name)]
            _promise(found[0] == found[1] == found[2], f"load_lab('{name}') returns the same each time; it returned {found}")

    def test_a_lab_is_the_caller_s_own(self) -> None:
        """A caller's changes to a lab do not affect the next one."""
        for name in self._names():
            repository = self.repository()
            first = self._load(name, repository)
            before = copy.deepcopy(first)
            _spoil(first)
            after = self._load(name, repository)
            _promise(after == before, f"load_lab('{name}') returns fresh data; a change to what it returned is in the next one")

    def test_an_unknown_lab_is_a_lookup_error(self) -> None:
        """An unknown name is a LookupError, not an empty lab."""
        try:
            content = self._load(self.unknown)
        except LookupError:
            return
        except Exception as error:
            raise AssertionError(f"Broken promise: an unknown name is a LookupError; it was {error!r}.") from error
        raise AssertionError(
            f"Broken promise: an unknown name is a LookupError; load_lab('{self.unknown}') returned {content!r}."
        )

    def test_preferences_may_be_missing_and_stay_as_they_are(self) -> None:
        """None is the same as no preferences, and the caller's table is not changed."""
        for name in self._names():
            if self.preferences is None:
                explicit, implicit = self.repository().load_lab(name, None), self.repository().load_lab(name)
                _promise(explicit == implicit, f"load_lab('{name}', None) returns what load_lab('{name}') does")
            else:
                given = copy.deepcopy(dict(self.preferences))
                self.repository().load_lab(name, given)
                _promise(given == self.preferences, f"load_lab() does not change its preferences; they became {given}")

    def _names(self) -> list[str]:
        names = [*self.repository().list_labs(), *self.labs]
        _promise(bool(names), "there is a lab to try; list_labs() returned none, so name some in the attribute 'labs'")
        return names

    def _load(self, name: str, repository: LabRepository | None = None) -> Any:
        made = repository or self.repository()
        return made.load_lab(name) if self.preferences is None else made.load_lab(name, copy.deepcopy(self.preferences))


class ReservationTests:
    """The promises of ``contracts.reservations.Reservations``: a backend that says who has what.

    Attributes:
        reserved: What users have, as the test knows it: all resources of each of these users. Without any, and when the backend
            does not list its users, only the form of the answers is tested.
        unknown: The name of a user who has nothing, and of a resource that nobody has.
    """

    reserved: ClassVar[Mapping[str, Collection[str]]] = {}
    unknown = _UNKNOWN

    def backend(self) -> Reservations:
        """Return a new backend; to be overridden."""
        raise NotImplementedError(f"{type(self).__name__} needs a method backend() that returns what is tested.")

    def setup_method(self) -> None:
        """Start without a backend."""
        self._made: list[Any] = []

    def teardown_method(self) -> None:
        """Close the backends that can be closed."""
        for backend in self._made:
            if hasattr(backend, "close"):
                backend.close()

    def _new(self) -> Any:
        self._made.append(self.backend())
        return self._made[-1]

    def test_backend_name_is_text(self) -> None:
        """It has a name for messages."""
        name = self._new().backend_name()
        _promise(isinstance(name, str) and bool(name.strip()), f"backend_name() returns a name; it returned {name!r}")

    def test_who_has_nothing_is_no_mistake(self) -> None:
        """An unknown user has an empty set."""
        found = self._new().get_reserved_resources(self.unknown)
        _promise(isinstance(found, set), f"get_reserved_resources() returns a set; it returned {found!r}")
        _promise(not found, f"an unknown user has nothing; '{self.unknown}' has {found}")

    def test_what_nobody_has_is_no_mistake(self) -> None:
        """An unknown resource has an empty list of users."""
        found = self._new().who_reserved(self.unknown)
        _promise(isinstance(found, list), f"who_reserved() returns a list; it returned {found!r}")
        _promise(not found, f"nobody has an unknown resource; '{self.unknown}' belongs to {found}")

    def test_users_have_what_they_reserved(self) -> None:
        """What the test knows is what the backend says."""
        backend = self._new()
        for user, resources in self.reserved.items():
            found = backend.get_reserved_resources(user)
            _promise(found == set(resources), f"'{user}' has {sorted(resources)}; get_reserved_resources() returned {found!r}")

    def test_both_questions_agree(self) -> None:
        """The resources of each user and the users of each resource are consistent."""
        backend = self._new()
        users = {*self.reserved, *_usernames(backend)}
        pairs = [(user, resource) for user in users for resource in backend.get_reserved_resources(user)]
        for user, resource in pairs:
            holders = backend.who_reserved(resource)
            _promise(user in holders, f"'{user}' has '{resource}'; who_reserved('{resource}') returned {holders!r}")
            _promise(len(set(holders)) == len(holders), f"who_reserved() names each user once; it returned {holders!r}")
            for holder in holders:
                theirs = backend.get_reserved_resources(holder)
                _promise(
                    resource in theirs, f"'{holder}' has '{resource}'; get_reserved_resources('{holder}') returned {theirs!r}"
                )

    def test_list_usernames_names_who_has_something(self) -> None:
        """It is optional; a backend that has it names every user once."""
        backend = self._new()
        if not hasattr(backend, "list_usernames"):
            return
        found = _usernames(backend)
        _promise(isinstance(found, list), f"list_usernames() returns a list; it returned {found!r}")
        _promise(len(set(found)) == len(found), f"list_usernames() names each user once; it returned {found!r}")
        missing = [user for user, resources in self.reserved.items() if resources and user not in found]
        _promise(not missing, f"list_usernames() names everybody who has something; {missing} are missing in {found!r}")

    def test_answers_are_the_caller_s_own(self) -> None:
        """A caller's changes to an answer do not affect the next one."""
        backend = self._new()
        for user in {*self.reserved, self.unknown}:
            backend.get_reserved_resources(user).add(_UNKNOWN)
            _promise(_UNKNOWN not in backend.get_reserved_resources(user), "get_reserved_resources() returns a fresh set")
        for resource in {self.unknown, *(resource for resources in self.reserved.values() for resource in resources)}:
            backend.who_reserved(resource).append(_UNKNOWN)
            _promise(_UNKNOWN not in backend.who_reserved(resource), "who_reserved() returns a fresh list")


class AcquiringTests(ReservationTests):
    """The promises of ``contracts.reservations.Acquiring``: a backend that reserves, and has no queue.

    The tests reserve resources with unique names, and release all of them.

    Attributes:
        lease_s: A short lease, in seconds, that the test lets expire.
    """

    lease_s = _SHORT_LEASE_S

    def backend(self) -> Acquiring:
        """Return a new backend; to be overridden. All that one test makes share what is reserved, as processes would."""
        raise NotImplementedError(f"{type(self).__name__} needs a method backend() that returns what is tested.")

    def setup_method(self) -> None:
        """Start without a backend, and with nothing reserved."""
        super().setup_method()
        self._tried: set[tuple[str, tuple[str, ...]]] = set()

    def teardown_method(self) -> None:
        """Release everything, and close the backends that can be closed."""
        for backend in self._made:
            for user, resources in self._tried:
                backend.release(user, list(resources))
        super().teardown_method()

    def _acquire(self, backend: Any, user: str, resources: Collection[str], lease_s: float = _LEASE_S) -> bool:
        self._tried.add((user, tuple(resources)))
        answer = backend.acquire(user, list(resources), lease_s, "testing")
        _promise(isinstance(answer, bool), f"acquire() returns True or False; it returned {answer!r}")
        return bool(answer)

    def _acquired(self, backend: Any, user: str, resources: Collection[str], lease_s: float = _LEASE_S) -> None:
        got = self._acquire(backend, user, resources, lease_s)
        _promise(got, f"what is free is granted; acquire('{user}', {list(resources)}) returned False")

    def test_acquire_takes_all_or_none(self) -> None:
        """When a part is taken nothing is granted, and nothing stays reserved."""
        ours, theirs = self._new(), self._new()
        before, taken, behind = _resources(3)
        self._acquired(theirs, "bob", [taken])
        got = self._acquire(ours, "alice", [before, taken, behind])
        _promise(not got, "acquire() grants all or nothing; one of three is taken, and it returned True")
        left = [resource for resource in (before, behind) if ours.who_reserved(resource)]
        _promise(not left, f"a refused acquire() leaves nothing reserved; it left {left}")
        _promise(ours.who_reserved(taken) == ["bob"], "a refused acquire() changes nothing for the holder")

    def test_the_same_user_does_not_get_it_twice(self) -> None:
        """Two processes of one user are separate: the second is refused, and so is the first when it asks again."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        self._acquired(ours, "alice", [resource])
        _promise(
            not self._acquire(theirs, "alice", [resource]), "what alice has is not granted to alice again, in another instance"
        )
        _promise(
            not self._acquire(ours, "alice", [resource]), "what alice has is not granted to alice again, in the same instance"
        )
        _promise(ours.who_reserved(resource) == ["alice"], "a refused acquire() changes nothing for the holder")

    def test_who_reserved_tells_what_was_acquired(self) -> None:
        """Only the holder is named, and all that the holder has."""
        ours = self._new()
        resources = _resources(2)
        self._acquired(ours, "alice", resources)
        for resource in resources:
            found = ours.who_reserved(resource)
            _promise(found == ["alice"], f"who_reserved() names who acquired it, ['alice']; it returned {found!r}")
        missing = set(resources) - ours.get_reserved_resources("alice")
        _promise(not missing, f"get_reserved_resources('alice') has what she acquired; it lacks {sorted(missing)}")

    def test_instances_share_what_is_reserved(self) -> None:
        """What one instance acquired, another reports and does not grant."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        self._acquired(ours, "alice", [resource])
        found = theirs.who_reserved(resource)
        _promise(found == ["alice"], f"all instances share what is reserved; another one's who_reserved() returned {found!r}")
        _promise(
            resource in theirs.get_reserved_resources("alice"),
            "all instances share what is reserved; another one does not have it",
        )
        _promise(not self._acquire(theirs, "bob", [resource]), "what one instance acquired, another does not grant")

    def test_release_frees_it(self) -> None:
        """It can be acquired again; releasing it twice is harmless, and takes nothing from its present holder."""
        ours, theirs = self._new(), self._new()
        first, second = _resources(2)
        self._acquired(ours, "alice", [first, second])
        ours.release("alice", [first])
        _promise(not theirs.who_reserved(first), "release() frees what it names")
        _promise(theirs.who_reserved(second) == ["alice"], "release() frees nothing but what it names")
        self._acquired(theirs, "bob", [first])
        try:
            ours.release("alice", [first, second])
            ours.release("alice", [first, second])
        except Exception as error:
            raise AssertionError(
                f"Broken promise: release() of what the user no longer has is harmless; it raised {error!r}."
            ) from error
        _promise(
            not theirs.who_reserved(second),
            "release() frees what the user still has, also together with what the user no longer has",
        )
        _promise(theirs.who_reserved(first) == ["bob"], "release() takes nothing from the present holder")

    def test_renewing_moves_the_end(self) -> None:
        """What was renewed lasts longer than what was acquired with it."""
        ours, theirs = self._new(), self._new()
        renewed, witness = _resources(2)
        # Long enough that the renewal comes in time.
        lease_s = 4 * self.lease_s
        self._acquired(ours, "alice", [renewed], lease_s)
        self._acquired(ours, "alice", [witness], lease_s)
        answer = ours.renew("alice", [renewed], _LEASE_S)
        _promise(answer is True, f"renew() of what the user has returns True; it returned {answer!r}")
        _promise(_in_time(lambda: not theirs.who_reserved(witness)), f"a lease of {lease_s:g} s that is not renewed ends")
        _promise(theirs.who_reserved(renewed) == ["alice"], "what was renewed outlasts what was acquired after it and was not")

    def test_a_lease_that_is_not_renewed_ends(self) -> None:
        """Others get it; its former holder is notified and takes nothing from them."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        self._acquired(ours, "alice", [resource], self.lease_s)
        got = _in_time(lambda: self._acquire(theirs, "bob", [resource]))
        _promise(got, f"a lease of {self.lease_s:g} s that is not renewed ends, and others get it")
        self._is_lost(ours, "alice", [resource])
        _promise(theirs.who_reserved(resource) == ["bob"], "a user who lost a lease takes nothing from the present holder")

    def test_what_was_released_is_not_renewed(self) -> None:
        """A renewal is all or nothing, too: False when the user no longer has all of it."""
        ours = self._new()
        kept, released = _resources(2)
        self._acquired(ours, "alice", [kept, released])
        ours.release("alice", [released])
        self._is_lost(ours, "alice", [released])
        self._is_lost(ours, "alice", [kept, released])
        _promise(not ours.who_reserved(released), "renew() reserves nothing that was released")

    def _is_lost(self, backend: Any, user: str, resources: Collection[str]) -> None:
        answer = backend.renew(user, list(resources), _LEASE_S)
        _promise(answer is False, f"renew() of what the user no longer has returns False; it returned {answer!r}")


class LeasingTests(ReservationTests):
    """The promises of ``contracts.reservations.Leasing``: a backend that also reserves.

    The tests reserve resources with unique names, and release all of them.

    Attributes:
        lease_s: A short lease, in seconds, that the test lets expire.
    """

    lease_s = _SHORT_LEASE_S

    def backend(self) -> Leasing:
        """Return a new backend; to be overridden. All that one test makes share what is reserved, as processes would."""
        raise NotImplementedError(f"{type(self).__name__} needs a method backend() that returns what is tested.")

    def test_all_or_none(self) -> None:
        """A demand gets nothing at all when a part of it is taken."""
        ours, theirs = self._new(), self._new()
        first, second = _resources(2)
        _got(theirs, _demand(first))
        ticket = ours.join(_demand(first, second))
        got = ours.attempt(ticket)
        _promise(got is None, f"a demand gets all or nothing; '{first}' is taken, and attempt() returned {got!r}")
        _promise(not ours.who_reserved(second), f"a demand gets all or nothing; it got only '{second}'")

    def test_a_lease_says_what_it_is(self) -> None:
        """It has the hosts, their resources, and the end that was asked for."""
        ours = self._new()
        resources = tuple(_resources(3))
        demand = Demand({"a": resources[:2], "b": resources[2:]}, 2, "alice", "testing", _LEASE_S)
        lease = _got(ours, demand)
        _promise(isinstance(lease, Lease), f"attempt() returns a contracts.reservations.Lease; it returned {lease!r}")
        _promise(lease.hosts == ("a", "b"), f"a lease has the hosts in the order of the demand; it has {lease.hosts!r}")
        _promise(sorted(lease.resources) == sorted(resources), f"a lease has all resources; it has {lease.resources!r}")
        left_s = lease.until - time.time()
        _promise(abs(left_s - _LEASE_S) < _SLACK_S, f"a lease ends {_LEASE_S:g} seconds from now; it ends in {left_s:g}")

    def test_as_many_hosts_as_wanted(self) -> None:
        """Of several candidates it takes the first free ones, and no more."""
        ours, theirs = self._new(), self._new()
        first, second, third = _resources(3)
        _got(theirs, _demand(first))
        lease = _got(ours, Demand({name: (name,) for name in (first, second, third)}, 1, "alice"))
        _promise(
            lease.hosts == (second,),
            f"one of three is wanted, the first is taken: the lease is the second; it was {lease.hosts!r}",
        )
        _promise(not ours.who_reserved(third), f"no more is taken than wanted; '{third}' is taken too")

    def test_hosts_that_share_a_resource_are_not_had_together(self) -> None:
        """Two hosts with one resource are never in one lease."""
        ours = self._new()
        shared, own = _resources(2)
        lease = _got(ours, Demand({"a": (shared,), "b": (shared,), "c": (own,)}, 2, "alice"))
        _promise(lease.hosts == ("a", "c"), f"'a' and 'b' are one resource: the lease is 'a' and 'c'; it was {lease.hosts!r}")

    def test_two_instances_see_each_other(self) -> None:
        """What one instance has, all report, and no other gets it."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        _got(theirs, _demand(resource, user="bob"))
        found = [holding for holding in ours.holdings() if holding.resource == resource]
        _promise(len(found) == 1 and isinstance(found[0], Holding), f"holdings() has a Holding for '{resource}'; it has {found}")
        _promise(found[0].user == "bob", f"holdings() names who has it, 'bob'; it named {found[0].user!r}")
        _promise(found[0].purpose == "testing", f"holdings() says what for, 'testing'; it says {found[0].purpose!r}")
        _promise(ours.who_reserved(resource) == ["bob"], f"who_reserved() names 'bob'; it said {ours.who_reserved(resource)!r}")
        _promise(resource in ours.get_reserved_resources("bob"), "get_reserved_resources('bob') has what he reserved elsewhere")
        _promise(ours.attempt(ours.join(_demand(resource))) is None, "what another instance has is not granted again")

    def test_first_come_first_served(self) -> None:
        """What is released goes to the one who asked first."""
        ours, theirs, third = self._new(), self._new(), self._new()
        (resource,) = _resources(1)
        lease = _got(ours, _demand(resource))
        first, second = theirs.join(_demand(resource)), third.join(_demand(resource))
        ours.release(lease)
        _promise(third.attempt(second) is None, "the first to ask goes first; the second got it")
        _promise(_in_time(lambda: theirs.attempt(first) is not None), "the first to ask gets what was released")

    def test_a_wide_demand_is_not_starved(self) -> None:
        """An earlier, larger demand is not overtaken by smaller ones."""
        ours, theirs, third = self._new(), self._new(), self._new()
        taken, free = _resources(2)
        _got(ours, _demand(taken))
        theirs.join(_demand(taken, free))
        got = third.attempt(third.join(_demand(free)))
        _promise(got is None, f"an earlier demand keeps its place; a later one got '{free}', which the earlier one wants too")

    def test_a_higher_priority_goes_first(self) -> None:
        """Priority comes before the order of asking."""
        ours, theirs, third = self._new(), self._new(), self._new()
        (resource,) = _resources(1)
        lease = _got(ours, _demand(resource))
        usual = theirs.join(_demand(resource))
        urgent = third.join(Demand({resource: (resource,)}, 1, "carol", "testing", _LEASE_S, 5))
        ours.release(lease)
        _promise(theirs.attempt(usual) is None, "a higher priority goes first; the lower one got it")
        _promise(_in_time(lambda: third.attempt(urgent) is not None), "the higher priority gets it")

    def test_leaving_gives_up_the_place(self) -> None:
        """A ticket that left the queue blocks nobody; leaving twice is harmless."""
        ours, theirs, third = self._new(), self._new(), self._new()
        (resource,) = _resources(1)
        lease = _got(ours, _demand(resource))
        gone, waiting = theirs.join(_demand(resource)), third.join(_demand(resource))
        theirs.leave(gone)
        theirs.leave(gone)
        ours.release(lease)
        _promise(_in_time(lambda: third.attempt(waiting) is not None), "a ticket that left the queue blocks nobody")

    def test_leaving_gives_back_what_the_ticket_came_to(self) -> None:
        """A lease that nobody waits for any more is free again."""
        ours = self._new()
        (resource,) = _resources(1)
        ticket = ours.join(_demand(resource))
        _promise(_in_time(lambda: ours.attempt(ticket) is not None), "what is free is granted")
        ours.leave(ticket)
        _promise(not ours.who_reserved(resource), "leave() releases what the ticket got")

    def test_wait_is_bounded(self) -> None:
        """It returns in time when nothing happens."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        _got(theirs, _demand(resource))
        ticket = ours.join(_demand(resource))
        ours.attempt(ticket)
        began = time.monotonic()
        ours.wait(ticket, 0.2)
        waited_s = time.monotonic() - began
        _promise(waited_s < 0.2 + _SLACK_S, f"wait() returns after 0.2 seconds at the latest; it took {waited_s:g}")

    def test_a_released_lease_is_free(self) -> None:
        """It can be reserved again, with a higher token; releasing it again is harmless."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        first = _got(ours, _demand(resource))
        ours.release(first)
        _promise(not ours.who_reserved(resource), "release() frees the resources")
        second = _got(theirs, _demand(resource, user="bob"))
        _promise(second.token > first.token, f"tokens grow; after {first.token} came {second.token}")
        ours.release(first)
        _promise(ours.who_reserved(resource) == ["bob"], "releasing an old lease takes nothing from the present holder")

    def test_renewing_moves_the_end(self) -> None:
        """The end is a whole lease from now; hosts, resources and token stay."""
        ours = self._new()
        lease = _got(ours, _demand(*_resources(2)))
        longer = ours.renew(Lease(lease.hosts, lease.resources, lease.token, lease.until, 2 * _LEASE_S))
        left_s = longer.until - time.time()
        _promise(abs(left_s - 2 * _LEASE_S) < _SLACK_S, f"renew() moves the end {2 * _LEASE_S:g} s from now; it is {left_s:g} s")
        same = (longer.hosts, longer.resources, longer.token) == (lease.hosts, lease.resources, lease.token)
        _promise(same, f"renew() keeps hosts, resources and token; {lease!r} became {longer!r}")

    def test_a_lease_that_is_not_renewed_ends(self) -> None:
        """It is free for others, and its holder is notified at the next renewal."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        lease = _got(ours, Demand({resource: (resource,)}, 1, "alice", "testing", self.lease_s))
        ticket = theirs.join(_demand(resource, user="bob"))
        _promise(_in_time(lambda: theirs.attempt(ticket) is not None), f"a lease of {self.lease_s:g} s that is not renewed ends")
        _lost(ours, lease)
        ours.release(lease)
        _promise(theirs.who_reserved(resource) == ["bob"], "releasing a lost lease takes nothing from the present holder")

    def test_renewing_what_was_released_is_a_loss(self) -> None:
        """A lost lease cannot be renewed."""
        ours = self._new()
        lease = _got(ours, _demand(*_resources(1)))
        ours.release(lease)
        _lost(ours, lease)

    def test_force_takes_it_and_says_who_and_why(self) -> None:
        """What was taken is returned and free, and its holder learns who took it and why."""
        ours, theirs = self._new(), self._new()
        (resource,) = _resources(1)
        lease = _got(ours, _demand(resource))
        taken = theirs.release_forced(resource, "carol", "release day")
        _promise(
            [holding.user for holding in taken] == ["alice"], f"release_forced() returns what was taken; it returned {taken}"
        )
        _promise(not theirs.who_reserved(resource), "what was taken by force is free")
        said = _lost(ours, lease)
        _promise("carol" in said and "release day" in said, f"the loss says who took it and why; it says: {said}")
        again = theirs.release_forced(resource, "carol", "again")
        _promise(again == [], f"release_forced() of what nobody has returns nothing; it returned {again!r}")

    def test_closing_gives_everything_back(self) -> None:
        """The leases and queue entries of an instance end with it, and no others; closing twice is harmless."""
        ours, theirs, third = self._new(), self._new(), self._new()
        held, waited_for, others = _resources(3)
        _got(ours, _demand(held))
        _got(theirs, _demand(others, user="bob"))
        lease = _got(theirs, _demand(waited_for, user="bob"))
        ours.join(_demand(waited_for))
        behind = third.join(_demand(waited_for))
        ours.close()
        ours.close()
        _promise(_in_time(lambda: not theirs.who_reserved(held)), "close() releases leases")
        _promise(theirs.who_reserved(others) == ["bob"], "close() releases nothing of other instances")
        theirs.release(lease)
        _promise(_in_time(lambda: third.attempt(behind) is not None), "close() leaves the queue")


def _promise(kept: bool, sentence: str) -> None:
    if not kept:
        raise AssertionError(f"Broken promise: {sentence}.")


def _usernames(backend: Any) -> list[str]:
    usernames: list[str] = backend.list_usernames() if hasattr(backend, "list_usernames") else []
    return usernames


def _spoil(value: Any) -> None:
    """Change every part of plain data."""
    if isinstance(value, dict):
        for child in value.values():
            _spoil(child)
        value[_UNKNOWN] = True
    elif isinstance(value, list):
        for child in value:
            _spoil(child)
        value.append(_UNKNOWN)


def _resources(count: int) -> list[str]:
    """Return unique names."""
    return [f"otto-conformance-{uuid.uuid4().hex}" for _ in range(count)]


def _demand(*resources: str, user: str = "alice") -> Demand:
    return Demand({name: (name,) for name in resources}, len(resources), user, "testing", _LEASE_S)


def _got(backend: Leasing, demand: Demand) -> Lease:
    """Return a lease for what is free."""
    ticket = backend.join(demand)
    lease = backend.attempt(ticket)
    if lease is None:
        raise AssertionError(
            f"Broken promise: what is free is granted immediately; attempt() for {dict(demand.candidates)} returned None."
        )
    return lease


def _in_time(happened: Callable[[], bool]) -> bool:
    end = time.monotonic() + _PATIENCE_S
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _lost(backend: Leasing, lease: Lease) -> str:
    """Return the message for the holder of a lost lease."""
    try:
        renewed = backend.renew(lease)
    except LeaseLostError as error:
        return str(error)
    raise AssertionError(f"Broken promise: renew() of a lost lease is a LeaseLostError; it returned {renewed!r}.")
