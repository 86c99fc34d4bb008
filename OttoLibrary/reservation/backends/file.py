"""Leases among the processes of one machine: a state file under a lock, and for each process a lock that the kernel releases.

Everything is in one folder, ``OTTO_LEASES`` or ``/tmp/otto-leases``::

    mutex        locked (flock) while a process reads and writes the state
    state.json   the leases by resource, the queue, who took what by force, and what is in quarantine
    state.new    the state that is being written; it counts when a process died while it wrote state.json
    alive-ID     locked by a process as long as it lives, however it ends

A lease ends when it is released, when its process is gone, or when it was not renewed in time. Time is the time since boot,
a clock that cannot be set; after a reboot nothing is reserved, and what was in quarantine still is.

Whoever may write into the folder may say who has what, and no more: every file is opened below the folder, through no link, must
be a plain file with one name, and is read to a bound. Files are written in place, since in a sticky folder nobody may replace
another user's. Who may open them is what the folder says: everybody in a folder for everybody, its group in one for a group.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from OttoLibrary.contracts.reservations import Demand, Holding, Lease, Quarantine, Waiting
from OttoLibrary.deadline import since_boot_s
from OttoLibrary.errors import ReservationError
from OttoLibrary.reservation import queue
from OttoLibrary.reservation.queue import Ledger, State
from OttoLibrary.units import size_text

_FOLDER = "/tmp/otto-leases"  # noqa: S108 - shared by all users of the machine on purpose
_MODE = 0o1777
_STATE, _NEW_STATE, _MUTEX = "state.json", "state.new", "mutex"
_MOST_STATE = 16 << 20
# Through no link, and not waiting for whoever opens the other end of a pipe.
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
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

    def waiting(self) -> list[Waiting]:
        """Return the queue; does not create the folder."""
        if self._stamp() == ():
            return []
        with self._state() as state:
            return queue.waiting(state)

    def quarantines(self) -> list[Quarantine]:
        """Return what is in quarantine; does not create the folder."""
        if self._stamp() == ():
            return []
        with self._state() as state:
            return queue.quarantines(state)

    def quarantine(self, resources: Collection[str], user: str, reason: str) -> None:
        """Keep resources from everybody; also after the machine was started anew, where the folder outlives that."""
        with self._state() as state:
            queue.quarantine(state, resources, user, reason)

    def lift(self, resources: Collection[str]) -> list[Quarantine]:
        """End the quarantine of resources."""
        with self._state() as state:
            return queue.lift(state, resources)

    def close(self) -> None:
        """Release all that this process has."""
        if self._alive is None:
            return
        with self._state() as state:
            queue.remove_dead(state, {self._id}, since_boot_s())
        with self._turn, self._opened_folder() as folder:
            _remove(_alive(self._id), folder)
            os.close(self._alive)
            self._alive = None

    # -- the state

    @contextlib.contextmanager
    def _state(self) -> Iterator[State]:
        """Give the state, locked and without what has ended; it is written afterwards when it was changed."""
        with self._turn, self._locked() as folder:
            state = self._read(folder)
            before = json.dumps(state)
            self._remove_dead(state, folder)
            yield state
            if json.dumps(state) != before:
                self._write(state, folder)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Give the descriptor of the folder while nobody else reads or writes in it."""
        with self._opened_folder() as folder:
            file = self._open(_MUTEX, folder)
            try:
                self._lock(file)
                yield folder
            finally:
                os.close(file)

    @contextlib.contextmanager
    def _opened_folder(self) -> Iterator[int]:
        """Give the descriptor of the folder, made when it is missing; one that is a link is not used."""
        with self._translated():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            made = False
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
                made = True
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if made:
                os.fchmod(folder, _MODE)
            yield folder
        finally:
            os.close(folder)

    def _open(self, name: str, folder: int) -> int:
        """Open a file of the folder to read and write, made when it is missing; raise ReservationError."""
        with self._translated():
            while True:
                with contextlib.suppress(FileNotFoundError):
                    return _plain(os.open(name, os.O_RDWR | _SAFE, dir_fd=folder), self._folder / name)
                with contextlib.suppress(FileExistsError):
                    file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, 0o600, dir_fd=folder)
                    os.fchmod(file, stat.S_IMODE(os.fstat(folder).st_mode) & 0o666)
                    return file

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
                f"of a change. 'fuser {self._folder / _MUTEX}' shows which; let it continue, or end it."
            )
        return None

    def _read(self, folder: int) -> State:
        empty = queue.new_state() | {"boot": _boot()}
        for name in (_STATE, _NEW_STATE):
            text = self._text(name, folder)
            if not text:
                continue
            try:
                state = queue.checked(text)
                boot = str(state.get("boot", ""))
            except ValueError as error:
                if name == _STATE and self._text(_NEW_STATE, folder):
                    continue  # a process died while it wrote
                raise ReservationError(
                    f"'{self._folder / name}' cannot be read ({error}); so it is unknown who has what."
                ) from error
            return state if boot == empty["boot"] else empty | {key: state[key] for key in ("last", "forced", "quarantine")}
        return empty

    def _text(self, name: str, folder: int) -> bytes:
        """Return what is in a file; nothing when there is none."""
        with self._translated():
            try:
                file = _plain(os.open(name, os.O_RDONLY | _SAFE, dir_fd=folder), self._folder / name)
            except FileNotFoundError:
                return b""
        with os.fdopen(file, "rb") as opened:
            text = opened.read(_MOST_STATE + 1)
        if len(text) > _MOST_STATE:
            raise ReservationError(f"'{self._folder / name}' is longer than {size_text(_MOST_STATE)}, and not read.")
        return text

    def _write(self, state: State, folder: int) -> None:
        text = json.dumps(state).encode()
        new, file = self._open(_NEW_STATE, folder), self._open(_STATE, folder)
        try:
            with self._translated("written"):
                _replace_content(new, text)
                _replace_content(file, text)
                os.ftruncate(new, 0)
                # The clock of files is coarse: of two changes at nearly the same time, the second must be seen too.
                with contextlib.suppress(PermissionError):
                    os.utime(file, ns=(time.time_ns(), time.time_ns()))
        finally:
            os.close(new)
            os.close(file)

    def _remove_dead(self, state: State, folder: int) -> None:
        dead = {owner for owner in queue.owners(state) if owner != self._id and not _is_alive(owner, folder)}
        queue.remove_dead(state, dead, since_boot_s())
        for owner in dead:
            _remove(_alive(owner), folder)

    def _stamp(self) -> tuple[int, ...]:
        with self._translated():
            try:
                facts = (self._folder / _STATE).lstat()
            except FileNotFoundError:
                return ()
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    @contextlib.contextmanager
    def _translated(self, done: str = "used") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = "It is a link; name the folder itself." if error.errno in {errno.ELOOP, errno.ENOTDIR} else ""
            raise ReservationError(
                f"The folder of leases '{self._folder}' cannot be {done}: {error.strerror}. {advice}".rstrip()
            ) from error

    # -- being alive

    def _become_alive(self) -> None:
        with self._turn, self._locked() as folder:
            if self._alive is None:
                self._id = secrets.token_hex(8)
                self._alive = self._open(_alive(self._id), folder)
                fcntl.flock(self._alive, fcntl.LOCK_EX)


def _is_alive(owner: str, folder: int) -> bool:
    try:
        file = os.open(_alive(owner), os.O_RDONLY | _SAFE, dir_fd=folder)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _alive(owner: str) -> str:
    return f"alive-{owner}"


def _remove(name: str, folder: int) -> None:
    """Remove a file of the folder; in a sticky one, another user's stays."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        os.unlink(name, dir_fd=folder)


def _plain(file: int, shown: Path) -> int:
    """Return the descriptor of a plain file with one name; raise ReservationError for anything else that may stand there."""
    facts = os.fstat(file)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink <= 1:
        return file
    os.close(file)
    raise ReservationError(f"'{shown}' is not a plain file of its own, and not used: somebody put it there. Remove it.")


def _replace_content(file: int, text: bytes) -> None:
    os.ftruncate(file, 0)
    written = 0
    while written < len(text):
        written += os.pwrite(file, text[written:], written)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
