"""The scopes of a run, one inside the other: what is set in one ends with it, and so does what was started in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from OttoLibrary.engine import Engine
from OttoLibrary.errors import OttoError, UsageError

T = TypeVar("T")
CleanUp = Callable[[], Awaitable[None]]
_CLEAN_UP_S = 20.0


class Scopes:
    """The run, its suites and its test: time-outs, options and clean-ups belong to the innermost.

    Args:
        engine: Where clean-ups run.
        warn: Told when a clean-up failed.
    """

    def __init__(self, engine: Engine, warn: Callable[[str], None]) -> None:
        self._engine, self._warn = engine, warn
        self._scopes = [_Scope("global")]

    @property
    def test_began(self) -> float | None:
        """When the present test, or the present run of a repeated test, began, in seconds since 1970; None outside of a test."""
        return next((scope.began for scope in reversed(self._scopes) if scope.kind == "test"), None)

    def begin(self, kind: str) -> None:
        """Enter a ``suite`` or a ``test``."""
        self._scopes.append(_Scope(kind))

    def end(self) -> None:
        """Leave the present scope: its settings end, its clean-ups run, newest first, all of them."""
        if len(self._scopes) > 1:
            self._clean_up(self._scopes.pop().clean_ups)

    def end_early(self) -> None:
        """Run the clean-ups of the present scope while what fails can still be shown as a failure; its settings stay."""
        scope = self._scopes[-1]
        ended, scope.clean_ups = scope.clean_ups, []
        self._clean_up(ended)

    def close(self) -> None:
        """Leave all scopes, the run too. Idempotent."""
        with ExitStack() as all_of_them:
            for scope in self._scopes:
                all_of_them.callback(self._clean_up, scope.clean_ups)
            self._scopes = [_Scope("global")]

    def on_end(self, clean_up: CleanUp, limit_s: float = _CLEAN_UP_S, *, is_judged: bool = False) -> None:
        """Run ``clean_up`` when the present scope ends.

        Args:
            clean_up: What ends something.
            limit_s: How long it may take, in seconds.
            is_judged: It may fail the test, or the teardown of the suite.
        """
        self._scopes[-1].clean_ups.append((clean_up, limit_s))
        self._scopes[-1].is_judged |= is_judged

    @property
    def is_judged(self) -> bool:
        """True when a clean-up of the present scope may fail the test, or the teardown of the suite."""
        return self._scopes[-1].is_judged

    def set_timeout(self, host: str, seconds: float, kind: str) -> float | None:
        """Set the time-out of a host for the innermost scope of a kind; return the one that counted before."""
        before = self.timeout(host)
        for scope in reversed(self._scopes):
            if scope.kind == kind:
                scope.timeouts[host] = seconds
                return before
        raise UsageError(f"There is no {kind} scope here. Use one of: {', '.join(scope.kind for scope in self._scopes)}.")

    def timeout(self, host: str) -> float | None:
        """Return the time-out that was set for a host, the innermost scope first, or None."""
        for scope in reversed(self._scopes):
            if host in scope.timeouts:
                return scope.timeouts[host]
        return None

    def keep_options(self, options: object) -> None:
        """Let instructions take these options until the present scope ends."""
        self._scopes[-1].options.append(options)

    def options(self, kind: type[T]) -> T | None:
        """Return the options of a class that were kept last, the innermost scope first, or None."""
        kept = (options for scope in reversed(self._scopes) for options in reversed(scope.options))
        return next((options for options in kept if isinstance(options, kind)), None)

    def _clean_up(self, clean_ups: Sequence[tuple[CleanUp, float]]) -> None:
        # The stack runs all of them, the newest first, also when a time-out of Robot or Ctrl-C ends one in the middle.
        with ExitStack() as all_of_them:
            for clean_up, limit_s in clean_ups:
                all_of_them.callback(self._attempt, clean_up, limit_s)

    def _attempt(self, clean_up: CleanUp, limit_s: float) -> None:
        try:
            self._engine.call(_bounded(clean_up, limit_s))
        except Exception as error:  # noqa: BLE001 - whatever it is, it fails no test, and the next clean-up has its turn
            self._warn(f"A clean-up failed: {_reason(error, limit_s)}")


class _Scope:
    def __init__(self, kind: str) -> None:
        self.kind, self.began = kind, time.time()
        self.timeouts: dict[str, float] = {}
        self.clean_ups: list[tuple[CleanUp, float]] = []
        self.options: list[object] = []
        self.is_judged = False


async def _bounded(clean_up: CleanUp, limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        await clean_up()


def _reason(error: Exception, limit_s: float) -> str:
    if isinstance(error, OttoError):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"it took longer than {limit_s:g} seconds"
    return f"{type(error).__name__}: {error}"
