"""One call of a hook: awaited when it is a coroutine function, in a thread of its own otherwise, bounded in time either way."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_TIDY_S = 1.0


async def call(
    hook: Callable[..., Any], arguments: tuple[Any, ...], limit_s: float, abandon: Callable[[threading.Thread], None]
) -> Any:
    """Call a hook and return what it returns.

    Args:
        hook: The bound method.
        arguments: What it gets.
        limit_s: Seconds that it may take.
        abandon: Told of the thread of a plain hook that took too long or was cancelled: a thread cannot be ended.

    Raises:
        TimeoutError: It took too long. Whatever the hook raises.
    """
    if inspect.iscoroutinefunction(hook):
        return await _bounded(hook(*arguments), limit_s)
    answer = _Answer(hook, arguments)
    try:
        async with asyncio.timeout(limit_s):
            returned = await answer.wait()
    except BaseException:
        if answer.thread.is_alive():
            abandon(answer.thread)
        raise
    return await _bounded(_awaited(returned), limit_s) if inspect.isawaitable(returned) else returned


async def _awaited(waiting: Any) -> Any:
    return await waiting


async def _bounded(coroutine: Any, limit_s: float) -> Any:
    """Await a coroutine; one that swallows its cancellation is left behind, so that the bound holds."""
    task = asyncio.ensure_future(coroutine)
    try:
        done, _ = await asyncio.wait([task], timeout=limit_s)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task], timeout=_TIDY_S)
        raise
    if not done:
        task.cancel()
        await asyncio.wait([task], timeout=_TIDY_S)
        raise TimeoutError
    return await task


class _Answer:
    """What a plain function returns or raises in a thread of its own."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()
        self._function, self._arguments = function, arguments
        # A daemon, since one that hangs must not keep the process alive.
        name = f"otto {getattr(function, '__qualname__', function)}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def wait(self) -> Any:
        self.thread.start()
        return await self._future

    def _run(self) -> None:
        try:
            returned, error = self._function(*self._arguments), None
        except BaseException as raised:  # noqa: BLE001 - it belongs to the one who waits
            returned, error = None, raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._settle, returned, error)

    def _settle(self, returned: Any, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(returned)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self._future.set_exception(error)
        else:
            self._future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
