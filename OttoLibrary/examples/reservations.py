"""A reservation backend that only tells who has what, from memory: the least that a backend is.

A module that the settings name under ``init`` makes it known::

    from OttoLibrary.registry import register_reservation_backend

    register_reservation_backend("memory", MemoryReservations)

Then ``reservations=memory`` of the library, or ``OTTO_RESERVATION_BACKEND=memory``, uses it. A backend that reserves hosts, too,
has the further methods of ``contracts.Leasing``.
"""

from __future__ import annotations

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

    Who has nothing, and what nobody has, are no mistakes.

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
