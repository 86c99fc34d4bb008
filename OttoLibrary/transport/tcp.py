"""A TCP connection of this machine as a byte stream."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from OttoLibrary.contracts.connections import EndOfStream

_UNANSWERED = 3
_SEGMENT = 1460
_LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_FULL_S = 0.5


async def dial(address: str, port: int, keepalive_s: float | None = None) -> TcpChannel:
    """Open a TCP connection; raise OSError.

    Args:
        address: Where to.
        port: Where to.
        keepalive_s: Ask a silent peer this often; three unanswered questions end the connection.
    """
    reader, writer = await asyncio.open_connection(address, port)
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # What comes as urgent data stays in its place.
    own.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    if keepalive_s:
        _watch(own, keepalive_s)
    return TcpChannel(reader, writer)


async def listen(port: int, accept: Callable[[TcpChannel], None]) -> TcpListener:
    """Listen on the loopback of this machine and call ``accept`` with each connection; raise OSError."""
    server = socket.create_server((_LOOPBACK, port), backlog=_BACKLOG)
    server.setblocking(False)
    return TcpListener(server, accept)


def _watch(own: socket.socket, keepalive_s: float) -> None:
    seconds = max(1, round(keepalive_s))
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _UNANSWERED)
    # Keepalive asks only while nothing of ours is on its way; this counts when something is.
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * keepalive_s * (_UNANSWERED + 1)))


def acknowledge(own: socket.socket, data: bytes) -> None:
    """Acknowledge a small piece of data at once.

    A server with Nagle's algorithm on waits for that before it sends the next, and the kernel likes to hold it back 40 ms. The
    option does not last, so this is for each piece; a large one is acknowledged anyway.
    """
    if len(data) < _SEGMENT and hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):  # closed meanwhile
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class TcpChannel:
    """The channel of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._socket: socket.socket = writer.get_extra_info("socket")

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._writer.is_closing()

    async def read(self, limit: int) -> bytes:
        """Return what came."""
        try:
            data = await self._reader.read(limit)
            if not self._writer.is_closing():
                acknowledge(self._socket, data)
        except OSError as error:
            raise EndOfStream(str(error)) from error
        if not data:
            raise EndOfStream
        return data

    async def write(self, data: bytes) -> None:
        """Send ``data``."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise EndOfStream(str(error)) from error

    async def end_output(self) -> None:
        """Say that nothing more will be written."""
        with contextlib.suppress(OSError):
            if self._writer.can_write_eof() and not self._writer.is_closing():
                self._writer.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        """Do nothing: there is no terminal."""

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    def describe(self) -> str:
        """Return ``tcp``."""
        return "tcp"


class TcpListener:
    """A port of this machine.

    It accepts by itself: the server of asyncio leaves a connection open that it has accepted just before it is closed.
    """

    def __init__(self, server: socket.socket, accept: Callable[[TcpChannel], None]) -> None:
        self._server, self._accept = server, accept
        self._port: int = server.getsockname()[1]
        self._closed = asyncio.Event()
        self._opening: dict[asyncio.Task[None], socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._listen()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    async def wait(self) -> None:
        """Return once it is closed."""
        await self._closed.wait()

    async def close(self) -> None:
        """Listen no longer."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._loop.remove_reader(self._server)
        self._server.close()
        opening = dict(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        # A task that is cancelled before its first step closes nothing.
        for own in opening.values():
            own.close()

    def _listen(self) -> None:
        if not self._closed.is_set():
            self._loop.add_reader(self._server, self._take)

    def _take(self) -> None:
        try:
            own, _ = self._server.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptor is left at the moment
            self._loop.remove_reader(self._server)
            self._loop.call_later(_FULL_S, self._listen)
            return
        task = self._loop.create_task(self._open(own))
        self._opening[task] = own
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.pop(task, None)

    async def _open(self, own: socket.socket) -> None:
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            reader, writer = await asyncio.open_connection(sock=own)
        except OSError:  # it has gone meanwhile
            own.close()
            return
        self._accept(TcpChannel(reader, writer))
