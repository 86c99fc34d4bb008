"""Two reservation backends in memory: one only says who has what, the least that a backend must do; the other also reserves.

A module that the settings name under ``init`` makes them known::

    from OttoLibrary.registry import register_reservation_backend

    register_reservation_backend("memory", MemoryReservations)
    register_reservation_backend("bookings", MemoryBookings)

Then ``reservations=memory`` of the library, or ``OTTO_RESERVATION_BACKEND=memory``, uses the first. A backend with its own queue
has the methods of ``contracts.reservations.Leasing``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

_RESERVED = {"alice": {"rack-1", "bench"}, "bob": {"rack-2", "bench"}}


class MemoryReservations:
    """What alice and bob have; both have the bench.

    >>> reservations = MemoryReservations()
    >>> sorted(reservations.get_reserved_resources("alice"))
    ['bench', 'rack-1']
    >>> reservations.who_reserved("rack-2")
    ['bob']
    >>> reservations.who_reserved("bench")
    ['alice', 'bob']

    A user who has nothing and a resource that nobody has are not errors.

    >>> reservations.get_reserved_resources("carol"), reservations.who_reserved("rack-3")
    (set(), [])
    """

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved."""
        return set(_RESERVED.get(username, ()))

    def who_reserved(self, resource: str) -> list[str]:
        """Return the users who have a resource."""
        return [user for user, resources in _RESERVED.items() if resource in resources]

    def backend_name(self) -> str:
        """Return its name, for messages.

        >>> MemoryReservations().backend_name()
        'memory'
        """
        return "memory"

    def list_usernames(self) -> list[str]:
        """Return the users who have something; a backend may lack this.

        >>> MemoryReservations().list_usernames()
        ['alice', 'bob']
        """
        return sorted(_RESERVED)


# By resource: who has it, until when (monotonic clock), and what for. Several processes would need a service for this.
_BOOKED: dict[str, tuple[str, float, str]] = {}
_TURN = threading.Lock()


class MemoryBookings:
    """What the suites of one process reserve; all instances share it.

    >>> bookings = MemoryBookings()
    >>> bookings.acquire("alice", ["rack-1", "bench"], 60, "soak test")
    True
    >>> bookings.who_reserved("bench"), bookings.get_reserved_resources("alice") == {"rack-1", "bench"}
    (['alice'], True)

    All that is wanted is granted, or nothing; alice may run two processes, so she is not granted again what she already has.

    >>> bookings.acquire("bob", ["rack-2", "bench"], 60, ""), bookings.who_reserved("rack-2")
    (False, [])
    >>> bookings.acquire("alice", ["bench"], 60, "")
    False

    A reservation ends when it is not renewed, or when it is released.

    >>> bookings.renew("alice", ["bench"], 0), bookings.who_reserved("bench")
    (True, [])
    >>> bookings.renew("alice", ["rack-1", "bench"], 60)
    False
    >>> bookings.release("alice", ["rack-1", "bench"])
    >>> bookings.list_usernames()
    []
    """

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved."""
        return {resource for resource, user in _users().items() if user == username}

    def who_reserved(self, resource: str) -> list[str]:
        """Return the users who have a resource."""
        return [user for name, user in _users().items() if name == resource]

    def backend_name(self) -> str:
        """Return its name, for messages."""
        return "bookings"

    def list_usernames(self) -> list[str]:
        """Return the users who have something; a backend may lack this."""
        return sorted(set(_users().values()))

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        """Reserve all of these, or none."""
        with _TURN:
            if not _users().keys().isdisjoint(resources):
                return False
            _BOOKED.update(dict.fromkeys(resources, (username, time.monotonic() + lease_s, purpose)))
            return True

    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        """Move the end of a reservation; False when the user no longer has all of it."""
        with _TURN:
            users = _users()
            if any(users.get(resource) != username for resource in resources):
                return False
            for resource in resources:
                _, _, purpose = _BOOKED[resource]
                _BOOKED[resource] = (username, time.monotonic() + lease_s, purpose)
            return True

    def release(self, username: str, resources: Collection[str]) -> None:
        """Release those that the user has."""
        with _TURN:
            users = _users()
            for resource in resources:
                if users.get(resource) == username:
                    del _BOOKED[resource]


def _users() -> dict[str, str]:
    """Return who has what now."""
    now = time.monotonic()
    return {resource: user for resource, (user, end, _) in dict(_BOOKED).items() if end > now}
