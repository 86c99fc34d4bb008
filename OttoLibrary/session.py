"""What one run knows: its lab, its open hosts, its settings, its secrets, and what must be cleaned up when.

The only mutable object above the hosts. Nothing here starts before it is needed.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from OttoLibrary import registry
from OttoLibrary.contracts import Demand, HostFacts, Leasing, Progress, Record
from OttoLibrary.engine import Engine
from OttoLibrary.errors import HostError, NotOpenError, OttoError, UsageError
from OttoLibrary.text import Masker, Secret

# The library is imported in every process of a run, but not every one opens a host: what is heavy comes with the first use.
if TYPE_CHECKING:
    from OttoLibrary.background import BackgroundCommand
    from OttoLibrary.files import Files
    from OttoLibrary.folders import Folders
    from OttoLibrary.host import Host
    from OttoLibrary.lab import Lab
    from OttoLibrary.lease import Leases
    from OttoLibrary.monitor import Monitor
    from OttoLibrary.transcript import Transcript

T = TypeVar("T")
_CLEAN_UP_S = 20.0
# Below the output folder of a run.
RECORDING = "otto/metrics.db"


class Session:
    """One run.

    Args:
        references: The labs to load on first use, joined by commas.

    Attributes:
        output_folder: Where files beside the log go, in a folder ``otto``; None keeps none.
    """

    def __init__(self, references: str = "") -> None:
        self.references = references
        self.masker = Masker()
        self.engine = Engine()
        self.suite_folder: Path | None = None
        self.records: list[Record] = []
        self.warnings: list[str] = []
        self.output_folder: Path | None = None
        self.progress: Callable[[Progress], None] = lambda news: None
        self._lab: Lab | None = None
        self._hosts: dict[str, Host] = {}
        self._files: dict[str, Files] = {}
        self._scopes: list[_Scope] = [_Scope("global")]
        self._commands: dict[str, BackgroundCommand] = {}
        self._monitor: Monitor | None = None
        self._monitor_engine = self.engine
        self.breaches: list[OttoError] = []
        self.may_interrupt: Callable[[], bool] = lambda: True
        self._broken_limits: list[OttoError] = []
        self.reservations = os.environ.get("OTTO_RESERVATION_BACKEND", "file")
        self.user = os.environ.get("OTTO_USER") or getpass.getuser()
        self.tell: Callable[[str], None] = lambda sentence: None
        self._leases: Leases | None = None
        self.test_began: float | None = None

    # -- the lab

    @property
    def lab(self) -> Lab:
        """The lab; loaded on first use. Raises UsageError when none was named."""
        if self._lab is None:
            if not self.references:
                raise UsageError(
                    "No lab is loaded. Import the library with 'lab=NAME', set the environment variable OTTO_LAB, "
                    "or use 'Load Lab'."
                )
            from OttoLibrary.lab import load_lab

            self._lab = load_lab(self.references, self.suite_folder)
        return self._lab

    def load(self, references: str) -> Lab:
        """Load other labs in place of the present one; hosts of the old one are closed."""
        from OttoLibrary.lab import load_lab

        lab = load_lab(references, self.suite_folder)
        self.end_monitor()
        self.close_hosts()
        if self._lab is not None:
            self._lab.close()
        self.references, self._lab = references, lab
        return lab

    def select(self, selection: str) -> list[str]:
        """Return the hosts of the lab that a selection gives; raise UsageError when it gives none."""
        names = self.lab.select(selection)
        if not names:
            raise UsageError(f"No host of the lab is selected by '{selection}'. 'Get Hosts' tells what a selection gives.")
        return names

    def facts(self, name: str) -> HostFacts:
        """Return the facts of a host; its secrets are masked from now on."""
        facts = self.lab.facts(name)
        for secret in self.lab.secrets(name):
            self.masker.add(secret)
        return facts

    # -- hosts

    def host(self, name: str) -> Host:
        """Return a host of the lab; it connects on first use. Raises UnknownNameError."""
        if name not in self._hosts:
            self.lab.entry(name)
            self._hosts[name] = self._new_host(name, self.lab.entry(name).hop)
        return self._hosts[name]

    def files(self, name: str) -> Files:
        """Return the files of a host of the lab. Raises UnknownNameError."""
        from OttoLibrary.files import Files

        host = self.host(name)
        if name not in self._files or self._files[name].host is not host:
            self._files[name] = Files(host, self._tell, lambda: self.timeout(name))
        return self._files[name]

    def folders(self, name: str) -> Folders:
        """Return the folders of a host of the lab. Raises UnknownNameError."""
        from OttoLibrary.folders import Folders

        return Folders(self.files(name))

    def _tell(self, news: Progress) -> None:
        self.progress(news)

    def reroute(self, name: str, hop: str | None) -> Host:
        """Return the host, from now on reached through ``hop``; an open connection is closed first."""
        path = self.lab.path(name, hop=hop)
        present = self._hosts.get(name)
        if present is not None and present.path != path:
            self.run(present.close())
            del self._hosts[name]
        if name not in self._hosts:
            self._hosts[name] = self._new_host(name, hop)
        return self._hosts[name]

    def close_hosts(self) -> None:
        """Close every host, those behind hops first."""
        for host in sorted(self._hosts.values(), key=lambda host: -len(host.path)):
            self.run(host.close())
        self._hosts.clear()

    def _new_host(self, name: str, hop: str | None) -> Host:
        from OttoLibrary.host import Host

        before = self.host(hop) if hop else None
        path = (*before.path, name) if before else (name,)
        return Host(name, path, lambda: self.facts(name), before, self.records.append, self._transcript)

    def _transcript(self, host: str) -> Transcript | None:
        from OttoLibrary.transcript import Transcript

        return Transcript(self.output_folder / "otto", host, self.masker.mask) if self.output_folder else None

    # -- running things

    def run(self, coroutine: Coroutine[Any, Any, T], *, interruptible: bool = False) -> T:
        """Run ``coroutine`` on the engine and return its result; an interruptible one ends when a limit is broken at once."""
        return self.engine.call(coroutine, interruptible=interruptible)

    def take_records(self) -> list[Record]:
        """Return what hosts did since the last call."""
        records = self.records[:]
        del self.records[: len(records)]
        return records

    def add_command(self, command: BackgroundCommand) -> str:
        """Keep a background command, to be ended with the present scope; return its handle."""
        handle = f"command-{len(self._commands) + 1}"
        self._commands[handle] = command

        async def stop() -> None:
            await command.stop()

        self.on_scope_end(stop)
        return handle

    def command(self, handle: str) -> BackgroundCommand:
        """Return a background command; raise NotOpenError for an unknown handle."""
        if handle not in self._commands:
            known = ", ".join(self._commands) or "none"
            raise NotOpenError(f"No background command '{handle}'. Known: {known}. 'Start On Host' returns the handle.")
        return self._commands[handle]

    # -- watching

    @property
    def monitor(self) -> Monitor:
        """The monitor that runs; raise NotOpenError when there is none."""
        if self._monitor is None:
            raise NotOpenError("No monitor is running. Start one with 'Start Monitor' or with '--listener OttoLibrary.Metrics'.")
        return self._monitor

    @property
    def watches(self) -> bool:
        """True when a monitor of this session runs, not one that it only shares."""
        return self._monitor is not None and self._monitor_engine is self.engine

    @property
    def is_watched(self) -> bool:
        """True when a monitor runs, this session's or a shared one."""
        return self._monitor is not None

    def start_monitor(
        self, names: Sequence[str], metrics: Sequence[str], interval_s: float, store: Path | None, label: str
    ) -> None:
        """Watch hosts; raise UsageError when a monitor runs already, or what a wrong name or file raises.

        Args:
            names: The hosts.
            metrics: What to read, none for the usual.
            interval_s: Seconds between two readings.
            store: The file to keep all in, or None.
            label: What the recording is called.
        """
        from OttoLibrary.monitor import Monitor, open_store

        if self._monitor is not None:
            raise UsageError("A monitor is running already. Stop it with 'Stop Monitor' before another is started.")
        hosts = [self.host(name) for name in names]
        monitor = Monitor(hosts, metrics, interval_s, mask=self.masker.mask)
        self.run(monitor.prepare())
        if store is not None:
            tags = {host.name: list(self.lab.entry(host.name).tags) for host in hosts}
            lab = {"labs": self.references, "hosts": {host.name: list(host.path) for host in hosts}, "tags": tags}
            monitor.store = open_store(store, label, lab, interval_s)
        self._monitor, self._monitor_engine = monitor, self.engine
        self.run(monitor.start())

    def share_monitor(self, other: Session) -> None:
        """Let keywords of this session ask the monitor of another; it stays the other's."""
        if self._monitor is None and other._monitor is not None:
            self._monitor, self._monitor_engine = other._monitor, other.engine

    def end_monitor(self) -> None:
        """Stop the monitor of this session, if it runs; forget a shared one."""
        if self._monitor is not None:
            self.run(self.stop_watching())

    async def stop_watching(self) -> None:
        """Do what ``end_monitor`` does, on the engine."""
        monitor, self._monitor = self._monitor, None
        if monitor is not None and self._monitor_engine is self.engine:
            self._broken_limits += await monitor.take_limits(wait_s=0)
            await monitor.stop()
            self.warnings += monitor.take_warnings()

    def ask_monitor(self, question: Callable[[Monitor], Coroutine[Any, Any, T]]) -> T:
        """Return what the monitor answers; raise NotOpenError."""
        return self._monitor_engine.call(question(self.monitor))

    def on_monitor(self, work: Callable[[Monitor], T]) -> T:
        """Do something with the monitor, at once and where it lives, and return what came of it; raise NotOpenError."""

        async def done(monitor: Monitor) -> T:
            return work(monitor)

        return self.ask_monitor(done)

    def recording_path(self, given: str) -> Path | None:
        """Return where a recording goes: a path beside the log, by default ``RECORDING``; None for ``none`` or without a log."""
        if given.lower() == "none" or not (given or self.output_folder):
            return None
        return (self.output_folder or Path()) / (given or RECORDING)

    def breach(self, error: OttoError) -> None:
        """Fail the test that runs: the keyword of this library at once, any other when it is over; no teardown."""
        self.breaches.append(error)
        if self.may_interrupt():
            self.engine.interrupt(error)

    def take_breaches(self) -> list[OttoError]:
        """Return what must fail the test since the last call: limits that were broken, leases that were lost."""
        breaches, self.breaches, self._broken_limits = [*self.breaches, *self._broken_limits], [], []
        return breaches

    # -- reservations

    @property
    def leases(self) -> Leases:
        """The hosts that are reserved; raise UsageError when the backend only tells who has what."""
        if self._leases is None:
            from OttoLibrary.lease import Leases

            self._leases = Leases(leasing(self.reservations), self.tell, self.breach)
        return self._leases

    @property
    def reserved(self) -> list[str]:
        """The names of the hosts that are reserved now."""
        return self._leases.hosts if self._leases is not None else []

    def demand(self, names: Sequence[str], count: int, lease_s: float, purpose: str, priority: int) -> Demand:
        """Return what it takes to reserve some of these hosts; one without ``resources`` takes itself."""
        candidates = {name: self.lab.entry(name).reserved_as for name in names}
        return Demand(candidates, count, self.user, purpose, lease_s, priority)

    # -- scopes

    def begin_scope(self, kind: str) -> None:
        """Enter a suite or a test."""
        self._scopes.append(_Scope(kind))

    def end_scope(self) -> None:
        """Leave the present scope: its settings end, its clean-ups run, newest first, all of them."""
        if len(self._scopes) > 1:
            self._clean_up(self._scopes.pop())

    def on_scope_end(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        """Run ``clean_up`` when the present scope ends."""
        self._scopes[-1].clean_ups.append(clean_up)

    def set_timeout(self, host: str, seconds: float, scope: str) -> float | None:
        """Set the time-out of a host for the innermost such scope; return the one that counted before."""
        before = self.timeout(host)
        for present in reversed(self._scopes):
            if present.kind == scope:
                present.timeouts[host] = seconds
                return before
        raise UsageError(f"There is no {scope} scope here. Use one of: {', '.join(scope.kind for scope in self._scopes)}.")

    def timeout(self, host: str) -> float | None:
        """Return the time-out that was set for a host, the innermost scope first, or None."""
        for scope in reversed(self._scopes):
            if host in scope.timeouts:
                return scope.timeouts[host]
        return None

    def close(self) -> None:
        """End the run: all scopes, hosts, references and the engine. Idempotent."""
        while self._scopes:
            self._clean_up(self._scopes.pop())
        self._scopes = [_Scope("global")]
        if self.engine.running:
            self.end_monitor()
            self.close_hosts()
            if self._leases is not None:
                self.run(self._leases.close())
                self._leases = None
        if self._lab is not None:
            self._lab.close()
            self._lab = None
        self.engine.close()

    def _clean_up(self, scope: _Scope) -> None:
        for clean_up in reversed(scope.clean_ups):
            try:
                self.run(_bounded(clean_up()))
            except (HostError, UsageError, TimeoutError) as error:
                self.warnings.append(self.masker.mask(f"A clean-up failed: {error}"))


def leasing(name: str) -> Leasing:
    """Return a backend that reserves; raise UsageError when it only tells who has what."""
    backend = registry.load("reservation", name)
    if not callable(getattr(backend, "attempt", None)):
        raise UsageError(
            f"The reservations '{name}' only tell who has what; hosts are reserved with another backend, such as 'file'."
        )
    made: Leasing = backend
    return made


class _Scope:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.timeouts: dict[str, float] = {}
        self.clean_ups: list[Callable[[], Awaitable[None]]] = []


async def _bounded(work: Awaitable[None]) -> None:
    import asyncio

    async with asyncio.timeout(_CLEAN_UP_S):
        await work


def describe(facts: HostFacts, path: Sequence[str], secret: Callable[[Secret], Any]) -> dict[str, Any]:
    """Return the facts of a host as plain data, secrets turned into what ``secret`` makes of them."""
    plain: dict[str, Any] = {"path": list(path)}
    for name in facts.__dataclass_fields__:
        plain[name] = _plain(getattr(facts, name), secret)
    return plain


def _plain(value: Any, secret: Callable[[Secret], Any]) -> Any:
    if isinstance(value, Secret):
        return secret(value)
    if isinstance(value, Mapping):
        return {key: _plain(item, secret) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, secret) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name), secret) for name in value.__dataclass_fields__}
    return value
