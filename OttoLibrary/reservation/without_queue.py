"""Leases from a backend that can acquire, renew and release but has no queue: chance decides among those who wait."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from OttoLibrary.contracts.reservations import Acquiring, Demand, Holding, Lease
from OttoLibrary.deadline import since_boot_s
from OttoLibrary.errors import LeaseLostError, ReservationError

T = TypeVar("T")
# How long a call waits for the one before it.
_PATIENCE_S = 30.0
_RENEWAL_PATIENCE_S = 2.0
_PACE_S = 1.0
_KIND_TEXT: dict[type, str] = {bool: "True or False", list: "a list of users", set: "a set of resources", str: "a name"}


@dataclass(frozen=True)
class _Held:
    """A lease that this process has.

    Attributes:
        lease: The lease.
        ticket: The ticket that it came from.
        demand: What was wanted.
        since: Since when, in seconds since 1970.
        end: When it ends unless renewed, by the machine's clock since boot.
        trouble: Why it could not be renewed last time.
    """

    lease: Lease
    ticket: str
    demand: Demand
    since: float
    end: float
    trouble: str = ""


class QueuelessLeasing:
    """Makes a ``contracts.reservations.Leasing`` of a ``contracts.reservations.Acquiring``.

    Such a backend distinguishes users, not processes: when a lease has ended, another process of the same user may have its
    resources. So nothing is renewed or released here after the agreed end.

    Args:
        backend: Decides who gets what.
        name: Its name, for messages.
    """

    def __init__(self, backend: Acquiring, name: str) -> None:
        self._backend, self._name = backend, name
        self._wanted: dict[str, Demand] = {}
        self._asked_for: dict[str, None] = {}
        self._held: dict[int, _Held] = {}
        self._token = 0
        self._closed = False
        self._turn = threading.RLock()

    def backend_name(self) -> str:
        """Return the backend's name."""
        return self._answer(str, "backend_name")

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved."""
        return self._answer(set, "get_reserved_resources", username)

    def who_reserved(self, resource: str) -> list[str]:
        """Return the users who have a resource."""
        return self._answer(list, "who_reserved", resource)

    def holdings(self) -> list[Holding]:
        """Return who has what, of all that was ever asked for here."""
        return self.holdings_of(self._asked_for)

    def holdings_of(self, resources: Collection[str]) -> list[Holding]:
        """Return who has these resources; of what others have, only the user is known."""
        return [self._holding(resource, user) for resource in list(resources) for user in self.who_reserved(resource)]

    def join(self, demand: Demand) -> str:
        """Note what is wanted; there is no queue."""
        ticket = secrets.token_hex(8)
        self._asked_for |= dict.fromkeys(_resources(demand, demand.candidates))
        self._wanted[ticket] = demand
        return ticket

    def attempt(self, ticket: str) -> Lease | None:
        """Take all that is wanted, or nothing."""
        with self._one_at_a_time():
            demand = self._wanted.get(ticket)
            hosts = self._free_hosts(demand) if demand else []
            if demand is None or len(hosts) < demand.count:
                return None
            resources = _resources(demand, hosts)
            # The end counts from before the question, so that the backend's own end is never earlier.
            since, end = time.time(), since_boot_s() + demand.lease_s
            if not self._answer(bool, "acquire", demand.user, list(resources), demand.lease_s, demand.purpose):
                return None
            lease = Lease(tuple(hosts), resources, self._new_token(), since + demand.lease_s, demand.lease_s)
            self._held[lease.token] = _Held(lease, ticket, demand, since, end)
            return lease

    def wait(self, ticket: str, seconds: float) -> None:
        """Return after a short random time, so that those who wait do not all try at the same time."""
        time.sleep(min(seconds, random.uniform(0.5, 1.0) * _PACE_S))

    def leave(self, ticket: str) -> None:
        """Forget what was wanted, and release what the ticket got, or is getting right now."""
        self._wanted.pop(ticket, None)
        with self._one_at_a_time():
            for held in [held for held in self._held.values() if held.ticket == ticket]:
                self._release(held)

    def renew(self, lease: Lease) -> Lease:
        """Move the end of a lease; a call that hangs keeps its own turn, and no renewal waits for it long."""
        if not self._turn.acquire(timeout=min(_RENEWAL_PATIENCE_S, lease.lease_s / 8)):
            self._turn = threading.RLock()
        else:
            self._turn.release()
        with self._one_at_a_time():
            held = self._held.get(lease.token)
            if held is None:
                raise LeaseLostError(lease.hosts, "it was released or lost earlier")
            now = since_boot_s()
            renewed = replace(lease, until=time.time() + lease.lease_s)
            kept = now < held.end and self._renewed(held, lease.lease_s)
            # An answer after the end may be about what another process of the same user has by now.
            if not kept or since_boot_s() >= held.end:
                del self._held[lease.token]
                raise LeaseLostError(lease.hosts, self._why_lost(held))
            self._held[lease.token] = replace(held, lease=renewed, end=now + lease.lease_s, trouble="")
            return renewed

    def release(self, lease: Lease) -> None:
        """Release everything."""
        with self._one_at_a_time():
            held = self._held.get(lease.token)
            if held is not None:
                self._release(held)

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Refuse: such a backend cannot notify the holder, who would continue."""
        raise ReservationError(
            f"The reservations '{self._name}' cannot be taken by force: '{resource}' becomes free when its holder "
            "releases it, or when its lease ends. Ask the holder, or free it in the reservation system itself."
        )

    def close(self) -> None:
        """Release all that this process has, and close the backend."""
        with self._one_at_a_time(), contextlib.ExitStack() as rest:
            rest.callback(self._close_backend)
            rest.callback(self._held.clear)
            for held in self._held.values():
                rest.callback(self._release, held)
            self._wanted.clear()

    def _free_hosts(self, demand: Demand) -> list[str]:
        """Return the first free hosts, up to the number that is wanted, none of which share a resource."""
        free: list[str] = []
        taken: set[str] = set()
        for host, resources in demand.candidates.items():
            if len(free) == demand.count:
                break
            if taken.isdisjoint(resources) and not any(self.who_reserved(resource) for resource in resources):
                free.append(host)
                taken.update(resources)
        return free

    def _new_token(self) -> int:
        """Return a higher token than before; between machines, as far as their clocks agree."""
        self._token = max(self._token + 1, time.time_ns())
        return self._token

    def _renewed(self, held: _Held, lease_s: float) -> bool:
        try:
            return self._answer(bool, "renew", held.demand.user, list(held.lease.resources), lease_s)
        except ReservationError as error:
            self._held[held.lease.token] = replace(held, trouble=f" ({error})")
            raise

    def _why_lost(self, held: _Held) -> str:
        if since_boot_s() >= held.end:
            return f"it was not renewed for {held.lease.lease_s:g} seconds{held.trouble}"
        return f"the reservations '{self._name}' say that {held.demand.user} no longer has it"

    def _release(self, held: _Held) -> None:
        if since_boot_s() < held.end:
            self._answer(object, "release", held.demand.user, list(held.lease.resources))
        self._held.pop(held.lease.token, None)

    def _holding(self, resource: str, user: str) -> Holding:
        for held in list(self._held.values()):
            if resource in held.lease.resources and user == held.demand.user and since_boot_s() < held.end:
                process = f"{socket.gethostname()}:{os.getpid()}"
                return Holding(resource, user, held.since, held.lease.until, held.demand.purpose, process, held.lease.token)
        return Holding(resource, user)

    def _close_backend(self) -> None:
        if not self._closed and hasattr(self._backend, "close"):
            self._answer(object, "close")
        self._closed = True

    def _answer(self, kind: type[T], method: str, *arguments: object) -> T:
        """Return the backend's answer; anything else is a ReservationError."""
        with self._one_at_a_time():
            try:
                answer = getattr(self._backend, method)(*arguments)
            except ReservationError:
                raise
            except Exception as error:
                raise ReservationError(
                    f"The reservations '{self._name}' do not answer: {method}() failed with {type(error).__name__}: {error}. "
                    "It is unknown who has what."
                ) from error
        if not isinstance(answer, kind):
            raise ReservationError(
                f"The reservations '{self._name}' break the contract: {method}() returned {answer!r} where {_KIND_TEXT[kind]} "
                "is expected."
            )
        return answer

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        turn = self._turn
        if not turn.acquire(timeout=_PATIENCE_S):
            raise ReservationError(
                f"The reservations '{self._name}' did not answer an earlier question for {_PATIENCE_S:g} seconds. "
                "It is unknown who has what."
            )
        try:
            yield
        finally:
            turn.release()


def _resources(demand: Demand, hosts: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(resource for host in hosts for resource in demand.candidates[host]))
