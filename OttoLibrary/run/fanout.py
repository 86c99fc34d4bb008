"""Does the same on many hosts side by side: each has a result or an error, whatever happens to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from OttoLibrary.errors import HostError, OttoError, reason_here
from OttoLibrary.text import plural

T = TypeVar("T")


class FanOut(Generic[T]):
    """The same work on many hosts; what is known so far can be asked at any moment.

    Args:
        names: The hosts.
        work: Does it on the host of a name.
        limit: How many at the same time, at least 1.
        stop_after: After so many failures no further host is begun; 0 for all of them.
    """

    def __init__(self, names: Sequence[str], work: Callable[[str], Awaitable[T]], limit: int, stop_after: int = 0) -> None:
        self._names, self._work = names, work
        self._limit, self._stop_after = max(1, limit), stop_after
        self._begun: set[str] = set()
        self._found: dict[str, T | OttoError] = {}
        self._failed: list[str] = []
        self._told = 0

    async def run(self) -> None:
        """Do it on all; a host that fails ends nothing on the others."""
        slots = asyncio.Semaphore(self._limit)
        async with asyncio.TaskGroup() as group:
            for name in self._names:
                group.create_task(self._one(name, slots))

    def outcomes(self) -> dict[str, T | OttoError]:
        """Return what each host gave, in the order of the names, or the error why there is nothing of it."""
        return {name: self._found[name] if name in self._found else self._missing(name) for name in self._names}

    def take_failures(self) -> list[tuple[str, OttoError]]:
        """Return the hosts that failed since the last call; may be called in any thread."""
        failed = self._failed[self._told :]
        self._told += len(failed)
        return [(name, error) for name in failed if isinstance(error := self._found[name], OttoError)]

    async def _one(self, name: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            if self._stop_after and len(self._failed) >= self._stop_after:
                return
            self._begun.add(name)
            try:
                self._found[name] = await self._work(name)
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                self._fail(name, HostError(f"Host '{name}' failed: what it waited for was cancelled.", host=name))
            except OttoError as error:
                self._fail(name, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this host's, and the others go on
                reason = reason_here(error) if isinstance(error, OSError) else None
                cause = f"{reason}." if reason else f"{type(error).__name__}: {error}"
                unforeseen = HostError(f"Host '{name}' failed: {cause}", host=name)
                unforeseen.__cause__ = error
                self._fail(name, unforeseen)

    def _fail(self, name: str, error: OttoError) -> None:
        self._found[name] = error
        self._failed.append(name)

    def _missing(self, name: str) -> OttoError:
        if name in self._begun:
            return HostError(f"Host '{name}' had not answered when the keyword was ended.", host=name)
        if self._stop_after and len(self._failed) >= self._stop_after:
            failed = plural(len(self._failed), "host")
            return HostError(f"Host '{name}' was not tried: {failed} had failed (stop_after={self._stop_after}).", host=name)
        return HostError(f"Host '{name}' was not tried: the keyword was ended before.", host=name)


async def each(
    names: Sequence[str], work: Callable[[str], Awaitable[T]], limit: int, stop_after: int = 0
) -> dict[str, T | OttoError]:
    """Return what ``work`` gave for each name, or its error, in the order of the names; the arguments are as of ``FanOut``."""
    fan_out = FanOut(names, work, limit, stop_after)
    await fan_out.run()
    return fan_out.outcomes()


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


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
