"""What an environment says about the life of its devices: types, roles, order, time limits; checked before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from OttoLibrary import registry
from OttoLibrary.errors import OttoError
from OttoLibrary.lab.environment import Environment, EnvironmentDevice
from OttoLibrary.schema.field_types import Field, JsonObject, ListOf, MapOf, ObjectOf, kind_of
from OttoLibrary.schema.scalar_types import COUNT, DURATION, LABEL, choice_of
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.testbed.device import ROLES

_ROLE_STEPS = ("boot", "configure")
PHASES = ("validate", *(f"{role} {step}" for role in ROLES for step in _ROLE_STEPS))
_LIMITED = (
    "validate",
    "skip_boot",
    "boot",
    "configure",
    "contingency_check",
    "shutdown",
    *(p.replace(" ", "_") for p in PHASES[1:]),
)
_STANDARD_S = {"validate": 60.0, "shutdown": 120.0, "contingency_check": 60.0}
_OTHERS_S = 600.0
_MOST_ATTEMPTS = 20

_TIMEOUTS = MapOf(choice_of(_LIMITED), DURATION)
_LIFE = ObjectOf({
    "role": Field(choice_of(ROLES), "When it is brought up: server, device or attached."),
    "depends_on": Field(ListOf(LABEL), "The devices that must be up before it is booted."),
    "timeouts": Field(_TIMEOUTS, "How long each hook of it may take."),
    "boot_attempts": Field(COUNT, "How often it may be booted until that works; 1 by default."),
})  # fmt: skip
# The keys of a power part, and the adapter that each means.
_POWER = {"on": "commands", "off": "commands", "cycle": "commands", "pdudaemon": "pdudaemon", "snmp": "snmp"}


@dataclass(frozen=True)
class DevicePlan:
    """The life of one device.

    Attributes:
        found: What the environment says about it.
        factory: Makes it.
        role: When it is brought up.
        depends_on: The devices that must be up before.
        boot_attempts: How often it may be booted.
        timeouts: Time limits in seconds, by hook and phase.
        power: The adapter that switches it, empty for none.
    """

    found: EnvironmentDevice
    factory: Any = field(repr=False)
    role: str = "device"
    depends_on: tuple[str, ...] = ()
    boot_attempts: int = 1
    timeouts: Mapping[str, float] = field(default_factory=dict)
    power: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.found.name

    def limit_s(self, hook: str) -> float:
        """Return how long a hook may take, in seconds; a limit for the phase of its role counts more than one for the hook."""
        phase = f"{self.role}_{hook}"
        return self.timeouts.get(phase, self.timeouts.get(hook, _STANDARD_S.get(hook, _OTHERS_S)))


@dataclass(frozen=True)
class BenchPlan:
    """The life of all devices.

    Attributes:
        environment: What it is the plan of.
        devices: Each device by name, in the order of the environment.
    """

    environment: Environment
    devices: Mapping[str, DevicePlan]


def plan(environment: Environment, problems: list[str]) -> BenchPlan:
    """Return the plan of an environment; mistakes are noted, each where it is written."""
    common = _common_timeouts(environment, problems)
    devices = {device.name: _device_plan(device, common, problems) for device in environment.devices}
    known = {device.name: device for device in environment.devices}
    for one in devices.values():
        for name in one.depends_on:
            if name not in known or name == one.name:
                what = "itself" if name == one.name else f"{name!r}, which is no device of the environment"
                _at(one.found, "depends_on", problems).wrong(
                    f"device {one.name!r} depends on {what}", name, set(known) - {one.name}
                )
    _check_circles(devices, problems)
    return BenchPlan(environment, devices)


def _common_timeouts(environment: Environment, problems: list[str]) -> JsonObject:
    given = environment.asked.get("timeouts")
    if given is None:
        return {}
    position = SourcePosition(environment.sources[0], environment.folder, problems, "timeouts")
    return _filled(_TIMEOUTS.read(given, position))


def _filled(values: Any) -> dict[str, Any]:
    return {key: value for key, value in (values or {}).items() if value is not None}


def _at(device: EnvironmentDevice, key: str, problems: list[str]) -> SourcePosition:
    return replace(device.position(key), problems=problems)


def _device_plan(device: EnvironmentDevice, common: JsonObject, problems: list[str]) -> DevicePlan:
    values = {}
    for key, row in _LIFE.fields.items():
        value = device.config.get(key)
        if value is not None:
            given = [value] if key == "depends_on" and isinstance(value, str) else value
            values[key] = row.kind.read(given, _at(device, key, problems))
    if (values.get("boot_attempts") or 1) > _MOST_ATTEMPTS:
        _at(device, "boot_attempts", problems).wrong(f"{_MOST_ATTEMPTS} attempts are the most")
    power = _power_of(device, problems)
    factory = _factory(device, problems)
    role = str(values.get("role") or getattr(factory, "role", "device"))
    if role not in ROLES:
        _at(device, "type", problems).wrong(f"the class of {device.type!r} has the role {role!r}, not one of {', '.join(ROLES)}")
    return DevicePlan(
        device,
        factory,
        role,
        tuple(filter(None, values.get("depends_on") or ())),
        values.get("boot_attempts") or 1,
        {**common, **_filled(values.get("timeouts"))},
        power,
    )


def _factory(device: EnvironmentDevice, problems: list[str]) -> Any:
    known = registry.names("device")
    if device.type not in known:
        what = f"device type {device.type!r} of {device.name!r} is not known, known are {', '.join(known)}"
        _at(device, "type", problems).wrong(what, device.type, known)
        return None
    try:
        return registry.find("device", device.type)
    except OttoError as error:
        _at(device, "type", problems).wrong(str(error).removesuffix("."))
        return None


def _power_of(device: EnvironmentDevice, problems: list[str]) -> str:
    part = device.config.get("power")
    if part is None:
        return ""
    at = _at(device, "power", problems)
    if not isinstance(part, Mapping):
        at.wrong(f"{kind_of(part)} is not an object")
        return ""
    kinds = {kind for key, kind in _POWER.items() if key in part} or {key for key in part if key in registry.names("power")}
    if len(kinds) != 1:
        at.wrong(
            f"exactly one way to switch {device.name!r} is needed: on and off commands, {', '.join(registry.names('power'))}"
        )
        return ""
    return kinds.pop()


def _check_circles(devices: Mapping[str, DevicePlan], problems: list[str]) -> None:
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done or name not in devices:
            return []
        done.add(name)
        for other in devices[name].depends_on:
            if other != name and (circle := follow(other, [*way, name])):
                return circle
        return []

    for name, one in devices.items():
        circle = follow(name, [])
        if circle:
            at = _at(devices[circle[0]].found, "depends_on", problems)
            at.wrong(f"the devices depend on each other in a circle: {' -> '.join(circle)}")
            return
        done.add(one.name)
