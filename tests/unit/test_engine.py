"""The engine: results, errors, and a wait that is interrupted."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from OttoLibrary.engine import Engine


class Interrupted(BaseException):
    """Like Robot's TimeoutExceeded."""


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def test_a_result_comes_back(engine: Engine) -> None:
    async def work() -> int:
        return 7

    assert engine.call(work()) == 7


def test_an_error_comes_back(engine: Engine) -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        engine.call(work())


def test_a_signal_that_the_kernel_gives_to_another_thread_interrupts_too(engine: Engine) -> None:
    async def work() -> str:
        signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
        await asyncio.sleep(30)
        return "never interrupted"

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted):
            engine.call(work())
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("known", [False, True], ids=["before it is handed over", "before it begins"])
def test_an_interrupt_that_comes_before_the_work_begins_is_not_lost(engine: Engine, known: bool) -> None:
    async def work() -> None:
        await asyncio.sleep(30)

    def interrupt() -> None:
        # It holds the loop, so that nothing begins meanwhile.
        while engine._interruptible is None or (known and engine._interruptible._loop is None):
            time.sleep(0.001)
        time.sleep(0.05)
        engine.interrupt(ValueError("broken"))

    async def arm() -> None:
        asyncio.get_running_loop().call_soon(interrupt)

    engine.call(arm())
    began = time.monotonic()
    with pytest.raises(ValueError, match="broken"):
        engine.call(work(), interruptible=True)
    assert time.monotonic() - began < 15


def test_an_interrupted_wait_cancels_the_work_and_the_engine_lives_on(engine: Engine) -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def answer() -> int:
        return 1

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(Interrupted):
            engine.call(work())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == ["cancelled"]
    assert engine.call(answer()) == 1


def test_close_is_idempotent_and_the_engine_starts_again(engine: Engine) -> None:
    async def work() -> int:
        return 1

    engine.close()
    assert engine.call(work()) == 1
    engine.close()
    engine.close()
    assert not engine.running
