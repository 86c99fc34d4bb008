"""Cannons: each is one user in a thread of its own, who does the same again and again and notes how it went."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from OttoLibrary.load.turret.batches import IterationTally, Note
from OttoLibrary.load.turret.counters import CounterSlot
from OttoLibrary.load.turret.firing import Arrivals, FiringPlan
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.load.turret.transactions import Maker

# Users who have noted so much together that nobody has taken wait until it is taken.
_MOST_NOTES = 50_000
_LONGEST_MESSAGE = 500


class RunClock:
    """The time of a run: monotonic, and told once which time of day its start was.

    Attributes:
        began: When the run began on this turret, in seconds since 1970 by the clock of the HQ.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self._zero = time.perf_counter()

    def advance(self, by_s: float) -> None:
        """Let the run have begun so much earlier."""
        self._zero -= by_s

    def now_s(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._zero


class Cannon(threading.Thread):
    """One user.

    Args:
        number: Which of the turret.
        make: Makes what it does.
        plan: When it does that.
        clock: The time of the run.
        slot: Its counters.
        send: Takes each note at once, in place of ``take``.
    """

    def __init__(
        self, number: int, make: Maker, plan: FiringPlan, clock: RunClock, slot: CounterSlot, send: Callable[[Note], None] | None
    ) -> None:
        super().__init__(name=f"cannon-{number}", daemon=True)
        self.number = number
        self.is_active = self.is_firing = self.has_ended = False
        self._make, self._plan, self._clock, self._slot, self._send = make, plan, clock, slot, send
        self._most_notes = max(100, _MOST_NOTES // plan.users)
        self._tally = self._new_tally()
        self._transaction: Any = None
        self._lock = threading.Lock()
        self._started_s = self._intended_s = self._ran_s = 0.0
        self._left = plan.iterations_of(number)
        self.ending = threading.Event()
        self.is_over = threading.Event()
        # Open model.
        self.arrivals: Arrivals | None = None
        self.late = Histogram()

    def run(self) -> None:
        """Fire until there is nothing more to fire."""
        try:
            if self.arrivals is None:
                self._fire_in_windows()
            else:
                self._fire_arrivals(self.arrivals)
        finally:
            self.is_active = False
            self.has_ended = True
            self.forget_user()

    def forget_user(self) -> None:
        """Close what the user does, so that the next iteration is that of a new one."""
        transaction, self._transaction = self._transaction, None
        close = getattr(transaction, "close", None)
        if close is not None:
            close()

    def fire(self) -> Note | None:
        """Do one iteration now, in the caller's own thread; return its note, or None when it was given up meanwhile."""
        return self._fire(self._clock.now_s())

    def take(self) -> IterationTally:
        """Return what was noted since the last time."""
        with self._lock:
            tally, self._tally = self._tally, self._new_tally()
        return tally

    def give_up(self) -> bool:
        """Note a failed iteration in place of one that does not end; return whether there was one."""
        now_s = self._clock.now_s()
        failure = ("Interrupted", "The run ended before this iteration did")
        return self._finish(
            Note(self._clock.began + now_s, now_s, now_s - self._started_s, now_s - self._intended_s, failure, None)
        )

    def _new_tally(self) -> IterationTally:
        return IterationTally(rows=bool(self._plan.more.get("rows")), is_open=self._plan.model == "open")

    # -- closed model

    def _fire_in_windows(self) -> None:
        for began_s, ended_s in self._plan.windows(self.number):
            if self._pause_until(began_s):
                return
            self.is_active = True
            while self._left > 0 and (started_s := self._clock.now_s()) < ended_s and not self.ending.is_set():
                self._left -= 1
                self._fire(started_s)
                if self._pause_until(self._next_start_s(started_s), ended_s):
                    return
            self.is_active = False
            if self._left <= 0:
                return

    def _next_start_s(self, started_s: float) -> float:
        if self._plan.pacing_s:
            return started_s + self._plan.pacing_s
        low, high = self._plan.think_s
        return self._clock.now_s() + random.uniform(low, high) if high else 0.0

    def _pause_until(self, moment_s: float, latest_s: float = float("inf")) -> bool:
        """Wait, and return True when the run is ending."""
        while (rest_s := min(moment_s, latest_s) - self._clock.now_s()) > 0:
            if self.ending.wait(rest_s):
                return True
        return self.ending.is_set()

    # -- open model

    def _fire_arrivals(self, arrivals: Arrivals) -> None:
        while (intended_s := arrivals.take()) is not None:
            taken_s = self._clock.now_s()
            self._pause_until(intended_s)
            now_s = self._clock.now_s()
            if not arrivals.begin(intended_s, now_s):
                continue
            # What this user itself delayed is no fault of the machine that fires.
            self.late.add(max(0.0, now_s - max(intended_s, taken_s)))
            self.is_active = True
            self._fire(intended_s)
            self.is_active = False

    # -- an iteration

    def _fire(self, intended_s: float) -> Note | None:
        clock = self._clock
        self._slot.begin()
        self._intended_s, self._started_s = intended_s, clock.now_s()
        self.is_firing = True
        failure, service_s = self._attempt()
        now_s = clock.now_s()
        response_s = service_s if self.arrivals is None else max(service_s, self._ran_s - intended_s)
        note = Note(clock.began + now_s, now_s, service_s, response_s, failure, self._timers())
        if not self._finish(note):
            return None
        if self._send is not None:
            self._send(note)
        while self._tally.count > self._most_notes and not self.is_over.wait(0.01):
            pass
        return note

    def _finish(self, note: Note) -> bool:
        """Count the present iteration; return False to the second who tries: this user, and the turret that gives it up."""
        with self._lock:
            if not self.is_firing:
                return False
            self.is_firing = False
            if self._send is None:
                self._tally.add(note)
            self._slot.finish()
            return True

    def _attempt(self) -> tuple[tuple[str, str] | None, float]:
        """Do one iteration; return what went wrong, and how long the ``run`` took. The user lives on after any failure."""
        step = "setup"
        started = time.perf_counter()
        failure = None
        took: float | None = None
        try:
            if self._transaction is None:
                self._transaction = self._make()
            transaction = self._transaction
            transaction.custom_timers.clear()
            transaction.setup()
            step, started = "run", time.perf_counter()
            try:
                transaction.run()
            except BaseException as error:  # noqa: BLE001 - also a sys.exit of a script is a failure of this iteration alone
                failure = described(error)
            took = time.perf_counter() - started
            self._ran_s = self._clock.now_s()
            step = "tear_down"
            transaction.tear_down()
        except BaseException as error:  # noqa: BLE001
            failure = failure or described(error, step)
        if took is None:
            took = time.perf_counter() - started
            self._ran_s = self._clock.now_s()
        return failure, took

    def _timers(self) -> dict[str, float] | None:
        timers = self._transaction.custom_timers if self._transaction is not None else None
        return {str(name): float(value) for name, value in timers.items() if _is_time(value)} if timers else None


def described(error: BaseException, step: str = "") -> tuple[str, str]:
    """Return type and message of a failure; the message is never empty, since an empty one was a success to OCT."""
    kind = type(error).__name__
    said = str(error)[:_LONGEST_MESSAGE] or kind
    return kind, f"{step}: {said}" if step else said


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < 1e9
