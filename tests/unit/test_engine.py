"""The engine: results, errors, a wait that is interrupted, and work in the background that does not end unseen."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from OttoLibrary import engine as engine_module
from OttoLibrary.engine import BackOff, Engine, Failure, supervise
from OttoLibrary.errors import OttoError


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


def test_close_ends_what_still_runs_and_lets_it_tidy_up(engine: Engine) -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("tidied up")

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        return task

    task = engine.call(begin())
    engine.close()
    assert seen == ["tidied up"]
    assert task.cancelled()


def test_close_waits_for_the_end_of_generators(engine: Engine) -> None:
    seen: list[str] = []
    kept: list[object] = []

    async def lines() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            seen.append("closed")

    async def begin() -> None:
        kept.append(generator := lines())
        await anext(generator)

    engine.call(begin())
    engine.close()
    assert seen == ["closed"]


def test_close_leaves_no_thread_and_no_loop(engine: Engine) -> None:
    async def where() -> tuple[threading.Thread, asyncio.AbstractEventLoop]:
        return threading.current_thread(), asyncio.get_running_loop()

    thread, loop = engine.call(where())
    assert thread is not threading.main_thread()
    engine.close()
    assert not thread.is_alive()
    assert loop.is_closed()


def test_one_that_fails_while_it_is_ended_does_not_stop_the_end(engine: Engine) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("no")

    async def begin() -> asyncio.AbstractEventLoop:
        kept.append(asyncio.create_task(work()))
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    kept: list[asyncio.Task[None]] = []
    loop = engine.call(begin())
    engine.close()
    assert loop.is_closed()
    assert isinstance(kept[0].exception(), RuntimeError)


# -- work in the background


class Work:
    """Ends each time as the test says: an exception is raised, None returns."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends, self.begun = list(ends), 0

    async def __call__(self) -> None:
        self.begun += 1
        end = self.ends.pop(0)
        if end is not None:
            raise end


class Pauses(list[float]):
    """Sleeps that are over immediately."""

    async def __call__(self, pause_s: float) -> None:
        self.append(pause_s)


def test_work_that_returns_is_done_and_nothing_is_reported() -> None:
    work, failures = Work(None), list[Failure]()
    asyncio.run(supervise(work, failures.append, BackOff()))
    assert (work.begun, failures) == (1, [])


def test_each_unforeseen_end_is_reported_and_the_work_begins_again() -> None:
    ends = [RuntimeError("no token"), KeyError("x"), asyncio.CancelledError()]
    work, failures, pauses = Work(*ends, None), list[Failure](), Pauses()
    asyncio.run(supervise(work, failures.append, BackOff(2.0), pauses))
    assert [failure.error for failure in failures] == ends
    assert pauses == [2.0, 4.0, 8.0]
    assert work.begun == 4
    assert [str(failure) for failure in failures] == [
        "RuntimeError: no token. It begins again in 2 s",
        "KeyError: 'x'. It begins again in 4 s",
        "what it waited for was cancelled. It begins again in 8 s",
    ]


def test_a_report_that_fails_does_not_end_the_work(caplog: pytest.LogCaptureFixture) -> None:
    def report(failure: Failure) -> None:
        raise OSError("disk full")

    work = Work(RuntimeError("no"), None)
    asyncio.run(supervise(work, report, BackOff(), Pauses()))
    assert work.begun == 2
    assert "A failure could not be reported (RuntimeError: no" in caplog.text


def test_work_that_cannot_begin_again_is_reported_and_ends() -> None:
    work, failures = Work(RuntimeError("no")), list[Failure]()
    asyncio.run(supervise(work, failures.append))
    assert [str(failure) for failure in failures] == ["RuntimeError: no"]


def test_a_cancel_of_the_task_ends_the_work_and_is_no_failure() -> None:
    failures = list[Failure]()

    async def main() -> None:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(supervise(work, failures.append, BackOff()))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())
    assert failures == []


def test_a_cancel_during_a_pause_ends_it_too() -> None:
    async def main() -> None:
        reported = asyncio.Event()
        task = asyncio.create_task(supervise(Work(RuntimeError("no")), lambda _: reported.set(), BackOff(1000.0, 1000.0)))
        await reported.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())


def test_an_exit_is_not_caught() -> None:
    async def main() -> None:
        with pytest.raises(SystemExit):
            await supervise(Work(SystemExit(3)), lambda _: None, BackOff())

    asyncio.run(main())


def test_pauses_double_up_to_the_longest() -> None:
    back_off = BackOff(1.0, 5.0)
    assert [back_off.pause_s() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    back_off.start_over()
    assert back_off.pause_s() == 1.0


def test_after_work_that_lasted_pauses_start_over() -> None:
    back_off = BackOff(1.0, 5.0)
    assert [back_off.pause_s(lasted) for lasted in (0.0, 4.9, 5.1, 0.0)] == [1.0, 2.0, 1.0, 2.0]


class InterruptAt:
    """Raises ``Interrupted`` in this thread at the n-th step inside of a wait, as a signal may."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __enter__(self) -> None:
        sys.settrace(self._on_call)

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _on_call(self, frame: Any, event: str, argument: object) -> Any:
        if self.left <= 0 or not _is_in_wait(frame):
            return None
        frame.f_trace_opcodes = True
        return self._on_step

    def _on_step(self, frame: Any, event: str, argument: object) -> Any:
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise Interrupted
        return self._on_step


def _is_in_wait(frame: Any) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "wait" and frame.f_code.co_filename.endswith("engine.py"):
            return True
        frame = frame.f_back
    return False


def test_a_wait_that_is_interrupted_at_any_step_leaves_the_engine_usable(engine: Engine) -> None:
    async def some_work() -> str:
        await asyncio.sleep(0.002)
        return "done"

    answers: list[str] = []
    for step in range(1, 400):
        interrupt = InterruptAt(step)
        try:
            with interrupt:
                engine.call(some_work())
        except Interrupted:
            pass
        asking = threading.Thread(target=lambda: answers.append(engine.call(some_work())), daemon=True)
        asking.start()
        asking.join(10)
        assert len(answers) == step, f"After an interrupt at step {step} nobody answers."
        if interrupt.left > 0:
            break
    assert interrupt.left > 0, "The wait has more steps than this test tries."
    assert step > 5


def test_a_loop_that_is_held_up_ends_every_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_MOST_MISSED", 3)
    engine, freed = Engine(), threading.Event()

    async def nothing() -> str:
        return "done"

    assert engine.call(nothing()) == "done"
    engine.post(freed.wait, 60)
    for _ in range(2):
        with pytest.raises(OttoError, match="has been held up"):
            engine.call(nothing())
    freed.set()
    engine.close()
