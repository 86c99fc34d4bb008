"""The schedule engine: starts each event when it is due, and accounts for all that was.

One heap holds the next time of each event. Times are those of the event loop's clock, which nobody can set, so intervals are kept
from start to start without drift. Events run as tasks beside each other; those that are exclusive, such as Robot Framework's
keywords, one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from OttoLibrary.errors import DisturbanceEndedError
from OttoLibrary.scenario.due_times import DueTimes
from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent
from OttoLibrary.scenario.kill_switch import KillSwitch
from OttoLibrary.scenario.ledger import EventLedger, RunFailure, ScenarioLedger
from OttoLibrary.units import duration_text

THE_END = "the end of the scenario"
# A step of the wall clock is noticed by cron expressions within this time.
_LOOK_AT_WALL_S = 30.0
_WORTH_A_REASON_S = 0.02
_GRACE_S = 5.0
# The clock of the loop may wake us this much early.
_SAME_S = 1e-6
_UNDO_S = 120.0
_TEARDOWN_S = 600.0
_MOST_WAITING = 10_000
_MOST_AT_A_TIME = 1000


@dataclass
class EventRun:
    """One run of an event, as its action sees it.

    Attributes:
        event: The event.
        number: Which run of it, counted from 1.
        due_s: When it was due, in seconds after the start.
        kill_switch: Set when it has to end.
        began_s: When it began.
        host: The host that failed, set by the action.
        notes: What the action wants to be told of it.
    """

    event: ScenarioEvent
    number: int
    due_s: float
    kill_switch: KillSwitch
    began_s: float = 0.0
    host: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Action:
    """What an event does.

    Attributes:
        do: Does it; raises what failed.
        undo: Undoes it, or None. It is called once for all that was done, also after a failure.
        probe: Raises when the system is not as it should be; called with ``before``, ``during`` or ``after``. None for none.
        is_exclusive: Only one exclusive action runs at a time.
        sees_kill_switch: It ends by itself soon after the kill switch is set; any other is cancelled.
    """

    do: Callable[[EventRun], Awaitable[object]]
    undo: Callable[[EventRun], Awaitable[object]] | None = None
    probe: Callable[[EventRun, str], Awaitable[object]] | None = None
    is_exclusive: bool = False
    sees_kill_switch: bool = False


class Watcher(Protocol):
    """Hears what happens in a scenario, on the event loop."""

    async def before(self, run: EventRun) -> None:
        """Called before a run begins."""

    async def after(self, run: EventRun, failure: RunFailure | None) -> None:
        """Called after a run has ended."""

    def left_out(self, event: ScenarioEvent, due_s: float, why: str) -> None:
        """Called for what was due and did not run."""

    def phase(self, phase: Phase, is_begin: bool) -> None:
        """Called when a phase begins or ends."""


@dataclass(frozen=True)
class Conclusion:
    """How a scenario ended.

    Attributes:
        ledger: The numbers.
        reason: Why it ended.
        is_complete: It ran as long as it should.
        failures: What fails the test, each a sentence.
        left: What could not be undone, each a sentence.
        lasted_s: How long it ran, its teardown not counted.
    """

    ledger: ScenarioLedger
    reason: str
    is_complete: bool
    failures: tuple[str, ...]
    left: tuple[str, ...]
    lasted_s: float


@dataclass(frozen=True)
class Resumption:
    """Where an earlier process was.

    Attributes:
        ledgers: The numbers that it noted, by event.
        last_due_s: When each event was due last.
        interrupted: The runs that had begun and not ended, by event.
        elapsed_s: How long ago the scenario began.
    """

    ledgers: Mapping[str, EventLedger]
    last_due_s: Mapping[str, float]
    interrupted: Mapping[str, int]
    elapsed_s: float


class _State:
    """What is known of one event while the scenario runs."""

    def __init__(self, event: ScenarioEvent, action: Action, times: DueTimes, ledger: EventLedger) -> None:
        self.event, self.action, self.times, self.ledger = event, action, times, ledger
        self.active = 0
        self.last_due_s = -1.0
        self.waiting: deque[float] = deque()
        self.last_passed: bool | None = None
        self.finished = asyncio.Event()
        self.to_undo: EventRun | None = None

    @property
    def is_given_up(self) -> bool:
        limit = self.event.max_failures
        return limit is not None and self.ledger.failed >= limit


class _LeftOut(Exception):
    """A run that is not begun after all; says why."""


class ScenarioRun:
    """Runs one scenario once.

    Args:
        scenario: The scenario; its duration is known.
        actions: What each event does, by its name.
        watcher: Hears what happens.
        seed: Of what is left to chance.
        resumption: Where an earlier process was, or None.
        wall_clock: Tells the time in seconds since 1970.

    Attributes:
        kill_switch: Ends it.
        ledger: The numbers.
    """

    def __init__(
        self,
        scenario: Scenario,
        actions: Mapping[str, Action],
        watcher: Watcher,
        *,
        seed: str = "",
        resumption: Resumption | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.scenario, self.kill_switch = scenario, KillSwitch()
        self._watcher, self._wall, self._resumption = watcher, wall_clock, resumption
        known = resumption.ledgers if resumption else {}
        ledgers = {event.name: known.get(event.name) or EventLedger(event.name) for event in scenario.events}
        self.ledger = ScenarioLedger(ledgers.values())
        self._states = {
            event.name: _State(event, actions[event.name], DueTimes(scenario, event, seed), ledgers[event.name])
            for event in scenario.events
        }
        self._order = {event.name: number for number, event in enumerate(scenario.events)}
        self._heap: list[tuple[float, int, str, bool]] = []
        self._tasks: dict[asyncio.Task[None], _State] = {}
        self._exclusive = asyncio.Lock()
        self._holder = ""
        self._woken = asyncio.Event()
        self._origin = 0.0
        self._failures: list[str] = []
        self._left: list[str] = []
        self._teardown_switch = KillSwitch()

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._origin

    @property
    def last_due_s(self) -> dict[str, float]:
        """When each event was due last, in seconds after the start."""
        before = self._resumption.last_due_s if self._resumption else {}
        return {**before, **{name: state.last_due_s for name, state in self._states.items() if state.last_due_s >= 0}}

    @property
    def _end_s(self) -> float:
        assert self.scenario.duration_s is not None  # whoever runs it has said so
        return self.scenario.duration_s

    def stop(self, reason: str) -> None:
        """End it before its time; may be called in any thread. The events of the end still run."""
        self.kill_switch.set(reason)

    def give_up(self, reason: str) -> None:
        """End it, and the events of the end too; what was done is still undone."""
        self.stop(reason)
        self._teardown_switch.set(reason)

    async def run(self) -> Conclusion:
        """Run all events, and return how it ended; what fails is in that, and is not raised."""
        loop = asyncio.get_running_loop()
        elapsed_s = self._resumption.elapsed_s if self._resumption else 0.0
        self._origin = loop.time() - elapsed_s
        self.kill_switch.on_set(lambda: loop.call_soon_threadsafe(self._woken.set))
        phases = deque(_boundaries(self.scenario.phases, elapsed_s))
        try:
            if self._resumption is not None:
                await self._resume(self._resumption)
            for state in self._states.values():
                self._push(state)
            await self._start_what_is_due(phases)
        finally:
            reason = self.kill_switch.reason
            self.kill_switch.set(THE_END)
            lasted_s = self.now_s
            await self._end_runs()
            self._end_phases(phases)
            await self._undo_all()
            await self._run_teardown_events()
        return self._concluded(reason, lasted_s)

    def _concluded(self, reason: str, lasted_s: float) -> Conclusion:
        failures = list(self._failures)
        if reason:
            failures.append(f"It ended early, after {duration_text(lasted_s)}: {reason}.")
        return Conclusion(self.ledger, reason or THE_END, not reason, tuple(failures), tuple(self._left), lasted_s)

    # -- what is due

    async def _start_what_is_due(self, phases: deque[tuple[float, Phase, bool]]) -> None:
        while not self.kill_switch.is_set():
            now_s = self.now_s
            while phases and phases[0][0] <= now_s + _SAME_S:
                _, phase, is_begin = phases.popleft()
                self._watcher.phase(phase, is_begin)
            while self._heap and self._heap[0][0] <= now_s + _SAME_S:
                self._come_due(*heapq.heappop(self._heap), now_s=now_s)
            if now_s + _SAME_S >= self._end_s:
                return
            boundary_s = phases[0][0] if phases else self._end_s
            await self._sleep_until(min(self._heap[0][0] if self._heap else self._end_s, boundary_s, self._end_s))

    async def _sleep_until(self, at_s: float) -> None:
        loop = asyncio.get_running_loop()
        alarm = loop.call_at(self._origin + at_s, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
            self._woken.clear()

    def _push(self, state: _State) -> None:
        now_s = self.now_s
        due_s = state.times.next_s(now_s, self._wall())
        if due_s is None or now_s >= state.times.ended_s:
            return
        is_look = bool(state.event.cron) and due_s > now_s + _LOOK_AT_WALL_S
        at_s = now_s + _LOOK_AT_WALL_S if is_look else due_s
        heapq.heappush(self._heap, (at_s, self._order[state.event.name], state.event.name, is_look))

    def _come_due(self, due_s: float, _order: int, name: str, is_look: bool, *, now_s: float) -> None:
        state = self._states[name]
        if not is_look:
            state.times.take(now_s, self._wall())
            state.last_due_s = due_s
            state.ledger.due += 1
            self._decide(state, due_s, now_s)
        self._push(state)

    def _decide(self, state: _State, due_s: float, now_s: float) -> None:
        """Begin a run that is due, let it wait, or leave it out."""
        event = state.event
        if now_s + _SAME_S >= self._end_s:
            self._miss(state, due_s, "its time had come and gone when the scenario ended")
        elif event.cron and due_s < now_s - _LOOK_AT_WALL_S:
            self._miss(state, due_s, "the clock on the wall was set past it")
        elif state.is_given_up:
            self._skip(state, due_s, f"it had failed {event.max_failures} times")
        elif not state.active or (event.overlap == "allow" and state.active < _MOST_AT_A_TIME):
            self._begin(state, due_s, "")
        elif event.overlap == "queue" and len(state.waiting) < _MOST_WAITING:
            state.waiting.append(due_s)
        else:
            self._skip(state, due_s, "an earlier run still ran")

    def _skip(self, state: _State, due_s: float, why: str) -> None:
        state.ledger.skip(why)
        self._watcher.left_out(state.event, due_s, f"skipped: {why}")

    def _miss(self, state: _State, due_s: float, why: str) -> None:
        state.ledger.miss(why)
        self._watcher.left_out(state.event, due_s, f"missed: {why}")

    def _begin(self, state: _State, due_s: float, why_late: str) -> None:
        state.active += 1
        task = asyncio.get_running_loop().create_task(self._run(state, due_s, why_late, self.kill_switch))
        self._tasks[task] = state
        task.add_done_callback(self._tasks.pop)

    # -- one run

    async def _run(self, state: _State, due_s: float, why_late: str, kill_switch: KillSwitch) -> None:
        run = EventRun(state.event, 0, due_s, kill_switch)
        is_over = False
        try:
            if kill_switch is self.kill_switch:
                why_late = await self._wait_for_needed(state) or why_late
            await self._do(state, run, why_late)
            is_over = True
        except _LeftOut as left_out:
            self._skip(state, due_s, str(left_out))
        except asyncio.CancelledError:
            if run.number == 0:
                self._miss(state, due_s, "it still waited when the scenario ended")
            else:
                state.ledger.ended_early += 1
        finally:
            state.active -= 1
            if is_over or run.number:
                state.finished.set()
        if state.waiting and not self.kill_switch.is_set():
            self._begin(state, state.waiting.popleft(), "an earlier run still ran")

    async def _wait_for_needed(self, state: _State) -> str:
        """Wait for the events that this one needs; return why that took time. Raises _LeftOut when one did not pass."""
        late = ""
        for name in state.event.depends_on:
            needed = self._states[name]
            if not needed.finished.is_set():
                late = f"it waited for '{name}'"
                await needed.finished.wait()
            if not needed.last_passed:
                raise _LeftOut(f"'{name}' had not passed")
        return late

    async def _do(self, state: _State, run: EventRun, why_late: str) -> None:
        """Do all of a run: begin, last, undo, and account for it."""
        action, failure = state.action, None
        async with self._turn(state, run, why_late):
            failure = await self._attempt(state, run, self._doing(state, run))
        if state.event.lasts_s is not None and action.undo is not None:
            if failure is None:
                failure = await self._attempt(state, run, self._lasting(state, run))
            # The first failure is the cause; one of the undo is told beside it.
            left = await self._undo(state, run)
            failure = failure or left
        if failure is None and action.probe is not None:
            failure = await self._attempt(state, run, self._probe(action, run, "after"))
        state.ledger.took.add(self.now_s - run.began_s)
        self._account(state, failure)
        await self._watcher.after(run, failure)

    @contextlib.asynccontextmanager
    async def _turn(self, state: _State, run: EventRun, why_late: str) -> AsyncIterator[None]:
        """Wait for the turn of an exclusive action; note that the run begins."""
        if not state.action.is_exclusive:
            await self._note_begin(state, run, why_late)
            yield
            return
        if self._exclusive.locked():
            why_late = f"{self._holder} ran, and only one keyword of Robot Framework runs at a time"
        async with self._exclusive:
            await self._note_begin(state, run, why_late)
            self._holder = f"'{state.event.name}'"
            yield

    async def _note_begin(self, state: _State, run: EventRun, why_late: str) -> None:
        state.ledger.run += 1
        run.number, run.began_s = state.ledger.run, self.now_s
        late_s = run.began_s - run.due_s
        is_long = late_s >= _WORTH_A_REASON_S
        state.ledger.delay(late_s, (why_late or "this machine was busy") if is_long else "")
        await self._watcher.before(run)

    async def _doing(self, state: _State, run: EventRun) -> None:
        action = state.action
        if action.probe is not None:
            await action.probe(run, "before")
        if action.undo is not None:
            state.to_undo = run
        await action.do(run)
        if action.probe is not None and action.undo is not None:
            await action.probe(run, "during")

    async def _lasting(self, state: _State, run: EventRun) -> None:
        """Wait as long as the event lasts; the end of the scenario ends that at once, and is no failure."""
        assert state.event.lasts_s is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, run.began_s + state.event.lasts_s - self.now_s)):
                await run.kill_switch.pulled()
        if run.kill_switch.is_set():
            state.ledger.ended_early += 1

    async def _probe(self, action: Action, run: EventRun, when: str) -> None:
        assert action.probe is not None
        await action.probe(run, when)

    async def _attempt(self, state: _State, run: EventRun, work: Awaitable[object]) -> RunFailure | None:
        """Return what failed. A run that the end of the scenario cuts short has not failed."""
        limit_s = state.event.timeout_s or (_TEARDOWN_S if run.kill_switch is self._teardown_switch else None)
        try:
            async with asyncio.timeout(limit_s if state.event.lasts_s is None else None) as limit:
                await work
        except TimeoutError as error:
            if limit.expired():
                return self._failure(run, f"It did not end in {duration_text(limit_s or 0.0)}.")
            return self._failure(run, _said(error))
        except asyncio.CancelledError:
            if not run.kill_switch.is_set():
                raise
            state.ledger.ended_early += 1
        except Exception as error:  # noqa: BLE001 - whatever an event raises is its result
            return self._failure(run, _said(error))
        return None

    def _failure(self, run: EventRun, error: str) -> RunFailure:
        return RunFailure(run.event.name, run.number, run.began_s, self._wall(), run.host, error)

    def _account(self, state: _State, failure: RunFailure | None) -> None:
        state.last_passed = failure is None
        if failure is None:
            return
        state.ledger.fail(failure)
        on_host = f" on host '{failure.host}'" if failure.host else ""
        said = (
            f"Event '{failure.event}', run {failure.number}, {time.strftime('%H:%M:%S', time.localtime(failure.wall_s))}"
            f"{on_host}: {failure.error}"
        )
        event = state.event
        counts = event.on_error != "continue" or (event.max_failures is not None and state.ledger.failed == event.max_failures)
        if counts and len(self._failures) < _MOST_AT_A_TIME:
            self._failures.append(said)
        if event.on_error == "stop":
            self.stop(f"event '{event.name}' failed, and it stops the scenario")

    # -- undoing

    async def _undo(self, state: _State, run: EventRun) -> RunFailure | None:
        """Undo a run, whatever happens meanwhile; return what failed, which is always told."""
        undo, state.to_undo = state.action.undo, None
        assert undo is not None
        undoing = asyncio.ensure_future(self._undone(state, run, undo))
        while not undoing.done():
            # A cancel of the run does not cancel what heals; that has its own bound.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(undoing)
        return undoing.result()

    async def _undone(self, state: _State, run: EventRun, undo: Callable[[EventRun], Awaitable[object]]) -> RunFailure | None:
        try:
            async with asyncio.timeout(_UNDO_S):
                async with self._lane(state):
                    await undo(run)
        except TimeoutError:
            failure = self._failure(run, f"The undo did not end in {duration_text(_UNDO_S)}.")
        except DisturbanceEndedError as error:
            return self._failure(run, _said(error))
        except Exception as error:  # noqa: BLE001 - whatever it raises, it is told
            failure = self._failure(run, f"The undo failed: {_said(error)}")
        else:
            return None
        self._left.append(f"Event '{state.event.name}', run {run.number}, could not be undone: {failure.error}")
        return failure

    @contextlib.asynccontextmanager
    async def _lane(self, state: _State) -> AsyncIterator[None]:
        if not state.action.is_exclusive:
            yield
            return
        async with self._exclusive:
            self._holder = f"the undo of '{state.event.name}'"
            yield

    # -- the end

    async def _end_runs(self) -> None:
        """Let all runs end: those that see the kill switch by themselves, the others by a cancel."""
        for state in self._states.values():
            for due_s in state.waiting:
                self._miss(state, due_s, "it still waited when the scenario ended")
            state.waiting.clear()
        patient = [task for task, state in self._tasks.items() if state.action.sees_kill_switch]
        for task in [task for task in self._tasks if task not in patient]:
            task.cancel()
        if patient:
            await asyncio.wait(patient, timeout=_GRACE_S)
        remaining = list(self._tasks)
        for task in remaining:
            task.cancel()
        if remaining:
            await asyncio.wait(remaining, timeout=_UNDO_S + _GRACE_S)

    def _end_phases(self, phases: Iterable[tuple[float, Phase, bool]]) -> None:
        """Tell the end of the phases that have begun."""
        began = {id(phase) for at_s, phase, is_begin in phases if is_begin}
        for _, phase, is_begin in phases:
            if not is_begin and id(phase) not in began:
                self._watcher.phase(phase, False)

    async def _undo_all(self) -> None:
        """Undo what was not undone, the newest first."""
        undone = [state for state in self._states.values() if state.to_undo is not None]
        for state in sorted(undone, key=lambda one: one.to_undo.began_s if one.to_undo else 0.0, reverse=True):
            run = state.to_undo
            assert run is not None
            failure = await self._undo(state, run)
            if failure is not None:
                self._account(state, failure)

    async def _run_teardown_events(self) -> None:
        for state in self._states.values():
            if state.event.at_teardown:
                state.ledger.due += 1
                state.active += 1
                ending = asyncio.create_task(self._run(state, self.now_s, "", self._teardown_switch))
                cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, ending.cancel)
                forget = self._teardown_switch.on_set(cancel)
                # It is bounded itself; this is for one whose turn does not come.
                await asyncio.wait([ending], timeout=(state.event.timeout_s or _TEARDOWN_S) + _UNDO_S)
                forget()
                if not ending.done():
                    ending.cancel()
                    await asyncio.wait([ending], timeout=_GRACE_S)

    # -- going on

    async def _resume(self, before: Resumption) -> None:
        """Account for what the earlier process left, and for what was due since."""
        for name, state in self._states.items():
            now_s, wall_s = self.now_s, self._wall()
            last_s = before.last_due_s.get(name)
            state.times.go_on(state.ledger.due, wall_s - now_s + last_s if last_s is not None else None)
            while (due_s := state.times.next_s(now_s, wall_s)) is not None and due_s <= min(now_s, state.times.ended_s):
                state.times.take(now_s, wall_s)
                state.ledger.due += 1
                self._miss(state, due_s, "no controller was there")
            number = before.interrupted.get(name)
            if number is not None:
                await self._conclude_interrupted(state, number)

    async def _conclude_interrupted(self, state: _State, number: int) -> None:
        run = EventRun(state.event, number, 0.0, self.kill_switch, began_s=self.now_s)
        state.ledger.ended_early += 1
        if state.action.undo is not None:
            await self._undo(state, run)


def _boundaries(phases: Iterable[Phase], since_s: float) -> list[tuple[float, Phase, bool]]:
    """Return when phases begin and end, in order; ends before begins."""
    found = [(phase.began_s, phase, True) for phase in phases if phase.ended_s > since_s]
    found += [(phase.ended_s, phase, False) for phase in phases if phase.ended_s > since_s]
    return sorted(found, key=lambda entry: (entry[0], entry[2]))


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return text if text and hasattr(error, "ROBOT_SUPPRESS_NAME") else f"{type(error).__name__}: {text}".rstrip(": ")
