"""Leases among machines: the state is one key of a Redis server, whose clock is used.

Keys, ``otto:`` in front of each::

    state      the leases by resource, the queue, who took what by force, and what is in quarantine, as JSON
    alive:ID   a live process: it refreshes the key, which expires soon after the process is gone
    changed    a channel that announces each write of the state

The state is written in a transaction that fails when another was faster (WATCH, MULTI, EXEC), and is tried again.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

import redis

from OttoLibrary.contracts.reservations import Demand, Holding, Lease, Quarantine, Waiting
from OttoLibrary.errors import ReservationError
from OttoLibrary.reservation import queue
from OttoLibrary.reservation.queue import Ledger, State

T = TypeVar("T")
_STATE, _CHANGED, _ALIVE = "otto:state", "otto:changed", "otto:alive:"
_PATIENCE_S = 5.0
# A process that is cut off for so long counts as dead; its hosts become free long before their leases end.
_LIFE_S = 15.0
_BEAT_S = 4.0
_LOOK_S = 2.0
_TRIES = 200


class RedisReservations(Ledger):
    """The reservation backend ``redis``.

    Args:
        url: The server, such as ``redis://:password@host:6379/0``; by default what the environment variable ``OTTO_REDIS`` names.
    """

    def __init__(self, url: str = "") -> None:
        where = url or os.environ.get("OTTO_REDIS", "")
        if not where:
            raise ReservationError("The reservations 'redis' need a server. Name it in OTTO_REDIS, such as redis://host:6379/0.")
        self._server: Any = redis.Redis.from_url(where, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
        self._id = ""
        self._stopped = threading.Event()
        self._beating: threading.Thread | None = None
        self._news: dict[str, Any] = {}

    def backend_name(self) -> str:
        """Return ``redis``."""
        return "redis"

    def holdings(self) -> list[Holding]:
        """Return who has what."""
        return self._change(queue.holdings)

    def join(self, demand: Demand) -> str:
        """Queue up."""
        self._become_alive()
        ticket = self._change(lambda state, now: queue.join(state, demand, self._id))
        with _translated():
            news = self._server.pubsub(ignore_subscribe_messages=True)
            news.subscribe(_CHANGED)
        self._news[ticket] = news
        return ticket

    def attempt(self, ticket: str) -> Lease | None:
        """Take all that is wanted, or nothing."""
        lease = self._change(lambda state, now: queue.attempt(state, ticket, now))
        if lease is not None:
            self._forget(ticket)
        return lease

    def wait(self, ticket: str, seconds: float) -> None:
        """Return when the state was written, or it is time to look for dead processes."""
        with _translated():
            self._news[ticket].get_message(timeout=min(seconds, _LOOK_S))

    def leave(self, ticket: str) -> None:
        """Leave the queue, and release what the ticket got."""
        self._forget(ticket)
        self._change(lambda state, now: queue.leave(state, ticket))

    def renew(self, lease: Lease) -> Lease:
        """Move the end of a lease."""
        return self._change(lambda state, now: queue.renew(state, lease, self._id, now))

    def release(self, lease: Lease) -> None:
        """Release everything."""
        self._change(lambda state, now: queue.release(state, lease, self._id))

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Take a resource from its holder."""
        return self._change(lambda state, now: queue.release_forced(state, resource, user, reason, now))

    def waiting(self) -> list[Waiting]:
        """Return the queue."""
        return self._change(lambda state, now: queue.waiting(state))

    def quarantines(self) -> list[Quarantine]:
        """Return what is in quarantine."""
        return self._change(lambda state, now: queue.quarantines(state))

    def quarantine(self, resources: Collection[str], user: str, reason: str) -> None:
        """Keep resources from everybody."""
        self._change(lambda state, now: queue.quarantine(state, resources, user, reason))

    def lift(self, resources: Collection[str]) -> list[Quarantine]:
        """End the quarantine of resources."""
        return self._change(lambda state, now: queue.lift(state, resources))

    def close(self) -> None:
        """Release all that this process has."""
        self._stopped.set()
        if self._beating is not None:
            self._beating.join(_PATIENCE_S)
            self._beating = None
            for ticket in list(self._news):
                self._forget(ticket)
            self._change(lambda state, now: queue.remove_dead(state, {self._id}, now))
            with _translated():
                self._server.delete(_ALIVE + self._id)
        self._server.close()

    # -- the state

    def _change(self, work: Callable[[State, float], T]) -> T:
        """Apply ``work`` to the state without what has ended, and write it when it was changed."""
        with _translated():
            for _ in range(_TRIES):
                with self._server.pipeline() as pipe:
                    try:
                        return self._tried(pipe, work)
                    except redis.WatchError:
                        continue
        raise ReservationError("The reservations in Redis are being changed by others constantly; this change could not be made.")

    def _tried(self, pipe: Any, work: Callable[[State, float], T]) -> T:
        pipe.watch(_STATE)
        written = pipe.get(_STATE)
        state = queue.checked(written) if written else queue.new_state()
        seconds, micros = pipe.time()
        now = seconds + micros / 1e6
        before = json.dumps(state)
        owners = [owner for owner in queue.owners(state) if owner != self._id]
        alive = pipe.mget([_ALIVE + owner for owner in owners]) if owners else []
        queue.remove_dead(state, {owner for owner, life in zip(owners, alive, strict=True) if life is None}, now)
        result = work(state, now)
        after = json.dumps(state)
        if after != before:
            pipe.multi()
            pipe.set(_STATE, after)
            pipe.publish(_CHANGED, "1")
            pipe.execute()
        return result

    def _forget(self, ticket: str) -> None:
        news = self._news.pop(ticket, None)
        if news is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                news.close()

    # -- being alive

    def _become_alive(self) -> None:
        if self._beating is not None:
            return
        self._id = secrets.token_hex(8)
        with _translated():
            self._beat()
        self._beating = threading.Thread(target=self._keep_beating, name="OttoLibrary reservations", daemon=True)
        self._beating.start()

    def _keep_beating(self) -> None:
        while not self._stopped.wait(_BEAT_S):
            # What fails now is tried again at the next beat; the renewal notices a lease that was lost meanwhile.
            with contextlib.suppress(redis.RedisError, OSError):
                self._beat()

    def _beat(self) -> None:
        self._server.set(_ALIVE + self._id, f"{time.time():.0f}", px=int(_LIFE_S * 1000))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError, ValueError) as error:
        raise ReservationError(f"The reservations in Redis cannot be used ({error}); so it is unknown who has what.") from error
