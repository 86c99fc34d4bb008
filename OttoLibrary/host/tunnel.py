"""Tunnels: TCP connections carried between this machine and a host, through any number of hops.

A tunnel listens on a loopback, of this machine or of the host, and opens a connection at its other end for each that it accepts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from OttoLibrary.contracts.connections import Duplex, EndOfStream, Listener
from OttoLibrary.deadline import Deadline
from OttoLibrary.engine import BackOff, Failure, supervise
from OttoLibrary.errors import ConnectError, OttoError, UsageError, WaitTimeoutError
from OttoLibrary.host.host import Host
from OttoLibrary.transport import tcp

LOOPBACK = "127.0.0.1"
_CHUNK = 1 << 18
_DIAL_S = 20.0
# A program that opens more than this at a time through one tunnel has lost its way.
_MOST_AT_A_TIME = 1000
_HIGHEST_PORT = 65_535


def _ignore(sentence: str) -> None:
    """Tell nobody."""


class Tunnel:
    """One tunnel; ``to_host`` and ``from_host`` open it.

    Args:
        host: The host.
        dial: Opens a connection at the other end; raises OttoError or OSError.
        tell: Called with a sentence when a connection could not be carried, or the tunnel was opened again.

    Attributes:
        carried: How many connections it has carried.
    """

    def __init__(self, host: Host, dial: Callable[[], Awaitable[Duplex]], tell: Callable[[str], None] = _ignore) -> None:
        self.host, self.carried = host, 0
        self._dial, self._tell = dial, tell
        self._listener: Listener | None = None
        self._connections: dict[asyncio.Task[None], Duplex] = {}
        self._closed = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens: on this machine, or on the host for one from there."""
        assert self._listener is not None  # since it was opened
        return self._listener.port

    async def open(self, listen: Callable[[int], Awaitable[Listener]], port: int, keep: bool) -> None:
        """Listen, and with ``keep`` listen again whenever that ends; raise OSError or ConnectError."""
        self._listener = await listen(port)
        if keep:
            self._keeper = asyncio.create_task(supervise(lambda: self._listen_again(listen), self._lost, BackOff(0.2)))

    async def close(self) -> None:
        """End it with all that it carries; idempotent, never raises."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self._listener is not None:
            await self._listener.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task that is cancelled before its first step closes nothing.
        for near in list(self._connections.values()):
            await near.close()
        self._connections.clear()

    def accept(self, near: Duplex) -> None:
        """Carry a connection."""
        is_full = len(self._connections) >= _MOST_AT_A_TIME
        if is_full:
            self._tell(f"A tunnel of host '{self.host.name}' refused a connection: it carries {_MOST_AT_A_TIME} already.")
        task = asyncio.create_task(near.close() if is_full or self._closed else self._carry(near))
        self._connections[task] = near
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self._closed:
            self._connections.pop(task, None)

    async def _carry(self, near: Duplex) -> None:
        try:
            far = await self._dial()
        except (OttoError, OSError) as error:
            self._tell(f"A tunnel of host '{self.host.name}' could not carry a connection: {error}")
            await near.close()
            return
        self.carried += 1
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(near, far))
                both.create_task(_pump(far, near))
        except* EndOfStream:
            pass
        finally:
            await near.close()
            await far.close()

    async def _listen_again(self, listen: Callable[[int], Awaitable[Listener]]) -> None:
        while True:
            assert self._listener is not None  # since it was opened
            await self._listener.wait()
            self._listener = await listen(self._listener.port)
            self._tell(f"A tunnel from host '{self.host.name}' was lost with its connection, and is open again.")

    def _lost(self, failure: Failure) -> None:
        self._tell(f"A tunnel from host '{self.host.name}' is not open: {failure}")


async def to_host(
    host: Host,
    port: int,
    deadline: Deadline,
    *,
    address: str = LOOPBACK,
    here_port: int = 0,
    tell: Callable[[str], None] = _ignore,
) -> Tunnel:
    """Open a tunnel from a port of this machine to one of a host, or of what the host sees.

    Args:
        host: The host; it is connected now, and again when its connection was lost.
        port: The port there.
        deadline: When it must be open.
        address: Whose port, as the host sees it; by default its own loopback.
        here_port: The port of this machine, 0 for a free one.
        tell: Called with a sentence when a connection could not be carried.

    Raises:
        ConnectError: The host cannot be reached.
        UsageError: A port is no port, or the one of this machine is taken.
    """
    _check_ports(port, here_port)
    await host.connection.open(deadline)

    async def dial() -> Duplex:
        return await host.connection.dial(address, port, Deadline(_DIAL_S))

    tunnel = Tunnel(host, dial, tell)
    try:
        await tunnel.open(lambda wanted: tcp.listen(wanted, tunnel.accept), here_port, keep=False)
    except OSError as error:
        raise UsageError(
            f"Port {here_port} of this machine cannot be used: {error.strerror or error}. Choose another."
        ) from error
    return tunnel


async def from_host(
    host: Host,
    here_port: int,
    deadline: Deadline,
    *,
    host_port: int = 0,
    tell: Callable[[str], None] = _ignore,
) -> Tunnel:
    """Open a tunnel from a port on the loopback of a host to one on the loopback of this machine.

    When the connection of the host is lost, it is opened again, on the same port.

    Args:
        host: The host.
        here_port: The port of this machine.
        deadline: When it must be open.
        host_port: The port there, 0 for a free one.
        tell: Called with a sentence when a connection could not be carried, or the tunnel was opened again.

    Raises:
        ConnectError: The host cannot be reached, or does not listen there.
        UsageError: A port is no port.
    """
    _check_ports(here_port, host_port)

    async def dial() -> Duplex:
        return await tcp.dial(LOOPBACK, here_port)

    async def listen(wanted: int) -> Listener:
        until = deadline if tunnel.carried == 0 and not deadline.expired else Deadline(_DIAL_S)
        connection = await host.connection.open(until)
        try:
            async with until.timeout():
                return await connection.listen(wanted, tunnel.accept)
        except TimeoutError as error:
            raise WaitTimeoutError(host.name, host.path, "did not open a port for a tunnel", until.seconds) from error
        except OSError as error:
            which = f"port {wanted}" if wanted else "a port"
            raise ConnectError(host.name, host.path, f"{which} for a tunnel back could not be opened: {error}") from error

    tunnel = Tunnel(host, dial, tell)
    await tunnel.open(listen, host_port, keep=True)
    return tunnel


def _check_ports(reached: int, listening: int) -> None:
    """Raise UsageError for a number that is no port; 0 lets the system choose one to listen on."""
    for port, least in ((reached, 1), (listening, 0)):
        if not least <= port <= _HIGHEST_PORT:
            raise UsageError(f"{port} is not a port. Write a number from 1 to {_HIGHEST_PORT}.")


async def _pump(source: Duplex, target: Duplex) -> None:
    """Carry one direction to its end."""
    try:
        while True:
            await target.write(await source.read(_CHUNK))
    except EndOfStream as end:
        if end.lost:
            raise
    with contextlib.suppress(EndOfStream):
        await target.end_output()
