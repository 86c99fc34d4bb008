"""Keywords that carry TCP connections to hosts behind hops, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.keywords.component import Component, dotted
from OttoLibrary.run.fanout import each, whole


class TunnelKeywords(Component):
    """Open and close tunnels."""

    @keyword(tags=["Tunnel"])
    def start_tunnel(
        self,
        host: str,
        port: int,
        *,
        address: str = "127.0.0.1",
        back: bool = False,
        listen_port: int = 0,
        timeout: timedelta | None = None,
    ) -> int:
        """Opens a tunnel to a port of a host, or from the host back to a port here.

        Args:
            host: Name of the host, behind any number of hops.
            port: The port to reach: of the host, or with `back` of this machine.
            address: Whose port, as the host sees it; its own loopback by default.
            back: The tunnel listens on the loopback of the host, and leads to the loopback of this machine.
            listen_port: Where it listens; a free port by default.
            timeout: How long opening may take, connecting included; by default the time-out of the host.

        Returns:
            The port where it listens, on `127.0.0.1` of this machine, or with `back` of the host.

        Raises:
            ConnectError: The host cannot be reached, or does not listen for others.
            UsageError: The port of this machine is taken, or the address is none.

        Only the loopback is listened on, so nobody else on the network can use it. It ends with the test, suite or run that
        opened it, or with `Stop Tunnel`. Telnet and serial hosts have none.

        ```robotframework
        ${port}=    Start Tunnel    dut1    22
        Should Be True    ${port} > 0
        Stop Tunnel    dut1    22
        ```
        """
        tunnels, timeout_s = self.session.tunnels, self.timeout(host, timeout)
        if back:
            found = self.call(tunnels.from_host(host, port, timeout_s, host_port=listen_port))
            logger.info(f"Port {found} of host '{host}' leads to port {port} of this machine.")
            return found
        found = self.call(tunnels.to_host(host, port, timeout_s, address=address, here_port=listen_port))
        logger.info(f"Port {found} of this machine leads to {address}:{port} of host '{host}'.")
        return found

    @keyword(tags=["Tunnel"])
    def stop_tunnel(self, host: str, port: int | None = None) -> None:
        """Closes tunnels of a host, with the connections in them.

        Args:
            host: Name of the host.
            port: The port that it leads to, or where it listens; all tunnels of the host by default.

        Raises:
            NotOpenError: There is none.

        ```robotframework
        Start Tunnel    dut1    22
        Stop Tunnel    dut1
        ```
        """
        self.call(self.session.tunnels.close(host, port))

    @keyword(tags=["Tunnel"])
    def open_tunnel_for_hosts(
        self, hosts: str, port: int, *, listen_port: int = 0, limit: int = 20, timeout: timedelta | None = None
    ) -> dict[str, Any]:
        """Opens a tunnel from each of many hosts back to a port here.

        Args:
            hosts: Which hosts, a selection.
            port: The port of this machine that they reach.
            listen_port: Where it listens on each; a free port of each by default.
            limit: How many are opened at the same time.
            timeout: How long opening may take on each host; by default the time-out of the host.

        Returns:
            A dictionary of host name to the port on its loopback.

        Raises:
            HostError: It failed on at least one host; all were tried, and the message names each.

        Each is opened again, on the same port, when the connection of its host was lost and is there again.

        ```robotframework
        &{ports}=    Open Tunnel For Hosts    tag:dut    9100
        Should Be True    ${ports.dut1} > 0
        ```
        """
        names = self.session.lab.select(hosts)

        async def opened(name: str) -> int:
            return await self.session.tunnels.from_host(name, port, self.timeout(name, timeout), host_port=listen_port)

        found = whole(self.call(each(names, opened, limit)), "No tunnel for")
        for name, there in found.items():
            logger.info(f"Port {there} of host '{name}' leads to port {port} of this machine.")
        return dotted(found)
