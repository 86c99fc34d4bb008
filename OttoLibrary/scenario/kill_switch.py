"""The switch that tells everything that runs in a scenario to end."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable


class KillSwitch:
    """Set once, from any thread; it says why.

    An event that asks for ``kill_switch`` gets this: a function in a thread looks at ``is_set`` or waits with ``wait``, a
    coroutine awaits ``pulled``. An event that calls ``set`` ends the scenario and fails the test.

    Attributes:
        reason: Why it was set; empty before.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._called: dict[int, Callable[[], object]] = {}
        self._numbers = itertools.count()

    def is_set(self) -> bool:
        """Return True from the moment on when all has to end."""
        return self._event.is_set()

    def set(self, reason: str = "an event set the kill switch") -> None:
        """Let everything end; the first reason counts."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            called, self._called = self._called, {}
        for call in called.values():
            call()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in a thread, at most so many seconds; return True once it is set."""
        return self._event.wait(timeout)

    async def pulled(self) -> None:
        """Wait on the event loop until it is set."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        forget = self.on_set(lambda: loop.call_soon_threadsafe(woken.set))
        try:
            await woken.wait()
        finally:
            forget()

    def on_set(self, call: Callable[[], object]) -> Callable[[], None]:
        """Call something once when it is set, at once when it is already; in the thread that sets it.

        Returns:
            A function that takes this back.
        """
        with self._lock:
            number = next(self._numbers)
            if not self._event.is_set():
                self._called[number] = call
                return lambda: self._forget(number)
        call()
        return lambda: None

    def _forget(self, number: int) -> None:
        with self._lock:
            self._called.pop(number, None)
