"""One call of a hook: results, errors and time limits of plain and coroutine hooks."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from OttoLibrary.testbed.hook_call import call


def called(hook: Any, limit_s: float = 30, abandoned: list[threading.Thread] | None = None) -> Any:
    return asyncio.run(call(hook, (), limit_s, (abandoned if abandoned is not None else []).append))


async def waiting() -> str:
    return threading.current_thread().name


def gives_a_coroutine() -> Any:
    return waiting()


def test_a_plain_hook_runs_in_a_thread_and_a_coroutine_on_the_loop() -> None:
    assert called(lambda: threading.current_thread().name).startswith("otto ")
    assert called(waiting) == threading.current_thread().name
    assert called(gives_a_coroutine) == threading.current_thread().name


def test_errors_come_through() -> None:
    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        called(fails)
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        called(lambda: (_ for _ in ()).throw(SystemExit(3)))


def test_a_thread_that_hangs_is_abandoned() -> None:
    release, abandoned = threading.Event(), list[threading.Thread]()
    with pytest.raises(TimeoutError):
        called(lambda: release.wait(60), 0.05, abandoned)
    assert len(abandoned) == 1
    release.set()
    abandoned[0].join(30)
    assert not abandoned[0].is_alive()


def test_a_coroutine_that_swallows_its_end_is_left_behind() -> None:
    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    with pytest.raises(TimeoutError):
        called(stubborn, 0.05)
