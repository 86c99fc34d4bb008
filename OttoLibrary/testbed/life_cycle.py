"""The life of devices: phase by phase, all devices of a phase at once, those that depend on others as soon as those are up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from OttoLibrary.errors import OttoError
from OttoLibrary.testbed.bench_plan import BenchPlan, DevicePlan
from OttoLibrary.testbed.device import ROLES, Device
from OttoLibrary.testbed.hook_call import call
from OttoLibrary.text import printable
from OttoLibrary.units import duration_text

OK, FAILED, LEFT_OUT = "ok", "failed", "left out"
_POWER_S = 120.0


@dataclass(frozen=True)
class Step:
    """One hook of one device.

    Attributes:
        phase: The phase, such as ``server boot``.
        device: The name of the device.
        began: When, in seconds since 1970.
        duration_s: How long it took.
        status: ``ok``, ``failed``, or ``left out`` when it was never called.
        message: Why it failed or was left out.
    """

    phase: str
    device: str
    began: float
    duration_s: float
    status: str = OK
    message: str = ""

    def __str__(self) -> str:
        """Return what a message says about it."""
        how = "was left out" if self.status == LEFT_OUT else "failed"
        return f"{self.device}: {self.phase} {how}: {self.message}"


class LifeCycle:
    """Calls the hooks of devices in their order.

    Args:
        plan: What the environment says.
        devices: The devices by name.
        tell: Called with each step when it is over.
    """

    def __init__(self, plan: BenchPlan, devices: Mapping[str, Device], tell: Callable[[Step], None]) -> None:
        self._plans, self._devices, self._tell = plan.devices, devices, tell
        self._ranks = _ranks(plan.devices)

    # -- up

    async def bring_up(self) -> list[Step]:
        """Validate, boot and configure all devices; return every step.

        A phase begins when the one before has ended for all devices; one with ``depends_on`` begins when those are configured.
        After a failure nothing that waits for it begins, and what runs is run to its end.
        """
        steps = await self._all(self._plans, lambda one: self._attempt(one, "validate", "validate"))
        if any(step.status == FAILED for step in steps):
            return steps
        lives = {name: _Life() for name in self._plans}
        return steps + [step for some in await _each([self._live(name, lives) for name in self._plans]) for step in some]

    async def skip_boot(self) -> list[Step]:
        """Call ``skip_boot`` of all devices and nothing else; return every step."""
        return await self._all(self._plans, lambda one: self._attempt(one, "skip_boot", "skip boot"))

    async def check(self, requirement: Any) -> list[Step]:
        """Call ``contingency_check`` of all devices; return every step."""
        hook = "contingency_check"
        return await self._all(self._plans, lambda one: self._attempt(one, hook, "contingency check", (requirement,)))

    async def _live(self, name: str, lives: Mapping[str, _Life]) -> list[Step]:
        plan, life, steps = self._plans[name], lives[name], list[Step]()
        for hook, done in (("boot", life.booted), ("configure", life.configured)):
            try:
                missing = await self._barrier(plan, hook, lives)
                phase = f"{plan.role} {hook}"
                if missing:
                    step = self._told(Step(phase, name, time.time(), 0.0, LEFT_OUT, f"{', '.join(missing)} did not come up"))
                elif hook == "boot" and self._has(plan, hook):
                    step = await self._boot(plan, phase)
                else:
                    step = await self._attempt(plan, hook, phase)
                steps.append(step)
                done.set_result(step.status == OK)
            finally:
                if not done.done():
                    done.set_result(False)
        return steps

    async def _barrier(self, plan: DevicePlan, hook: str, lives: Mapping[str, _Life]) -> list[str]:
        """Wait for what must be done before; return the names of those that failed."""
        own = [plan.name] if hook == "configure" else []
        if plan.depends_on:
            before = {name: lives[name].configured for name in plan.depends_on}
        else:
            rank = self._ranks[plan.name]
            before = {name: life.configured for name, life in lives.items() if self._ranks[name] < rank}
            if hook == "configure":
                own = [name for name, other in self._plans.items() if self._ranks[name] == rank and not other.depends_on]
        before |= {name: lives[name].booted for name in own}
        return [name for name, done in before.items() if not await asyncio.shield(done)]

    async def _boot(self, plan: DevicePlan, phase: str) -> Step:
        """Boot a device, again after a power cycle while there are attempts left."""
        began, failures = time.time(), list[str]()
        for attempt in range(1, plan.boot_attempts + 1):
            step = await self._called(plan, "boot", phase, ())
            if step.status == OK:
                message = f"up at attempt {attempt}; before: {'; '.join(failures)}" if failures else ""
                return self._told(Step(phase, plan.name, began, time.time() - began, OK, message))
            failures.append(f"attempt {attempt}: {step.message}" if plan.boot_attempts > 1 else step.message)
            if attempt < plan.boot_attempts:
                failures += await self._power_cycled(plan)
        return self._told(Step(phase, plan.name, began, time.time() - began, FAILED, "\n    ".join(failures)))

    async def _power_cycled(self, plan: DevicePlan) -> list[str]:
        power = self._devices[plan.name].power
        self._devices[plan.name].close_console()
        if power is None:
            return []
        try:
            async with asyncio.timeout(_POWER_S):
                await power.cycle()
        except Exception as error:  # noqa: BLE001 - the next attempt may work all the same
            return [f"power cycle: {reason(error, _POWER_S)}"]
        return []

    # -- down

    async def bring_down(self) -> list[Step]:
        """Shut all devices down, those that others depend on last; each is tried, whatever the others do."""
        ended = {name: asyncio.get_running_loop().create_future() for name in self._plans}

        async def end(name: str) -> Step:
            later = [other for other in self._plans if self._is_before(name, other)]
            await asyncio.gather(*(asyncio.shield(ended[other]) for other in later))
            try:
                return await self._attempt(self._plans[name], "shutdown", "shutdown")
            finally:
                self._devices[name].close_console()
                ended[name].set_result(None)

        return await _each([end(name) for name in self._plans])

    def _is_before(self, name: str, other: str) -> bool:
        """Return True when ``other`` is to be shut down before ``name``."""
        if self._devices[name].shut_down_in_order and self._devices[other].shut_down_in_order:
            order = list(self._plans)
            return order.index(other) > order.index(name)
        return self._ranks[other] > self._ranks[name] or name in _all_before(other, self._plans)

    # -- one hook

    async def _all(self, plans: Mapping[str, DevicePlan], work: Callable[[DevicePlan], Awaitable[Step]]) -> list[Step]:
        return await _each([work(plan) for plan in plans.values()])

    async def _attempt(self, plan: DevicePlan, hook: str, phase: str, arguments: tuple[Any, ...] = ()) -> Step:
        step = await self._called(plan, hook, phase, arguments)
        return self._told(step) if self._has(plan, hook) else step

    def _has(self, plan: DevicePlan, hook: str) -> bool:
        """Return True when the driver wrote the hook."""
        return getattr(getattr(self._devices[plan.name], hook), "__func__", None) is not getattr(Device, hook)

    async def _called(self, plan: DevicePlan, hook: str, phase: str, arguments: tuple[Any, ...]) -> Step:
        device, limit_s = self._devices[plan.name], plan.limit_s(hook)
        began, clock = time.time(), time.monotonic()
        method = getattr(device, hook)
        if not self._has(plan, hook):
            return Step(phase, plan.name, began, 0.0)
        try:
            await call(method, arguments, limit_s, device.abandon)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the other devices have their turn
            return Step(phase, plan.name, began, time.monotonic() - clock, FAILED, reason(error, limit_s))
        return Step(phase, plan.name, began, time.monotonic() - clock)

    def _told(self, step: Step) -> Step:
        self._tell(step)
        return step


class _Life:
    """What of a device is done; each becomes True, or False when it failed."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.booted: asyncio.Future[bool] = loop.create_future()
        self.configured: asyncio.Future[bool] = loop.create_future()


async def _each(coroutines: Sequence[Any]) -> list[Any]:
    """Run them side by side; when this is cancelled, wait until all of them have ended."""
    async with asyncio.TaskGroup() as group:
        # The last device of the environment is the first to begin, as with Vitro.
        tasks = [group.create_task(coroutine) for coroutine in reversed(coroutines)]
    return [task.result() for task in reversed(tasks)]


def reason(error: BaseException, limit_s: float) -> str:
    """Return why a hook failed, in a sentence."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"it was not over in {duration_text(limit_s)}"
    text = str(error) if isinstance(error, OttoError) else f"{type(error).__name__}: {error}"
    return printable(text)


def _ranks(plans: Mapping[str, DevicePlan]) -> dict[str, int]:
    """Return when each device comes, by role; one that depends on a later role comes with that."""
    return {
        name: max(ROLES.index(plans[one].role) for one in (name, *_all_before(name, plans)))
        for name in plans
    }  # fmt: skip


def _all_before(name: str, plans: Mapping[str, DevicePlan]) -> set[str]:
    found: set[str] = set()
    left = list(plans[name].depends_on)
    while left:
        one = left.pop()
        if one not in found and one in plans:
            found.add(one)
            left += plans[one].depends_on
    return found
