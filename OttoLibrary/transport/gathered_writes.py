"""What is written in one go is sent in one go: AsyncSSH writes two packets for each, and each would wake the other side."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

# What is larger goes at once: there is little to win, and nothing should pile up.
_LARGE_BYTES = 1 << 12


class GatheringTransport:
    """An asyncio transport, or a channel through a hop, that sends at the next turn of the loop what was written until then."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it, soon."""
        self._written.append(data)
        if len(data) > _LARGE_BYTES:
            self._send()
        elif len(self._written) == 1:
            self._loop.call_soon(self._send)

    def close(self) -> None:
        """Send what was written, and close."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """Send what can be sent at once, and close."""
        self._send()
        self._transport.abort()

    def _send(self) -> None:
        written, self._written = self._written, []
        if written:
            with contextlib.suppress(OSError):  # it is lost, which its reader is told
                self._transport.write(b"".join(written))


class GatheringTunnel:
    """The way from here to an SSH server, as AsyncSSH takes it: directly, or through the connection to a hop.

    Args:
        hop: AsyncSSH's connection to the hop, or None.
        family: The address family of a direct connection.
        local_address: Where a direct connection begins, or None.
    """

    def __init__(
        self,
        hop: Any,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        local_address: tuple[str, int] | None = None,
    ) -> None:
        self._hop, self._family, self._local_address = hop, family, local_address

    async def create_connection(self, factory: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]:
        """Open it; return the transport and what the factory made."""

        def made() -> Any:
            connection = factory()
            begin = connection.connection_made
            connection.connection_made = lambda transport: begin(GatheringTransport(transport))
            return connection

        if self._hop is not None:
            opened: tuple[Any, Any] = await self._hop.create_connection(made, host, port)
            return opened
        loop = asyncio.get_running_loop()
        return await loop.create_connection(made, host, port, family=self._family, local_addr=self._local_address)
