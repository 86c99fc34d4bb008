"""What one run knows, part by part."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import TYPE_CHECKING

from OttoLibrary.engine import Engine
from OttoLibrary.run.background_commands import BackgroundCommands
from OttoLibrary.run.breaches import Breaches
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.followed_tests import FollowedTests
from OttoLibrary.run.host_files import HostFiles
from OttoLibrary.run.journal import Journal
from OttoLibrary.run.open_hosts import HostNotes, OpenHosts
from OttoLibrary.run.run_context import OutputBounds, RunContext
from OttoLibrary.run.run_monitor import MonitorNotes, RunMonitor
from OttoLibrary.run.running_suite import RunningSuite
from OttoLibrary.run.scopes import Scopes
from OttoLibrary.run.tunnels import Tunnels

# The library is imported in every process of a run, but not every one opens a host: what is heavy comes with the first use.
if TYPE_CHECKING:
    from OttoLibrary.host.transcript import Transcript
    from OttoLibrary.lab.host_entry import HostEntry
    from OttoLibrary.reservation.reservations import RunReservations
    from OttoLibrary.run.host_disturbances import HostDisturbances
    from OttoLibrary.run.lease_hooks import LeaseHooks
    from OttoLibrary.run.run_load import RunLoad
    from OttoLibrary.shell.output_file import OutputLimits


class Session:
    """One run: it holds its parts, and does only what concerns several of them. Nothing starts before it is needed.

    Args:
        references: The labs to load on first use, joined by commas; by default what the environment variable ``OTTO_LAB`` or the
            settings name.
        reservations: The backend of reservations; by default what the environment variable ``OTTO_RESERVATION_BACKEND`` or the
            settings name.
        context: What is outside of it.

    Attributes:
        engine: The event loop on which everything runs.
        masker: Hides the secrets of the run.
        journal: What hosts did, and what the reader must know, until it is published.
        suite: The suite that is running, with its settings.
        lab: The lab.
        hosts: The hosts that are used.
        files: Their files and folders.
        scopes: The run, its suites and its test, with what is set in each and cleaned up after it.
        commands: The background commands.
        tunnels: The tunnels to hosts and back.
        breaches: What fails the present test.
        monitor: The monitor.
        tests: Tells others which test runs.
    """

    def __init__(self, references: str = "", reservations: str = "", context: RunContext | None = None) -> None:
        self._context = context or RunContext()
        self._reservations_named = reservations
        self._reservations: RunReservations | None = None
        self._load: RunLoad | None = None
        self.engine = Engine()
        self.masker = self._context.masker
        self.journal = Journal()
        self.suite = RunningSuite(self._context.suite_folder, self._context.output_folder)
        self.lab = CurrentLab(references or os.environ.get("OTTO_LAB", ""), self.suite, self.masker)
        notes = HostNotes(self.journal.add, self.journal.warn, self._transcript, self._output_limits)
        self.hosts = OpenHosts(self.lab, self.engine, self._check, notes)
        self.scopes = Scopes(self.engine, self.journal.warn)
        self.files = HostFiles(self.hosts, self._context.progress, self.scopes.timeout)
        self.commands = BackgroundCommands(self.scopes)
        self.tunnels = Tunnels(self.hosts, self.scopes, self.journal.warn)
        self._disturbances: HostDisturbances | None = None
        self.breaches = Breaches(self.engine, self._context.may_interrupt)
        found = MonitorNotes(self.masker.mask, self.journal.warn, self.breaches.add_for_end)
        self.monitor = RunMonitor(self.hosts, self.lab, self.engine, found)
        self.tests = FollowedTests()

    @property
    def load(self) -> RunLoad:
        """The load that fires, if one does, or the last one."""
        if self._load is None:
            from OttoLibrary.run.run_load import RunLoad

            self._load = RunLoad(self.engine, self.monitor)
        return self._load

    @property
    def reservations(self) -> RunReservations:
        """What this run has reserved, and what others have."""
        if self._reservations is None:
            from OttoLibrary.reservation.reservations import RunReservations

            self._reservations = RunReservations(
                self._reservations_named,
                lambda: self.suite.settings.reservations,
                self.engine,
                tell=self._context.tell,
                lost=self.breaches.add,
                warn=self.journal.warn,
                variable=self._context.variable,
                around=self.lease_hooks,
            )
        return self._reservations

    @property
    def lease_hooks(self) -> LeaseHooks:
        """What the lab does around each reservation of a host."""
        from OttoLibrary.run.lease_hooks import LeaseHooks

        return LeaseHooks(
            self.lab,
            self.hosts,
            self._quarantine,
            self.journal.warn,
            self.masker.mask,
        )

    @property
    def disturbances(self) -> HostDisturbances:
        """What is disturbed on hosts."""
        if self._disturbances is None:
            from OttoLibrary.run.host_disturbances import HostDisturbances

            self._disturbances = HostDisturbances(self.lab, self.hosts, self.scopes, self.breaches.add_for_end, self.journal.warn)
        return self._disturbances

    def begin(self, kind: str) -> None:
        """Enter a ``suite`` or a ``test``; shells that are opened in it end with it when they are to last so long."""
        self.scopes.begin(kind)
        if kind == self._context.shell_scope:
            began = time.monotonic()
            self.scopes.on_end(lambda: self.hosts.close_shells(began))

    def variable(self, name: str) -> str:
        """Return a variable of the run, empty when it is not set."""
        return self._context.variable(name)

    def tell(self, sentence: str) -> None:
        """Tell the person who waits."""
        self._context.tell(sentence)

    def renew_leases(self) -> None:
        """Renew what is reserved now; a run that has reserved nothing loads nothing for it."""
        if self._reservations is not None:
            self._reservations.renew()

    def follow_suite(self) -> None:
        """Leave the lab of another repository, whose suite has ended, with its monitor, its hosts and its reservations."""
        if self.lab.is_of_another_repository:
            self.monitor.end()
            self.hosts.close()
            self._attempt(self._give_back)
            self.lab.forget()

    def load_lab(self, references: str) -> None:
        """Load other labs in place of the present one; its monitor ends and its hosts are closed. Raises LabError."""
        read = self.lab.read(references)
        self.monitor.end()
        self.hosts.close()
        self.lab.replace(references, read)

    def close(self) -> None:
        """End the run: all scopes, hosts, references and the engine; what fails is a warning and hides nothing. Idempotent."""
        with ExitStack() as all_of_them:
            for end in (self.engine.close, self.lab.close, self._give_back, self._close_hosts, self.scopes.close):
                all_of_them.callback(self._attempt, end)

    def _attempt(self, end: Callable[[], None]) -> None:
        try:
            end()
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest has to end too
            self.journal.warn(f"The end of the run failed: {error}")

    def _close_hosts(self) -> None:
        if self.engine.running:
            self._attempt(self.monitor.close)
            self.hosts.close()

    def _give_back(self) -> None:
        if self._reservations is not None:
            self._reservations.close()

    def _quarantine(self, resources: Collection[str], reason: str) -> None:
        self.reservations.quarantine(resources, reason)

    def _check(self, host: HostEntry) -> str:
        return self.reservations.check(host)

    def _output_limits(self) -> OutputLimits:
        from OttoLibrary.shell.output_file import OutputLimits

        written = self.suite.settings.output
        settings = OutputBounds.parsed(written.get("limit"), written.get("file_limit"))
        bounds, usual = self._context.output.over(settings), OutputLimits()
        return OutputLimits(
            usual.memory_bytes if bounds.memory_bytes is None else bounds.memory_bytes,
            usual.file_bytes if bounds.file_bytes is None else bounds.file_bytes,
            self._context.artifacts,
            self.journal.warn,
        )

    def _transcript(self, host: str) -> Transcript | None:
        from OttoLibrary.host.transcript import Transcript

        folder = self.suite.output_folder
        return Transcript(folder / "otto", host, self.masker.mask, self.journal.warn) if folder else None
