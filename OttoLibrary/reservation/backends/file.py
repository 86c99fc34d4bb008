"""Leases among the processes of one machine: a state file under a lock, and for each process a lock that the kernel releases.

Everything is in one folder, ``OTTO_LEASES`` or ``/tmp/otto-leases``::

    mutex        locked (flock) while a process reads and writes the state
    state.json   the leases by resource, the queue, and who took what by force
    alive-ID     locked by a process as long as it lives, however it ends

A lease ends when it is released, when its process is gone, or when it was not renewed in time. Time is the time since boot,
a clock that cannot be set; after a reboot nothing is reserved.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from OttoLibrary.contracts.reservations import Demand, Holding, Lease
from OttoLibrary.deadline import since_boot_s
from OttoLibrary.errors import ReservationError
from OttoLibrary.reservation import queue
from OttoLibrary.reservation.queue import Ledger, State

_FOLDER = "/tmp/otto-leases"  # noqa: S108 - shared by all users of the machine on purpose
_PACE_S = 0.05
# A change takes a millisecond; a process that holds the lock for so long was stopped in the middle.
_PATIENCE_S = 10.0
# A process that died does not report it: how often dead processes are looked for.
_LOOK_S = 0.5


class FileReservations(Ledger):
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

    def holdings(self) -> list[Holding]:
        """Return who has what; does not create the folder."""
        if self._stamp() == ():
            return []
        with self._state() as state:
            return queue.holdings(state, since_boot_s())

    def join(self, demand: Demand) -> str:
        """Queue up."""
        self._become_alive()
        with self._state() as state:
            return queue.join(state, demand, self._id)

    def attempt(self, ticket: str) -> Lease | None:
        """Take all that is wanted, or nothing."""
        with self._state() as state:
            self._seen[ticket] = self._stamp()
            lease = queue.attempt(state, ticket, since_boot_s())
        if lease is not None:
            self._seen.pop(ticket, None)
        return lease

    def wait(self, ticket: str, seconds: float) -> None:
        """Return when the state was written, or it is time to look for dead processes."""
        end = time.monotonic() + min(seconds, _LOOK_S)
        while time.monotonic() < end and self._stamp() == self._seen.get(ticket):
            time.sleep(_PACE_S)

    def leave(self, ticket: str) -> None:
        """Leave the queue, and release what the ticket got."""
        self._seen.pop(ticket, None)
        with self._state() as state:
            queue.leave(state, ticket)

    def renew(self, lease: Lease) -> Lease:
        """Move the end of a lease."""
        with self._state() as state:
            return queue.renew(state, lease, self._id, since_boot_s())

    def release(self, lease: Lease) -> None:
        """Release everything."""
        with self._state() as state:
            queue.release(state, lease, self._id)

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Take a resource from its holder."""
        with self._state() as state:
            return queue.release_forced(state, resource, user, reason, since_boot_s())

    def close(self) -> None:
        """Release all that this process has."""
        if self._alive is None:
            return
        with self._state() as state:
            queue.remove_dead(state, {self._id}, since_boot_s())
        with self._turn:
            self._alive_file(self._id).unlink(missing_ok=True)
            os.close(self._alive)
            self._alive = None

    # -- the state

    @contextlib.contextmanager
    def _state(self) -> Iterator[State]:
        """Give the state, locked and without what has ended; it is written afterwards when it was changed."""
        with self._turn, self._mutex():
            state = self._read()
            before = json.dumps(state)
            self._remove_dead(state)
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
            self._lock(file)
            yield
        finally:
            os.close(file)

    def _lock(self, file: int) -> None:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The kernel's queue is fair but has no time-out, so a thread waits in it. A lock that comes too late ends with the file.
        waiting = threading.Thread(target=fcntl.flock, args=(file, fcntl.LOCK_EX), daemon=True)
        waiting.start()
        waiting.join(_PATIENCE_S)
        if waiting.is_alive():
            raise ReservationError(
                f"The leases in '{self._folder}' were locked for {_PATIENCE_S:g} seconds: a process is stopped in the middle "
                f"of a change. 'fuser {self._folder / 'mutex'}' shows which; let it continue, or end it."
            )
        return None

    def _read(self) -> State:
        empty = queue.new_state() | {"boot": _boot()}
        try:
            state: State = json.loads((self._folder / "state.json").read_text())
        except FileNotFoundError:
            return empty
        except (OSError, ValueError) as error:
            raise ReservationError(
                f"'{self._folder / 'state.json'}' cannot be read ({error}); so it is unknown who has what."
            ) from error
        return state if state["boot"] == empty["boot"] else empty | {"last": state["last"], "forced": state["forced"]}

    def _write(self, state: State) -> None:
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

    def _remove_dead(self, state: State) -> None:
        dead = {owner for owner in queue.owners(state) if owner != self._id and not self._is_alive(owner)}
        queue.remove_dead(state, dead, since_boot_s())
        for owner in dead:
            self._alive_file(owner).unlink(missing_ok=True)

    def _stamp(self) -> tuple[int, ...]:
        try:
            facts = (self._folder / "state.json").stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ReservationError(f"The folder of leases '{self._folder}' cannot be used: {error.strerror}.") from error
        return facts.st_ino, facts.st_mtime_ns

    # -- being alive

    def _become_alive(self) -> None:
        with self._turn, self._mutex():
            if self._alive is None:
                self._id = secrets.token_hex(8)
                self._alive = _open(self._alive_file(self._id))
                fcntl.flock(self._alive, fcntl.LOCK_EX)

    def _is_alive(self, owner: str) -> bool:
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


def _open(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with contextlib.suppress(PermissionError):
        os.fchmod(file, 0o666)
    return file


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
