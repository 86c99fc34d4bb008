"""Serial ports through pySerial: devices of this machine, and its URLs, such as RFC 2217 and raw sockets, also behind a hop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import stat
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import serial

from OttoLibrary.contracts.connections import Channel, Connection, EndOfStream
from OttoLibrary.contracts.facts import HostFacts, SerialOptions
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError
from OttoLibrary.transport.lines_only import LinesOnly
from OttoLibrary.transport.receive_buffer import FlowControl, ReceiveBuffer

_CHUNK = 1 << 16
_POLL_S = 0.2
_PARITY = {"none": "N", "even": "E", "odd": "O", "mark": "M", "space": "S"}


class Serial:
    """The transport ``serial``."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Open the port for us alone."""
        relay = _Relay(hop, facts.device) if hop is not None else None
        try:
            async with deadline.timeout():
                device = await relay.open() if relay is not None else facts.device
                port = await _opened(facts, device)
        except BaseException as error:
            if relay is not None:
                await relay.close()
            if isinstance(error, TimeoutError):
                what = f"no answer from {facts.device} in {deadline.seconds:g} seconds"
                raise ConnectError(facts.name, path, what) from error
            if isinstance(error, OSError | ValueError):
                users = await asyncio.to_thread(_users, facts.device)
                raise _translate(error, facts, path, users) from error
            raise
        return SerialConnection(facts, port, relay)


class SerialConnection(LinesOnly):
    """One open port, which is one line."""

    kind = "a serial host"
    line_limit = 1
    logs_in = False

    def __init__(self, facts: HostFacts, port: Any, relay: _Relay | None) -> None:
        self._facts, self._relay = facts, relay
        self.line = SerialLine(port, facts.serial.character_delay)

    @property
    def lost(self) -> str | None:
        """Why the port is gone, or None."""
        return self.line.lost

    async def open_line(self) -> Channel:
        """Return the line; every caller gets the same one."""
        return self.line

    async def close(self) -> None:
        """Close the port."""
        await self.line.release()
        if self._relay is not None:
            await self._relay.close()

    def describe(self) -> str:
        """Return ``serial console DEVICE``."""
        return f"serial console {self._facts.device}"


class SerialLine:
    """The channel of a port."""

    def __init__(self, port: Any, character_delay: float) -> None:
        self.lost: str | None = None
        self._port, self._delay = port, character_delay
        self._received = ReceiveBuffer(FlowControl(self._pause, self._resume))
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._threads: ThreadPoolExecutor | None = None
        self._reading: asyncio.Task[None] | None = None
        self._released = False
        if isinstance(port, serial.Serial) and type(port) is serial.Serial:
            asyncio.get_running_loop().add_reader(port.fileno(), self._ready)
        else:
            # One thread reads and one writes: pySerial's other ports have no file descriptor to wait for.
            self._threads = ThreadPoolExecutor(2, thread_name_prefix="otto-serial")
            self._reading = asyncio.create_task(self._read_on())

    @property
    def closed(self) -> bool:
        """True after the end."""
        return self._received.ended

    async def read(self, limit: int) -> bytes:
        """Return what came."""
        return await self._received.read(limit)

    async def write(self, data: bytes) -> None:
        """Send ``data``, byte by byte when the console is slow."""
        if not self._delay:
            await self._write(data)
            return
        for at in range(len(data)):
            await self._write(data[at : at + 1])
            await asyncio.sleep(self._delay)

    async def resize(self, columns: int, rows: int) -> None:
        """Do nothing: a serial line knows no size."""

    async def close(self) -> None:
        """Do nothing: the port stays open until its connection is closed."""

    def describe(self) -> str:
        """Return ``serial line``."""
        return "serial line"

    async def release(self) -> None:
        """Close the port."""
        if self._released:
            return
        self._released = True
        self._stop_reading()
        self._received.end()
        if self._reading is not None:
            self._reading.cancel()
        if self._threads is not None:
            # The reading thread checks a few times a second.
            self._threads.shutdown(wait=False)
        await asyncio.to_thread(self._close_port)

    def _close_port(self) -> None:
        with contextlib.suppress(OSError, ValueError, termios.error):
            self._port.close()

    def _pause(self) -> None:
        self._wanted.clear()
        self._stop_reading()

    def _resume(self) -> None:
        self._wanted.set()
        if self._threads is None and not self._received.ended:
            asyncio.get_running_loop().add_reader(self._port.fileno(), self._ready)

    def _stop_reading(self) -> None:
        if self._threads is None:
            with contextlib.suppress(OSError, ValueError, serial.SerialException):
                asyncio.get_running_loop().remove_reader(self._port.fileno())

    def _ready(self) -> None:
        try:
            data = os.read(self._port.fileno(), _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if data:
            self._received.feed(data)
        else:
            self._lose("the device is gone")

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            try:
                data = await loop.run_in_executor(self._threads, self._read_some)
            except (OSError, TypeError, AttributeError) as error:
                # pySerial's socket ports raise the latter two when they are closed under a reader.
                self._lose(str(error))
                return
            if data:
                self._received.feed(data)

    def _read_some(self) -> bytes:
        first: bytes = self._port.read(1)
        if not first:
            return b""
        more: bytes = self._port.read(min(self._port.in_waiting, _CHUNK)) if self._port.in_waiting else b""
        return first + more

    async def _writable(self) -> None:
        loop, port, room = asyncio.get_running_loop(), self._port.fileno(), asyncio.Event()
        loop.add_writer(port, room.set)
        try:
            await room.wait()
        finally:
            loop.remove_writer(port)

    def _lose(self, reason: str) -> None:
        self._stop_reading()
        self.lost = self.lost or reason
        self._received.end(reason)

    async def _write(self, data: bytes) -> None:
        if self._received.ended:
            raise EndOfStream(self.lost)
        try:
            if self._threads is not None:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._port.write, data)
                return
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(self._port.fileno(), view) :]
                except BlockingIOError:
                    await self._writable()
        except (OSError, ValueError) as error:
            self._lose(str(error))
            raise EndOfStream(self.lost) from error


class _Relay:
    """A port of the loopback whose one connection is carried through a hop."""

    def __init__(self, hop: Connection, url: str) -> None:
        self._hop, self._url = hop, url
        self._server: asyncio.Server | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._way: Channel | None = None

    async def open(self) -> str:
        """Return the URL with our own address in it; the way through the hop is open then."""
        parts = urlsplit(self._url)
        if parts.scheme not in {"socket", "rfc2217"} or not parts.hostname or not parts.port:
            raise ValueError(
                f"'{self._url}' cannot be reached through a hop; use socket://address:port or rfc2217://address:port"
            )
        self._way = await self._hop.dial(parts.hostname, parts.port)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return parts._replace(netloc=f"127.0.0.1:{port}").geturl()

    async def close(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.close()
        if self._carrying is not None:
            self._carrying.cancel()
        if self._way is not None:
            await self._way.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._carrying is not None or self._server is None:
            writer.close()
            return
        self._server.close()
        self._carrying = asyncio.create_task(self._carry(reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = self._way
        assert way is not None

        async def there() -> None:
            while data := await reader.read(_CHUNK):
                await way.write(data)

        async def back() -> None:
            while True:
                writer.write(await way.read(_CHUNK))
                await writer.drain()

        both = [asyncio.create_task(there()), asyncio.create_task(back())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            writer.close()
            await way.close()


async def _opened(facts: HostFacts, device: str) -> Any:
    if "://" not in device and (users := await asyncio.to_thread(_users, device)):
        raise OSError(errno.EBUSY, f"it is in use by {users[0]}")
    options = facts.serial
    flow = {name: options.flow_control == name for name in ("rtscts", "dsrdtr", "xonxoff")}
    opening = asyncio.ensure_future(asyncio.to_thread(_port, device, options, flow))
    try:
        port = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # The thread cannot be stopped; what it opens too late is closed.
        opening.add_done_callback(_close_late)
        raise
    if type(port) is serial.Serial:
        with contextlib.suppress(OSError):
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    return port


def _close_late(opening: asyncio.Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _port(device: str, options: SerialOptions, flow: dict[str, bool]) -> Any:
    return serial.serial_for_url(
        device,
        baudrate=options.baudrate,
        bytesize=options.bytesize,
        parity=_PARITY[options.parity],
        stopbits=options.stopbits,
        timeout=_POLL_S,
        exclusive=True if "://" not in device else None,
        **flow,
    )


def _translate(error: Exception, facts: HostFacts, path: tuple[str, ...], users: list[str]) -> ConnectError:
    number = getattr(error, "errno", None)
    device = facts.device
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    if number in {errno.EBUSY, errno.EAGAIN}:
        user = users[0] if users else "another process"
        return ConnectError(facts.name, path, f"{device} is in use by {user}", "End that first, or use another port.")
    if number == errno.ENOENT:
        return ConnectError(facts.name, path, f"there is no {device}", "Is the adapter plugged in?")
    if number == errno.EACCES:
        return ConnectError(
            facts.name, path, f"{device} cannot be opened by this user", "Add the user to the group of the device."
        )
    if number == errno.ECONNREFUSED:
        return ConnectError(facts.name, path, f"{device} refused the connection", "Does its server run, and is the port right?")
    return ConnectError(facts.name, path, f"{device}: {_last(error)}")


def _last(error: Exception) -> str:
    return str(error).removesuffix(".")


def _users(device: str) -> list[str]:
    """Return the processes that have a device open, as ``process 4711 (picocom /dev/ttyUSB0)``."""
    try:
        facts = Path(device).stat()
    except OSError:
        return []
    if not stat.S_ISCHR(facts.st_mode):
        return []
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if any(_same(entry, facts.st_rdev) for entry in (folder / "fd").iterdir()):
                found.append(f"process {folder.name} ({_command(folder)})")
    return found


def _same(entry: Path, device: int) -> bool:
    with contextlib.suppress(OSError):
        facts = entry.stat()
        return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == device
    return False


def _command(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return b" ".join(words).decode("utf-8", "replace")[:80]
