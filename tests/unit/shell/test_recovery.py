"""The end of a command that was given up: once at a time, whoever leaves, and bounded for those who wait."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.recovery import Recovery


class Ending:
    """Ends a command when the test says so, and counts how often it began to."""

    def __init__(self) -> None:
        self.begun, self.may_end = 0, asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_end.wait()


def test_nothing_to_wait_for_is_over() -> None:
    async def go() -> bool:
        return await Recovery(Ending()).over()

    assert asyncio.run(go())


def test_a_command_is_ended_once_for_all_who_ask() -> None:
    async def go() -> tuple[int, bool]:
        ending = Ending()
        recovery = Recovery(ending)
        assert recovery.begin() is recovery.begin()
        waiting = asyncio.gather(recovery.finish(), recovery.over())
        await asyncio.sleep(0)
        assert recovery.running
        ending.may_end.set()
        await waiting
        return ending.begun, recovery.running

    assert asyncio.run(go()) == (1, False)


def test_it_goes_on_when_the_caller_is_cancelled() -> None:
    async def go() -> bool:
        ending = Ending()
        recovery = Recovery(ending)
        caller = asyncio.create_task(recovery.finish())
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert recovery.running
        ending.may_end.set()
        return await recovery.over()

    assert asyncio.run(go())


def test_who_has_no_time_left_is_told_that_it_is_not_over() -> None:
    async def go() -> tuple[bool, bool]:
        ending = Ending()
        recovery = Recovery(ending)
        recovery.begin()
        early = await recovery.over(Deadline(0.01))
        ending.may_end.set()
        return early, await recovery.over()

    assert asyncio.run(go()) == (False, True)


def test_another_command_can_be_ended_afterwards() -> None:
    async def go() -> int:
        ending = Ending()
        ending.may_end.set()
        recovery = Recovery(ending)
        await recovery.finish()
        await recovery.finish()
        return ending.begun

    assert asyncio.run(go()) == 2
