"""Leases among the processes of one run of pabot, in its server PabotLib, for suites that use its locks and value sets already.

A resource is taken by the lock ``otto:RESOURCE``. A host also takes the value set that has its name among its tags, if pabot's
resource file has one::

    [dut1]
    tags=dut1,dut
    address=10.0.0.11

PabotLib never frees what a dead process has. So each lock has a note of its holder, as JSON in the parallel value of the same
name, and a process that finds it locked by one that is gone, or that did not renew in time, frees it in that one's name.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import secrets
import socket
import threading
import time
import xmlrpc.client
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast
from xml.parsers.expat import ExpatError

from OttoLibrary.contracts.reservations import Demand, Holding, Lease
from OttoLibrary.deadline import since_boot_s
from OttoLibrary.errors import LeaseLostError, ReservationError
from OttoLibrary.reservation.queue import Ledger

Note: TypeAlias = dict[str, Any]
_PATIENCE_S = 10.0
_PACE_S = 0.1
_RESOURCES = "otto resources"
_TRIES = 5


class PabotReservations(Ledger):
    """The reservation backend ``pabot``.

    Args:
        where: PabotLib's ``address:port``; by default what the environment variable ``PABOTLIBURI`` says.
    """

    def __init__(self, where: str = "") -> None:
        self._where = where or os.environ.get("PABOTLIBURI", "")
        if not self._where:
            raise ReservationError(
                "The reservations 'pabot' belong to one run of pabot, and this is not one. Run 'python -m OttoLibrary pabot', "
                "or set OTTO_RESERVATION_BACKEND to 'file'."
            )
        self._wanted: dict[str, Demand] = {}
        # By token: the name under which PabotLib knows it. Its locks let the same name in twice, so each lease has its own name.
        self._names: dict[int, str] = {}
        self._leases: dict[int, Lease] = {}
        self._turn = threading.RLock()

    def backend_name(self) -> str:
        """Return ``pabot``."""
        return "pabot"

    def holdings(self) -> list[Holding]:
        """Return who has what, of all that was ever reserved in this run."""
        notes = [(resource, self._note(resource)) for resource in self._resources()]
        return [_holding(resource, note) for resource, note in notes if _holds(note)]

    def who_reserved(self, resource: str) -> list[str]:
        """Return the user who has a resource."""
        note = self._note(resource)
        return [note["user"]] if _holds(note) else []

    def join(self, demand: Demand) -> str:
        """Note what is wanted; there is no queue."""
        ticket = f"otto-{secrets.token_hex(8)}"
        self._wanted[ticket] = demand
        return ticket

    def attempt(self, ticket: str) -> Lease | None:
        """Take all that is wanted, or nothing."""
        demand, hosts, taken = self._wanted[ticket], list[str](), list[str]()
        try:
            for name, resources in demand.candidates.items():
                if len(hosts) < demand.count and not set(taken).intersection(resources) and self._take(name, ticket, demand):
                    hosts.append(name)
                    taken += resources
        except BaseException:
            self._give_back(taken, ticket)
            raise
        if len(hosts) < demand.count:
            self._give_back(taken, ticket)
            return None
        token = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for resource in taken:
            self._write(resource, self._note(resource) | {"token": token})
        del self._wanted[ticket]
        self._names[token] = ticket
        self._leases[token] = Lease(tuple(hosts), tuple(taken), token, time.time() + demand.lease_s, demand.lease_s)
        return self._leases[token]

    def wait(self, ticket: str, seconds: float) -> None:
        """Return after a short random time, so that those who wait do not all try at the same time."""
        time.sleep(min(seconds, random.uniform(0.5, 1.5) * _PACE_S))

    def leave(self, ticket: str) -> None:
        """Forget what was wanted, and release what the ticket got."""
        self._wanted.pop(ticket, None)
        for lease in [lease for token, lease in self._leases.items() if self._names[token] == ticket]:
            self.release(lease)

    def renew(self, lease: Lease) -> Lease:
        """Move the end of a lease."""
        with self._turn:
            for resource in lease.resources:
                note = self._note(resource)
                if not self._is_ours(resource, note, lease):
                    why = self._call("get_parallel_value_for_key", f"otto forced {lease.token}")
                    self.release(lease)
                    raise LeaseLostError(lease.hosts, str(why) or f"it was not renewed for {lease.lease_s:g} seconds")
                self._write(resource, note | {"end": since_boot_s() + lease.lease_s, "lease_s": lease.lease_s})
            longer = Lease(lease.hosts, lease.resources, lease.token, time.time() + lease.lease_s, lease.lease_s)
            self._leases[lease.token] = longer
            return longer

    def release(self, lease: Lease) -> None:
        """Release everything; with a server that is gone there is nothing to release."""
        with self._turn:
            name = self._names.pop(lease.token, None)
            self._leases.pop(lease.token, None)
            if name is not None:
                with contextlib.suppress(ReservationError):
                    self._give_back(lease.resources, name)

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Take a resource from its holder."""
        note = self._note(resource)
        if not _holds(note):
            return []
        self._call("set_parallel_value_for_key", f"otto forced {note.get('token')}", f"{user} took it by force ({reason})")
        self._give_back([resource], note["name"])
        return [_holding(resource, note)]

    def close(self) -> None:
        """Release all that this process has."""
        for lease in list(self._leases.values()):
            self.release(lease)

    # -- one resource

    def _take(self, host: str, name: str, demand: Demand) -> bool:
        """Take what a host needs, or nothing."""
        taken: list[str] = []
        for resource in demand.candidates[host]:
            if not self._lock(resource, name):
                self._give_back(taken, name)
                return False
            self._write(resource, _new_note(host, name, demand))
            self._remember(resource)
            taken.append(resource)
        if self._take_value_set(host, name):
            return True
        self._give_back(taken, name)
        return False

    def _lock(self, resource: str, name: str) -> bool:
        if self._call("acquire_lock", _key(resource), name):
            return True
        note = self._note(resource)
        if not note or _holds(note):
            return False
        self._free(resource, note)
        return bool(self._call("acquire_lock", _key(resource), name))

    def _take_value_set(self, host: str, name: str) -> bool:
        """Take the value set of a host; return False when somebody else has it, and True when the host has none."""
        try:
            found = self._call("acquire_value_set", _set_name(host, name), host)
        except _RefusedError as error:
            if "No value set matching" in str(error) or "was never imported" in str(error):
                return True
            raise
        return bool(found[0])

    def _is_ours(self, resource: str, note: Note, lease: Lease) -> bool:
        """Return True when both the note and PabotLib say so: its lock admits its holder again."""
        name = self._names.get(lease.token)
        if name is None or note.get("name") != name or not _holds(note) or not self._call("acquire_lock", _key(resource), name):
            return False
        self._call("release_lock", _key(resource), name)
        return True

    def _give_back(self, resources: Sequence[str], name: str) -> None:
        for resource in resources:
            note = self._note(resource)
            if note.get("name") == name:
                # First, so that others can free it when this process dies in between.
                self._write(resource, note | {"over": True})
                self._free(resource, note)

    def _free(self, resource: str, note: Note) -> None:
        """Free a resource, and the value set of the host that it was taken for, in its holder's name."""
        name = note["name"]
        for keyword, arguments in (
            ("release_value_set", [_set_name(note["host"], name)]),
            ("release_lock", [_key(resource), name]),
        ):
            # Another process may have been faster, and a third may have it by now.
            with contextlib.suppress(_RefusedError):
                self._call(keyword, *arguments)

    # -- the server

    def _note(self, resource: str) -> Note:
        """Return the note of who has a resource, or had it last; empty when nobody ever had it."""
        written = self._call("get_parallel_value_for_key", _key(resource))
        return _checked(written, resource) if written else {}

    def _write(self, resource: str, note: Note) -> None:
        self._call("set_parallel_value_for_key", _key(resource), json.dumps(note))

    def _resources(self) -> list[str]:
        written = self._call("get_parallel_value_for_key", _RESOURCES) or "[]"
        try:
            return [str(resource) for resource in json.loads(written)]
        except (TypeError, ValueError, RecursionError) as error:
            raise _wrong(_RESOURCES) from error

    def _remember(self, resource: str) -> None:
        """Add a resource to those that ``holdings`` looks at; another process may write the list at the same time."""
        for _ in range(_TRIES):
            known = self._resources()
            if resource in known:
                return
            self._call("set_parallel_value_for_key", _RESOURCES, json.dumps([*known, resource]))

    def _call(self, keyword: str, *arguments: str) -> Any:
        try:
            with xmlrpc.client.ServerProxy(f"http://{self._where.removeprefix('http://')}", transport=_Transport()) as server:
                answer: Any = server.run_keyword(keyword, list(arguments), {})
        except (OSError, xmlrpc.client.Error, http.client.HTTPException, ExpatError) as error:
            raise ReservationError(
                f"PabotLib at '{self._where}' does not answer ({error}); so it is unknown who has what. Pabot starts it with the "
                "run, unless '--no-pabotlib' says otherwise."
            ) from error
        if answer["status"] != "PASS":
            raise _RefusedError(f"PabotLib refused '{keyword}' for '{', '.join(arguments)}': {answer.get('error', '')}")
        return answer.get("return", "")


class _RefusedError(ReservationError):
    """PabotLib refused."""


class _Transport(xmlrpc.client.Transport):
    """An HTTP transport with a time-out."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = _PATIENCE_S
        return connection


def _checked(written: Any, resource: str) -> Note:
    """Return a note that any suite of the run may have written; raise ReservationError when it is none."""
    try:
        note = json.loads(written)
        right = all(isinstance(note[key], str) for key in ("host", "name", "user", "purpose", "process", "machine", "started"))
        if right and all(isinstance(note[key], int | float) for key in ("since", "end", "lease_s", "pid")):
            return cast(Note, note)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _wrong(_key(resource)) from error
    raise _wrong(_key(resource))


def _wrong(key: str) -> ReservationError:
    return ReservationError(f"PabotLib's value '{key}' is not what OttoLibrary wrote; so it is unknown who has what.")


def _key(resource: str) -> str:
    return f"otto:{resource}"


def _set_name(host: str, name: str) -> str:
    """Return the name under which a value set is taken: PabotLib gives each name only one."""
    return f"{name}:{host}"


def _new_note(host: str, name: str, demand: Demand) -> Note:
    return {
        "host": host,
        "name": name,
        "user": demand.user,
        "purpose": demand.purpose,
        "process": f"{socket.gethostname()}:{os.getpid()}",
        "since": time.time(),
        "end": since_boot_s() + demand.lease_s,
        "lease_s": demand.lease_s,
        "machine": _machine(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def _holds(note: Note) -> bool:
    """Return True when the noted holder still has it; of a process on another machine nothing else is known."""
    if not note or note.get("over"):
        return False
    if note["machine"] != _machine() or not note["machine"]:
        return True
    return bool(note["end"] > since_boot_s() and note["started"] == _started(note["pid"]))


def _holding(resource: str, note: Note) -> Holding:
    until = time.time() + note["end"] - since_boot_s()
    return Holding(resource, note["user"], note["since"], until, note["purpose"], note["process"], note.get("token"))


def _machine() -> str:
    """Return what identifies this machine, its boot and its process namespace; empty when that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """Return the start time of a process, in clock ticks; empty when it is gone."""
    try:
        state, *rest = (Path("/proc") / str(process) / "stat").read_text(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else rest[18]
