"""The way to a host: opened once for all, and closed by anybody."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError
from OttoLibrary.host.host_connection import HostConnection


class Silent:
    """A transport whose hosts never answer."""

    begun: ClassVar[asyncio.Event]

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Any, deadline: Deadline) -> Any:
        self.begun.set()
        await asyncio.Event().wait()


async def _tell_nobody(news: object) -> None:
    """Tell nobody."""


def _connection() -> HostConnection:
    registry.register_transport("silent", Silent)
    facts = HostFacts("box", transport="silent", connect_timeout=60)
    return HostConnection("box", ("box",), lambda: facts, None, _tell_nobody, _tell_nobody)


def test_who_waits_for_a_connection_that_is_closed_gets_a_sentence() -> None:
    async def go() -> None:
        begun = Silent.begun = asyncio.Event()
        connection = _connection()
        waiting = [asyncio.create_task(connection.open(Deadline(60))) for _ in range(2)]
        await asyncio.wait_for(begun.wait(), 30)
        await connection.close()
        for caller in waiting:
            with pytest.raises(ConnectError, match=r"^Host 'box' cannot be reached: it was closed while it was opened\.$"):
                await caller

    asyncio.run(go())


def test_a_caller_that_is_cancelled_stays_cancelled() -> None:
    async def go() -> None:
        begun = Silent.begun = asyncio.Event()
        connection = _connection()
        waiting = asyncio.create_task(connection.open(Deadline(60)))
        await asyncio.wait_for(begun.wait(), 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await connection.close()

    asyncio.run(go())


def test_who_opens_it_right_after_it_was_closed_gets_a_new_one() -> None:
    async def go() -> None:
        begun = Silent.begun = asyncio.Event()
        connection = _connection()
        first = asyncio.create_task(connection.open(Deadline(60)))
        await asyncio.wait_for(begun.wait(), 30)
        await connection.close()
        begun.clear()
        second = asyncio.create_task(connection.open(Deadline(60)))
        await asyncio.wait_for(begun.wait(), 30)
        with pytest.raises(ConnectError):
            await first
        # The end of the first is not the end of the second.
        third = asyncio.create_task(connection.open(Deadline(60)))
        await asyncio.sleep(0)
        await connection.close()
        for caller in (second, third):
            with pytest.raises(ConnectError, match="it was closed while it was opened"):
                await caller

    asyncio.run(go())
