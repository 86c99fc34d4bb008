"""Leases and the queue for them, as plain data for a backend to keep: pure functions, with the time as an argument.

The state is what JSON can hold::

    {"last": 7, "leases": {RESOURCE: {...}}, "queue": [{...}], "forced": [{...}], "quarantine": {RESOURCE: {...}}}

``last`` grows with every ticket and lease, so a lease with a higher token is a later one. ``end`` is by the clock of the backend,
and ``owner`` is one of the processes that share it.
"""

from __future__ import annotations

import json
import math
import os
import re
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias, cast

from OttoLibrary.contracts.reservations import Demand, Holding, Lease, Quarantine, Waiting
from OttoLibrary.errors import LeaseLostError, ReservationError

State: TypeAlias = dict[str, Any]
_FORCED_KEPT = 100
_MOST_NUMBER = 2**62
_MOST_TEXT = 500


class Ledger(ABC):
    """Answers the questions of ``contracts.reservations.Reservations`` from a list of who has what."""

    @abstractmethod
    def holdings(self) -> list[Holding]:
        """Return who has what."""

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved."""
        return {holding.resource for holding in self.holdings() if holding.user == username}

    def who_reserved(self, resource: str) -> list[str]:
        """Return the users who have a resource."""
        return list(dict.fromkeys(holding.user for holding in self.holdings() if holding.resource == resource))

    def list_usernames(self) -> list[str]:
        """Return all users who have something."""
        return sorted({holding.user for holding in self.holdings()})


def new_state() -> State:
    """Return a state in which nobody has anything."""
    return {"last": 0, "leases": {}, "queue": [], "forced": [], "quarantine": {}}


def checked(text: str | bytes) -> State:
    """Return a state that somebody else may have written; raise ValueError with the reason when it is none."""
    try:
        state = json.loads(text)
        # Written before there were quarantines.
        state.setdefault("quarantine", {})
        _check_state(state)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is not a list of reservations") from error
    return cast(State, state)


def owners(state: State) -> set[str]:
    """Return the processes that have or want something."""
    return {entry["owner"] for entry in (*state["leases"].values(), *state["queue"])}


def remove_dead(state: State, dead: Collection[str], now: float) -> None:
    """Remove what dead processes had and wanted, and leases that were not renewed in time."""
    leases = state["leases"].items()
    state["leases"] = {name: entry for name, entry in leases if entry["owner"] not in dead and entry["end"] > now}
    state["queue"] = [entry for entry in state["queue"] if entry["owner"] not in dead]


def join(state: State, demand: Demand, owner: str) -> str:
    """Queue up and return the ticket."""
    state["last"] += 1
    ticket = str(state["last"])
    entry = {
        "ticket": ticket,
        "owner": owner,
        "priority": demand.priority,
        "candidates": {name: list(resources) for name, resources in demand.candidates.items()},
        "count": demand.count,
        "user": demand.user,
        "purpose": demand.purpose,
        "lease_s": demand.lease_s,
        "process": f"{socket.gethostname()}:{os.getpid()}",
    }
    state["queue"].append(entry)
    return ticket


def attempt(state: State, ticket: str, now: float) -> Lease | None:
    """Take all that a place in the queue wants, or nothing; raise ReservationError when the place in the queue is lost."""
    wanted = next((entry for entry in state["queue"] if entry["ticket"] == ticket), None)
    if wanted is None:
        raise ReservationError("This process lost its place in the queue for hosts, because it did not check it for too long.")
    chosen = _chosen(wanted, state)
    if chosen is None:
        return None
    state["queue"].remove(wanted)
    state["last"] += 1
    resources = tuple(resource for name in chosen for resource in wanted["candidates"][name])
    kept = {name: wanted[name] for name in ("ticket", "owner", "user", "purpose", "process", "lease_s")}
    for resource in resources:
        state["leases"][resource] = kept | {"token": state["last"], "since": time.time(), "end": now + wanted["lease_s"]}
    return Lease(tuple(chosen), resources, state["last"], time.time() + wanted["lease_s"], wanted["lease_s"])


def leave(state: State, ticket: str) -> None:
    """Leave the queue, and release what an attempt got that nobody waits for any more."""
    state["queue"] = [entry for entry in state["queue"] if entry["ticket"] != ticket]
    state["leases"] = {name: entry for name, entry in state["leases"].items() if entry["ticket"] != ticket}


def renew(state: State, lease: Lease, owner: str, now: float) -> Lease:
    """Move the end of a lease; raise LeaseLostError."""
    mine = [entry for entry in state["leases"].values() if (entry["token"], entry["owner"]) == (lease.token, owner)]
    if len(mine) < len(set(lease.resources)):
        raise LeaseLostError(lease.hosts, _why_lost(lease, state))
    for entry in mine:
        entry |= {"end": now + lease.lease_s, "lease_s": lease.lease_s}
    return Lease(lease.hosts, lease.resources, lease.token, time.time() + lease.lease_s, lease.lease_s)


def release(state: State, lease: Lease, owner: str) -> None:
    """Release a lease."""
    leases = state["leases"].items()
    state["leases"] = {name: entry for name, entry in leases if (entry["token"], entry["owner"]) != (lease.token, owner)}


def release_forced(state: State, resource: str, user: str, reason: str, now: float) -> list[Holding]:
    """Take a resource from its holder, and note who did so and why."""
    entry = state["leases"].pop(resource, None)
    if entry is None:
        return []
    note = {"resource": resource, "token": entry["token"], "by": user, "reason": reason, "at": time.time()}
    state["forced"] = [*state["forced"], note][-_FORCED_KEPT:]
    return [_holding(resource, entry, now)]


def holdings(state: State, now: float) -> list[Holding]:
    """Return who has what."""
    return [_holding(resource, entry, now) for resource, entry in state["leases"].items()]


def quarantine(state: State, resources: Collection[str], user: str, reason: str) -> None:
    """Keep resources from everybody; one that is in quarantine already stays with its first reason."""
    for resource in resources:
        state["quarantine"].setdefault(resource, {"by": user, "reason": reason, "at": time.time()})


def lift(state: State, resources: Collection[str]) -> list[Quarantine]:
    """End the quarantine of resources."""
    lifted = [one for one in quarantines(state) if one.resource in resources]
    for one in lifted:
        del state["quarantine"][one.resource]
    return lifted


def quarantines(state: State) -> list[Quarantine]:
    """Return what is in quarantine."""
    return [Quarantine(name, note["by"], note["at"], note["reason"]) for name, note in state["quarantine"].items()]


def waiting(state: State) -> list[Waiting]:
    """Return the queue, the next one first."""
    return [
        Waiting(
            {name: tuple(resources) for name, resources in entry["candidates"].items()},
            entry["count"],
            *(entry[key] for key in ("user", "purpose", "process")),
        )
        for entry in sorted(state["queue"], key=_rank)
    ]


def _check_state(state: Any) -> None:
    _check(0 <= state["last"] < _MOST_NUMBER, "last")
    for resource, entry in state["leases"].items():
        _check_entry(entry)
        _check(isinstance(resource, str) and 0 < entry["token"] < _MOST_NUMBER, "token")
        _check(all(math.isfinite(entry[key]) for key in ("since", "end")), "times")
    for entry in state["queue"]:
        _check_entry(entry)
        _check(abs(entry["priority"]) < _MOST_NUMBER and isinstance(entry["count"], int), "priority")
        for host, resources in entry["candidates"].items():
            _check(all(isinstance(name, str) for name in (host, *resources)), "candidates")
    for note in state["forced"]:
        _check(isinstance(note["token"], int), "forced")
        note |= {key: _shown(note[key]) for key in ("by", "reason")}
    for resource, note in state["quarantine"].items():
        _check(isinstance(resource, str) and math.isfinite(note["at"]), "quarantine")
        note |= {key: _shown(note[key]) for key in ("by", "reason")}


def _check_entry(entry: Any) -> None:
    _check(re.fullmatch("[0-9]{1,15}", entry["ticket"]), "ticket")
    # A process is a name of a file, or of a key.
    _check(re.fullmatch("[0-9a-f]{16}", entry["owner"]), "owner")
    _check(0 <= entry["lease_s"] < _MOST_NUMBER, "lease_s")
    entry |= {key: _shown(entry[key]) for key in ("user", "purpose", "process")}


def _check(right: object, what: str) -> None:
    if not right:
        raise ValueError(f"its '{what}' is wrong")


def _shown(text: str) -> str:
    """Return text of somebody else as it may be shown: in one line, without control characters, not too long."""
    return "".join(character if character.isprintable() else "�" for character in text[:_MOST_TEXT])


def _chosen(wanted: Mapping[str, Any], state: State) -> list[str] | None:
    """Return the hosts that an entry in the queue gets now, or None: an earlier entry goes first where both want the same."""
    before = [entry for entry in state["queue"] if _rank(entry) < _rank(wanted)]
    # Who waits for the end of a quarantine keeps nobody waiting for the rest.
    before = [entry for entry in before if _picked(entry, state["quarantine"]) is not None]
    wanted_before = {resource for entry in before for resources in entry["candidates"].values() for resource in resources}
    return _picked(wanted, {*state["leases"], *state["quarantine"], *wanted_before})


def _rank(entry: Mapping[str, Any]) -> tuple[int, int]:
    return -entry["priority"], int(entry["ticket"])


def _picked(wanted: Mapping[str, Any], out_of_reach: Collection[str]) -> list[str] | None:
    """Return the hosts that an entry gets when these resources are out of reach, or None when they are not enough."""
    picked: list[str] = []
    taken = set(out_of_reach)
    for name, resources in wanted["candidates"].items():
        if not taken.intersection(resources):
            picked.append(name)
            taken.update(resources)
        if len(picked) == wanted["count"]:
            return picked
    return None


def _why_lost(lease: Lease, state: State) -> str:
    forced = [note for note in state["forced"] if note["token"] == lease.token]
    if forced:
        return f"{forced[-1]['by']} took it by force ({forced[-1]['reason']})"
    return f"it was not renewed for {lease.lease_s:g} seconds"


def _holding(resource: str, entry: Mapping[str, Any], now: float) -> Holding:
    until = time.time() + entry["end"] - now
    return Holding(resource, entry["user"], entry["since"], until, entry["purpose"], entry["process"], entry["token"])
