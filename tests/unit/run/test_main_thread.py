"""Work for the main thread: in order, interrupted, given up, and never lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from OttoLibrary.run.main_thread import MainResult, MainThread


def test_work_is_done_in_order_and_its_results_come_back() -> None:
    async def go() -> list[Any]:
        main = MainThread()
        tasks = [asyncio.create_task(main.do(lambda number=number: number)) for number in range(3)]
        whole = asyncio.ensure_future(asyncio.gather(*tasks))
        result, order = None, []
        while (work := await main.next(whole, result)) is not None:  # type: ignore[arg-type]
            order.append(work.do())
            result = MainResult(work, order[-1])
        return [*order, *await whole]

    assert asyncio.run(go()) == [0, 1, 2, 0, 1, 2]


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    async def go() -> None:
        main = MainThread()
        task = asyncio.create_task(main.do(lambda: None))
        work = await main.next(task)
        assert work is not None
        await main.next(task, MainResult(work, error=ValueError("no")))
        await task

    with pytest.raises(ValueError, match="no"):
        asyncio.run(go())


def test_what_waits_and_is_cancelled_is_never_begun() -> None:
    async def go() -> None:
        main, forever = MainThread(), asyncio.create_task(asyncio.Event().wait())
        first, second = (asyncio.create_task(main.do(lambda: None)) for _ in range(2))
        work = await main.next(forever)
        second.cancel()
        await asyncio.sleep(0)
        forever.cancel()
        await asyncio.wait([forever, second])
        assert work is not None
        assert await main.next(forever, MainResult(work)) is None
        await first

    asyncio.run(go())


def test_what_runs_and_is_cancelled_is_interrupted_and_waited_for() -> None:
    interrupted = []

    async def go() -> None:
        main = MainThread()
        task = asyncio.create_task(main.do(lambda: None, lambda: interrupted.append(True)))
        work = await main.next(task)
        assert work is not None
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        assert await main.next(task, MainResult(work, error=ValueError())) is None
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert interrupted == [True]


def test_a_piece_on_its_way_when_the_main_thread_was_interrupted_comes_again() -> None:
    async def go() -> None:
        main = MainThread()
        task = asyncio.create_task(main.do(lambda: None))
        work = await main.next(task)
        assert work is not None
        assert await main.next(task) is work
        await main.next(task, MainResult(work))
        await task

    asyncio.run(go())
