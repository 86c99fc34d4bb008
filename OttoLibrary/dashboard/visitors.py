"""Connections to the dashboard's server: few, and with little time until they show the key.

Everyone who reaches the port may connect, so connections are bounded before anything is read from them, TLS handshakes included.
When there are too many strangers the oldest goes: one that has the key shows it right away. The bounds leave most of the
process's file descriptors to the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

Answer: TypeAlias = Callable[["Visitor", Any, Any, Any], Awaitable[None]]
_STRANGER_S = 10.0
_MOST_STRANGERS = 64
_MOST_GUESTS = 200
# Of the descriptors that the process may have.
_STRANGERS_SHARE, _GUESTS_SHARE = 16, 8
_OUT_OF_DESCRIPTORS_S = 0.5


class Connections:
    """Accepts connections for a server of uvicorn, in place of uvicorn.

    Args:
        server: The server; its configuration is loaded.
        listening: The socket that listens.
        answer: Answers a request of a visitor, as an ASGI application does.
    """

    def __init__(self, server: uvicorn.Server, listening: socket.socket, answer: Answer) -> None:
        self._server, self._listening, self._answer = server, listening, answer
        self._strangers: dict[asyncio.Task[None], None] = {}
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        unlimited = descriptors == resource.RLIM_INFINITY
        self._most_strangers = _MOST_STRANGERS if unlimited else min(_MOST_STRANGERS, descriptors // _STRANGERS_SHARE)
        self._most_guests = _MOST_GUESTS if unlimited else min(_MOST_GUESTS, descriptors // _GUESTS_SHARE)

    def admit(self, visitor: Visitor) -> bool:
        """Let a visitor with the key stay; return False when there are too many already."""
        if visitor.settled.is_set():
            return True
        guests = sum(isinstance(other, Visitor) and other.settled.is_set() for other in self._server.server_state.connections)
        if guests >= self._most_guests:
            return False
        visitor.settled.set()
        return True

    async def accept(self) -> None:
        """Accept connections until this task is cancelled."""
        self._listening.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    taken, _ = await loop.sock_accept(self._listening)
                except OSError:
                    # The process has no descriptor left, or the client has gone already.
                    await asyncio.sleep(_OUT_OF_DESCRIPTORS_S)
                    continue
                self._begin(taken)
        finally:
            for task in self._strangers:
                task.cancel()

    def _begin(self, taken: socket.socket) -> None:
        if len(self._strangers) >= self._most_strangers:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()
        task = asyncio.create_task(self._meet(taken))
        self._strangers[task] = None
        task.add_done_callback(lambda done: self._strangers.pop(done, None))

    async def _meet(self, taken: socket.socket) -> None:
        """Wait until a stranger has shown the key or gone; end the connection when that takes too long."""
        visitor = Visitor(self._server.config, self._server.server_state, self._answer)
        transport: asyncio.BaseTransport | None = None
        try:
            async with asyncio.timeout(_STRANGER_S):
                transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: visitor, taken, ssl=self._server.config.ssl
                )
                await visitor.settled.wait()
        except OSError:
            # Too late (TimeoutError is one), or no TLS.
            return
        finally:
            if not visitor.settled.is_set():
                _abort(transport, taken)


class Visitor(H11Protocol):
    """One connection, of a stranger until it has asked with the key.

    Attributes:
        settled: Set when it has, or when the connection has ended.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState, answer: Answer) -> None:
        super().__init__(config, state, {})
        self.settled = asyncio.Event()
        self.app = lambda scope, receive, send: answer(self, scope, receive, send)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        self.settled.set()
        super().connection_lost(exc)


def _abort(transport: asyncio.BaseTransport | None, taken: socket.socket) -> None:
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
        return
    with contextlib.suppress(OSError):
        taken.close()
