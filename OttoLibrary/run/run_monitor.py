"""The monitor of a run: at most one watches, its own or one that another session shares with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotOpenError, OttoError, UsageError
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.open_hosts import OpenHosts
from OttoLibrary.run.running_suite import RunningSuite

if TYPE_CHECKING:
    from OttoLibrary.host.host import Host
    from OttoLibrary.monitor.monitor import Monitor

T = TypeVar("T")
# Below the output folder of a run.
RECORDING = "otto/metrics.db"


@dataclass(frozen=True)
class MonitorNotes:
    """Who writes down what a monitor found.

    Attributes:
        mask: Hides secrets in it.
        warn: Takes sentences that the reader must know.
        broken: Takes the limits that are broken when the monitor stops.
    """

    mask: Callable[[str], str]
    warn: Callable[..., None]
    broken: Callable[[Iterable[OttoError]], None]


class RunMonitor:
    """Starts, shares, asks and stops the monitor of a run.

    Args:
        hosts: The hosts of the run.
        lab: Their lab, which a recording describes.
        engine: Where a monitor of this session runs.
        notes: Who writes down what it found.
    """

    def __init__(self, hosts: OpenHosts, lab: CurrentLab, engine: Engine, notes: MonitorNotes) -> None:
        self._hosts, self._lab, self._engine, self._notes = hosts, lab, engine, notes
        self._monitor: Monitor | None = None
        self._its_engine = engine

    @property
    def running(self) -> Monitor:
        """The monitor that runs; raise NotOpenError when there is none."""
        if self._monitor is None:
            raise NotOpenError("No monitor is running. Start one with 'Start Monitor' or with '--listener OttoLibrary.Metrics'.")
        return self._monitor

    @property
    def is_running(self) -> bool:
        """True when a monitor runs, this session's or a shared one."""
        return self._monitor is not None

    @property
    def is_shared(self) -> bool:
        """True when the monitor that runs is another session's."""
        return self._monitor is not None and self._its_engine is not self._engine

    def start(self, names: Sequence[str], metrics: Sequence[str], interval_s: float, store: Path | None, label: str) -> None:
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
        hosts = self._hosts.free(names)
        monitor = Monitor(hosts, metrics, interval_s, mask=self._notes.mask)
        self._engine.call(monitor.prepare())
        if store is not None:
            monitor.store = open_store(store, self._notes.mask(label), self._described(hosts), interval_s)
        self._monitor, self._its_engine = monitor, self._engine
        self._engine.call(monitor.start())

    def share(self, other: RunMonitor) -> None:
        """Ask the monitor of another session from now on, unless one runs here; it stays the other's."""
        if self._monitor is None and other._monitor is not None:
            self._monitor, self._its_engine = other._monitor, other._engine

    def end(self) -> None:
        """Stop the monitor of this session, if it runs; forget a shared one."""
        if self._monitor is not None:
            self._engine.call(self.stop())

    async def stop(self) -> None:
        """Do what ``end`` does, on the engine."""
        is_shared, monitor, self._monitor = self.is_shared, self._monitor, None
        if monitor is not None and not is_shared:
            self._notes.broken(await monitor.take_limits(wait_s=0))
            await monitor.stop()
            self._notes.warn(*monitor.take_warnings())

    def ask(self, question: Callable[[Monitor], Coroutine[Any, Any, T]]) -> T:
        """Return what the monitor answers; raise NotOpenError."""
        return self._its_engine.call(question(self.running))

    def do(self, work: Callable[[Monitor], T]) -> T:
        """Do something with the monitor on its own engine, without a pause, and return the result; raise NotOpenError."""

        async def done(monitor: Monitor) -> T:
            return work(monitor)

        return self.ask(done)

    def post(self, work: Callable[[Monitor], object]) -> None:
        """Do something with the monitor on its own engine, later, and wait for nothing; without a monitor nothing."""
        monitor = self._monitor
        if monitor is not None:
            self._its_engine.post(lambda: work(monitor))

    def _described(self, hosts: Sequence[Host]) -> dict[str, Any]:
        lab = self._lab
        return {
            "labs": self._notes.mask(lab.references),
            "hosts": {host.name: list(host.path) for host in hosts},
            "tags": {host.name: list(lab.loaded.entry(host.name).tags) for host in hosts},
        }


def monitor_option(suite: RunningSuite, key: str, given: T | None, fallback: T) -> T:
    """Return how hosts are watched: as given, or as the table ``[monitor]`` of the suite's settings says, or the fallback."""
    return given or suite.settings.monitor.get(key) or fallback


def recording_path(suite: RunningSuite, given: str) -> Path | None:
    """Return where a recording goes: a path beside the log, by default ``RECORDING``; None for ``none`` or without a log."""
    place = monitor_option(suite, "store", given, "")
    if place.lower() == "none" or not (place or suite.output_folder):
        return None
    return (suite.output_folder or Path()) / (place or RECORDING)
