"""Leases among the processes of one machine: a state file under a lock, and for each process a lock that the kernel releases.

Everything is in one folder, ``OTTO_LEASES`` or ``/tmp/otto-leases``::

    mutex        locked (flock) while somebody reads and writes the state
    state.json   the leases by resource, the queue, and who took what by force
    alive-ID     locked by a process as long as it lives, however it ends

A lease ends when it is released, when its process is gone, or when it was not renewed in time. Time is the machine's clock since
its start, which nobody sets; after a restart of the machine nothing is reserved.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from OttoLibrary.contracts import Demand, Holding, Lease
from OttoLibrary.errors import LeaseLostError, ReservationError

_FOLDER = "/tmp/otto-leases"  # noqa: S108 - shared by all users of the machine on purpose
_PACE_S = 0.05
# Who died says nothing: the dead are looked for so often.
_LOOK_S = 0.5
_FORCED_KEPT = 100
_State = dict[str, Any]


class FileReservations:
    """The reservation backend ``file``.

    Args:
        folder: Where all processes that share hosts look.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = Path(folder or os.environ.get("OTTO_LEASES") or _FOLDER)
        self._id = ""
        self._alive: int | None = None
        self._turn = threading.RLock()
        self._seen: dict[str, tuple[int, ...]] = {}

    def backend_name(self) -> str:
        """Return ``file``."""
        return "file"

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved."""
        return {holding.resource for holding in self.holdings() if holding.user == username}

    def who_reserved(self, resource: str) -> list[str]:
        """Return the user who has a resource, or nobody."""
        return [holding.user for holding in self.holdings() if holding.resource == resource]

    def list_usernames(self) -> list[str]:
        """Return all who have something."""
        return sorted({holding.user for holding in self.holdings()})

    def holdings(self) -> list[Holding]:
        """Return who has what."""
        with self._state() as state:
            return [_holding(resource, entry) for resource, entry in state["leases"].items()]

    def join(self, demand: Demand) -> str:
        """Queue up."""
        self._live()
        with self._state() as state:
            state["last"] += 1
            ticket = str(state["last"])
            state["queue"].append(
                {
                    "ticket": ticket,
                    "owner": self._id,
                    "priority": demand.priority,
                    "candidates": {name: list(resources) for name, resources in demand.candidates.items()},
                    "count": demand.count,
                    "user": demand.user,
                    "purpose": demand.purpose,
                    "lease_s": demand.lease_s,
                    "process": _process(),
                }
            )
        return ticket

    def attempt(self, ticket: str) -> Lease | None:
        """Take all that is wanted, or nothing."""
        with self._state() as state:
            wanted = next((entry for entry in state["queue"] if entry["ticket"] == ticket), None)
            if wanted is None:
                raise ReservationError("The place in the queue for hosts is gone: this process did not look for too long.")
            chosen = _chosen(wanted, state)
            self._seen[ticket] = self._stamp()
            if chosen is None:
                return None
            state["queue"].remove(wanted)
            self._seen.pop(ticket, None)
            return self._grant(wanted, chosen, state)

    def wait(self, ticket: str, seconds: float) -> None:
        """Return when somebody wrote the state, or it is time to look for the dead."""
        end = time.monotonic() + min(seconds, _LOOK_S)
        while time.monotonic() < end and self._stamp() == self._seen.get(ticket):
            time.sleep(_PACE_S)

    def leave(self, ticket: str) -> None:
        """Leave the queue, and give back what an attempt got that nobody waited for any more."""
        with self._state() as state:
            state["queue"] = [entry for entry in state["queue"] if entry["ticket"] != ticket]
            state["leases"] = {name: entry for name, entry in state["leases"].items() if entry["ticket"] != ticket}

    def renew(self, lease: Lease) -> Lease:
        """Move the end of a lease."""
        with self._state() as state:
            mine = [entry for entry in state["leases"].values() if entry["token"] == lease.token and entry["owner"] == self._id]
            if len(mine) < len(set(lease.resources)):
                raise LeaseLostError(lease.hosts, _why_lost(lease, state))
            for entry in mine:
                entry["end"] = _now() + lease.lease_s
                entry["lease_s"] = lease.lease_s
        return Lease(lease.hosts, lease.resources, lease.token, time.time() + lease.lease_s, lease.lease_s)

    def release(self, lease: Lease) -> None:
        """Give everything back."""
        with self._state() as state:
            state["leases"] = {
                resource: entry
                for resource, entry in state["leases"].items()
                if entry["token"] != lease.token or entry["owner"] != self._id
            }

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Take a resource from whoever has it."""
        with self._state() as state:
            entry = state["leases"].pop(resource, None)
            if entry is None:
                return []
            note = {"resource": resource, "token": entry["token"], "by": user, "reason": reason, "at": time.time()}
            state["forced"] = [*state["forced"], note][-_FORCED_KEPT:]
            return [_holding(resource, entry)]

    def close(self) -> None:
        """Give back all that this process has here."""
        if self._alive is None:
            return
        with self._state() as state:
            state["queue"] = [entry for entry in state["queue"] if entry["owner"] != self._id]
            state["leases"] = {name: entry for name, entry in state["leases"].items() if entry["owner"] != self._id}
        with self._turn:
            self._alive_file(self._id).unlink(missing_ok=True)
            os.close(self._alive)
            self._alive = None

    # -- the state

    @contextlib.contextmanager
    def _state(self) -> Iterator[_State]:
        """Give the state without what has ended, locked; what was changed in it is written afterwards, and nothing else."""
        with self._turn, self._mutex():
            state = self._read()
            before = json.dumps(state)
            self._bury(state)
            yield state
            if json.dumps(state) != before:
                self._write(state)

    @contextlib.contextmanager
    def _mutex(self) -> Iterator[None]:
        try:
            self._folder.mkdir(mode=0o1777, parents=True, exist_ok=True)
            with contextlib.suppress(PermissionError):
                self._folder.chmod(0o1777)
            file = _open(self._folder / "mutex")
        except OSError as error:
            raise ReservationError(f"The folder of leases '{self._folder}' cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _read(self) -> _State:
        empty: _State = {"boot": _boot(), "last": 0, "leases": {}, "queue": [], "forced": []}
        try:
            state: _State = json.loads((self._folder / "state.json").read_text())
        except FileNotFoundError:
            return empty
        except (OSError, ValueError) as error:
            raise ReservationError(
                f"'{self._folder / 'state.json'}' cannot be read ({error}); nobody knows who has what."
            ) from error
        return state if state["boot"] == empty["boot"] else empty | {"last": state["last"], "forced": state["forced"]}

    def _write(self, state: _State) -> None:
        fresh = self._folder / f"state.json.{self._id or secrets.token_hex(4)}"
        try:
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
            with os.fdopen(file, "w") as out:
                json.dump(state, out)
                with contextlib.suppress(PermissionError):
                    os.fchmod(out.fileno(), 0o666)
            fresh.replace(self._folder / "state.json")
        except OSError as error:
            raise ReservationError(f"The leases in '{self._folder}' cannot be written: {error.strerror}.") from error

    def _bury(self, state: _State) -> None:
        """Remove what the dead had, and what was not renewed in time."""
        owners = {entry["owner"] for entry in (*state["leases"].values(), *state["queue"])}
        dead = {owner for owner in owners if owner != self._id and not self._lives(owner)}
        now = _now()
        leases = state["leases"].items()
        state["leases"] = {name: entry for name, entry in leases if entry["owner"] not in dead and entry["end"] > now}
        state["queue"] = [entry for entry in state["queue"] if entry["owner"] not in dead]
        for owner in dead:
            self._alive_file(owner).unlink(missing_ok=True)

    def _grant(self, wanted: Mapping[str, Any], chosen: list[str], state: _State) -> Lease:
        state["last"] += 1
        token, lease_s = state["last"], wanted["lease_s"]
        resources = tuple(resource for name in chosen for resource in wanted["candidates"][name])
        for resource in resources:
            state["leases"][resource] = {
                "token": token,
                "ticket": wanted["ticket"],
                "owner": self._id,
                "user": wanted["user"],
                "purpose": wanted["purpose"],
                "process": wanted["process"],
                "since": time.time(),
                "end": _now() + lease_s,
                "lease_s": lease_s,
            }
        return Lease(tuple(chosen), resources, token, time.time() + lease_s, lease_s)

    def _stamp(self) -> tuple[int, ...]:
        try:
            facts = (self._folder / "state.json").stat()
        except FileNotFoundError:
            return ()
        return facts.st_ino, facts.st_mtime_ns

    # -- being alive

    def _live(self) -> None:
        with self._turn, self._mutex():
            if self._alive is None:
                self._id = secrets.token_hex(8)
                self._alive = _open(self._alive_file(self._id))
                fcntl.flock(self._alive, fcntl.LOCK_EX)

    def _lives(self, owner: str) -> bool:
        try:
            file = os.open(self._alive_file(owner), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def _alive_file(self, owner: str) -> Path:
        return self._folder / f"alive-{owner}"


def _chosen(wanted: Mapping[str, Any], state: _State) -> list[str] | None:
    """Return the hosts that a place in the queue gets now, or None: whoever came before goes first where both want the same."""
    rank = (-wanted["priority"], int(wanted["ticket"]))
    before = [entry for entry in state["queue"] if (-entry["priority"], int(entry["ticket"])) < rank]
    spoken_for = {resource for entry in before for resources in entry["candidates"].values() for resource in resources}
    free = []
    taken: set[str] = set()
    for name, resources in wanted["candidates"].items():
        if not taken.union(state["leases"], spoken_for).intersection(resources):
            free.append(name)
            taken.update(resources)
        if len(free) == wanted["count"]:
            return free
    return None


def _why_lost(lease: Lease, state: _State) -> str:
    forced = [note for note in state["forced"] if note["token"] == lease.token]
    if forced:
        return f"{forced[-1]['by']} took it by force ({forced[-1]['reason']})"
    return f"it was not renewed for {lease.lease_s:g} seconds"


def _holding(resource: str, entry: Mapping[str, Any]) -> Holding:
    until = time.time() + entry["end"] - _now()
    return Holding(resource, entry["user"], entry["since"], until, entry["purpose"], entry["process"])


def _open(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with contextlib.suppress(PermissionError):
        os.fchmod(file, 0o666)
    return file


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
