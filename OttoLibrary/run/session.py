"""What one run knows: its lab, its open hosts, its settings, its secrets, and what must be cleaned up when.

The only mutable object above the hosts. Nothing here starts before it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from OttoLibrary.contracts.connections import Record
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.transfers import Progress
from OttoLibrary.engine import Engine
from OttoLibrary.errors import CheckError, NotFreeError, NotOpenError, OttoError, UsageError
from OttoLibrary.text import Masker, Secret

# The library is imported in every process of a run, but not every one opens a host: what is heavy comes with the first use.
if TYPE_CHECKING:
    from OttoLibrary.host.background import BackgroundCommand
    from OttoLibrary.host.host import Host
    from OttoLibrary.host.transcript import Transcript
    from OttoLibrary.lab.lab import Lab
    from OttoLibrary.lab.settings import Settings
    from OttoLibrary.monitor.monitor import Monitor
    from OttoLibrary.reservation.reservations import Reserving
    from OttoLibrary.transfer.files import Files
    from OttoLibrary.transfer.folders import Folders

T = TypeVar("T")
_CLEAN_UP_S = 20.0
# Below the output folder of a run.
RECORDING = "otto/metrics.db"


class Session:
    """One run.

    Args:
        references: The labs to load on first use, joined by commas; by default what the environment variable ``OTTO_LAB`` or the
            settings name.
        reservations: The backend of reservations; by default what the environment variable ``OTTO_RESERVATION_BACKEND`` or the
            settings name.

    Attributes:
        output_folder: Where files beside the log go, in a folder ``otto``; None keeps none.
        variable: Returns what the run says in a variable, empty when it says nothing.
        used: The hosts on which the present test did something, in the order in which it began to.
        failed_checks: The checks of the present test that did not hold, one line each.
    """

    def __init__(self, references: str = "", reservations: str = "") -> None:
        self.references = references or os.environ.get("OTTO_LAB", "")
        self.variable: Callable[[str], str] = lambda name: os.environ.get(name, "")
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
        self._settings: Settings | None = None
        self._reservations_named = reservations
        self._reservations: Reserving | None = None
        self.tell: Callable[[str], None] = lambda sentence: None
        self.test_began: float | None = None
        self.tests: list[Callable[[Mapping[str, Any]], None]] = []
        self.present_test: Mapping[str, Any] | None = None
        self.used: dict[str, None] = {}
        self.failed_checks: list[str] = []

    # -- the lab

    @property
    def settings(self) -> Settings:
        """What the settings files around the suite say; read on first use. Raises SettingsError."""
        if self._settings is None:
            from OttoLibrary.lab import settings

            self._settings = settings.read(self.suite_folder)
        return self._settings

    @property
    def reservations(self) -> Reserving:
        """What this run has reserved, and what others have."""
        if self._reservations is None:
            from OttoLibrary.reservation.reservations import Reserving

            made = Reserving(self._reservations_named, lambda: self.settings.reservations, self.engine)
            made.tell, made.lost, made.variable = self.tell, self.breach, self.variable
            self._reservations = made
        return self._reservations

    def renew_leases(self) -> None:
        """Renew what is reserved now; a run that has reserved nothing loads nothing for it."""
        if self._reservations is not None:
            self._reservations.renew()

    @property
    def lab(self) -> Lab:
        """The lab; loaded on first use. Raises UsageError when none was named."""
        if self._lab is None:
            self.references = self.references or self.settings.lab.get("default", "")
            if not self.references:
                raise UsageError(
                    "No lab is named. Give one with '--variable LAB:NAME' and 'lab=${LAB}', with the environment variable "
                    "OTTO_LAB, with 'default' in the table [lab] of the settings, or with 'Load Lab'."
                )
            self._lab = self._read_lab(self.references)
        return self._lab

    def load(self, references: str) -> Lab:
        """Load other labs in place of the present one; hosts of the old one are closed."""
        lab = self._read_lab(references)
        self.end_monitor()
        self.close_hosts()
        if self._lab is not None:
            self._lab.close()
        self.references, self._lab = references, lab
        return lab

    def _read_lab(self, references: str) -> Lab:
        from OttoLibrary.lab.loading import load_lab
        from OttoLibrary.lab.settings import import_init

        # Init modules may bring the source of a lab.
        import_init(self.settings)
        return load_lab(references, self.suite_folder, self.settings)

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
        """Return a host of the lab; it connects on first use. Raises UnknownNameError, or NotFreeError when it is another's."""
        host = self._host(name)
        self.used[name] = None
        return host

    def _host(self, name: str) -> Host:
        if name not in self._hosts:
            self.lab.entry(name)
            self.warnings += filter(None, [self.reservations.check(self.lab.entry(name))])
            self._hosts[name] = self._new_host(name, self.lab.entry(name).hop)
        return self._hosts[name]

    def files(self, name: str) -> Files:
        """Return the files of a host of the lab. Raises UnknownNameError."""
        from OttoLibrary.transfer.files import Files

        host = self.host(name)
        if name not in self._files or self._files[name].host is not host:
            self._files[name] = Files(host, self._tell, lambda: self.timeout(name))
        return self._files[name]

    def folders(self, name: str) -> Folders:
        """Return the folders of a host of the lab. Raises UnknownNameError."""
        from OttoLibrary.transfer.folders import Folders

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
        from OttoLibrary.host.host import Host

        before = self._host(hop) if hop else None
        path = (*before.path, name) if before else (name,)
        return Host(name, path, lambda: self.facts(name), before, self.records.append, self._transcript)

    def _transcript(self, host: str) -> Transcript | None:
        from OttoLibrary.host.transcript import Transcript

        return Transcript(self.output_folder / "otto", host, self.masker.mask) if self.output_folder else None

    # -- running things

    def run(self, coroutine: Coroutine[Any, Any, T], *, interruptible: bool = False) -> T:
        """Run ``coroutine`` on the engine and return its result; an interruptible one ends, or does not begin, after a breach."""
        if interruptible and self.breaches and self.may_interrupt():
            coroutine.close()
            raise self.breaches[0]
        return self.engine.call(coroutine, interruptible=interruptible)

    def take_records(self) -> list[Record]:
        """Return what hosts did since the last call."""
        records = self.records[:]
        del self.records[: len(records)]
        return records

    def take_warnings(self) -> list[str]:
        """Return what the reader must know since the last call."""
        warnings, self.warnings[:] = self.warnings[:], []
        return warnings

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
        from OttoLibrary.monitor.monitor import Monitor, open_store

        if self._monitor is not None:
            raise UsageError("A monitor is running already. Stop it with 'Stop Monitor' before another is started.")
        hosts = self._free_hosts(names)
        monitor = Monitor(hosts, metrics, interval_s, mask=self.masker.mask)
        self.run(monitor.prepare())
        if store is not None:
            tags = {host.name: list(self.lab.entry(host.name).tags) for host in hosts}
            lab = {"labs": self.references, "hosts": {host.name: list(host.path) for host in hosts}, "tags": tags}
            monitor.store = open_store(store, label, lab, interval_s)
        self._monitor, self._monitor_engine = monitor, self.engine
        self.run(monitor.start())

    def _free_hosts(self, names: Sequence[str]) -> list[Host]:
        """Return the hosts that are not somebody else's, with a warning about each that is; raise NotFreeError when all are."""
        hosts, refused = [], list[NotFreeError]()
        for name in names:
            try:
                hosts.append(self._host(name))
            except NotFreeError as error:
                refused.append(error)
        if not hosts:
            raise refused[0]
        self.warnings += [f"Not watched: {error}" for error in refused]
        return hosts

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

    def watching(self, key: str, given: T | None, fallback: T) -> T:
        """Return how hosts are watched: as given, or as the table ``[monitor]`` of the settings says, or the fallback."""
        return given or self.settings.monitor.get(key) or fallback

    def tell_test(self, name: str, began: float, ended: float | None, status: str) -> None:
        """Tell whoever shows tests that one has begun, or ended."""
        test = {"name": name, "began": began, "ended": ended, "status": status, "link": ""}
        self.present_test = None if ended else test
        for tell in self.tests:
            tell(test)

    def recording_path(self, given: str) -> Path | None:
        """Return where a recording goes: a path beside the log, by default ``RECORDING``; None for ``none`` or without a log."""
        place = self.watching("store", given, "")
        if place.lower() == "none" or not (place or self.output_folder):
            return None
        return (self.output_folder or Path()) / (place or RECORDING)

    def breach(self, error: OttoError) -> None:
        """Fail the test that runs: the keyword of this library at once, any other when it is over; no teardown."""
        self.breaches.append(error)
        if self.may_interrupt():
            self.engine.interrupt(error)

    def take_breaches(self) -> list[OttoError]:
        """Return what must fail the test since the last call: broken limits, lost leases, failed checks."""
        breaches, self.breaches, self._broken_limits = [*self.breaches, *self._broken_limits], [], []
        return [*breaches, *self.take_checks()]

    def take_checks(self) -> list[OttoError]:
        """Return what says which checks did not hold since the last call, or nothing."""
        failed, self.failed_checks = self.failed_checks, []
        return [CheckError(failed)] if failed else []

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

    def keep_options(self, options: object) -> None:
        """Let instructions take these options until the present scope ends."""
        self._scopes[-1].options.append(options)

    def options(self, kind: type[T]) -> T | None:
        """Return the options of a class that were kept last, the innermost scope first, or None."""
        kept = (options for scope in reversed(self._scopes) for options in reversed(scope.options))
        return next((options for options in kept if isinstance(options, kind)), None)

    def close(self) -> None:
        """End the run: all scopes, hosts, references and the engine. Idempotent."""
        while self._scopes:
            self._clean_up(self._scopes.pop())
        self._scopes = [_Scope("global")]
        if self.engine.running:
            self.end_monitor()
            self.close_hosts()
        if self._reservations is not None:
            self._reservations.close()
        if self._lab is not None:
            self._lab.close()
            self._lab = None
        self.engine.close()

    def _clean_up(self, scope: _Scope) -> None:
        for clean_up in reversed(scope.clean_ups):
            try:
                self.run(_bounded(clean_up()))
            except (OttoError, TimeoutError) as error:
                self.warnings.append(self.masker.mask(f"A clean-up failed: {error}"))


class _Scope:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.timeouts: dict[str, float] = {}
        self.clean_ups: list[Callable[[], Awaitable[None]]] = []
        self.options: list[object] = []


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
