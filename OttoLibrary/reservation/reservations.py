"""What a run has reserved, and what others have: the backend that decides, the leases, and the check before a host is used."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from OttoLibrary import registry
from OttoLibrary.contracts.reservations import Demand, Holding, Leasing, Quarantine, Quarantining, Reservations, Waiting
from OttoLibrary.engine import Engine
from OttoLibrary.errors import LeaseLostError, NotFreeError, OttoError, ReservationError, UsageError
from OttoLibrary.lab.host_entry import HostEntry
from OttoLibrary.reservation.leases import AroundLeases, Leases, holding_text, holdings_of, quarantine_text, quarantines_of
from OttoLibrary.reservation.without_queue import QueuelessLeasing
from OttoLibrary.schema.field_types import JsonObject

SKIP_CHECK = "OTTO_SKIP_RESERVATION_CHECK"
_YES = {"yes", "true", "on", "1"}


class RunReservations:
    """The reservations of one run; no backend is asked before the first use.

    Args:
        name: The backend; by default what the environment variable ``OTTO_RESERVATION_BACKEND`` or the settings name.
        settings: Returns the table ``[reservations]`` of the settings.
        engine: Renews the leases.
        tell: Called with a sentence while a reservation waits.
        lost: Called with an error when a lease is lost.
        warn: Called with a sentence when something unforeseen is wrong with the renewal.
        variable: Returns the value of a variable of the run, empty when it is not set.
        around: What is done around each lease, or None for nothing.

    Attributes:
        user: The user of this run.
        held_by: Processes, as ``machine:pid``, that hold hosts for this run.
    """

    def __init__(
        self,
        name: str,
        settings: Callable[[], JsonObject],
        engine: Engine,
        *,
        tell: Callable[[str], None] = lambda sentence: None,
        lost: Callable[[LeaseLostError], None] = lambda error: None,
        warn: Callable[[str], None] = lambda sentence: None,
        variable: Callable[[str], str] = lambda name: os.environ.get(name, ""),
        around: AroundLeases | None = None,
    ) -> None:
        self._around = around
        self.user = os.environ.get("OTTO_USER") or getpass.getuser()
        self.held_by: set[str] = set()
        self._tell, self._lost, self._warn, self._variable = tell, lost, warn, variable
        self._name = name or os.environ.get("OTTO_RESERVATION_BACKEND", "")
        self._settings, self._engine = settings, engine
        self._backend: Reservations | None = None
        self._leases: Leases | None = None

    @property
    def backend(self) -> Reservations:
        """The backend, which knows who has what. Raises UnknownNameError, PluginError or ReservationError."""
        if self._backend is None:
            table = self._settings()
            name = self._name or str(table.get("backend", "file"))
            backend = _opened(name, self._place(name, table))
            self._backend = QueuelessLeasing(backend, name) if _acquires_only(backend) else backend
        return self._backend

    @property
    def leasing(self) -> Leasing:
        """The backend, if it can reserve; raise UsageError when it can only say who has what."""
        backend: Any = self.backend
        if not _reserves(backend):
            raise UsageError(
                f"The reservations '{backend.backend_name()}' can only say who has what. To reserve hosts, use another backend, "
                "such as 'file'."
            )
        made: Leasing = backend
        return made

    @property
    def can_reserve(self) -> bool:
        """True when the backend can reserve, False when it can only say who has what."""
        return _reserves(self.backend)

    @property
    def leases(self) -> Leases:
        """What is reserved now; raise UsageError when the backend can only say who has what."""
        if self._leases is None:
            self._leases = Leases(self.leasing, self._tell, self._lost, self._warn, self._around)
        return self._leases

    def demand(self, hosts: Iterable[HostEntry], count: int, lease_s: float, purpose: str, priority: int) -> Demand:
        """Return what it takes to reserve some of these hosts."""
        return Demand({host.name: host.reserved_as for host in hosts}, count, self.user, purpose, lease_s, priority)

    def has(self, host: HostEntry) -> bool:
        """True when this run has the host, or another process for it, or its user where the backend cannot reserve.

        Raises:
            ReservationError: The backend does not answer.
        """
        if _reserves(self.backend):
            return (self._leases is not None and host.name in self._leases.hosts) or self._is_held_for_us(host)
        return all(self.user in self.backend.who_reserved(resource) for resource in host.reserved_as)

    def holdings(self, hosts: Iterable[HostEntry]) -> list[Holding]:
        """Return who has what of these hosts; raise ReservationError when that is unknown."""
        resources = dict.fromkeys(resource for host in hosts for resource in host.needs)
        if isinstance(self.backend, QueuelessLeasing):
            return self.backend.holdings_of(resources)
        return holdings_of(self.backend, resources)

    def holders(self, hosts: Iterable[HostEntry]) -> list[str]:
        """Return who has what of these hosts and what is in quarantine, in words."""
        asked = list(hosts)
        held = [holding_text(holding) for holding in self.holdings(asked)]
        return held + [quarantine_text(one) for one in self.quarantines(asked)]

    def quarantines(self, hosts: Iterable[HostEntry]) -> list[Quarantine]:
        """Return what of these hosts is in quarantine; raise ReservationError when that is unknown."""
        return quarantines_of(self.backend, {resource for host in hosts for resource in host.needs})

    def waiting(self) -> list[Waiting]:
        """Return the queue, the next one first; nothing where a backend has none."""
        ask = getattr(self.backend, "waiting", None)
        return ask() if ask is not None else []

    def quarantine(self, resources: Collection[str], reason: str) -> None:
        """Keep resources from everybody until that is lifted; raise UsageError when the backend cannot."""
        self._quarantining.quarantine(resources, self.user, reason)

    def lift(self, resources: Collection[str]) -> list[Quarantine]:
        """End a quarantine, and return what was in one; raise UsageError when the backend has none."""
        return self._quarantining.lift(resources)

    def check(self, host: HostEntry) -> str:
        """Check that nobody else has a host; return a warning when somebody has and the check is switched off.

        Raises:
            NotFreeError: Somebody else has a resource of it, and this user has not; or one is in quarantine.
            ReservationError: The backend does not answer.
        """
        # Who had it before its quarantine keeps it.
        if self.quarantines([host]) and not self.has(host):
            return self._refused(f"Host '{host.name}' is in quarantine", host, "'OttoLibrary quarantine --lift' ends that")
        users = [self.backend.who_reserved(resource) for resource in host.needs]
        if not any(having and self.user not in having for having in users):
            return ""
        return self._refused(f"Host '{host.name}' is reserved by somebody else", host, "Wait for it with 'Reserve Hosts'")

    def renew(self) -> None:
        """Renew everything now, so that a loss fails the current test and not the next one."""
        if self._leases is not None and self._leases.hosts:
            self._engine.call(self._leases.renew())

    def close(self) -> None:
        """Release everything."""
        leases, self._leases = self._leases, None
        backend, self._backend = self._backend, None
        close = getattr(backend, "close", None)
        if leases is not None and self._engine.running:
            self._engine.call(leases.close())
        elif close is not None:
            close()

    def _is_held_for_us(self, host: HostEntry) -> bool:
        if not self.held_by:
            return False
        # Some backends know only the user of what another process has.
        held = {
            holding.resource
            for holding in self.holdings([host])
            if holding.user == self.user and (not holding.process or holding.process in self.held_by)
        }
        return held.issuperset(host.reserved_as)

    @property
    def _quarantining(self) -> Quarantining:
        backend: Any = self.backend
        if not callable(getattr(backend, "quarantine", None)):
            raise UsageError(
                f"The reservations '{backend.backend_name()}' cannot put hosts in quarantine. Use another backend, such as "
                "'file' or 'redis', or take the host out in the reservation system itself."
            )
        made: Quarantining = backend
        return made

    def _refused(self, what: str, host: HostEntry, advice: str) -> str:
        """Raise NotFreeError, or return a warning when the check is switched off."""
        holders = self.holders([host])
        if self._variable(SKIP_CHECK).lower() not in _YES:
            raise NotFreeError(what, holders, f"{advice}; '--variable {SKIP_CHECK}:yes' uses it anyway.")
        return f"{what}, but {SKIP_CHECK} allows its use. Who has what: {'; '.join(holders)}."

    def _place(self, name: str, table: JsonObject) -> Sequence[str]:
        """Return the location of the backend, when it is known."""
        if name == "pabot":
            # Each run has its own server, and pabot gives its address in a variable.
            return [self._variable("PABOTLIBURI")]
        if name != table.get("backend", "file"):
            return []
        return [str(table[key]) for key in ("url", "path") if key in table]


def _opened(name: str, place: Sequence[str]) -> Any:
    """Return a new backend; raise one of our errors whatever is wrong with it."""
    try:
        return registry.load("reservation", name, *place)
    except OttoError:
        raise
    except Exception as error:
        raise ReservationError(f"The reservations '{name}' could not be opened: {type(error).__name__}: {error}.") from error


def _acquires_only(backend: object) -> bool:
    return callable(getattr(backend, "acquire", None)) and not callable(getattr(backend, "attempt", None))


def _reserves(backend: Reservations) -> bool:
    return callable(getattr(backend, "attempt", None))
