"""Who has which hosts: demands, holdings, leases, and the backends that decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Demand:
    """What somebody wants to reserve.

    Attributes:
        candidates: The hosts to choose from, each with the resources that it takes, in the order of the lab.
        count: How many of them.
        user: Who wants them.
        purpose: What for.
        lease_s: How long they stay reserved without renewal, in seconds.
        priority: Higher goes first; among equals, the earlier demand.
    """

    candidates: Mapping[str, tuple[str, ...]]
    count: int
    user: str
    purpose: str = ""
    lease_s: float = 1800.0
    priority: int = 0


@dataclass(frozen=True)
class Holding:
    """Who has a resource.

    Attributes:
        resource: Its name.
        user: Who.
        since: Since when, in seconds since 1970; None when it is not known.
        until: Until when unless renewed, in seconds since 1970; None when it does not end by itself.
        purpose: What for.
        process: The process, as ``machine:pid``; empty when it is not known.
        token: The token of its lease, or None when it is not a lease.
    """

    resource: str
    user: str
    since: float | None = None
    until: float | None = None
    purpose: str = ""
    process: str = ""
    token: int | None = None


@dataclass(frozen=True)
class Lease:
    """Hosts that are reserved for us.

    Attributes:
        hosts: Their names.
        resources: What they take.
        token: Grows with every lease that the backend grants; a write that carries an older token is outdated.
        until: When it ends unless renewed, in seconds since 1970.
        lease_s: How long a renewal lasts.
    """

    hosts: tuple[str, ...]
    resources: tuple[str, ...]
    token: int
    until: float
    lease_s: float


@dataclass(frozen=True)
class Quarantine:
    """A resource that nobody gets until its quarantine is lifted.

    Attributes:
        resource: Its name.
        user: Who put it there.
        since: Since when, in seconds since 1970.
        reason: Why.
    """

    resource: str
    user: str
    since: float
    reason: str


@dataclass(frozen=True)
class Waiting:
    """A place in the queue.

    Attributes:
        candidates: The hosts to choose from, each with the resources that it takes.
        count: How many of them are wanted.
        user: Who wants them.
        purpose: What for.
        process: The process, as ``machine:pid``.
    """

    candidates: Mapping[str, tuple[str, ...]]
    count: int
    user: str
    purpose: str
    process: str


class Reservations(Protocol):
    """Who has which resources: the part that every backend implements."""

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved; raise ReservationError when that is unknown."""

    def who_reserved(self, resource: str) -> list[str]:
        """Return the users who have a resource; raise ReservationError when that is unknown."""

    def backend_name(self) -> str:
        """Return its name, for messages."""


class Acquiring(Reservations, Protocol):
    """A backend that reserves resources for a user, and has no queue.

    Calls come one at a time, not always from the same thread, and may block for a moment. Each raises ReservationError when
    there is no answer. A backend may have ``close()``, which is called when the run is over and everything was released.
    """

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        """Reserve all of these resources together and return True, or none of them and return False.

        Args:
            username: For whom.
            resources: Which.
            lease_s: After how many seconds the reservation ends unless it is renewed.
            purpose: What for; may be empty.

        Returns:
            False when anybody has one of them, even the same user, who may be another process.
        """

    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        """Let the reservation of these end in ``lease_s`` seconds; return False when the user no longer has all of them."""

    def release(self, username: str, resources: Collection[str]) -> None:
        """Release these; what the user no longer has stays with its present holder, without an error."""


class Leasing(Reservations, Protocol):
    """A backend that also reserves, with a queue. Methods may block for a moment; several threads may call concurrently."""

    def join(self, demand: Demand) -> str:
        """Queue up and return a ticket; raise ReservationError."""

    def attempt(self, ticket: str) -> Lease | None:
        """Return all that was wanted, or None when it is not our turn yet; raise ReservationError."""

    def wait(self, ticket: str, seconds: float) -> None:
        """Return when another attempt may succeed, at the latest after so many seconds."""

    def leave(self, ticket: str) -> None:
        """Leave the queue, and release what the ticket got; an unknown ticket is ignored."""

    def holdings(self) -> list[Holding]:
        """Return who has what."""

    def renew(self, lease: Lease) -> Lease:
        """Return the lease with a new end; raise LeaseLostError when it was lost."""

    def release(self, lease: Lease) -> None:
        """Release everything; a lease that was lost is ignored."""

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Take a resource from its holder, note who did so and why, and return what was taken."""

    def close(self) -> None:
        """Release all that this process has."""


class Quarantining(Reservations, Protocol):
    """A backend that keeps sick resources from everybody; who has one keeps it, and nobody gets it afterwards.

    Such a backend may also have ``waiting()``, which returns the ``Waiting`` of the queue, the next one first.
    """

    def quarantines(self) -> list[Quarantine]:
        """Return what is in quarantine; raise ReservationError when that is unknown."""

    def quarantine(self, resources: Collection[str], user: str, reason: str) -> None:
        """Put resources into quarantine; one that is there already stays with who put it there and why."""

    def lift(self, resources: Collection[str]) -> list[Quarantine]:
        """End the quarantine of resources, and return those that were in one."""
