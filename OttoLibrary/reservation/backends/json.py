"""Who has what, from otto's file of reservations: read only, kept by people or by a booking system.

Format, where ``expires`` is ISO 8601 and may be missing, and without an offset is this machine's local time::

    {"version": 1, "reservations": [{"user": "alice", "resources": ["dut1"], "expires": "2027-01-31T18:00:00+01:00"}]}
"""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.reservations import Holding
from OttoLibrary.errors import ReservationError
from OttoLibrary.lab.plain_file import read_plain_file
from OttoLibrary.reservation.queue import Ledger

_MOST = 16 << 20


class JsonReservations(Ledger):
    """The reservation backend ``json``.

    Args:
        path: The file; by default what the environment variable ``OTTO_RESERVATIONS`` names.
    """

    def __init__(self, path: str = "") -> None:
        self._path = Path(path or os.environ.get("OTTO_RESERVATIONS", ""))

    def backend_name(self) -> str:
        """Return ``json``."""
        return "json"

    def holdings(self) -> list[Holding]:
        """Return who has what; what has expired is left out."""
        found = [holding for entry in self._entries() for holding in self._of(entry)]
        return [holding for holding in found if holding.until is None or holding.until > time.time()]

    def _entries(self) -> list[Any]:
        if not self._path.name:
            raise ReservationError("The reservations 'json' need a file. Name it in the environment variable OTTO_RESERVATIONS.")
        try:
            content = json.loads(read_plain_file(self._path, _MOST))
        except (OSError, ValueError, RecursionError) as error:
            raise ReservationError(
                f"The reservations in '{self._path}' cannot be read ({error}); so it is unknown who has what."
            ) from error
        if not isinstance(content, dict) or content.get("version") != 1 or not isinstance(content.get("reservations"), list):
            raise ReservationError(f"'{self._path}' is not a file of reservations of version 1.")
        entries: list[Any] = content["reservations"]
        return entries

    def _of(self, entry: Any) -> list[Holding]:
        try:
            expires = entry.get("expires")
            until = datetime.fromisoformat(expires).timestamp() if expires else None
            return [Holding(str(resource), str(entry["user"]), until=until) for resource in entry["resources"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ReservationError(f"'{self._path}' has a reservation that cannot be read: {entry!r}.") from error
