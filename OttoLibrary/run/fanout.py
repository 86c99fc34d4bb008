"""Does the same on many hosts side by side, with a limit on how many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from OttoLibrary.errors import HostError, OttoError
from OttoLibrary.text import plural

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


def whole(found: dict[str, T | OttoError], failed: str) -> dict[str, T]:
    """Return what ``each`` found when nothing failed.

    Args:
        found: The outcomes by host.
        failed: What failed, for the message, before the number of hosts.

    Raises:
        HostError: It failed for at least one host; the message names each.
    """
    errors = {name: outcome for name, outcome in found.items() if isinstance(outcome, OttoError)}
    if errors:
        told = "\n".join(map(str, errors.values()))
        raise HostError(f"{failed} {len(errors)} of {plural(len(found), 'host')}:\n{told}", host=next(iter(errors)))
    return {name: outcome for name, outcome in found.items() if not isinstance(outcome, OttoError)}
