"""A reservation backend as a third party would write it: it can acquire, renew and release, and keeps all in an SQLite file.

    python -m tests.peers.bookings FILE USER HOSTS LEASE_S

reserves these hosts (``a,b``) as a run does, says ``GOT``, holds them until its input ends, and says ``LOST`` with the reason
when they are its own no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.deadline import since_boot_s
from OttoLibrary.reservation.leases import Leases
from OttoLibrary.reservation.without_queue import QueuelessLeasing
from tests.peers.holding import HoldingProcess

ROOT = Path(__file__).parents[2]
_TABLE = "CREATE TABLE IF NOT EXISTS booking (resource TEXT PRIMARY KEY, user TEXT, end REAL, purpose TEXT)"


class SqliteBookings:
    """Who has booked which resource, in a file that all processes share."""

    def __init__(self, path: str) -> None:
        self.path = path

    def backend_name(self) -> str:
        return "bookings"

    def get_reserved_resources(self, username: str) -> set[str]:
        with self._changing() as table:
            return {row[0] for row in table.execute("SELECT resource FROM booking WHERE user = ?", [username])}

    def who_reserved(self, resource: str) -> list[str]:
        with self._changing() as table:
            return [row[0] for row in table.execute("SELECT user FROM booking WHERE resource = ?", [resource])]

    def list_usernames(self) -> list[str]:
        with self._changing() as table:
            return [row[0] for row in table.execute("SELECT DISTINCT user FROM booking")]

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        rows = [(resource, username, since_boot_s() + lease_s, purpose) for resource in resources]
        try:
            with self._changing() as table:
                table.executemany("INSERT INTO booking VALUES (?, ?, ?, ?)", rows)
        except sqlite3.IntegrityError:
            return False
        return True

    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        with self._changing() as table:
            rows = [(since_boot_s() + lease_s, resource, username) for resource in resources]
            changed = table.executemany("UPDATE booking SET end = ? WHERE resource = ? AND user = ?", rows).rowcount
            if changed < len(rows):
                table.execute("ROLLBACK")
            return changed == len(rows)

    def release(self, username: str, resources: Collection[str]) -> None:
        with self._changing() as table:
            rows = [(resource, username) for resource in resources]
            table.executemany("DELETE FROM booking WHERE resource = ? AND user = ?", rows)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Give the table without what has ended; what is changed is changed as a whole."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=20, isolation_level=None)) as table:
            table.execute(_TABLE)
            table.execute("BEGIN IMMEDIATE")
            table.execute("DELETE FROM booking WHERE end <= ?", [since_boot_s()])
            yield table
            if table.in_transaction:
                table.execute("COMMIT")


class Holder(HoldingProcess):
    """A process that reserves hosts of such a backend."""

    def __init__(self, file: Path, user: str, hosts: str, lease_s: float = 30) -> None:
        super().__init__("-m", "tests.peers.bookings", str(file), user, hosts, str(lease_s))


async def _hold(path: str, user: str, hosts: str, lease_s: str) -> None:
    backend = QueuelessLeasing(SqliteBookings(path), "bookings")
    leases = Leases(backend, lambda text: None, lambda error: print("LOST", error, flush=True))
    demand = Demand({name: (name,) for name in hosts.split(",")}, len(hosts.split(",")), user, "holding", float(lease_s))
    lease = await leases.reserve(demand, 60)
    print("GOT", ",".join(lease.hosts), os.getpid(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await leases.close()
    print("BYE", flush=True)


if __name__ == "__main__":
    asyncio.run(_hold(*sys.argv[1:]))
