"""The one event loop of the library, in one daemon thread, and work in its background that never ends unseen.

A keyword waits here on a ``Future`` in Robot's main thread, so that Robot's time-out, an exception raised by a signal in that
thread, never lands inside protocol code: it ends the wait, the task is cancelled, and the loop keeps running.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from OttoLibrary.errors import OttoError

T = TypeVar("T")
_CANCEL_GRACE_S = 2.0
_LOOK_S = 0.1
# After so many looks without an answer the loop counts as stopped.
_MOST_MISSED = 600


class Engine:
    """Runs coroutines on a loop that starts with the first ``call`` and ends with ``close``."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pulse: _Pulse | None = None
        self._interruptible: _Job[Any] | None = None

    @property
    def running(self) -> bool:
        """True between the first ``call`` and ``close``."""
        return self._loop is not None

    def call(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        interruptible: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> T:
        """Run ``coroutine`` on the loop and return its result or raise its error.

        When the waiting thread is interrupted, the coroutine is cancelled and given two seconds to tidy up; ``interrupt`` does
        the same to one that is ``interruptible``. In the thread that waits, ``meanwhile`` is called several times a second.
        A loop that something holds up ends the wait too, with an OttoError.
        """
        job: _Job[T] = _Job(coroutine)
        try:
            if interruptible:
                self._interruptible = job
            loop = self._ensure_loop()
            assert self._pulse is not None  # since there is a loop
            job.start(loop)
            job.wait(self._pulse, meanwhile)
            return job.done.result()
        except BaseException:
            job.cancel(0.0 if self._pulse is not None and self._pulse.stopped else _CANCEL_GRACE_S)
            raise
        finally:
            if interruptible:
                self._interruptible = None

    def interrupt(self, error: Exception) -> None:
        """End the interruptible call that runs, if there is one, with ``error``; may be called in any thread."""
        job = self._interruptible
        if job is not None:
            job.fail(error)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` on this loop, for one that may run on another engine's; return its result or raise its error."""
        loop = self._ensure_loop()
        if loop is asyncio.get_running_loop():
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    def post(self, work: Callable[..., object], *arguments: object) -> None:
        """Do something on the loop soon, in the order of the calls; after ``close`` do nothing. May be called in any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(work, *arguments)

    def close(self) -> None:
        """Cancel what still runs and end the thread; idempotent."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CANCEL_GRACE_S)

    def _ensure_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_run, args=(loop,), name="OttoLibrary", daemon=True)
            self._loop, self._thread, self._pulse = loop, thread, _Pulse(loop)
            thread.start()
        return self._loop


class _Pulse:
    """Whether the loop still moves; looks are counted and not seconds, which also pass while the whole process is stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked, self._missed = False, 0

    @property
    def stopped(self) -> bool:
        """True when the loop has not answered for long."""
        return self._missed >= _MOST_MISSED

    def check(self) -> None:
        """Ask for an answer, which is to be there at the next look; raise OttoError when there was none for long."""
        if self._asked:
            self._missed += 1
        else:
            self._asked, self._missed = True, 0
            self._loop.call_soon_threadsafe(self._answer)
        if self.stopped:
            seconds = _MOST_MISSED * _LOOK_S
            raise OttoError(f"The thread that works with the hosts has been held up for {seconds:g} seconds. Begin a new run.")

    def _answer(self) -> None:
        self._asked = False


class _Settled:
    """An event that one thread sets once and another waits for, wherever that wait is interrupted.

    ``threading.Event`` does not promise that: when a signal raises an exception while its ``wait`` takes the lock inside, the
    lock stays taken, and the loop would wait for it without end. Here the one who sets it waits for nothing.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._bell = threading.Lock()
        self._bell.acquire()

    def is_set(self) -> bool:
        """Return True after ``set``."""
        return self._is_set

    def set(self) -> None:
        """Wake the one who waits; called once."""
        self._is_set = True
        self._bell.release()

    def wait(self, seconds: float) -> bool:
        """Return True as soon as it is set, False when the time is over."""
        return self._is_set or self._bell.acquire(timeout=seconds) or self._is_set


class _Job(Generic[T]):
    """A coroutine that was handed over: it may be cancelled at any moment, even before it runs."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._coroutine = coroutine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._begun = self._cancelled = False
        self._failure: Exception | None = None
        self._settled = _Settled()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.call_soon_threadsafe(self._begin)

    def wait(self, pulse: _Pulse, meanwhile: Callable[[], None] | None = None) -> None:
        # The kernel may give a signal to any thread; Python acts on it in this one, and only when it wakes up.
        while not self._settled.wait(_LOOK_S):
            if meanwhile is not None:
                meanwhile()
            pulse.check()

    def cancel(self, grace_s: float) -> None:
        if self._settled.is_set():
            return
        self._cancelled = True
        if self._loop is None:
            self._coroutine.close()
            return
        self._loop.call_soon_threadsafe(self._cancel_task)
        self._settled.wait(grace_s)

    def fail(self, error: Exception) -> None:
        self._failure = error
        if self._loop is not None and not self._settled.is_set():
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    def _cancel_task(self) -> None:
        # A task that is cancelled before its first step never runs, and nobody would learn that it ended.
        if self._task is not None and self._begun:
            self._task.cancel()

    async def _work(self) -> None:
        self._begun = True
        try:
            if self._cancelled or self._failure is not None:
                self._coroutine.close()
                raise asyncio.CancelledError
            self.done.set_result(await self._coroutine)
        except asyncio.CancelledError:
            if self._failure is not None:
                self.done.set_exception(self._failure)
            else:
                self.done.cancel()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.done.set_exception(error)
        finally:
            self._settled.set()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        _cancel_all(loop)
    finally:
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Do what blocks, and may never return, in a thread of its own: it holds up neither others nor the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # The loop may be closed, and the one who waited may have gone.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if done.done() else outcome())

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            failure = error
            settle(lambda: done.set_exception(failure))
        else:
            settle(lambda: done.set_result(result))

    threading.Thread(target=run, name="OttoLibrary plug-in", daemon=True).start()
    return done


@dataclass(frozen=True)
class Failure:
    """Work in the background that ended with an exception that nobody foresaw.

    Attributes:
        error: The exception.
        pause_s: In how many seconds the work begins again; None when it does not.
    """

    error: BaseException
    pause_s: float | None

    def __str__(self) -> str:
        # What it is waiting for may be cancelled by others, such as a connection that is closed while it is opened.
        cancelled = isinstance(self.error, asyncio.CancelledError)
        cause = "what it waited for was cancelled" if cancelled else f"{type(self.error).__name__}: {self.error}"
        return cause if self.pause_s is None else f"{cause}. It begins again in {self.pause_s:g} s"


class BackOff:
    """Pauses that double from one failure to the next; after work that lasted longer than the longest pause they start over.

    Args:
        first_s: The first pause.
        longest_s: The longest.
    """

    def __init__(self, first_s: float = 1.0, longest_s: float = 30.0) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def pause_s(self, lasted_s: float = 0.0) -> float:
        """Return the next pause, after work that lasted so many seconds."""
        pause_s = self._first_s if lasted_s > self._longest_s else self._next_s
        self._next_s = min(self._longest_s, 2 * pause_s)
        return pause_s

    def start_over(self) -> None:
        """Begin with the first pause again."""
        self._next_s = self._first_s


async def supervise(
    work: Callable[[], Awaitable[None]],
    report: Callable[[Failure], None],
    back_off: BackOff | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Do ``work`` until it returns or this task is cancelled; after any other end report that and begin again.

    It is to be awaited in a task of its own: a cancel that is not of this task is a failure of the work. Whoever makes the task
    keeps it, and cancels it.

    Args:
        work: Begins the work; called once for each time.
        report: Called with each failure: makes an event and a warning of it. It must not wait.
        back_off: The pauses between a failure and the next begin; None for work that cannot begin again, such as a relay.
        sleep: Waits for so many seconds.
    """
    while True:
        began = time.monotonic()
        try:
            await work()
            return
        except asyncio.CancelledError as cancelled:
            if is_cancelled():
                raise
            error: BaseException = cancelled
        except Exception as unforeseen:  # noqa: BLE001 - whatever it is, it is reported
            error = unforeseen
        pause_s = back_off.pause_s(time.monotonic() - began) if back_off is not None else None
        _reported(report, Failure(error, pause_s))
        if pause_s is None:
            return
        await sleep(pause_s)


def is_cancelled() -> bool:
    """Return True when the present task is cancelled itself, and not only what it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _reported(report: Callable[[Failure], None], failure: Failure) -> None:
    try:
        report(failure)
    except Exception as error:  # noqa: BLE001 - the work goes on, and this is seen on standard error
        context = {"message": f"A failure could not be reported ({failure})", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
