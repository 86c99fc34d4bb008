"""Reserving hosts: waiting for them, renewing their leases, and releasing them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from OttoLibrary.contracts.reservations import Demand, Holding, Lease, Leasing, Quarantine, Reservations
from OttoLibrary.deadline import since_boot_s
from OttoLibrary.engine import BackOff, Failure, in_thread, supervise
from OttoLibrary.errors import LeaseLostError, NotFreeError, OttoError, ReservationError
from OttoLibrary.text import plural
from OttoLibrary.units import duration_text

_LOOK_S = 5.0
_REPORT_S = 10.0
_MOST_PACE_S = 2.0
_RENEW_AGAIN_S = 0.2
_MOST_WAIT_S = 5.0
_CLOSE_S = 40.0
# How long what is done around a lease may take to stop when the lease is lost.
_STOP_S = 5.0


class AroundLeases(Protocol):
    """What is done around each lease, while it is held."""

    async def before(self, hosts: Sequence[str]) -> None:
        """Do what comes first; raise one of our errors when the hosts cannot be used."""

    async def after(self, hosts: Sequence[str]) -> None:
        """Do what comes last; raise one of our errors when that failed."""


class Leases:
    """The hosts that a run has reserved, renewed until they are released.

    Args:
        backend: Decides who gets what.
        tell: Called with a sentence while a reservation waits.
        lost: Called with an error when a lease is lost.
        warn: Called with a sentence when something unforeseen is wrong with the renewal, which goes on.
        around: What is done around each lease, or None for nothing.
    """

    def __init__(
        self,
        backend: Leasing,
        tell: Callable[[str], None],
        lost: Callable[[LeaseLostError], None],
        warn: Callable[[str], None] = lambda sentence: None,
        around: AroundLeases | None = None,
    ) -> None:
        self._around = around
        # What waits for the loss of a lease, by its token.
        self._losses: dict[int, asyncio.Future[LeaseLostError]] = {}
        self.backend = backend
        self._warn = warn
        self._warned: set[int] = set()
        self._tell, self._lost = tell, lost
        self._leases: dict[int, Lease] = {}
        # When each ends unless renewed, by a clock that cannot be set.
        self._ends: dict[int, float] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._kept = asyncio.Event()
        # Renewals without an answer yet, by the token of the lease.
        self._asked: dict[int, asyncio.Future[Lease]] = {}

    @property
    def leases(self) -> list[Lease]:
        """What is reserved now, oldest first."""
        return list(self._leases.values())

    @property
    def hosts(self) -> list[str]:
        """The names of the hosts that are reserved now."""
        return [name for lease in self._leases.values() for name in lease.hosts]

    async def reserve(self, demand: Demand, wait_s: float) -> Lease:
        """Reserve all of a demand, or nothing.

        Args:
            demand: What is wanted.
            wait_s: How long to wait for it, in seconds; 0 for a single try.

        Raises:
            NotFreeError: It did not become free in time; lists who has what.
            ReservationError: The backend does not answer.
        """
        if demand.count > len(demand.candidates):
            named = plural(len(demand.candidates), "host")
            raise ReservationError(
                f"{demand.count} hosts were requested, but only {named} can be chosen from. Ask for fewer, or select more."
            )
        joining = asyncio.ensure_future(asyncio.to_thread(self.backend.join, demand))
        try:
            ticket = await asyncio.shield(joining)
            lease = await self._wait(ticket, demand, wait_s)
        except BaseException:
            await asyncio.shield(self._leave(joining))
            raise
        self._keep(lease)
        self._kept.set()
        if self._renewing is None:
            back_off = BackOff(_RENEW_AGAIN_S, _MOST_PACE_S)
            self._renewing = asyncio.create_task(supervise(self._keep_renewing, self._failed, back_off))
        if self._around is not None:
            try:
                await self._while_held(lease, self._around.before(lease.hosts))
            except BaseException:
                # Whatever it was, nobody else may wait for these hosts.
                await asyncio.shield(self._give_up(lease))
                raise
        return lease

    async def release(self, names: Sequence[str] = ()) -> list[str]:
        """Release the leases of these hosts, or all; return the names of the hosts that are free again.

        Raises:
            ReservationError: What is done after a lease failed; all of them are released.
        """
        released: list[str] = []
        failed: list[OttoError] = []
        for lease in self.leases:
            if not names or set(names).intersection(lease.hosts):
                # A loss must be reported now: nobody asks for this lease later.
                await self._renew_one(lease)
                try:
                    if lease.token in self._leases and self._around is not None:
                        await self._while_held(lease, self._around.after(lease.hosts))
                except OttoError as error:
                    failed.append(error)
                finally:
                    if self._leases.pop(lease.token, None):
                        await in_thread(partial(self.backend.release, lease))
                        released += lease.hosts
        if failed:
            raise failed[0]
        return released

    async def renew(self) -> None:
        """Renew everything now, and report what was lost."""
        await asyncio.gather(*(self._renew_one(lease) for lease in self.leases))

    async def extend(self, names: Sequence[str], lease_s: float) -> list[Lease]:
        """Renew the leases of these hosts, or all, with a new length in seconds; raise LeaseLostError."""
        extended = []
        for lease in self.leases:
            if not names or set(names).intersection(lease.hosts):
                longer = Lease(lease.hosts, lease.resources, lease.token, lease.until, lease_s)
                extended.append(await asyncio.to_thread(self.backend.renew, longer))
                self._keep(extended[-1])
                self._kept.set()
        return extended

    async def close(self) -> None:
        """Release everything."""
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.wait([renewing])
        self._leases.clear()
        async with asyncio.timeout(_CLOSE_S):
            await in_thread(self.backend.close)

    async def _give_up(self, lease: Lease) -> None:
        # What failed before is told; what fails now comes of it.
        with contextlib.suppress(OttoError):
            await self.release(lease.hosts)

    async def _while_held(self, lease: Lease, work: Coroutine[Any, Any, None]) -> None:
        """Do something as long as the lease lasts; raise LeaseLostError when it was lost: the hosts may be another's by then."""
        lost: asyncio.Future[LeaseLostError] = asyncio.get_running_loop().create_future()
        self._losses[lease.token] = lost
        doing = asyncio.ensure_future(work)
        try:
            either: set[asyncio.Future[Any]] = {doing, lost}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise lost.result()
            await doing
        finally:
            self._losses.pop(lease.token, None)
            doing.cancel()
            await asyncio.wait({doing}, timeout=_STOP_S)

    async def _leave(self, joining: asyncio.Future[str]) -> None:
        """Leave the queue: a thread cannot be cancelled, and joins after all when its caller is."""
        try:
            ticket = await joining
        except Exception:  # noqa: BLE001 - it did not join, and its caller hears why
            return
        await asyncio.to_thread(self.backend.leave, ticket)

    async def _wait(self, ticket: str, demand: Demand, wait_s: float) -> Lease:
        began, reported = time.monotonic(), float("-inf")
        while True:
            lease = await asyncio.to_thread(self.backend.attempt, ticket)
            if lease is not None:
                return lease
            waited = time.monotonic() - began
            if waited >= wait_s:
                raise self._not_free(demand, await asyncio.to_thread(obstacles, demand, self.backend), waited)
            if waited - reported >= _REPORT_S:
                reported = waited
                holders = await asyncio.to_thread(obstacles, demand, self.backend)
                left = duration_text(wait_s - waited)
                self._tell(
                    f"Waiting for {_wanted(demand)}, up to {left} more. {'; '.join(holders) or 'Others are waiting for it too'}."
                )
            await asyncio.to_thread(self.backend.wait, ticket, min(_LOOK_S, wait_s - waited))

    def _not_free(self, demand: Demand, holders: Sequence[str], waited_s: float) -> NotFreeError:
        after = f" in {duration_text(waited_s)}" if waited_s >= 0.1 else ""
        advice = "Wait longer with wait=, or ask a holder to release it."
        return NotFreeError(f"{_wanted(demand)} did not become free{after}", holders, advice)

    async def _keep_renewing(self) -> None:
        while True:
            shortest_s = min((lease.lease_s for lease in self._leases.values()), default=_MOST_PACE_S)
            self._kept.clear()
            # A new lease may be shorter than all before.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_MOST_PACE_S, shortest_s / 4)):
                    await self._kept.wait()
            await self.renew()

    async def _renew_one(self, lease: Lease) -> None:
        try:
            renewed = await self._renewed(lease)
        except LeaseLostError as error:
            self._lose(lease, error)
        except ReservationError as error:
            self._not_renewed(lease, str(error))
        except Exception as error:  # noqa: BLE001 - one plug-in's mistake must not end the renewal of the others
            cause = f"{type(error).__name__}: {error}"
            if lease.token not in self._warned:
                self._warned.add(lease.token)
                self._warn(f"The lease of {', '.join(lease.hosts)} could not be renewed ({cause}); this is tried again.")
            self._not_renewed(lease, cause)
        else:
            if lease.token in self._leases:
                self._keep(renewed)

    async def _renewed(self, lease: Lease) -> Lease:
        """Ask for a renewal, unless a question is open still, and wait for the answer for a part of the lease only."""
        asked = self._asked.get(lease.token) or in_thread(lambda: self.backend.renew(lease))
        self._asked[lease.token] = asked
        bound_s = min(_MOST_WAIT_S, lease.lease_s / 4)
        await asyncio.wait({asked}, timeout=bound_s)
        if not asked.done():
            raise ReservationError(f"The reservations did not answer in {bound_s:g} seconds.")
        self._asked.pop(lease.token, None)
        return asked.result()

    def _not_renewed(self, lease: Lease, cause: str) -> None:
        # It is ours until its end: the next renewal may have an answer.
        if since_boot_s() > self._ends.get(lease.token, 0.0):
            self._lose(lease, LeaseLostError(lease.hosts, f"it could not be renewed ({cause})"))

    def _failed(self, failure: Failure) -> None:
        self._warn(f"The renewal of leases failed ({failure}).")

    def _lose(self, lease: Lease, error: LeaseLostError) -> None:
        # What was released meanwhile is not lost.
        if self._leases.pop(lease.token, None):
            loss = self._losses.get(lease.token)
            if loss is not None and not loss.done():
                loss.set_result(error)
            self._lost(error)

    def _keep(self, lease: Lease) -> None:
        self._leases[lease.token] = lease
        self._ends[lease.token] = since_boot_s() + lease.lease_s


def obstacles(demand: Demand, backend: Reservations) -> list[str]:
    """Return who has what of a demand, and what of it is in quarantine, in words; raise ReservationError."""
    wanted = {resource for resources in demand.candidates.values() for resource in resources}
    held = [holding_text(holding) for holding in holdings_of(backend, wanted)]
    return held + [quarantine_text(one) for one in quarantines_of(backend, wanted)]


def holdings_of(backend: Reservations, resources: Collection[str]) -> list[Holding]:
    """Return who has these resources; raise ReservationError when that is unknown."""
    ask = getattr(backend, "holdings", None)
    if ask is not None:
        return [holding for holding in ask() if holding.resource in resources]
    return [Holding(resource, user) for resource in resources for user in backend.who_reserved(resource)]


def quarantines_of(backend: Reservations, resources: Collection[str]) -> list[Quarantine]:
    """Return what of these is in quarantine, nothing where a backend keeps none; raise ReservationError when that is unknown."""
    ask = getattr(backend, "quarantines", None)
    return [one for one in ask() if one.resource in resources] if ask is not None else []


def quarantine_text(one: Quarantine) -> str:
    """Return ``'dut1': put in quarantine by alice on 2026-11-28 at 21:14 (the fan is broken)``."""
    since = time.strftime("%Y-%m-%d at %H:%M", time.localtime(one.since))
    return f"'{one.resource}': put in quarantine by {one.user} on {since} ({one.reason})"


def holding_text(holding: Holding) -> str:
    """Return ``'dut1': alice (bench:4711) for 'soak test', since 3 min 5 s``."""
    process = f" ({holding.process})" if holding.process else ""
    purpose = f" for '{holding.purpose}'" if holding.purpose else ""
    since = f", since {duration_text(time.time() - holding.since)}" if holding.since is not None else ""
    return f"'{holding.resource}': {holding.user}{process}{purpose}{since}"


def _wanted(demand: Demand) -> str:
    names = ", ".join(f"'{name}'" for name in demand.candidates)
    return names if demand.count == len(demand.candidates) else f"{demand.count} of {names}"
