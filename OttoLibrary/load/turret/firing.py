"""When users fire: how many are active at a time (closed model), or when each iteration is to start (open model)."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_TINY = 1e-9


@dataclass(frozen=True)
class FiringPlan:
    """What one turret fires, as the HQ sends it.

    Attributes:
        model: ``closed``: a number of users; ``open``: a rate of iterations, whoever is free.
        stages: Pairs of a duration in seconds and the users, or iterations a second, that are reached at its end.
        begin: Users or rate at the start.
        share: Which part this turret fires: its number, and how many turrets there are.
        users: How many users at most, of this turret.
        all_users: How many users at most, of all turrets.
        pacing_s: Closed model: the time from the start of an iteration to the start of the next, at least.
        think_s: Closed model: the pause after an iteration, from and to.
        iterations: Iterations of all users of all turrets together; 0 for no bound.
        patience_s: Open model: an iteration that could not start for so long is dropped.
        grace_s: How long what is in flight at the end may take.
    """

    model: str = "closed"
    stages: tuple[tuple[float, float], ...] = ()
    begin: float = 0.0
    share: tuple[int, int] = (0, 1)
    users: int = 1
    all_users: int = 1
    pacing_s: float = 0.0
    think_s: tuple[float, float] = (0.0, 0.0)
    iterations: int = 0
    patience_s: float = 30.0
    grace_s: float = 30.0
    more: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> FiringPlan:
        """Return the plan from JSON; unknown keys are kept in ``more``."""
        known = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain and name != "more"}
        for name in ("share", "think_s"):
            if name in known:
                known[name] = tuple(known[name])
        if "stages" in known:
            known["stages"] = tuple((float(length), float(target)) for length, target in known["stages"])
        return cls(**known, more={name: value for name, value in plain.items() if name not in known})

    @property
    def duration_s(self) -> float:
        """How long it fires, in seconds."""
        return sum(length for length, _ in self.stages)

    def level(self, at_s: float) -> float:
        """Return how many users are to be active, or the rate, so many seconds from the start."""
        level = self.begin
        for began, length, first, last in self._pieces():
            if at_s < began:
                break
            level = first + (last - first) * min(1.0, (at_s - began) / length)
        return level

    def windows(self, user: int) -> list[tuple[float, float]]:
        """Return when a user of this turret is active, in seconds from the start; the ramp is exact."""
        number = self.share[0] + user * self.share[1]
        spans: list[tuple[float, float]] = []
        for began, length, first, last in self._pieces():
            span = _active(number, began, length, first, last)
            if span is None:
                continue
            if spans and span[0] - spans[-1][1] < _TINY:
                spans[-1] = spans[-1][0], span[1]
            else:
                spans.append(span)
        return spans

    def iterations_of(self, user: int) -> float:
        """Return how many iterations a user of this turret makes at most."""
        if not self.iterations:
            return math.inf
        number = self.share[0] + user * self.share[1]
        return self.iterations // self.all_users + (number < self.iterations % self.all_users)

    def starts(self) -> Iterator[float]:
        """Yield the intended starts of this turret in seconds from the start, open model."""
        number, step = self.share
        done = 0.0
        for began, length, first, last in self._pieces():
            amount = length * (first + last) / 2
            while number < done + amount - _TINY:
                yield began + _moment(number - done, length, first, last)
                number += step
            done += amount

    def _pieces(self) -> Iterator[tuple[float, float, float, float]]:
        began, value = 0.0, self.begin
        for length, target in self.stages:
            if length > 0:
                yield began, length, value, target
            began, value = began + length, target


def _active(number: int, began: float, length: float, first: float, last: float) -> tuple[float, float] | None:
    """Return when more than ``number`` users are active while their number goes from ``first`` to ``last``."""
    if max(first, last) <= number:
        return None
    if first == last:
        return began, began + length
    crossing = began + length * min(1.0, max(0.0, (number - first) / (last - first)))
    return (crossing, began + length) if last > first else (began, crossing)


def _moment(amount: float, length: float, first: float, last: float) -> float:
    """Return after which time a rate that goes from ``first`` to ``last`` has made ``amount`` iterations."""
    slope = (last - first) / length
    if abs(slope) < _TINY:
        return amount / first
    return (math.sqrt(max(0.0, first * first + 2 * slope * amount)) - first) / slope


class Arrivals:
    """Hands the intended starts of the open model to whoever is free; nothing starts after ``stop``."""

    def __init__(self, plan: FiringPlan) -> None:
        self._starts = plan.starts()
        self._lock = threading.Lock()
        self._stopped: float = math.inf
        self.planned = self.begun = 0
        self._patience_s = plan.patience_s

    def take(self) -> float | None:
        """Return the next intended start, or None when there is no more."""
        with self._lock:
            return None if self._stopped < math.inf else next(self._starts, None)

    def begin(self, intended_s: float, now_s: float) -> bool:
        """Return whether an iteration that was taken may start now; one that may not, is dropped."""
        with self._lock:
            if self._stopped < math.inf:
                if intended_s <= self._stopped:
                    self.planned += 1
                return False
            self.planned += 1
            if now_s - intended_s > self._patience_s:
                return False
            self.begun += 1
            return True

    def stop(self, now_s: float) -> None:
        """End it: what was to start by now and has not been taken is dropped."""
        with self._lock:
            if self._stopped < math.inf:
                return
            self._stopped = now_s
            for intended_s in self._starts:
                if intended_s > now_s:
                    break
                self.planned += 1

    @property
    def dropped(self) -> int:
        """How many were planned and did not start; complete once all users have ended."""
        return self.planned - self.begun
