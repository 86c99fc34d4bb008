"""The end of a command that was given up: it goes on when its caller has left, and the next caller waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from OttoLibrary.deadline import Deadline

# Whoever waited for a command to its time-out waits no longer than this for its end.
_PATIENCE_S = 0.7


class Recovery:
    """Ends the present command of a shell in a task of its own, one at a time.

    Args:
        end_command: Ends it, and closes the shell where that fails. Never raises.
    """

    def __init__(self, end_command: Callable[[], Awaitable[None]]) -> None:
        self._end_command = end_command
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """True while a command is being ended."""
        return self._task is not None

    def begin(self) -> asyncio.Task[None]:
        """Begin to end the command, unless that is going on already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._task

    async def finish(self) -> None:
        """End the command, and wait until that is done."""
        await asyncio.shield(self.begin())

    async def finish_soon(self) -> None:
        """End the command, and wait for that a short while: on a host that hangs it goes on without the caller."""
        await asyncio.wait([self.begin()], timeout=_PATIENCE_S)

    async def over(self, deadline: Deadline | None = None) -> bool:
        """Wait until no command is being ended; return False when that takes too long. The shell may have ended with it."""
        if self._task is None:
            return True
        try:
            async with asyncio.timeout(deadline.remaining_s if deadline else None):
                await asyncio.shield(self._task)
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        try:
            await self._end_command()
        finally:
            self._task = None
