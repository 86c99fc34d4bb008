"""When an event is due: numbers that depend on nothing but its description, so that a schedule can be computed on paper."""

from __future__ import annotations

import random
from collections.abc import Iterator

from OttoLibrary.scenario.cron import Cron
from OttoLibrary.scenario.events import Scenario, ScenarioEvent

_SAME_S = 1e-6


class DueTimes:
    """The times of one event, one after the other.

    Times are in seconds after the start of the scenario. Those of an interval are multiples of it, so that they do not drift and
    no step of the wall clock moves them; those of a cron expression follow the wall clock.

    Args:
        scenario: The whole.
        event: The event.
        seed: Chance is the same for the same seed, also when a scenario is resumed.

    Attributes:
        number: How many have been taken.
        ended_s: It is not due from here on.
    """

    def __init__(self, scenario: Scenario, event: ScenarioEvent, seed: str = "") -> None:
        self._event, self._seed = event, seed
        self._began_s, ended_s = scenario.window(event)
        # 3 * 11.7 is a little less than 35.1, as numbers of a computer are.
        self.ended_s = ended_s - _SAME_S
        self._cron = Cron(event.cron, event.time_zone) if event.cron else None
        self._last_wall_s: float | None = None
        self.number = 0

    def next_s(self, now_s: float, wall_s: float) -> float | None:
        """Return the next time, or None when there is none; by a cron expression also one after the end, which may yet move.

        Args:
            now_s: The present time of the scenario.
            wall_s: The present time of the wall clock, in seconds since 1970.
        """
        if self._event.times is not None and self.number >= self._event.times:
            return None
        base_s = self._base_s(now_s, wall_s)
        if base_s is None:
            return None
        due_s = base_s + self._jitter_s()
        return due_s if due_s < self.ended_s or self._cron is not None else None

    def take(self, now_s: float, wall_s: float) -> None:
        """Go on to the time after the next one, whose time has come."""
        if self._cron is not None and not self._is_first_at_once:
            self._last_wall_s = self._cron.next_after(self._after_wall_s(now_s, wall_s))
        self.number += 1

    def go_on(self, number: int, last_wall_s: float | None) -> None:
        """Go on after so many that an earlier process has taken, the last by the wall clock at this time."""
        self.number, self._last_wall_s = number, last_wall_s

    @property
    def _is_first_at_once(self) -> bool:
        return self.number == 0 and self._event.at_startup

    def _base_s(self, now_s: float, wall_s: float) -> float | None:
        event = self._event
        if self._is_first_at_once:
            return self._began_s
        if self._cron is not None:
            return now_s + self._cron.next_after(self._after_wall_s(now_s, wall_s)) - wall_s
        later = self.number - event.at_startup
        if event.start_after_s is not None:
            first_s = self._began_s + event.start_after_s
        elif event.every_s is not None:
            first_s = self._began_s + event.every_s
        else:
            return None
        if later == 0:
            return first_s
        return first_s + later * event.every_s if event.every_s is not None else None

    def _after_wall_s(self, now_s: float, wall_s: float) -> float:
        """Return the time of the wall clock after which the next one is looked for."""
        if self._last_wall_s is not None:
            return self._last_wall_s
        # A time that is exactly that of the start counts.
        return wall_s - now_s + self._began_s - 0.001

    def _jitter_s(self) -> float:
        if not self._event.jitter_s:
            return 0.0
        return random.Random(f"{self._seed} {self._event.name} {self.number}").uniform(0.0, self._event.jitter_s)


def due_offsets(scenario: Scenario, event: ScenarioEvent, wall_s: float = 0.0, seed: str = "") -> Iterator[float]:
    """Yield the times of an event on paper: those of a scenario that starts at a time of the wall clock."""
    times = DueTimes(scenario, event, seed)
    while (due_s := times.next_s(0.0, wall_s)) is not None and due_s < times.ended_s:
        yield due_s
        times.take(0.0, wall_s)
