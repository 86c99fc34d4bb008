"""No reservations: everybody may use everything."""

from __future__ import annotations


class NoReservations:
    """The reservation backend ``none``."""

    def backend_name(self) -> str:
        """Return ``none``."""
        return "none"

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return nothing."""
        return set()

    def who_reserved(self, resource: str) -> list[str]:
        """Return nobody."""
        return []
