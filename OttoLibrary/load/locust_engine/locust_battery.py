"""What a process of Locust does in a run of ours: its requests or transactions, as a turret sends them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from OttoLibrary.load.turret.batches import IterationTally, Note
from OttoLibrary.load.turret.cannons import Cannon, RunClock, described
from OttoLibrary.load.turret.counters import Counters
from OttoLibrary.load.turret.firing import Arrivals, FiringPlan
from OttoLibrary.load.turret.histogram import Histogram
from OttoLibrary.load.turret.transactions import Maker

# Requests that end before the turret has heard of the start; Locust may be a moment ahead.
_MOST_EARLY = 100_000


class LocustBattery:
    """Locust's users in one process, and what they did. It fires nothing: Locust does, and says so here.

    Args:
        plan: What the HQ planned.
        make: Makes transactions, for users of ours on Locust's engine.
        clock: The time of the run.
        counters: The file of the counts.
        count_users: Says how many users Locust has here.
    """

    def __init__(
        self, plan: FiringPlan, make: Maker, clock: RunClock, counters: str = "", count_users: Callable[[], int] = int
    ) -> None:
        self.plan, self.clock = plan, clock
        # Any worker may have to take the users of all others.
        self.counters = Counters(plan.all_users + 1, counters)
        self.arrivals: Arrivals | None = None
        self.is_ending = self.is_over = False
        self._make, self._count_users = make, count_users
        self._slot = self.counters.slot(plan.all_users)
        self._tally = self._new_tally()
        self._cannons: list[Cannon] = []
        self._free: list[Cannon] = []
        self._ending_s = 0.0

    @property
    def users(self) -> int:
        """How many users are active."""
        return 0 if self.is_over else self._count_users()

    # -- what Locust says

    def note(self, name: str, took_s: float, exception: object, ended_s: float | None = None) -> None:
        """Count a request that ended, by its name, too.

        Args:
            name: What Locust calls it.
            took_s: How long it took.
            exception: Why it failed, or None.
            ended_s: When, in seconds from the start of the run; now by default.
        """
        if self.is_over:
            return
        now_s = max(0.0, self.clock.now_s() if ended_s is None else ended_s)
        failure = None if exception is None else _described(exception)
        self._slot.begin()
        self._tally.add(Note(self.clock.began + now_s, now_s, took_s, took_s, failure, {name: took_s}))
        self._slot.finish()

    def note_failure(self, exception: BaseException) -> None:
        """Count an exception of a task, which is no request."""
        if not self.is_over:
            self._tally.add_failure(self.clock.began + self.clock.now_s(), described(exception, "task"))

    def finish(self) -> None:
        """Note that Locust has ended."""
        self.is_over = True

    # -- users of ours

    def borrow(self) -> Cannon:
        """Return what one user fires."""
        if self._free:
            return self._free.pop()
        number = len(self._cannons)
        cannon = Cannon(number, self._make, self.plan, self.clock, self.counters.slot(number), None)
        self._cannons.append(cannon)
        return cannon

    def give_back(self, cannon: Cannon) -> None:
        """Take it back from a user that has ended."""
        cannon.forget_user()
        self._free.append(cannon)

    # -- what a turret asks

    def take(self) -> IterationTally:
        """Return what was noted since the last time."""
        tally, self._tally = self._tally, self._new_tally()
        for cannon in self._cannons:
            tally.merge(cannon.take())
        return tally

    def stop(self) -> None:
        """Note that the run ends; the master ends it. Idempotent."""
        if not self.is_ending:
            self.is_ending, self._ending_s = True, self.clock.now_s()

    def look(self) -> None:
        """Note the end of the time, and give up what does not end after that."""
        now_s = self.clock.now_s()
        if now_s >= self.plan.duration_s:
            self.stop()
        if self.is_ending and now_s >= self._ending_s + self.plan.grace_s:
            for cannon in self._cannons:
                cannon.give_up()
            self.is_over = True

    def late(self) -> Histogram:
        """Return nothing: Locust has no intended starts."""
        return Histogram()

    def _new_tally(self) -> IterationTally:
        return IterationTally(rows=bool(self.plan.more.get("rows")), is_open=False)


class EarlyRequests:
    """Requests that ended before the run was known here."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, str, float, object]] = deque(maxlen=_MOST_EARLY)

    def add(self, name: str, took_s: float, exception: object) -> None:
        """Keep one."""
        self._kept.append((time.perf_counter(), name, took_s, exception))

    def tell(self, battery: LocustBattery) -> None:
        """Count all of them."""
        now = time.perf_counter()
        while self._kept:
            ended, name, took_s, exception = self._kept.popleft()
            battery.note(name, took_s, exception, battery.clock.now_s() - (now - ended))


def request_name(kind: Any, name: Any) -> str:
    """Return how a request is called: as Locust's own tables have it."""
    return " ".join(str(part) for part in (kind, name) if part)


def users_at(plan: FiringPlan, at_s: float) -> int:
    """Return how many users Locust is to have so many seconds from the start."""
    return max(1, min(plan.all_users, round(plan.level(at_s))))


def _described(exception: object) -> tuple[str, str]:
    if isinstance(exception, BaseException):
        return described(exception)
    return "Failure", str(exception)[:500] or "Failure"
