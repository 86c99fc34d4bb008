"""The order of phases, failures, time limits and retries."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.errors import DeployError
from OttoLibrary.testbed.device import Device
from OttoLibrary.testbed.life_cycle import LEFT_OUT
from tests.unit.testbed.benches import Traced, deployment

ALL = ({"name": "srv", "role": "server"}, {"name": "dut"}, {"name": "client", "role": "attached"})


def begun() -> list[str]:
    return [call for call in Traced.calls if not call.endswith("done")]


def bring_up(*devices: dict[str, Any], **common: Any) -> Any:
    async def up() -> Any:
        made = await deployment(*devices, **common)
        await made.bring_up()
        return made

    return asyncio.run(up())


def failure(*devices: dict[str, Any], **common: Any) -> str:
    with pytest.raises(DeployError) as raised:
        bring_up(*devices, **common)
    return str(raised.value)


def test_phases_follow_each_other() -> None:
    bring_up(*ALL)
    assert sorted(begun()[:3]) == ["validate client", "validate dut", "validate srv"]
    assert begun()[3:] == ["boot srv", "configure srv", "boot dut", "configure dut", "boot client", "configure client"]


def test_the_devices_of_a_phase_run_at_once() -> None:
    meeting = threading.Barrier(3, timeout=20)

    class Meets(Device):
        def boot(self) -> None:
            meeting.wait()

    class MeetsToo(Device):
        async def boot(self) -> None:
            await asyncio.to_thread(meeting.wait)

    for name, kind in (("meets", Meets), ("meets_too", MeetsToo)):
        registry.register_device(name, kind)
    try:
        devices = ({"name": "a", "type": "meets"}, {"name": "b", "type": "meets_too"}, {"name": "c", "type": "meets"})
        assert len([step for step in bring_up(*devices).steps if step.phase == "device boot"]) == 3
    finally:
        for name in ("meets", "meets_too"):
            registry._registered["device"].pop(name)


def test_what_depends_begins_as_soon_as_that_is_up() -> None:
    slow, early = {"name": "slow", "wait": 0.1}, {"name": "early", "role": "attached", "depends_on": ["quick"]}
    bring_up(slow, {"name": "quick"}, early)
    assert Traced.calls.index("configure early done") < Traced.calls.index("configure slow done")


def test_a_server_may_depend_on_a_device() -> None:
    bring_up({"name": "srv", "role": "server", "depends_on": "dut"}, {"name": "dut"}, {"name": "client", "role": "attached"})
    order = [call for call in begun() if "validate" not in call]
    assert order == ["boot dut", "configure dut", "boot srv", "configure srv", "boot client", "configure client"]


def test_every_error_of_a_phase_is_collected_and_no_further_phase_begins() -> None:
    said = failure(*ALL, {"name": "dut2", "fail": ["boot"]}, {"name": "dut3", "fail": ["boot"], "wait": 0.01})
    assert "dut2: device boot failed: RuntimeError: no boot" in said
    assert "dut3: device boot failed: RuntimeError: no boot" in said
    assert "never booted or configured, since others failed: client, dut" in said
    assert "configure dut" not in begun()
    assert "boot client" not in begun()


def test_a_failed_validation_boots_nothing() -> None:
    said = failure({"name": "a", "fail": ["validate"]}, {"name": "b", "fail": ["validate"]}, {"name": "c"})
    assert said.count("RuntimeError: no validate") == 2
    assert not [call for call in begun() if "boot" in call]


def test_skip_boot_calls_nothing_else() -> None:
    async def up() -> None:
        await (await deployment(*ALL)).bring_up(skip_boot=True)

    asyncio.run(up())
    assert sorted(begun()) == ["skip_boot client", "skip_boot dut", "skip_boot srv"]


def test_a_limit_ends_a_coroutine_and_a_thread() -> None:
    release = threading.Event()

    class Hangs(Device):
        def boot(self) -> None:
            release.wait(60)

    class HangsToo(Device):
        async def boot(self) -> None:
            await asyncio.sleep(60)

    registry.register_device("hangs", Hangs)
    registry.register_device("hangs_too", HangsToo)
    try:
        said = failure({"name": "a", "type": "hangs"}, {"name": "b", "type": "hangs_too"}, timeouts={"boot": 0.05})
    finally:
        release.set()
        for name in ("hangs", "hangs_too"):
            registry._registered["device"].pop(name)
    assert said.count("device boot failed: it was not over in") == 2


def test_a_boot_is_tried_again_after_a_power_cycle() -> None:
    seen: list[str] = []

    class Switch:
        def __init__(self, device: str, part: Any, hosts: object) -> None:
            return

        async def on(self) -> None:
            return

        async def off(self) -> None:
            return

        async def cycle(self) -> None:
            seen.append("cycle")

    class ThirdTime(Device):
        def boot(self) -> None:
            seen.append("boot")
            if seen.count("boot") < 3:
                raise RuntimeError(f"attempt {seen.count('boot')}")

    registry.register("power", "switch", Switch)
    registry.register_device("third", ThirdTime)
    try:
        made = bring_up({"name": "a", "type": "third", "boot_attempts": 3, "power": {"switch": 1}})
    finally:
        registry._registered["power"].pop("switch")
        registry._registered["device"].pop("third")
    assert seen == ["boot", "cycle", "boot", "cycle", "boot"]
    step = next(step for step in made.steps if step.phase == "device boot")
    assert step.message == "up at attempt 3; before: attempt 1: RuntimeError: attempt 1; attempt 2: RuntimeError: attempt 2"


def test_every_device_is_shut_down_once_whatever_happens() -> None:
    async def life() -> tuple[list[str], list[str]]:
        made = await deployment(
            {"name": "srv", "role": "server"}, {"name": "dut", "fail": ["boot", "shutdown"]}, {"name": "b"}, ALL[2]
        )
        with pytest.raises(DeployError):
            await made.bring_up()
        failed = await made.bring_down()
        assert await made.bring_down() == []
        return failed, [call for call in begun() if "shutdown" in call]

    failed, order = asyncio.run(life())
    assert failed == ["dut: shutdown failed: RuntimeError: no shutdown"]
    assert (order[0], sorted(order[1:3]), order[3]) == ("shutdown client", ["shutdown b", "shutdown dut"], "shutdown srv")
    assert len(order) == 4


def test_what_others_depend_on_is_shut_down_last() -> None:
    async def life() -> None:
        made = await deployment({"name": "a"}, {"name": "b", "depends_on": "a"})
        await made.bring_up()
        await made.bring_down()

    asyncio.run(life())
    assert begun()[-2:] == ["shutdown b", "shutdown a"]


def test_a_cancelled_boot_ends_its_hooks() -> None:
    ended: list[str] = []

    class Waits(Device):
        async def boot(self) -> None:
            started.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(self.name)

    async def life() -> None:
        made = await deployment({"name": "a", "type": "waits"})
        task = asyncio.create_task(made.bring_up())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = asyncio.Event()
    registry.register_device("waits", Waits)
    try:
        asyncio.run(life())
    finally:
        registry._registered["device"].pop("waits")
    assert ended == ["a"]


def test_a_step_says_what_was_left_out() -> None:
    async def life() -> Any:
        made = await deployment({"name": "a", "fail": ["boot"]}, {"name": "b", "role": "attached"})
        with pytest.raises(DeployError):
            await made.bring_up()
        return made

    left = [step for step in asyncio.run(life()).steps if step.status == LEFT_OUT]
    assert [(step.phase, step.device, step.message) for step in left] == [
        ("device configure", "a", "a did not come up"),
        ("attached boot", "b", "a did not come up"),
        ("attached configure", "b", "a, b did not come up"),
    ]


def test_a_device_is_found_by_what_it_is() -> None:
    class CanPingToo(Traced):
        def ping(self, address: str, count: int = 4) -> bool:
            return True

    registry.register_device("pings", CanPingToo)
    try:
        made = asyncio.run(deployment({"name": "a"}, {"name": "b", "type": "pings"}))
    finally:
        registry._registered["device"].pop("pings")
    assert [made.device("", kind).name for kind in ("traced", "Traced", "pings", "CanPing")] == ["a", "a", "b", "b"]
    assert made.device("b", "Traced").name == "b"
    with pytest.raises(LookupError, match=r"No device of type named 'CanPng'\. Did you mean 'CanPing'"):
        made.device("", "CanPng")
    with pytest.raises(LookupError, match=r"No device named 'c'"):
        made.device("c")
