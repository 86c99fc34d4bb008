"""The way to one host: its connection, opened once for all callers, through hops, and again after a loss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from OttoLibrary import registry
from OttoLibrary.contracts.connections import Connection, Duplex
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.engine import is_cancelled
from OttoLibrary.errors import ConnectError, HopError


class HostConnection:
    """A host's connection.

    Args:
        name: Name of the host.
        path: The names of the hops to it, itself last.
        load_facts: Returns its facts; called when they are first needed, since that may ask a keyring.
        hop: The link of the host before it, or None.
        on_lost: Called with the reason before a lost connection is replaced.
        on_open: Called with a new connection before any caller gets it.
    """

    def __init__(
        self,
        name: str,
        path: tuple[str, ...],
        load_facts: Callable[[], HostFacts],
        hop: HostConnection | None,
        on_lost: Callable[[str], Awaitable[None]],
        on_open: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self.name, self.path, self.hop = name, path, hop
        self._load_facts = load_facts
        self._on_lost, self._on_open = on_lost, on_open
        self._facts: HostFacts | None = None
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None

    @property
    def is_open(self) -> bool:
        """True while the connection lives."""
        return self._connection is not None and self._connection.lost is None

    @property
    def lost(self) -> str | None:
        """Why the last connection is gone, or None."""
        return self._connection.lost if self._connection is not None else None

    async def facts(self) -> HostFacts:
        """Return what the lab says about the host; raise LabError when a reference has no value."""
        if self._facts is None:
            self._facts = await asyncio.to_thread(self._load_facts)
        return self._facts

    async def open(self, deadline: Deadline) -> Connection:
        """Return the connection, opening it and its hops when needed; raise ConnectError."""
        if self._connection is not None and self._connection.lost is None:
            return self._connection
        opening = self._opening or self._begin_opening()
        try:
            async with deadline.timeout():
                return await asyncio.shield(opening)
        except TimeoutError as error:
            raise ConnectError(self.name, self.path, f"no answer in {deadline.seconds:g} seconds") from error
        except asyncio.CancelledError as error:
            # Either the caller is cancelled, or what it waits for.
            if not opening.cancelled() or is_cancelled():
                raise
            raise ConnectError(self.name, self.path, "it was closed while it was opened") from error

    async def apart(self, deadline: Deadline) -> Connection:
        """Open a connection beside the one that all share, which may have no session left; the caller closes it.

        Raises:
            ConnectError: It cannot be opened.
        """
        facts = await self.facts()
        hop = await self._open_hop(self.hop, deadline) if self.hop else None
        connection: Connection = await registry.load("transport", facts.transport).connect(facts, self.path, hop, deadline)
        return connection

    async def dial(self, address: str, port: int, deadline: Deadline) -> Duplex:
        """Open a byte stream from the host to ``address``; raise ConnectError."""
        connection = await self.open(deadline)
        try:
            async with deadline.timeout():
                return await connection.dial(address, port)
        except OSError as error:
            raise ConnectError(self.name, self.path, f"it could not connect to {error}") from error

    async def close(self) -> None:
        """Close the connection; the next use opens a new one. Never raises."""
        # Who opens it from now on gets a new one.
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def describe(self) -> str:
        """Return how it is connected, or ``not connected``."""
        return self._connection.describe() if self._connection is not None and self.is_open else "not connected"

    def _begin_opening(self) -> asyncio.Task[Connection]:
        """Connect in a task of its own: a caller that is cancelled does not stop it for the others."""
        self._opening = asyncio.create_task(self._connect())
        self._opening.add_done_callback(self._opened)
        return self._opening

    def _opened(self, task: asyncio.Task[Connection]) -> None:
        if self._opening is task:
            self._opening = None
        if not task.cancelled():
            task.exception()  # fetched, so that a cancelled caller leaves no warning

    async def _connect(self) -> Connection:
        before, self._connection = self._connection, None
        if before is not None:
            await self._on_lost(before.lost or "it was closed")
            await before.close()
        facts = await self.facts()
        hop = await self._open_hop(self.hop, Deadline(facts.connect_timeout)) if self.hop else None
        transport = registry.load("transport", facts.transport)
        connection: Connection = await transport.connect(facts, self.path, hop, Deadline(facts.connect_timeout))
        self._connection = connection
        await self._on_open(connection)
        return connection

    async def _open_hop(self, hop: HostConnection, deadline: Deadline) -> Connection:
        try:
            return await hop.open(deadline)
        except HopError as error:
            raise HopError(self.name, self.path, error.hop, error.hop_did, error.cause) from error
        except ConnectError as error:
            raise HopError(self.name, self.path, hop.name, error.what, error.cause) from error
