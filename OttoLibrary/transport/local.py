"""Processes on this machine, with pipes or on a pseudo-terminal of their own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.connections import Channel, Connection, Duplex, EndOfStream, ExitStatus, Listener, Process, Terminal
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.transport import tcp
from OttoLibrary.transport.channels import ProcessChannel
from OttoLibrary.transport.receive_buffer import FlowControl, ReceiveBuffer
from OttoLibrary.transport.restored_signals import restored_signals

_CHUNK = 1 << 18
_GOODBYE_S = 0.5
# A session leader that opens a terminal gets it as its controlling one.
_ON_TERMINAL = 'exec 0<>"$1" 1>&0 2>&0; exec /bin/sh -c "$2"'


class Local:
    """The transport ``local``."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Return immediately: this machine needs no connection."""
        return LocalConnection(dict(os.environ))


class LocalConnection:
    """This machine."""

    lost: str | None = None
    native: object = None
    line_limit = 0
    logs_in = True

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._processes: set[LocalProcess] = set()

    async def execute(self, command: str, terminal: Terminal | None = None, *, login_shell: bool = False) -> Process:
        """Start ``command`` in a session of its own, always by ``sh``."""
        process = LocalProcess(self._processes.discard)
        self._processes.add(process)
        try:
            await process.start(command, terminal, self._environment)
        except BaseException:
            await process.close()
            process.kill()
            self._processes.discard(process)
            raise
        return process

    async def open_line(self) -> Channel:
        """Refuse: it starts processes."""
        raise EndOfStream("it has no terminal lines")

    async def dial(self, address: str, port: int) -> Duplex:
        """Open a TCP connection from this machine."""
        return await tcp.dial(address, port)

    async def listen(self, port: int, accept: Callable[[Duplex], None]) -> Listener:
        """Listen on this machine."""
        return await tcp.listen(port, accept)

    async def close(self) -> None:
        """Hang up every process that still runs, wait a moment for it to notice, and kill what did not."""
        ending = list(self._processes)
        for process in ending:
            await process.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                for process in ending:
                    await process.wait()
        for process in ending:
            process.kill()

    def describe(self) -> str:
        """Return ``local``."""
        return "local"


class LocalProcess(asyncio.SubprocessProtocol):
    """One process; fed by the event loop's callbacks."""

    def __init__(self, gone: Callable[[LocalProcess], None]) -> None:
        self._gone = gone
        self._output = ReceiveBuffer(FlowControl(partial(self._pause, 1), partial(self._resume, 1)))
        self._errors = ReceiveBuffer(FlowControl(partial(self._pause, 2), partial(self._resume, 2)))
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._master: int | None = None
        # Our own slave keeps the master readable until the process has opened the terminal; closed when it exits.
        self._slave: int | None = None
        self._pid, self._born = 0, ""
        self._has_terminal = False

    async def start(self, command: str, terminal: Terminal | None, environment: dict[str, str]) -> None:
        """Start it; with a terminal its three streams are that terminal."""
        loop = asyncio.get_running_loop()
        self._has_terminal = terminal is not None
        if terminal is None:
            await loop.subprocess_exec(
                lambda: self, "/bin/sh", "-c", command, env=environment, start_new_session=True, preexec_fn=restored_signals()
            )
        else:
            await self._start_on_terminal(command, terminal, environment)
        assert self._transport is not None
        self._pid = self._transport.get_pid()
        self._born = _birth(self._pid)

    async def _start_on_terminal(self, command: str, terminal: Terminal, environment: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        self._master, self._slave = pty.openpty()
        _set_size(self._master, terminal.columns, terminal.rows)
        self._errors.end()
        null = asyncio.subprocess.DEVNULL
        words = ("/bin/sh", "-c", _ON_TERMINAL, "sh", os.ttyname(self._slave), command)
        await loop.subprocess_exec(
            lambda: self,
            *words,
            stdin=null,
            stdout=null,
            stderr=null,
            env={**environment, "TERM": terminal.kind},
            start_new_session=True,
            preexec_fn=restored_signals(),
        )
        os.set_blocking(self._master, False)
        loop.add_reader(self._master, self._terminal_ready)

    @property
    def channel(self) -> Channel:
        """Standard input and output, or the terminal."""
        return ProcessChannel(self, self._output, "local process")

    @property
    def errors(self) -> Channel | None:
        """Standard error; None on a terminal."""
        return None if self._has_terminal else ProcessChannel(self, self._errors, "standard error of a local process")

    async def end_input(self) -> None:
        """Close standard input."""
        self._close_pipe(0)

    def _close_pipe(self, fd: int) -> None:
        if (pipe := self._pipe(fd)) is not None:
            pipe.close()

    async def wait(self) -> ExitStatus:
        """Return how it ended."""
        await self._exited.wait()
        assert self._transport is not None
        code = self._transport.get_returncode() or 0
        return ExitStatus(code) if code >= 0 else ExitStatus(128 - code, signal.Signals(-code).name)

    async def close(self) -> None:
        """Hang up its session and close its streams."""
        self._release_terminal()
        # Its number may be another's by now.
        if self._transport is not None and not self._exited.is_set() and _birth(self._pid) == self._born:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGHUP)
        for fd in (0, 1, 2):
            self._close_pipe(fd)
        self._output.end()
        self._errors.end()

    def kill(self) -> None:
        """End it if it still runs, and let go of it."""
        if self._transport is not None:
            self._transport.close()

    async def write(self, data: bytes) -> None:
        """Give it input."""
        if self._master is not None:
            await self._write_terminal(data)
            return
        pipe = self._pipe(0)
        if pipe is None or pipe.is_closing():
            raise EndOfStream
        pipe.write(data)
        await self._writable.wait()

    async def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size."""
        if self._master is not None:
            _set_size(self._master, columns, rows)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport: a short process may end before its start has returned."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pause_writing(self) -> None:
        """Let writers wait: it reads more slowly than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers continue."""
        self._writable.set()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what came on stdout (1) or stderr (2), as long as somebody reads it."""
        (self._output if fd == 1 else self._errors).feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note the end of stdout or stderr."""
        if fd == 1:
            self._output.end()
        elif fd == 2:
            self._errors.end()
        else:
            self._writable.set()

    def process_exited(self) -> None:
        """Note its end, and close its input, which a process that it left behind may still read, as an SSH server does."""
        self._exited.set()
        self._close_pipe(0)
        self._release_slave()
        self._gone(self)

    def _pipe(self, fd: int) -> Any:
        return self._transport.get_pipe_transport(fd) if self._transport else None

    def _pause(self, fd: int) -> None:
        if self._master is not None:
            asyncio.get_running_loop().remove_reader(self._master)
        elif (pipe := self._pipe(fd)) is not None and pipe.is_reading():
            pipe.pause_reading()

    def _resume(self, fd: int) -> None:
        if self._master is not None:
            asyncio.get_running_loop().add_reader(self._master, self._terminal_ready)
        elif (pipe := self._pipe(fd)) is not None and not pipe.is_closing() and not pipe.is_reading():
            pipe.resume_reading()

    def _terminal_ready(self) -> None:
        assert self._master is not None
        try:
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last process on the terminal is gone
            data = b""
        if data:
            self._output.feed(data)
        else:
            self._release_terminal()
            self._output.end()

    async def _write_terminal(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._master is None:
                raise EndOfStream
            try:
                view = view[os.write(self._master, view) :]
            except BlockingIOError:
                await asyncio.sleep(0.005)
            except OSError as error:
                raise EndOfStream from error

    def _release_slave(self) -> None:
        slave, self._slave = self._slave, None
        if slave is not None:
            os.close(slave)

    def _release_terminal(self) -> None:
        self._release_slave()
        master, self._master = self._master, None
        if master is not None:
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)


def _birth(pid: int) -> str:
    """Return when a process began, in ticks since the boot; empty for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _set_size(master: int, columns: int, rows: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
