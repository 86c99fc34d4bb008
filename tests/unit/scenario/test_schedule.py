"""The schedule engine on a clock that jumps, against schedules computed on paper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent
from OttoLibrary.scenario.ledger import EventLedger, RunFailure
from OttoLibrary.scenario.schedule import Action, Conclusion, EventRun, Resumption, ScenarioRun
from tests.unit.scenario.clocks import jump_through

HOUR = 3600.0


@dataclass
class Notes:
    """A watcher that writes down what it hears."""

    began: list[tuple[float, str, int]] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    out: list[tuple[float, str, str]] = field(default_factory=list)
    phases: list[tuple[str, bool]] = field(default_factory=list)

    async def before(self, run: EventRun) -> None:
        self.began.append((round(run.began_s, 4), run.event.name, run.number))

    async def after(self, run: EventRun, failure: RunFailure | None) -> None:
        self.ended.append((run.event.name, failure.error if failure else ""))

    def left_out(self, event: ScenarioEvent, due_s: float, why: str) -> None:
        self.out.append((round(due_s, 4), event.name, why))

    def phase(self, phase: Phase, is_begin: bool) -> None:
        self.phases.append((phase.name, is_begin))


def lasting(seconds: float = 0.0, fails: Callable[[int], bool] = lambda number: False, **options: Any) -> Action:
    """An action that takes so long, and fails when it is told."""

    async def do(run: EventRun) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        if fails(run.number):
            raise ValueError(f"run {run.number} is wrong")

    return Action(do, **options)


def ran(
    events: list[ScenarioEvent],
    duration_s: float,
    actions: Mapping[str, Action] | None = None,
    phases: tuple[Phase, ...] = (),
    **options: Any,
) -> tuple[Conclusion, Notes, float]:
    notes = Notes()
    every = {event.name: lasting() for event in events} | dict(actions or {})

    async def work() -> tuple[Conclusion, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        schedule = ScenarioRun(
            Scenario("s", duration_s, tuple(events), phases), every, notes, wall_clock=lambda: loop.time() + 1e9, **options
        )
        return await schedule.run(), loop.time() - began

    conclusion, took_s = jump_through(work())
    assert conclusion.ledger.is_balanced
    return conclusion, notes, took_s


# -- the peer's nine seconds


def test_the_nine_second_case_tick_by_tick() -> None:
    events = [
        ScenarioEvent("tick", every_s=2.0),
        ScenarioEvent("once"),
        ScenarioEvent("slow", every_s=3.0, at_startup=False),
        ScenarioEvent("boom", every_s=5.0, at_startup=False),
        ScenarioEvent("last", at_startup=False, at_teardown=True),
    ]
    actions = {"slow": lasting(4.0), "boom": lasting(fails=lambda number: True)}
    conclusion, notes, took_s = ran(events, 9.0, actions)
    assert notes.began == [
        *((0.0, "tick", 1), (0.0, "once", 1), (2.0, "tick", 2), (3.0, "slow", 1), (4.0, "tick", 3)),
        *((5.0, "boom", 1), (6.0, "tick", 4), (8.0, "tick", 5), (9.0, "last", 1)),
    ]
    assert notes.out == [(6.0, "slow", "skipped: an earlier run still ran")]
    assert took_s == pytest.approx(9.0, abs=1e-3)
    assert conclusion.failures == conclusion.failures[:1]
    assert "Event 'boom', run 1, " in conclusion.failures[0]
    assert "ValueError: run 1 is wrong" in conclusion.failures[0]


def test_the_soonest_is_first_whatever_the_order_of_the_file() -> None:
    events = [ScenarioEvent("later", every_s=5.0, at_startup=False), ScenarioEvent("sooner", every_s=1.0, at_startup=False)]
    _, notes, _ = ran(events, 5.5)
    assert [name for _, name, _ in notes.began[:2]] == ["sooner", "sooner"]


# -- on paper


@dataclass(frozen=True)
class Drawn:
    event: ScenarioEvent
    takes_s: float


@st.composite
def drawn_events(draw: st.DrawFn) -> list[Drawn]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        tenths = st.integers(1, 300).map(lambda value: value / 10)
        event = ScenarioEvent(
            f"e{number}",
            every_s=draw(st.none() | tenths),
            start_after_s=draw(st.none() | tenths),
            at_startup=draw(st.booleans()),
            times=draw(st.none() | st.integers(1, 5)),
            overlap=draw(st.sampled_from(["skip", "queue", "allow"])),
            at_teardown=draw(st.booleans()),
        )
        # Never a multiple of a tenth, so that no end falls on a beginning.
        found.append(Drawn(event, draw(st.integers(0, 200)) / 10 + 0.0317 + number / 1000))
    return found


def on_paper(drawn: Drawn, end_s: float) -> tuple[list[float], int, int, int]:
    """Return when the runs of an event begin, and how many are due, skipped and missed: by hand, without the engine."""
    event = drawn.event
    due = [0.0] if event.at_startup else []
    first = event.start_after_s if event.start_after_s is not None else event.every_s
    while first is not None and first < end_s - 1e-9:
        due.append(first)
        steps = len(due) - event.at_startup
        origin = event.start_after_s if event.start_after_s is not None else event.every_s
        first = origin + steps * event.every_s if event.every_s is not None and origin is not None else None
    due = due[: event.times]
    begins: list[float] = []
    skipped = missed = 0
    free_s = 0.0
    for at in due:
        if event.overlap == "allow" or at >= free_s:
            begin = at
        elif event.overlap == "skip":
            skipped += 1
            continue
        else:
            begin = free_s
        if begin >= end_s:
            missed += 1
            continue
        begins.append(begin)
        free_s = begin + drawn.takes_s
    return begins, len(due), skipped, missed


@settings(max_examples=1000, deadline=None)
@given(drawn_events(), st.integers(1, 1000))
def test_order_and_counts_are_those_of_a_thousand_schedules_on_paper(drawn: list[Drawn], tenths: int) -> None:
    end_s = tenths / 10
    actions = {one.event.name: lasting(one.takes_s) for one in drawn}
    conclusion, notes, _ = ran([one.event for one in drawn], end_s, actions)
    for one in drawn:
        begins, due, skipped, missed = on_paper(one, end_s)
        row = conclusion.ledger.events[one.event.name]
        last = one.event.at_teardown
        assert (row.due, row.run, row.skipped, row.missed) == (due + last, len(begins) + last, skipped, missed)
        found = [at for at, name, _ in notes.began if name == one.event.name]
        assert found[: len(begins)] == pytest.approx(begins, abs=1e-3)
    times = [at for at, _, _ in notes.began]
    assert times == sorted(times)


def test_seventy_two_hours_do_not_drift() -> None:
    events = [
        ScenarioEvent("minute", every_s=60.0),
        ScenarioEvent("seven", every_s=7.0, at_startup=False),
        ScenarioEvent("hour", cron="0 * * * *", time_zone="UTC", at_startup=False),
        ScenarioEvent("noon", start_after_s=12 * HOUR, every_s=24 * HOUR, at_startup=False),
    ]
    conclusion, notes, took_s = ran(events, 72 * HOUR)
    counts = {name: row.run for name, row in conclusion.ledger.events.items()}
    assert counts == {"minute": 4320, "seven": 72 * 3600 // 7, "hour": 72, "noon": 3}
    assert [at for at, name, _ in notes.began if name == "seven"][-1] == 7.0 * (72 * 3600 // 7)
    assert conclusion.ledger.late_s(100) < 0.001
    assert took_s == pytest.approx(72 * HOUR, abs=0.01)


# -- waiting, lasting, needing


def test_what_is_exclusive_runs_one_at_a_time_and_says_why_it_is_late() -> None:
    events = [ScenarioEvent("a"), ScenarioEvent("b"), ScenarioEvent("c")]
    actions = {"a": lasting(3.0, is_exclusive=True), "b": lasting(3.0, is_exclusive=True), "c": lasting()}
    conclusion, notes, _ = ran(events, 10.0, actions)
    assert notes.began == [(0.0, "a", 1), (0.0, "c", 1), (3.0, "b", 1)]
    row = conclusion.ledger.events["b"]
    assert row.late.max_s == pytest.approx(3.0, abs=0.01)
    assert row.delays == {"'a' ran, and only one keyword of Robot Framework runs at a time": 1}


def test_what_waits_for_another_begins_when_that_has_passed() -> None:
    events = [ScenarioEvent("second", depends_on=("first",)), ScenarioEvent("first")]
    conclusion, notes, _ = ran(events, 10.0, {"first": lasting(4.0)})
    assert notes.began == [(0.0, "first", 1), (4.0, "second", 1)]
    assert conclusion.ledger.events["second"].delays == {"it waited for 'first'": 1}


def test_what_needs_one_that_failed_is_skipped_and_what_needs_one_that_never_ends_is_missed() -> None:
    events = [
        ScenarioEvent("fails", on_error="continue"),
        ScenarioEvent("endless"),
        ScenarioEvent("a", every_s=4.0, depends_on=("fails",)),
        ScenarioEvent("b", depends_on=("endless",)),
    ]
    actions = {"fails": lasting(1.0, lambda number: True), "endless": lasting(99.0)}
    conclusion, _, took_s = ran(events, 10.0, actions)
    a, b = conclusion.ledger.events["a"], conclusion.ledger.events["b"]
    assert (a.due, a.run, a.skipped) == (3, 0, 3)
    assert a.reasons == {"skipped: 'fails' had not passed": 3}
    assert (b.due, b.missed) == (1, 1)
    assert took_s == pytest.approx(10.0, abs=1e-3)
    assert conclusion.failures == ()


def undoable(log: list[str], takes_s: float = 0.0, do_fails: bool = False, undo_fails: bool = False) -> Action:
    async def do(run: EventRun) -> None:
        log.append("do")
        if do_fails:
            raise ValueError("not done")

    async def undo(run: EventRun) -> None:
        await asyncio.sleep(takes_s)
        log.append("undo")
        if undo_fails:
            raise ValueError("not undone")

    async def probe(run: EventRun, when: str) -> None:
        log.append(when)

    return Action(do, undo, probe)


def test_what_lasts_is_undone_and_probed() -> None:
    log: list[str] = []
    conclusion, _, _ = ran([ScenarioEvent("a", every_s=10.0, lasts_s=2.0)], 15.0, {"a": undoable(log)})
    assert log == ["before", "do", "during", "undo", "after"] * 2
    assert conclusion.ledger.events["a"].took.max_s == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("lasts_s", [None, 60.0])
def test_what_was_done_is_undone_when_the_end_comes_first(lasts_s: float | None) -> None:
    log: list[str] = []
    conclusion, _, took_s = ran([ScenarioEvent("a", lasts_s=lasts_s)], 5.0, {"a": undoable(log, takes_s=1.0)})
    assert log.count("do") == log.count("undo") == 1
    assert took_s == pytest.approx(6.0, abs=0.01)
    assert conclusion.failures == ()


def test_what_fails_half_way_is_undone_too() -> None:
    log: list[str] = []
    ran([ScenarioEvent("a", lasts_s=1.0)], 5.0, {"a": undoable(log, do_fails=True)})
    assert log == ["before", "do", "undo"]


def test_an_undo_that_fails_says_what_is_left_and_fails_even_what_may_fail() -> None:
    log: list[str] = []
    event = ScenarioEvent("a", lasts_s=1.0, on_error="continue")
    conclusion, _, _ = ran([event], 5.0, {"a": undoable(log, undo_fails=True)})
    assert conclusion.left == ("Event 'a', run 1, could not be undone: The undo failed: ValueError: not undone",)


# -- errors and the end


@pytest.mark.parametrize(("on_error", "failures", "lasted_s"), [("continue", 0, 10.0), ("fail", 5, 10.0), ("stop", 2, 0.0)])
def test_what_a_failure_does(on_error: str, failures: int, lasted_s: float) -> None:
    event = ScenarioEvent("a", every_s=2.0, on_error=on_error)
    conclusion, _, _ = ran([event], 10.0, {"a": lasting(fails=lambda number: True)})
    assert len(conclusion.failures) == failures
    assert conclusion.lasted_s == pytest.approx(lasted_s, abs=0.01)


def test_after_too_many_failures_it_is_not_run_again() -> None:
    event = ScenarioEvent("a", every_s=1.0, on_error="continue", max_failures=3)
    conclusion, _, _ = ran([event], 10.0, {"a": lasting(fails=lambda number: number % 2 == 0)})
    row = conclusion.ledger.events["a"]
    assert (row.due, row.run, row.failed, row.skipped) == (10, 6, 3, 4)
    assert len(conclusion.failures) == 1


def test_a_time_out_of_an_event_is_a_failure() -> None:
    conclusion, _, took_s = ran([ScenarioEvent("a", timeout_s=2.0)], 9.0, {"a": lasting(100.0)})
    assert conclusion.ledger.events["a"].last_error == "It did not end in 2.00 s."
    assert took_s == pytest.approx(9.0, abs=0.01)


def test_the_end_is_prompt_and_what_sees_the_kill_switch_ends_by_itself() -> None:
    seen = []

    async def polite(run: EventRun) -> None:
        await run.kill_switch.pulled()
        await asyncio.sleep(0.5)
        seen.append(run.kill_switch.reason)

    events = [ScenarioEvent("polite"), ScenarioEvent("rude"), ScenarioEvent("last", at_startup=False, at_teardown=True)]
    actions = {"polite": Action(polite, sees_kill_switch=True), "rude": lasting(1000.0)}
    conclusion, notes, took_s = ran(events, 9.0, actions)
    assert seen == ["the end of the scenario"]
    assert took_s == pytest.approx(9.5, abs=0.01)
    assert notes.began[-1][1] == "last"
    assert conclusion.failures == ()
    assert conclusion.is_complete


def test_what_does_not_heed_the_kill_switch_is_cancelled_after_a_while() -> None:
    _, _, took_s = ran([ScenarioEvent("deaf")], 9.0, {"deaf": lasting(1e6, sees_kill_switch=True)})
    assert took_s == pytest.approx(14.0, abs=0.1)


def test_an_event_that_sets_the_kill_switch_ends_all_and_the_last_events_run() -> None:
    async def stops(run: EventRun) -> None:
        run.kill_switch.set("it went dark")

    events = [ScenarioEvent("a", start_after_s=3.0, at_startup=False), ScenarioEvent("z", at_startup=False, at_teardown=True)]
    conclusion, notes, took_s = ran(events, 1000.0, {"a": Action(stops)})
    assert took_s == pytest.approx(3.0, abs=0.01)
    assert conclusion.failures == ("It ended early, after 3.00 s: it went dark.",)
    assert notes.began[-1] == (3.0, "z", 1)


def test_last_events_run_in_their_order_and_each_to_its_end_or_bound() -> None:
    order = [ScenarioEvent(name, at_startup=False, at_teardown=True, timeout_s=5.0) for name in "abc"]
    actions = {"a": lasting(1.0, lambda number: True), "b": lasting(1e6), "c": lasting()}
    conclusion, notes, took_s = ran(order, 1.0, actions)
    assert [name for _, name, _ in notes.began] == ["a", "b", "c"]
    assert took_s == pytest.approx(7.0, abs=0.01)
    assert len(conclusion.failures) == 2


def test_phases_are_told_as_they_begin_and_end() -> None:
    phases = Phase("ramp", 0, 2), Phase("steady", 2, 50)
    _, notes, _ = ran([ScenarioEvent("a", phase="steady", every_s=2.0)], 5.0, phases=phases)
    assert notes.phases == [("ramp", True), ("ramp", False), ("steady", True), ("steady", False)]
    assert [at for at, _, _ in notes.began] == [2.0, 4.0]


def test_a_step_of_the_wall_clock_moves_no_interval() -> None:
    notes = Notes()
    events = (ScenarioEvent("a", every_s=10.0), ScenarioEvent("hour", cron="0 * * * *", time_zone="UTC", at_startup=False))

    async def work() -> None:
        loop = asyncio.get_running_loop()
        # From the 35th second on, the clock on the wall is 3 h 50 min ahead: 1000 + 13 000 s, 10 min before the hour of 4.
        wall = lambda: loop.time() - 1000 + (13_800 if loop.time() > 1035 else 0)  # noqa: E731
        await ScenarioRun(Scenario("s", 1000.0, events), {e.name: lasting() for e in events}, notes, wall_clock=wall).run()

    jump_through(work())
    assert [at for at, name, _ in notes.began if name == "a"] == [10.0 * number for number in range(100)]
    assert [at for at, name, _ in notes.began if name == "hour"][-1] == pytest.approx(600.0, abs=0.1)


# -- going on


def test_what_was_missed_while_nobody_was_there_is_counted() -> None:
    event = ScenarioEvent("a", every_s=10.0)
    before = EventLedger("a", due=3, run=3)
    conclusion, notes, took_s = ran([event], 100.0, resumption=Resumption({"a": before}, {"a": 20.0}, {}, elapsed_s=55.0))
    row = conclusion.ledger.events["a"]
    assert (row.due, row.run, row.missed) == (10, 7, 3)
    assert notes.began[0] == (60.0, "a", 4)
    assert took_s == pytest.approx(45.0, abs=0.01)
    assert row.reasons == {"missed: no controller was there": 3}


def test_what_was_done_before_the_controller_died_is_undone() -> None:
    log: list[str] = []
    event = ScenarioEvent("a", every_s=50.0, lasts_s=20.0)
    resumption = Resumption({"a": EventLedger("a", due=1, run=1)}, {"a": 0.0}, {"a": 1}, elapsed_s=10.0)
    ran([event], 30.0, {"a": undoable(log)}, resumption=resumption)
    assert log == ["undo"]


def test_ledgers_survive_a_journal() -> None:
    conclusion, _, _ = ran([ScenarioEvent("a", every_s=1.0)], 9.0, {"a": lasting(0.2, lambda number: number > 5)})
    row = conclusion.ledger.events["a"]
    again = EventLedger.from_state(row.state())
    assert again.state() == row.state()
