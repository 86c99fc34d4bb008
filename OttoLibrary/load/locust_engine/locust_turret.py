"""A turret inside a process of Locust: the HQ's plan becomes Locust's shape, and what Locust's users do goes to the HQ.

The only file, beside the locust file of ours, that knows Locust and gevent. Locust patches threads and sockets when it is
imported, so that happens when it is to run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from OttoLibrary.load.locust_engine.locust_battery import EarlyRequests, LocustBattery, request_name, users_at
from OttoLibrary.load.turret.cannons import RunClock
from OttoLibrary.load.turret.firing import FiringPlan
from OttoLibrary.load.turret.transactions import Maker
from OttoLibrary.load.turret.turret import OttoTurret

# What is in flight when Locust ends was waited for already; now the last results are sent and confirmed.
_LAST_WORDS_S = 10.0
# For so long a master waits for the order to start, after its turret has said that all workers are there.
_START_S = 600.0


def locust_main() -> Callable[[], None]:
    """Import Locust, and return its program; raise ImportError."""
    from locust.main import main

    return main  # type: ignore[no-any-return]


def start_real_thread(target: Callable[..., None], *arguments: Any) -> None:
    """Start a thread that is none of gevent's, whose threads would all stand while it waits."""
    from gevent.monkey import get_original

    get_original("_thread", "start_new_thread")(target, arguments)


class LocustTurret:
    """The turret of one process of Locust, master or worker.

    Args:
        config: As ``OttoTurret`` has it; ``role`` and, of a master, ``own_shape``.
        make: Makes transactions, for users of ours.
    """

    def __init__(self, config: dict[str, Any], make: Maker | None = None) -> None:
        from gevent.event import Event

        self.config = config
        self.is_master = config["role"] == "master"
        self.battery: LocustBattery | None = None
        self._make = make or _nothing
        self._runner: Any = None
        self._early = EarlyRequests()
        self._begun = Event()
        self._turret = OttoTurret(config, lambda context: self._make, str(config.get("uuid") or uuid.uuid4()), self._open)
        self._talking: Any = None

    def listen(self) -> None:
        """Have Locust say what happens."""
        from locust import events

        events.init.add_listener(self._take_runner)
        events.quitting.add_listener(self._finish)
        if not self.is_master and not self.config.get("what"):
            events.request.add_listener(self._note)
        if not self.is_master:
            events.user_error.add_listener(self._note_error)

    def talk(self) -> None:
        """Begin to talk with the HQ; idempotent."""
        import gevent

        if self._talking is None:
            self._talking = gevent.spawn(self._talk)

    def until_begun(self) -> LocustBattery | None:
        """Wait until the HQ has started the run; return what was begun, or None when it will not begin."""
        import gevent

        gevent.wait([self._begun, self._talking], timeout=_START_S, count=1)
        return self.battery

    # -- Locust says

    def _take_runner(self, environment: Any, runner: Any, **_: Any) -> None:
        self._runner = runner
        if self.is_master:
            own = environment.shape_class if self.config.get("own_shape") else None
            environment.shape_class = _locust_shape(RunShape(self, own))
        else:
            self.talk()

    def _note(self, request_type: Any, name: Any, response_time: Any, exception: Any, **_: Any) -> None:
        took_s = max(0.0, float(response_time or 0.0) / 1000)
        if self.battery is None:
            self._early.add(request_name(request_type, name), took_s, exception)
        else:
            self.battery.note(request_name(request_type, name), took_s, exception)

    def _note_error(self, exception: BaseException, **_: Any) -> None:
        if self.battery is not None:
            self.battery.note_failure(exception)

    def _finish(self, **_: Any) -> None:
        """Send what is left, before Locust's process ends."""
        if self.battery is None:
            self._turret.end()
        else:
            self.battery.finish()
        if self._talking is not None:
            self._talking.join(timeout=_LAST_WORDS_S)

    # -- the turret

    def _open(self, plan: FiringPlan, make: Maker, clock: RunClock, counters: str) -> LocustBattery:
        self.battery = LocustBattery(plan, make, clock, counters, self._count_users)
        self._early.tell(self.battery)
        self._begun.set()
        return self.battery

    def _count_users(self) -> int:
        return 0 if self.is_master or self._runner is None else int(self._runner.user_count)

    def _talk(self) -> None:
        self._turret.run()
        if self.battery is None or not self.battery.is_over:
            # The HQ is gone, or ordered this turret to end: so does Locust.
            self._runner.quit()


# The turret of this process; the locust file of transactions asks it.
present: LocustTurret


class RunShape:
    """What Locust asks each second: the shape that the plan of a run has, or the one of the locust file while the run lasts."""

    def __init__(self, turret: LocustTurret, own: Any) -> None:
        self._turret, self._own = turret, own
        self._before = 0
        self._plan_began = False

    def tick(self) -> Any:
        """Return how many users there are now to be, and how fast they come; None at the end."""
        if not self._plan_began:
            # Locust asks for the first time when all its workers are there.
            self._plan_began = True
            self._turret.talk()
            self._turret.until_begun()
            if self._own is not None:
                self._own.reset_time()
        battery = self._turret.battery
        if battery is None or battery.is_ending:
            return None
        now_s = battery.clock.now_s()
        if now_s >= battery.plan.duration_s:
            return None
        if self._own is not None:
            return self._own.tick()
        users = users_at(battery.plan, now_s + 0.5)
        speed, self._before = max(1, abs(users - self._before)), users
        return users, speed


def _locust_shape(shape: RunShape) -> Any:
    """Return a shape as Locust wants it."""
    from locust import LoadTestShape

    class Shape(LoadTestShape):  # type: ignore[misc]
        def tick(self) -> Any:
            return shape.tick()

    return Shape()


def _nothing() -> None:
    raise RuntimeError("No transaction was named for this run")
