"""Environments in memory, and devices that write down what is done to them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from OttoLibrary import registry
from OttoLibrary.lab.environment import Environment, EnvironmentDevice
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.testbed.bench_plan import BenchPlan, plan
from OttoLibrary.testbed.deployment import Deployment, Surroundings
from OttoLibrary.testbed.device import Device


class Traced(Device):
    """Writes down each hook, and does what its data say: ``fail`` names a hook, ``wait`` how long each takes."""

    calls: ClassVar[list[str]] = []

    async def _do(self, hook: str) -> None:
        self.calls.append(f"{hook} {self.name}")
        await asyncio.sleep(self.config.get("wait", 0))
        if hook in self.config.get("fail", ()):
            raise RuntimeError(f"no {hook}")
        self.calls.append(f"{hook} {self.name} done")

    async def validate(self) -> None:
        await self._do("validate")

    async def skip_boot(self) -> None:
        await self._do("skip_boot")

    async def boot(self) -> None:
        await self._do("boot")

    async def configure(self) -> None:
        await self._do("configure")

    async def shutdown(self) -> None:
        await self._do("shutdown")


def environment(*devices: dict[str, Any], **common: Any) -> Environment:
    at = SourcePosition("inv.json", Path())
    found = [
        EnvironmentDevice(one["name"], one["type"], one, {}, one, at.at("asked"), at.at(one["name"]))
        for one in ({"type": "traced", **device} for device in devices)
    ]
    return Environment("bench-1", tuple(found), common, {}, ("env.json", "inv.json"))


def planned(*devices: dict[str, Any], **common: Any) -> BenchPlan:
    if "traced" not in registry.names("device"):
        registry.register_device("traced", Traced)
    problems: list[str] = []
    made = plan(environment(*devices, **common), problems)
    assert not problems
    return made


async def deployment(*devices: dict[str, Any], **common: Any) -> Deployment:
    def no_host(name: str) -> Any:
        raise AssertionError(name)

    made = Deployment(planned(*devices, **common), Surroundings(no_host, no_host, lambda name: False))
    await made.make()
    Traced.calls.clear()
    return made
