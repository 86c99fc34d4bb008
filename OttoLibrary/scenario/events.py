"""What a scenario consists of, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What an event does, by the key that says it. An event without any of them is called by its own name.
KINDS = ("keyword", "function", "command", "impairment", "service", "fill", "clock", "reboot", "power", "load")
DISTURBANCES = ("impairment", "service", "fill", "clock", "reboot", "power")
OVERLAPS = ("skip", "queue", "allow")
ON_ERRORS = ("continue", "fail", "stop")


@dataclass(frozen=True)
class Phase:
    """A stretch of a scenario that has a name.

    Attributes:
        name: Its name, such as ``ramp``.
        began_s: When it begins, in seconds after the start.
        ended_s: When it ends.
    """

    name: str
    began_s: float
    ended_s: float


@dataclass(frozen=True)
class ScenarioEvent:
    """One scheduled step.

    Attributes:
        name: What it is called; of two that are called alike the second has ``#2`` behind.
        kind: What it does: one of ``KINDS``, or empty when it is called by its own name.
        target: The keyword, function, command or disturbance.
        params: The arguments.
        every_s: Seconds from start to start, or None.
        cron: When, by the wall clock, or empty.
        time_zone: Where that clock hangs; empty for this machine's.
        jitter_s: Each is late by a random time of at most this.
        start_after_s: Its first time is so long after the start, or after the start of its phase.
        times: How often at most, or None.
        lasts_s: It lasts so long and is undone then; None for one that does not last.
        at_startup: The first time is at once, rather than one interval later.
        at_teardown: It runs once more after the end.
        hosts: A selection; it runs on each. Empty for none.
        timeout_s: How long a run may take, or None.
        overlap: What happens when it is due while it runs.
        on_error: What happens when it fails.
        max_failures: After so many failures it is not run again, or None.
        depends_on: It starts only after these have passed.
        phase: Runs only in this phase; empty for all of the time.
        undo: What undoes it, a keyword or command; empty for none, or the disturbance's own.
        probe: What says whether the system is as it should be, a keyword or command.
        path: Where it stands in its description.
    """

    name: str
    kind: str = ""
    target: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    every_s: float | None = None
    cron: str = ""
    time_zone: str = ""
    jitter_s: float = 0.0
    start_after_s: float | None = None
    times: int | None = None
    lasts_s: float | None = None
    at_startup: bool = True
    at_teardown: bool = False
    hosts: str = ""
    timeout_s: float | None = None
    overlap: str = "skip"
    on_error: str = "fail"
    max_failures: int | None = None
    depends_on: tuple[str, ...] = ()
    phase: str = ""
    undo: str = ""
    probe: str = ""
    path: str = ""

    @property
    def is_scheduled(self) -> bool:
        """True when it is due at least once before the end."""
        return bool(self.every_s or self.cron or self.at_startup or self.start_after_s is not None)


@dataclass(frozen=True)
class Scenario:
    """A long test, as its events.

    Attributes:
        name: What it is called.
        duration_s: How long it takes, without its teardown events; None when whoever runs it says so.
        events: Its events, in the order in which they are written.
        phases: Its phases, one after the other.
        setup: Keywords that run before all.
        stop_on_lost_host: It ends when the connection to a host is lost.
        source: The file, or what else it comes from.
    """

    name: str
    duration_s: float | None
    events: tuple[ScenarioEvent, ...]
    phases: tuple[Phase, ...] = ()
    setup: tuple[str, ...] = ()
    stop_on_lost_host: bool = False
    source: str = ""

    def window(self, event: ScenarioEvent) -> tuple[float, float]:
        """Return when an event may be due: from and until, in seconds after the start."""
        end_s = self.duration_s if self.duration_s is not None else float("inf")
        for phase in self.phases:
            if phase.name == event.phase:
                return phase.began_s, min(phase.ended_s, end_s)
        return 0.0, end_s
