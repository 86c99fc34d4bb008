"""Sessions of an SSH connection: processes, byte streams in both directions, and what listens on a host. Protocol: RFC 4254."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import asyncssh

from OttoLibrary.contracts.connections import Channel, Duplex, EndOfStream, ExitStatus
from OttoLibrary.transport.channels import ProcessChannel
from OttoLibrary.transport.receive_buffer import FlowControl, ReceiveBuffer

_LISTENER_END_S = 2.0


class SshSession(asyncssh.SSHClientSession[bytes], asyncssh.SSHTCPSession[bytes]):
    """A channel's callbacks, turned into a process or a byte stream."""

    def __init__(self, has_terminal: bool) -> None:
        flow = FlowControl(self._pause, self._resume)
        self._output, self._errors = ReceiveBuffer(flow), ReceiveBuffer(flow)
        self._has_terminal = has_terminal
        self._chan: Any = None
        self._status: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._status.add_done_callback(lambda status: status.cancelled() or status.exception())
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def channel(self) -> Channel:
        """Standard input and output, or the terminal."""
        return ProcessChannel(self, self._output, "ssh channel")

    @property
    def errors(self) -> Channel | None:
        """Standard error; None on a terminal."""
        return None if self._has_terminal else ProcessChannel(self, self._errors, "standard error of an ssh channel")

    @property
    def stream(self) -> Duplex:
        """Both directions, as a byte stream."""
        return _Stream(self, self._output, "ssh channel")

    async def end_input(self) -> None:
        """Close standard input."""
        if not self._chan.is_closing():
            self._chan.write_eof()

    async def wait(self) -> ExitStatus:
        """Return how it ended."""
        return await asyncio.shield(self._status)

    async def close(self) -> None:
        """Close the channel."""
        self._chan.close()
        self._finish(None)

    def close_late(self, opening: asyncio.Future[Any]) -> None:
        """Close it once it is open: who asked for it has given it up."""
        if not opening.cancelled() and opening.exception() is None:
            self._chan.close()

    async def write(self, data: bytes) -> None:
        """Send bytes; raises EndOfStream."""
        if self._chan.is_closing() or self._status.done():
            raise EndOfStream
        self._chan.write(data)
        await self._writable.wait()

    async def resize(self, columns: int, rows: int) -> None:
        """Report the size of the terminal."""
        if self._has_terminal and not self._chan.is_closing():
            self._chan.change_terminal_size(columns, rows)

    def _pause(self) -> None:
        self._chan.pause_reading()

    def _resume(self) -> None:
        self._chan.resume_reading()

    def connection_made(self, chan: Any) -> None:
        """Take the channel."""
        self._chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Take what came."""
        (self._errors if datatype else self._output).feed(data)

    def pause_writing(self) -> None:
        """Let writers wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    def eof_received(self) -> bool:
        """Note that no more will come."""
        self._output.end()
        self._errors.end()
        return True

    def exit_status_received(self, status: int) -> None:
        """Note how it ended."""
        self._end(ExitStatus(status))

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Note which signal ended it."""
        self._end(ExitStatus(128 + _signal_number(signal), f"SIG{signal}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the channel is closed, and why."""
        self._finish(str(exc) if exc else None)

    def _end(self, status: ExitStatus) -> None:
        if not self._status.done():
            self._status.set_result(status)

    def _finish(self, lost: str | None) -> None:
        self._output.end(lost)
        self._errors.end(lost)
        self._writable.set()
        if not self._status.done():
            self._status.set_exception(EndOfStream(lost or "the session was closed"))


class _Stream(ProcessChannel):
    """A byte stream through the server."""

    def __init__(self, session: SshSession, received: ReceiveBuffer, description: str) -> None:
        super().__init__(session, received, description)
        self.end_output = session.end_input


class Accepted(SshSession):
    """A connection that the server accepted for us."""

    def __init__(self, accept: Callable[[Duplex], None]) -> None:
        super().__init__(has_terminal=False)
        self._accept = accept

    def session_started(self) -> None:
        """Hand the stream to who listens."""
        self._accept(self.stream)


class SshListener:
    """A port of a host."""

    def __init__(self, listener: asyncssh.SSHListener) -> None:
        self._listener = listener
        self._port = listener.get_port()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    async def wait(self) -> None:
        """Return when it listens no more."""
        await self._listener.wait_closed()

    async def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
            self._listener.close()
            async with asyncio.timeout(_LISTENER_END_S):
                await self._listener.wait_closed()


async def open_session(
    words: Any, on_terminal: bool, options: dict[str, Any], client: asyncssh.SSHClientConnection
) -> SshSession:
    """Start a command; a start that is given up half-way leaves no session on the server."""
    session = SshSession(on_terminal)
    opening = asyncio.ensure_future(client.create_session(partial(_itself, session), words, **options))
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A session that is given up half-way would stay open on the server.
        opening.add_done_callback(session.close_late)
        raise
    return session


def _itself(session: SshSession) -> SshSession:
    return session


def _signal_number(name: str) -> int:
    import signal

    return getattr(signal, f"SIG{name}", signal.SIGHUP).value
