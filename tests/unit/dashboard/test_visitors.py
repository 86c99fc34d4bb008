"""Connections to the dashboard's server: how many may stay."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from OttoLibrary.dashboard.visitors import Connections, Visitor


async def _no_answer(visitor: Visitor, scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


@pytest.fixture
def few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (32, 32))


@pytest.fixture
def server() -> uvicorn.Server:
    config = uvicorn.Config(_asgi)
    config.load()
    return uvicorn.Server(config)


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    """Is never asked."""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        yield made


def _visitor(server: uvicorn.Server) -> Visitor:
    visitor = Visitor(server.config, server.server_state, _no_answer)
    server.server_state.connections.add(visitor)
    return visitor


def test_guests_are_bounded_by_the_descriptors_and_one_that_stays_stays(
    few_descriptors: None, server: uvicorn.Server, listening: socket.socket
) -> None:
    async def go() -> None:
        connections = Connections(server, listening, _no_answer)
        visitors = [_visitor(server) for _ in range(5)]
        assert [connections.admit(visitor) for visitor in visitors] == [True, True, True, True, False]
        assert connections.admit(visitors[0])
        assert not visitors[4].settled.is_set()
        # One that has gone makes room.
        server.server_state.connections.discard(visitors[0])
        assert connections.admit(visitors[4])

    asyncio.run(go())


def test_the_oldest_stranger_goes_when_there_are_too_many(
    few_descriptors: None, server: uvicorn.Server, listening: socket.socket
) -> None:
    async def go() -> None:
        connections = Connections(server, listening, _no_answer)
        pairs = [socket.socketpair() for _ in range(3)]
        for _, taken in pairs:
            taken.setblocking(False)
            connections._begin(taken)
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        first, *others = (client for client, _ in pairs)
        first.setblocking(False)
        assert await asyncio.wait_for(loop.sock_recv(first, 1), 30) == b""
        for client in others:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        for task in list(connections._strangers):
            task.cancel()
        await asyncio.gather(*connections._strangers, return_exceptions=True)
        for client, _ in pairs:
            client.close()

    asyncio.run(go())
