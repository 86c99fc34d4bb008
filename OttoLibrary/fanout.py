"""The same on many hosts at once, never more than some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from OttoLibrary.errors import OttoError

T = TypeVar("T")


async def each(names: Sequence[str], work: Callable[[str], Awaitable[T]], limit: int) -> dict[str, T | OttoError]:
    """Return what ``work`` gave for each name, or the OttoError that it raised, in the order of the names."""
    slots = asyncio.Semaphore(max(1, limit))
    found: dict[str, T | OttoError] = {}

    async def one(name: str) -> None:
        async with slots:
            try:
                found[name] = await work(name)
            except OttoError as error:
                found[name] = error

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))
    return {name: found[name] for name in names}
