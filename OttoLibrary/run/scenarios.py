"""Runs scenarios in a test: what events do, where their keywords run, what is written down, and how it ends on every way."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.errors import ExecutionFailed  # type: ignore[import-untyped]

from OttoLibrary.contracts.connections import Record
from OttoLibrary.errors import NotOpenError, OttoError, ScenarioError, ScenarioFailedError, UsageError
from OttoLibrary.masking import mask
from OttoLibrary.run.event_keywords import EventKeyword, KeywordFailedError, in_teardown, look_for_signal, reason_of
from OttoLibrary.run.folded_log import FoldedLog
from OttoLibrary.run.main_thread import MainResult, MainThread, MainWork
from OttoLibrary.run.scenario_actions import ScenarioActions, ScenarioSurroundings
from OttoLibrary.run.scenario_watch import ScenarioWatch
from OttoLibrary.scenario import description, durable_journal
from OttoLibrary.scenario.durable_journal import DurableJournal
from OttoLibrary.scenario.events import Scenario
from OttoLibrary.scenario.ledger import RunFailure
from OttoLibrary.scenario.reporter import Reporter
from OttoLibrary.scenario.schedule import Conclusion, ScenarioRun

if TYPE_CHECKING:
    from OttoLibrary.run.session import Session

_MOST_TOLD = 20


@dataclass(frozen=True)
class Performance:
    """A scenario that was run.

    Attributes:
        scenario: The scenario.
        conclusion: How it ended.
        watch: What it looked like.
        files: The files with what its events reported.
        is_fatal: An event asked for the end of the whole execution.
    """

    scenario: Scenario
    conclusion: Conclusion
    watch: ScenarioWatch
    files: tuple[Path, ...]
    is_fatal: bool = False


class SessionScenarios:
    """The scenarios of a run of Robot Framework; called in its main thread.

    Args:
        session: The run.

    Attributes:
        last: The one that ran last, or None.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._added: list[dict[str, Any]] = []
        self._reporter: Reporter | None = None
        self.last: Performance | None = None

    @property
    def reporter(self) -> Reporter:
        """Takes the results of the scenario that runs; raise NotOpenError when none does."""
        if self._reporter is None:
            raise NotOpenError("No scenario is running. An event reports while 'Run Scenario' runs it.")
        return self._reporter

    def add(self, values: Mapping[str, Any]) -> None:
        """Add an event to the scenario that runs next; raise ScenarioError for a wrong one."""
        description.of_values({"duration": 1, "events": [dict(values)]}, f"event '{values.get('name', '')}'")
        if not self._added:
            self._session.scopes.on_end(self._forget)
        self._added.append(dict(values))

    def chosen(self, file: Path | None, duration_s: float | None, name: str) -> Scenario:
        """Return the scenario of a file, of the events that were added, or of both.

        Raises:
            ScenarioError: Something is wrong in it. UsageError: There are no events, or nobody says how long it takes.
        """
        found = description.read(file).scenario if file is not None else None
        if found is None and not self._added:
            raise UsageError("There is nothing to run. Name a description, or add events with 'Add Scenario Event'.")
        if self._added:
            values = {"events": self._added, "duration": duration_s or (found.duration_s if found else None) or 1}
            added = description.of_values(values, name or "scenario").scenario
            found = replace(found, events=(*found.events, *added.events)) if found else added
            self._check_names(found)
        assert found is not None
        if duration_s is not None:
            found = replace(found, duration_s=duration_s)
        elif file is None or found.duration_s is None:
            raise UsageError("Nobody says how long the scenario takes. Write 'duration=2 h'.")
        return replace(found, name=name or found.name)

    def run(self, scenario: Scenario, resume: bool, log: Callable[[str], None]) -> Performance:
        """Run a scenario to its end, on whatever way that comes; return what became of it.

        Args:
            scenario: The scenario, whose duration is known.
            resume: Go on where an earlier process was ended.
            log: Writes a failed run into the log, as HTML.

        Raises:
            ScenarioError: It cannot be run as it is; nothing was started.
            BaseException: What interrupted it, once everything has ended.
        """
        if self._reporter is not None:
            raise UsageError("A scenario is running already. An event cannot run another one.")
        self._added = []
        performer = _Performer(self._session, scenario, log)
        self._reporter = performer.reporter
        try:
            self.last = None
            performer.run(resume)
        finally:
            self._reporter = None
            self.last = performer.performance
        assert self.last is not None
        return self.last

    async def _forget(self) -> None:
        self._added = []

    def _check_names(self, scenario: Scenario) -> None:
        names = [event.name for event in scenario.events]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ScenarioError([f"{scenario.source}: the event {name!r} is there twice; rename one" for name in twice])


class _Performer:
    """One scenario on its way."""

    def __init__(self, session: Session, scenario: Scenario, log: Callable[[str], None]) -> None:
        self._session, self._scenario, self._log = session, scenario, log
        folder = session.suite.output_folder
        self._folder = folder / "otto" if folder is not None else None
        self._file_name = re.sub(r"[^\w-]+", "_", mask(scenario.name))[:60] or "scenario"
        self._began_wall_s = time.time()
        self.watch = ScenarioWatch(scenario, session.monitor, self._began_wall_s, self._log_failure)
        self.reporter = Reporter(self._folder, f"scenario-{self._file_name}", self.watch.reported, session.journal.warn)
        self._main = MainThread()
        self._run: ScenarioRun | None = None
        self._actions = ScenarioActions(
            ScenarioSurroundings(session, self._main, self.reporter, self._stop, FoldedLog(), self._say)
        )
        self._made: Mapping[str, Any] = {}
        self._is_fatal = False
        self._last: MainResult | None = None
        self.performance: Performance | None = None

    def run(self, resume: bool) -> None:
        unfinished = self._unfinished() if resume else None
        if unfinished is not None:
            self._began_wall_s = unfinished.began_wall_s
        self._made = self._actions.make(self._scenario)
        setup = [EventKeyword(name, {}, {}) for name in self._scenario.setup]
        for keyword in setup:
            keyword.run({})
        resumption = unfinished.resumption(self._scenario, time.time()) if unfinished else None
        run = self._run = ScenarioRun(
            self._scenario, self._made, self.watch, seed=f"{self._scenario.name} {self._began_wall_s}", resumption=resumption
        )
        self.watch.began_wall_s = self._began_wall_s
        task = self._session.engine.call(self._begin(run))
        try:
            self._serve(task, self._session.breaches.call)
        except BaseException as error:
            run.stop(reason_of(error))
            self._wind_down(task, run)
            raise
        finally:
            self._conclude(task)

    async def _begin(self, run: ScenarioRun) -> asyncio.Task[Conclusion]:
        return asyncio.get_running_loop().create_task(self._perform(run))

    async def _perform(self, run: ScenarioRun) -> Conclusion:
        journal = None
        if self._folder is not None:
            warn = self._session.journal.warn
            journal = DurableJournal(self._journal_path(), self._scenario, run.ledger, self._began_wall_s, warn)
            await journal.begin(run.last_due_s)
            self.watch.journal = journal
        await self._actions.connect(self._scenario)
        conclusion = await run.run()
        if journal is not None:
            await journal.end()
        return conclusion

    def _serve(self, task: asyncio.Task[Conclusion], call: Callable[[Any], Any]) -> None:
        """Do in the main thread what only that can do, until the scenario is over."""
        while True:
            result, self._last = self._last, None
            try:
                work: MainWork | None = call(self._main.next(task, result))
            except BaseException:
                self._last = result
                raise
            if work is None:
                return
            self._last = MainResult(work, error=OttoError("It was interrupted."))
            self._last = self._done(work)
            look_for_signal()

    def _done(self, work: MainWork) -> MainResult:
        try:
            return MainResult(work, work.do())
        except ExecutionFailed:
            raise
        except Exception as error:  # noqa: BLE001 - it is the result of an event
            self._is_fatal |= isinstance(error, KeywordFailedError) and error.is_fatal
            return MainResult(work, error=error)

    def _wind_down(self, task: asyncio.Task[Conclusion], run: ScenarioRun) -> None:
        """Let what runs end, undo what was done, run the last events; who interrupts that too ends the last events."""
        with in_teardown():
            try:
                self._serve(task, self._session.engine.call)
            except BaseException as error:
                run.give_up(reason_of(error))
                self._serve(task, self._session.engine.call)
                raise

    def _conclude(self, task: asyncio.Task[Conclusion]) -> None:
        self.reporter.close()
        self._actions.close()
        if task.done() and not task.cancelled() and task.exception() is None:
            files = tuple(self.reporter.files)
            self.performance = Performance(self._scenario, task.result(), self.watch, files, self._is_fatal)
        elif task.done() and not task.cancelled():
            error = task.exception()
            assert error is not None
            raise error

    def _stop(self, reason: str) -> None:
        if self._run is not None:
            self._run.stop(reason)

    def _say(self, sentence: str) -> None:
        from html import escape

        from OttoLibrary.report.blocks import plain

        self._log(f"<p>{escape(plain(sentence))}</p>")

    def _unfinished(self) -> durable_journal.Unfinished | None:
        return durable_journal.unfinished(self._journal_path()) if self._folder is not None else None

    def _journal_path(self) -> Path:
        assert self._folder is not None
        return self._folder / f"scenario-{self._file_name}.journal"

    def _log_failure(self, failure: RunFailure) -> None:
        records = self._actions.records.pop(failure.event, [])
        if not self._made[failure.event].is_exclusive:
            # A keyword has written itself.
            self._main.tell(lambda: self._log(_failure_html(failure, records)))


def _failure_html(failure: RunFailure, records: list[Record]) -> str:
    from html import escape

    from OttoLibrary.report.blocks import plain

    where = f" on host '{failure.host}'" if failure.host else ""
    at = time.strftime("%H:%M:%S", time.localtime(failure.wall_s))
    title = escape(plain(f"Event '{failure.event}', run {failure.number}, {at}{where} failed:"))
    return f"<p>{title}</p><pre>{escape(plain(failure.error))}</pre>"


def verdict(performance: Performance) -> None:
    """Raise ScenarioFailedError unless a scenario passed."""
    conclusion = performance.conclusion
    told = [*conclusion.left, *conclusion.failures]
    if not told:
        return
    listed = "\n".join(f"  {line}" for line in told[:_MOST_TOLD])
    more = f"\n  ... and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    raise ScenarioFailedError(f"Scenario '{performance.scenario.name}' failed:\n{listed}{more}", is_fatal=performance.is_fatal)
