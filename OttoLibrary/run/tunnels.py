"""The tunnels of a run, by host and port."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from OttoLibrary.errors import NotOpenError, UsageError
from OttoLibrary.run.open_hosts import OpenHosts
from OttoLibrary.run.scopes import Scopes
from OttoLibrary.text import printable

if TYPE_CHECKING:
    from OttoLibrary.host.tunnel import Tunnel

_ADDRESS = re.compile(r"[\w.:%-]{1,255}")


class Tunnels:
    """Tunnels that are open; each is closed with the scope in which it was opened.

    Args:
        hosts: The hosts of the run.
        scopes: Its scopes.
        warn: Told what a tunnel could not carry.
    """

    def __init__(self, hosts: OpenHosts, scopes: Scopes, warn: Callable[[str], None]) -> None:
        self._hosts, self._scopes, self._warn = hosts, scopes, warn
        self._tunnels: list[tuple[str, int, Tunnel]] = []

    async def to_host(self, name: str, port: int, timeout_s: float | None, *, address: str = "", here_port: int = 0) -> int:
        """Open a tunnel to a port of a host, or of what it sees, and return the port of this machine.

        Raises:
            ConnectError: The host cannot be reached. UsageError: The port of this machine is taken.
        """
        from OttoLibrary.host import tunnel

        host = self._hosts.use(name)
        deadline = await host.deadline(timeout_s)
        seen = address or tunnel.LOOPBACK
        if not _ADDRESS.fullmatch(seen):
            raise UsageError(f"'{printable(seen)[:40]}' is no address. Write an IP address, or the name of a machine.")
        if not _ADDRESS.fullmatch(seen):
            raise UsageError(f"'{printable(seen)}' is no address of a tunnel. Write an IP address or the name of a machine.")
        made = await tunnel.to_host(host, port, deadline, address=seen, here_port=here_port, tell=self._warn)
        return self._keep(name, port, made)

    async def from_host(self, name: str, here_port: int, timeout_s: float | None, *, host_port: int = 0) -> int:
        """Open a tunnel from a host back to a port of this machine, and return the port there; raise ConnectError."""
        from OttoLibrary.host import tunnel

        host = self._hosts.use(name)
        made = await tunnel.from_host(host, here_port, await host.deadline(timeout_s), host_port=host_port, tell=self._warn)
        return self._keep(name, here_port, made)

    async def close(self, name: str, port: int | None) -> None:
        """Close the tunnels of a host, all or those of a port; raise NotOpenError when there is none."""
        chosen = [entry for entry in self._tunnels if entry[0] == name and port in (None, entry[1], entry[2].port)]
        if not chosen:
            known = ", ".join(f"{host} {wanted}" for host, wanted, _ in self._tunnels) or "none"
            which = f"for port {port}" if port is not None else "open"
            raise NotOpenError(f"Host '{name}' has no tunnel {which}. Open: {known}. 'Start Tunnel' opens one.")
        for entry in chosen:
            self._tunnels.remove(entry)
            await entry[2].close()

    def _keep(self, name: str, port: int, made: Tunnel) -> int:
        entry = (name, port, made)
        self._tunnels.append(entry)

        async def close() -> None:
            if entry in self._tunnels:
                self._tunnels.remove(entry)
            await made.close()

        self._scopes.on_end(close)
        return made.port
