"""A TCP proxy that makes trouble while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType

from tests.peers.background import Background

_LINGER_ZERO = struct.pack("ii", 1, 0)


class Proxy:
    """Passes on what clients and a server say to each other, in the way that a test wants; each setting counts at once.

    Attributes:
        delay_s: How long every piece waits before it is passed on.
        piece_bytes: The largest piece; 1 makes single bytes.
    """

    def __init__(self, address: str, port: int) -> None:
        self.delay_s = 0.0
        self.piece_bytes = 65536
        self.passed_bytes = 0
        self._cut_at: int | None = None
        self.address = "127.0.0.1"
        self._target = (address, port)
        self._background = Background()
        self._writers: set[asyncio.StreamWriter] = set()
        try:
            self._flowing, self._server = self._background.run(self._start())
        except BaseException:
            self._background.close()
            raise
        self.port = int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._writers) // 2

    def stall(self) -> None:
        """Pass on nothing any more, as a black hole: connections stay and new ones are accepted."""
        self._background.loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        """Pass on again, what was held back first."""
        self._background.loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Reset all connections; new ones are accepted."""
        self._background.run(self._reset_all())

    def cut_after(self, count: int) -> None:
        """Reset all connections once ``count`` more bytes were passed on."""
        self._cut_at = self.passed_bytes + count

    def refuse(self) -> None:
        """Accept no new connections any more."""
        self._background.run(self._close_server())

    def stop(self) -> None:
        """Reset all connections and end."""
        if not self._background.loop.is_closed():
            self.refuse()
            self.cut()
            self._background.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def _start(self) -> tuple[asyncio.Event, asyncio.Server]:
        flowing = asyncio.Event()
        flowing.set()
        return flowing, await asyncio.start_server(self._serve, self.address, 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here = {writer}
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            here.add(there_writer)
            self._writers.add(there_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, there_writer))
                both.create_task(self._pass_on(there_reader, writer))
        except (OSError, ExceptionGroup):
            for end in here:
                _reset(end)
        finally:
            self._writers -= here
            for end in here:
                end.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _of(writer).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := await reader.read(65536):
            while data:
                await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                if self._cut_at is not None and self.passed_bytes + len(data) > self._cut_at:
                    self._cut_at = None
                    await self._reset_all()
                    return
                piece, data = data[: self.piece_bytes], data[self.piece_bytes :]
                writer.write(piece)
                self.passed_bytes += len(piece)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _close_server(self) -> None:
        self._server.close()


def _of(writer: asyncio.StreamWriter) -> socket.socket:
    found: socket.socket = writer.get_extra_info("socket")
    return found


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        _of(writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    writer.transport.abort()
