"""The monitor of a run, as one session sees it: hosts are watched together with all other sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotOpenError, OttoError
from OttoLibrary.run.common_monitor import CommonMonitor, Joined
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.open_hosts import OpenHosts
from OttoLibrary.run.running_suite import RunningSuite

if TYPE_CHECKING:
    from OttoLibrary.lab.host_entry import HostEntry
    from OttoLibrary.monitor.monitor import Monitor, WatchedHost
    from OttoLibrary.monitor.watching import Watching

T = TypeVar("T")
# Below the output folder of a run.
RECORDING = "otto/metrics.db"
# What leaves an option to the settings; a zero does not.
_NOT_GIVEN = (None, "")


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
    """Has hosts read for a session: together with all others of the run, so that there is one monitor and one recording.

    Args:
        hosts: The hosts of the run.
        lab: Their lab, which a recording describes.
        engine: Where they are read.
        notes: Who writes down what was found.

    Attributes:
        engine: Where hosts are read.
    """

    def __init__(self, hosts: OpenHosts, lab: CurrentLab, engine: Engine, notes: MonitorNotes) -> None:
        self._hosts, self._lab, self.engine, self._notes = hosts, lab, engine, notes
        self._common: CommonMonitor | None = None
        self._watching: Watching | None = None
        self._joined: list[Joined] = []

    @property
    def running(self) -> Monitor:
        """The monitor that runs; raise NotOpenError when there is none."""
        return self._live.monitor

    @property
    def is_running(self) -> bool:
        """True when a monitor runs, for this session or for another that shares it."""
        return self._common is not None and not self._common.is_over

    @property
    def began(self) -> float:
        """Since when this session has hosts read, or since when the monitor runs; raise NotOpenError when there is none."""
        return self._joined[-1].began if self._joined else self.running.began

    @property
    def own_hosts(self) -> list[str]:
        """The hosts that the last ``start`` of this session asked for, until it ends."""
        return list(self._joined[-1].request.metrics) if self._joined else []

    @property
    def watching(self) -> Watching:
        """The watches on hosts of this session."""
        assert self._watching is not None
        return self._watching

    def entry(self, host: str) -> HostEntry:
        """Return what the lab of this session says of a host."""
        return self._lab.loaded.entry(host)

    def start(self, names: Sequence[str], metrics: Sequence[str], interval_s: float, store: Path | None, label: str) -> Joined:
        """Have hosts read, too, when a monitor runs already; raise what a wrong name or file raises.

        Args:
            names: The hosts.
            metrics: What to read, none for the usual.
            interval_s: Seconds between two readings, at most.
            store: The file to keep all in, or None; one that a monitor keeps already is shared. One that runs keeps its own.
            label: What the recording is called.

        Returns:
            What ``give_back`` ends.
        """
        from OttoLibrary.monitor.watching import watch_request

        hosts = {host.name: host for host in self._hosts.free(names)}
        request = self.engine.call(watch_request(list(hosts.values()), metrics, interval_s))
        common = self._live if self.is_running else CommonMonitor.recording(store) or self._new(interval_s)
        joined = Joined(request, common.divided(request, self), time.time())
        if not common.monitor.is_wanted:
            self._record(common, store, label, interval_s)
        self._watch_for(common)
        self._joined.append(joined)
        try:
            common.admit(joined, self._described(hosts), self._notes.mask(self._lab.references))
            for reader, part in joined.parts:
                reader.engine.call(reader.watching.begin(part, hosts if reader is self else {}))
        except BaseException:
            self.engine.call(self.give_back(joined))
            raise
        return joined

    def share(self, other: RunMonitor) -> None:
        """Ask the monitor of another session from now on, unless one runs here; it stays the other's."""
        if not self.is_running and other.is_running:
            self._common = other._common

    def end(self) -> None:
        """Give back all that this session asked for; forget the monitor, which goes on for others."""
        while self._joined:
            self.engine.call(self.give_back(self._joined[-1]))
        watching, self._watching, self._common = self._watching, None, None
        if watching is not None:
            self.engine.call(watching.stop())

    def close(self) -> None:
        """Do the same, and stop the monitor when it lives on the engine of this session, which ends too."""
        common = self._common
        self.end()
        if common is not None and common.engine is self.engine:
            self.engine.call(common.stop())

    def stop_last(self) -> None:
        """Give back what the last ``start`` of this session asked for; raise NotOpenError when there is none."""
        if not self._joined:
            raise NotOpenError("No monitor is running. Start one with 'Start Monitor'.")
        self.engine.call(self.give_back(self._joined[-1]))

    async def give_back(self, joined: Joined) -> None:
        """End what ``start`` began, on the engine; when nobody else has hosts read, the monitor stops. Idempotent."""
        if joined not in self._joined:
            return
        self._joined.remove(joined)
        common = self._common
        if common is None:
            return
        self._notes.broken(await common.give_back(joined))
        if common.is_over:
            self._notes.warn(*common.monitor.take_warnings())
            self._common = None

    def ask(self, question: Callable[[Monitor], Coroutine[Any, Any, T]]) -> T:
        """Return what the monitor answers; raise NotOpenError."""
        return self._live.engine.call(question(self.running))

    def do(self, work: Callable[[Monitor], T]) -> T:
        """Do something with the monitor on its own engine, without a pause, and return the result; raise NotOpenError."""

        async def done(monitor: Monitor) -> T:
            return work(monitor)

        return self.ask(done)

    def tell(self, work: Callable[[Monitor], object]) -> None:
        """Do something with the monitor soon, if one runs, on its own engine; may be called in any thread."""
        common = self._common
        if common is not None and not common.is_over:
            common.engine.post(lambda: work(common.monitor))

    @property
    def _live(self) -> CommonMonitor:
        if self._common is None or self._common.is_over:
            raise NotOpenError("No monitor is running. Start one with 'Start Monitor' or with '--listener OttoLibrary.Metrics'.")
        return self._common

    def _new(self, interval_s: float) -> CommonMonitor:
        from OttoLibrary.monitor.monitor import Monitor

        return CommonMonitor(Monitor(interval_s, self._notes.mask), self.engine)

    def _record(self, common: CommonMonitor, store: Path | None, label: str, interval_s: float) -> None:
        from OttoLibrary.monitor.monitor import open_store

        if store is not None:
            common.monitor.store = open_store(store, self._notes.mask(label), {}, interval_s)
        self.engine.call(common.monitor.start())

    def _watch_for(self, common: CommonMonitor) -> None:
        """Read hosts for a monitor from now on, which may live on another engine."""
        from OttoLibrary.monitor.watching import RemoteSink, Watching

        if self._watching is None or self._common is not common:
            monitor = common.monitor
            self._watching = Watching(monitor if common.engine is self.engine else RemoteSink(monitor, common.engine))
        self._common = common

    def _described(self, hosts: Iterable[str]) -> dict[str, WatchedHost]:
        from OttoLibrary.monitor.monitor import WatchedHost

        return {name: WatchedHost(self._hosts.path_to(name), self.entry(name).tags) for name in hosts}


def monitor_option(suite: RunningSuite, key: str, given: T | None, fallback: T) -> T:
    """Return how hosts are watched: as given, or as the table ``[monitor]`` of the suite's settings says, or the fallback."""
    if given in _NOT_GIVEN:
        return suite.settings.monitor.get(key) or fallback
    return given


def recording_path(suite: RunningSuite, given: str) -> Path | None:
    """Return where a recording goes: a path beside the log, by default ``RECORDING``; None for ``none`` or without a log."""
    place = monitor_option(suite, "store", given, "")
    if place.lower() == "none" or not (place or suite.output_folder):
        return None
    return (suite.output_folder or Path()) / Path(place or RECORDING).expanduser()
