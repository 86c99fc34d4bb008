"""Turns: in order, and never longer than the deadline."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import WaitTimeoutError
from OttoLibrary.host.records import HostRecords
from OttoLibrary.host.turns import Turn


def _turn(at_a_time: int = 1) -> Turn:
    return Turn(HostRecords("box", ("box",), lambda record: None), at_a_time)


def test_one_after_the_other() -> None:
    async def go() -> None:
        turn, order = _turn(), []

        async def take(name: str) -> None:
            async with turn.hold(Deadline(5)):
                order.append(f"{name} has it")
                await asyncio.sleep(0)
                order.append(f"{name} gives it back")

        await asyncio.gather(take("a"), take("b"))
        assert order == ["a has it", "a gives it back", "b has it", "b gives it back"]
        assert not turn.taken

    asyncio.run(go())


def test_a_wait_ends_with_its_deadline() -> None:
    async def go() -> None:
        turn = _turn()
        async with turn.hold(Deadline(5)):
            with pytest.raises(WaitTimeoutError, match=r"'box' was busy with another command in 0\.01 seconds"):
                async with asyncio.timeout(5), turn.hold(Deadline(0.01)):
                    raise AssertionError("It had a turn that another one holds.")
        assert not turn.taken

    asyncio.run(go())


def test_a_turn_that_is_given_to_a_waiter_at_this_moment_is_waited_for_with_the_deadline_too() -> None:
    async def go() -> None:
        turn = _turn()
        released = asyncio.Event()

        async def keep_for_ever() -> None:
            async with turn.hold(Deadline(5)):
                released.set()
                await asyncio.Event().wait()

        async with turn.hold(Deadline(5)):
            keeping = asyncio.ensure_future(keep_for_ever())
            await asyncio.sleep(0)
        # It is free now, and the waiter has it as soon as it runs.
        with pytest.raises(WaitTimeoutError):
            async with asyncio.timeout(5), turn.hold(Deadline(0.01)):
                raise AssertionError("It had a turn that another one holds.")
        assert released.is_set()
        keeping.cancel()

    asyncio.run(go())


def test_several_may_have_it_where_that_is_said() -> None:
    async def go() -> None:
        turn = _turn(2)
        async with turn.hold(Deadline(5)):
            assert not turn.taken
            async with turn.hold(Deadline(5)):
                assert turn.taken

    asyncio.run(go())
