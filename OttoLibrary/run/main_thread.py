"""Work that only the main thread may do, such as Robot Framework's keywords, handed over from the event loop.

The main thread asks for work and does it, one piece at a time, while everything else runs beside it on the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_INTERRUPT_S = 10.0


def _nothing() -> None:
    """Interrupt nothing: it takes no time."""


@dataclass
class MainWork:
    """A piece of work.

    Attributes:
        do: Does it, in the main thread.
        interrupt: Ends it early, called in any thread.
        done: Its result, on the loop.
        is_given_up: Nobody waits for it any more; it is not begun.
    """

    do: Callable[[], Any]
    interrupt: Callable[[], None] = _nothing
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    is_given_up: bool = False


@dataclass(frozen=True)
class MainResult:
    """What came of a piece of work: its value, or the error."""

    work: MainWork
    value: Any = None
    error: BaseException | None = None


class MainThread:
    """The queue between the loop and the main thread. All but what is said otherwise is called on the loop."""

    def __init__(self) -> None:
        self._queue: deque[MainWork] = deque()
        self._arrived = asyncio.Event()
        self._handed: MainWork | None = None

    async def do(self, do: Callable[[], Any], interrupt: Callable[[], None] = _nothing) -> Any:
        """Have something done in the main thread; return its value or raise its error. A cancel interrupts it."""
        work = MainWork(do, interrupt)
        self._add(work)
        try:
            return await asyncio.shield(work.done)
        except asyncio.CancelledError:
            await self._give_up(work)
            raise

    def tell(self, do: Callable[[], Any]) -> None:
        """Have something done in the main thread, soon; nobody waits for it."""
        work = MainWork(do)
        work.done.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._add(work)

    async def next(self, task: asyncio.Task[Any], result: MainResult | None = None) -> MainWork | None:
        """Take the result of the last piece, and return the next; None once ``task`` is done and nothing is left."""
        if result is not None:
            if self._handed is result.work:
                self._handed = None
            self._settle(result)
        while True:
            # A piece that was on its way when the main thread was interrupted has not begun.
            if self._handed is not None and not self._handed.is_given_up:
                return self._handed
            while self._queue:
                self._handed = self._queue.popleft()
                if not self._handed.is_given_up:
                    return self._handed
            if task.done():
                return None
            self._arrived.clear()
            arriving = asyncio.ensure_future(self._arrived.wait())
            try:
                await asyncio.wait([arriving, task], return_when=asyncio.FIRST_COMPLETED)
            finally:
                arriving.cancel()

    def _add(self, work: MainWork) -> None:
        self._queue.append(work)
        self._arrived.set()

    def _settle(self, result: MainResult) -> None:
        done = result.work.done
        if done.done():
            return
        if result.error is not None:
            done.set_exception(result.error)
        else:
            done.set_result(result.value)

    async def _give_up(self, work: MainWork) -> None:
        if work in self._queue:
            self._queue.remove(work)
            work.is_given_up = True
            return
        work.interrupt()
        # It may be in a call that takes its time to end.
        await asyncio.wait([work.done], timeout=_INTERRUPT_S)
        work.done.add_done_callback(lambda done: done.cancelled() or done.exception())
