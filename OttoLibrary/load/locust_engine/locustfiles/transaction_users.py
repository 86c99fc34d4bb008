"""The locust file of a run whose users are ours: each of Locust's users does the same transaction as a cannon does."""

from __future__ import annotations

import random
import time
from typing import Any

from locust import User, task
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_STOPPING

from OttoLibrary.load.locust_engine import locust_turret

_STEP_S = 0.1


class Transactions(User):  # type: ignore[misc, unused-ignore]
    """A user who does the transaction of the run again and again."""

    def on_start(self) -> None:
        """Wait for the start of the run."""
        battery = locust_turret.present.until_begun()
        if battery is None:
            raise StopUser
        self._battery, self._cannon = battery, battery.borrow()

    @task  # type: ignore[untyped-decorator, unused-ignore]
    def fire(self) -> None:
        """Do it until Locust, or the HQ, ends this user.

        Locust kills who is in a pause of its own, and an iteration that begins at that moment with it; so there is none.
        """
        while not self._is_ending:
            started = time.perf_counter()
            note = self._cannon.fire()
            if note is None:
                break
            failure = None if note.failure is None else Exception(note.failure[1])
            said: dict[str, Any] = {"response_length": 0, "exception": failure, "context": {}}
            self.environment.events.request.fire(
                request_type="transaction", name="iteration", response_time=note.service_s * 1000, **said
            )
            self._pause_until(started)
        raise StopUser

    def on_stop(self) -> None:
        """Give back what it fired."""
        if hasattr(self, "_cannon"):
            self._battery.give_back(self._cannon)

    @property
    def _is_ending(self) -> bool:
        return self._state == LOCUST_STATE_STOPPING or self._battery.is_ending

    def _pause_until(self, started: float) -> None:
        plan = self._battery.plan
        end = started + plan.pacing_s if plan.pacing_s else time.perf_counter() + random.uniform(*plan.think_s)
        time.sleep(0)
        while (rest_s := end - time.perf_counter()) > 0 and not self._is_ending:
            time.sleep(min(rest_s, _STEP_S))
