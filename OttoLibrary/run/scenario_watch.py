"""Writes down what happens in a scenario: the journal, the monitor's marks and spans, the log of failed runs, the timeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.report.timelines import Lane
from OttoLibrary.run.folded_log import MOST_FAILURES_LOGGED
from OttoLibrary.scenario.durable_journal import DurableJournal
from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent
from OttoLibrary.scenario.ledger import RunFailure
from OttoLibrary.scenario.reporter import Reported
from OttoLibrary.scenario.schedule import EventRun

if TYPE_CHECKING:
    from OttoLibrary.monitor.monitor import Monitor
    from OttoLibrary.run.run_monitor import RunMonitor


@dataclass
class _Spans:
    """Numbers of what is open among the monitor's events."""

    runs: dict[tuple[str, int], int] = field(default_factory=dict)
    phases: dict[str, int] = field(default_factory=dict)


class ScenarioWatch:
    """The watcher of one scenario; called on the event loop.

    Args:
        scenario: The scenario.
        monitor: The monitor of the run.
        began_wall_s: When the scenario began.
        log_failure: Logs a failed run in the main thread, unless what ran has logged it itself.
    """

    def __init__(
        self, scenario: Scenario, monitor: RunMonitor, began_wall_s: float, log_failure: Callable[[RunFailure], None]
    ) -> None:
        self._monitor, self._log_failure = monitor, log_failure
        self.began_wall_s = began_wall_s
        self.journal: DurableJournal | None = None
        self.length_s = scenario.duration_s or 0.0
        self.lanes = {event.name: Lane(event.name, self.length_s) for event in scenario.events}
        self._spans = _Spans()
        self._logged: dict[str, int] = {}

    async def before(self, run: EventRun) -> None:
        """Note that a run begins; what lasts is a span of the monitor."""
        if self.journal is not None:
            await self.journal.note_begin(run)
        if run.event.lasts_s is not None:
            key = (run.event.name, run.number)
            event = Event(time.time(), f"{run.event.name}, run {run.number}", "span")
            self._monitor.tell(lambda monitor: self._begin_span(monitor, self._spans.runs, key, event))

    async def after(self, run: EventRun, failure: RunFailure | None) -> None:
        """Note that a run has ended; one that failed is a mark of the monitor, and is logged."""
        ended_s = time.time() - self.began_wall_s
        self.lanes[run.event.name].add(run.began_s, max(run.began_s, ended_s), "failed" if failure else "run")
        if run.event.lasts_s is not None:
            key = (run.event.name, run.number)
            self._monitor.tell(lambda monitor: self._end_span(monitor, self._spans.runs, key))
        if failure is not None:
            text = f"{failure.event}, run {failure.number}: {failure.error.partition(chr(10))[0]}"
            mark = Event(failure.wall_s, text, "mark", failure.host)
            self._monitor.tell(lambda monitor: monitor.mark(mark))
            count = self._logged[failure.event] = self._logged.get(failure.event, 0) + 1
            if count <= MOST_FAILURES_LOGGED:
                self._log_failure(failure)
        if self.journal is not None:
            await self.journal.note_end(run, failure.error if failure else "")

    def left_out(self, event: ScenarioEvent, due_s: float, why: str) -> None:
        """Show it in the timeline."""
        self.lanes[event.name].add(due_s, due_s, "out")

    def phase(self, phase: Phase, is_begin: bool) -> None:
        """Make the phase a span of the monitor."""
        if is_begin:
            event = Event(time.time(), f"phase {phase.name}", "span")
            self._monitor.tell(lambda monitor: self._begin_span(monitor, self._spans.phases, phase.name, event))
        else:
            self._monitor.tell(lambda monitor: self._end_span(monitor, self._spans.phases, phase.name))

    def reported(self, result: Reported) -> None:
        """Make a result a reading of the host that it is about, or of the only one that is watched; called in any thread."""
        if result.value == result.value:  # not NaN
            self._monitor.tell(lambda monitor: _record(monitor, result))

    def _begin_span(self, monitor: Monitor, spans: dict[Any, int], key: Any, event: Event) -> None:
        spans[key] = monitor.mark(event)

    def _end_span(self, monitor: Monitor, spans: dict[Any, int], key: Any) -> None:
        number = spans.pop(key, None)
        if number is not None:
            monitor.end(number, time.time())


def _record(monitor: Monitor, result: Reported) -> None:
    watched = list(monitor.hosts)
    host = result.host if result.host in watched else watched[0] if len(watched) == 1 and not result.host else ""
    if host:
        monitor.record(host, result.series, result.value)
