"""The kill switch: from any thread, once, and nothing is kept."""

from __future__ import annotations

import asyncio
import threading

from OttoLibrary.scenario.kill_switch import KillSwitch


def test_the_first_reason_counts_and_all_are_called_once() -> None:
    switch, called = KillSwitch(), []
    switch.on_set(lambda: called.append("a"))
    switch.on_set(lambda: called.append("b"))()
    switch.set("first")
    switch.set("second")
    switch.on_set(lambda: called.append("late"))
    assert (called, switch.reason, switch.is_set()) == (["a", "late"], "first", True)


def test_threads_and_coroutines_see_it() -> None:
    switch = KillSwitch()

    async def waits() -> bool:
        threading.Timer(0.01, switch.set).start()
        async with asyncio.timeout(20):
            await switch.pulled()
        return await asyncio.to_thread(switch.wait, 20)

    assert asyncio.run(waits())


def test_a_wait_that_was_given_up_leaves_nothing() -> None:
    switch = KillSwitch()

    async def gives_up() -> None:
        for _ in range(100):
            try:
                async with asyncio.timeout(0):
                    await switch.pulled()
            except TimeoutError:
                pass

    asyncio.run(gives_up())
    assert not switch._called
