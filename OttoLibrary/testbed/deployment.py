"""A deployed environment: its devices made, brought up and shut down, with a record of every step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from OttoLibrary import registry
from OttoLibrary.errors import DeployError, OttoError, PluginError, UnknownNameError
from OttoLibrary.host.host import Host
from OttoLibrary.masking import mask
from OttoLibrary.testbed.bench_plan import BenchPlan, DevicePlan
from OttoLibrary.testbed.device import Device, DeviceHost, DevicePlace, DevicePower, HostCalls
from OttoLibrary.testbed.life_cycle import FAILED, LEFT_OUT, LifeCycle, Step

_MOST_NOTES = 10_000


@dataclass(frozen=True)
class DeviceNote:
    """A line that a device wrote into the log.

    Attributes:
        time: When, in seconds since 1970.
        device: The name of the device.
        text: The line.
    """

    time: float
    device: str
    text: str


@dataclass(frozen=True)
class Surroundings:
    """What a deployment is given.

    Attributes:
        host: Returns a host of the lab.
        files: Returns the files of one.
        is_host: Whether there is a host of that name.
        transcript: Called with device and text that its console shows.
        tell: Called with each step when it is over.
    """

    host: Callable[[str], Host]
    files: Callable[[str], Any]
    is_host: Callable[[str], bool]
    transcript: Callable[[str, str], None] = lambda device, text: None
    tell: Callable[[Step], None] = lambda step: None


class Deployment:
    """The devices of one environment, from their making to their shutdown.

    Args:
        plan: What the environment says about them.
        around: What it is given.

    Attributes:
        steps: What was done, in the order in which it was over.
        notes: What devices wrote into the log.
        devices: The devices by name; empty until ``make``.
    """

    def __init__(self, plan: BenchPlan, around: Surroundings) -> None:
        self.plan, self._around = plan, around
        self.steps: list[Step] = []
        self.notes: list[DeviceNote] = []
        self.devices: dict[str, Device] = {}
        self._life: LifeCycle | None = None
        self._is_down = False

    @property
    def life(self) -> LifeCycle:
        """What calls the hooks."""
        if self._life is None:
            self._life = LifeCycle(self.plan, self.devices, self._done)
        return self._life

    async def make(self) -> None:
        """Make all devices; raise DeployError with each one that cannot be made."""
        calls = HostCalls(asyncio.get_running_loop())
        failed = []
        for one in self.plan.devices.values():
            try:
                self.devices[one.name] = self._made(one, calls)
            except Exception as error:  # noqa: BLE001 - a driver may do anything when it is made
                failed.append(
                    f"{one.name}: {error}" if isinstance(error, OttoError) else f"{one.name}: {type(error).__name__}: {error}"
                )
        if failed:
            raise DeployError(self.plan.environment.board, failed)

    async def bring_up(self, *, skip_boot: bool = False) -> None:
        """Bring all devices up; raise DeployError with everything that failed."""
        steps = await (self.life.skip_boot() if skip_boot else self.life.bring_up())
        failed = [str(step) for step in steps if step.status == FAILED]
        left_out = sorted({step.device for step in steps if step.status == LEFT_OUT})
        if failed:
            if left_out:
                failed.append(f"never booted or configured, since others failed: {', '.join(left_out)}")
            raise DeployError(self.plan.environment.board, failed)

    async def check(self, requirement: Any = None) -> None:
        """Call the contingency checks of all devices; raise DeployError with each that failed."""
        failed = [str(step) for step in await self.life.check(requirement) if step.status == FAILED]
        if failed:
            raise DeployError(self.plan.environment.board, failed)

    async def bring_down(self) -> list[str]:
        """Shut all devices down, once; return what failed."""
        if self._is_down:
            return []
        self._is_down = True
        return [str(step) for step in await self.life.bring_down() if step.status == FAILED]

    def device(self, name: str = "", kind: str = "") -> Device:
        """Return a device by its name, or the first of a type; raise UnknownNameError.

        Args:
            name: Its name; with a type too, it must be of that.
            kind: Its type, or the name of its class or of one that this is based on.
        """
        if name and name not in self.devices:
            raise UnknownNameError("device", name, self.devices)
        found = [device for device in self.devices.values() if not name or device.name == name]
        if kind:
            found = [device for device in found if is_of(device, kind)]
        if not found:
            known = [word for device in self.devices.values() for word in words_for(device)]
            raise UnknownNameError("device of type", kind, dict.fromkeys(known))
        return found[0]

    def _made(self, one: DevicePlan, calls: HostCalls) -> Device:
        host = None
        if self._around.is_host(one.name):
            host = DeviceHost(self._around.host(one.name), calls, lambda: self._around.files(one.name))
        power = None
        if one.power:
            switch = registry.load("power", one.power, one.name, one.found.config["power"], self._around.host)
            power = DevicePower(switch, calls, one.name)
        prompts = one.found.config.get("shell_prompt")
        prompt = "|".join(f"(?:{each})" for each in ([prompts] if isinstance(prompts, str) else prompts or []))
        folder = one.found.position("software").folder
        place = DevicePlace(
            self.devices, self._note, host, power, prompt, folder, lambda text: self._around.transcript(one.name, text)
        )
        device = one.factory(one.found.config, place)
        if not isinstance(device, Device):
            raise PluginError(f"Device type '{one.found.type}' makes a {type(device).__name__}, which is no OttoLibrary.Device.")
        return device

    def _note(self, device: str, text: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(DeviceNote(time.time(), device, mask(text)))
        self._around.transcript(device, f"{text}\n")

    def _done(self, step: Step) -> None:
        self.steps.append(step)
        self._around.tell(step)


def is_of(device: Device, kind: str) -> bool:
    """Return True when a device is of a type: as the environment calls it, as its class or a base is called, or as a contract."""
    return kind in words_for(device)


def words_for(device: Device) -> Sequence[str]:
    """Return what a device may be asked for as."""
    from OttoLibrary.testbed.templates import fulfilled

    classes = [base.__name__ for base in type(device).__mro__ if base is not object and base is not Device]
    return [device.type, *classes, *fulfilled(device)]


def versions(devices: Mapping[str, Device]) -> dict[str, str]:
    """Return what devices say about their versions: the attribute ``version`` of each that has one."""
    return {name: str(found) for name, device in devices.items() if (found := getattr(device, "version", None))}
