"""Keywords that reserve hosts, so that parallel suites never meet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from OttoLibrary.errors import NotFreeError, ReservationError
from OttoLibrary.keywords.component import Component, dotted
from OttoLibrary.masking import mask
from OttoLibrary.text import plural

if TYPE_CHECKING:
    from OttoLibrary.lab.host_entry import HostEntry


class ReservationKeywords(Component):
    """Reserve, extend, release, and look."""

    @keyword(tags=["Reservation"])
    def reserve_hosts(
        self,
        hosts: str,
        *,
        count: int = 0,
        lease: timedelta = timedelta(minutes=30),
        wait: timedelta = timedelta(0),
        purpose: str = "",
        priority: int = 0,
    ) -> list[str]:
        """Reserves hosts: all that were asked for, or none.

        Args:
            hosts: Which hosts are suitable, a selection.
            count: How many of them; by default all.
            lease: How long they stay reserved when this process hangs; while it runs, it renews them.
            wait: How long to wait for them; by default not at all.
            purpose: What for; others see it.
            priority: Higher goes first; equal ones go in the order in which they asked.

        Returns:
            The names of the hosts.

        Raises:
            NotFreeError: They did not become free; the message says who has them.
            ReservationError: The backend does not answer, or more hosts are asked for than are suitable.

        Reserved are the `resources` of a host in the lab, or its name. The reservation ends with the suite or test in which it
        was made, with `Release Hosts`, and with the process, however that ends. When it is lost, the test fails. What the lab
        says in `before_lease` of a host is done before the keyword returns, what it says in `after_lease` before anybody else
        gets the host; what fails there fails the keyword, the test, or the teardown of the suite.

        ```robotframework
        ${hosts}=    Reserve Hosts    tag:dut    count=2    wait=1 min    purpose=soak test
        Length Should Be    ${hosts}    2
        Run On Host    ${hosts}[0]    true
        ```
        """
        names = self.session.lab.select(hosts)
        reservations = self.session.reservations
        demand = reservations.demand(self._entries(names), count or len(names), lease.total_seconds(), mask(purpose), priority)
        leases, hooks = reservations.leases, self.session.lease_hooks
        limit_s, is_judged = hooks.limit_s(names), hooks.end_may_fail(names)
        granted = self.call(leases.reserve(demand, wait.total_seconds()))

        async def give_back() -> None:
            try:
                await leases.release(granted.hosts)
            except ReservationError as error:
                self.session.breaches.add_failed_end(error)

        self.session.scopes.on_end(give_back, limit_s, is_judged=is_judged)
        self.log_html(f"Reserved {', '.join(granted.hosts)}.")
        return list(granted.hosts)

    @keyword(tags=["Reservation"])
    def release_hosts(self, hosts: str = "") -> list[str]:
        """Releases hosts, together with those that were reserved with them.

        Args:
            hosts: Which, a selection; by default all.

        Returns:
            The names of the hosts that are free again.

        ```robotframework
        Reserve Hosts    dut1
        Release Hosts    dut1
        ```
        """
        return self.call(self.session.reservations.leases.release(self._reserved(hosts)))

    @keyword(tags=["Reservation"])
    def extend_lease(self, lease: timedelta, hosts: str = "") -> None:
        """Renews a reservation now, with another length.

        Args:
            lease: How long it lasts from now on when this process hangs.
            hosts: Which, a selection; by default all that are reserved.

        Raises:
            LeaseLostError: This run no longer has it.

        ```robotframework
        Reserve Hosts    dut1    lease=1 min
        Extend Lease    2 h    dut1
        ```
        """
        self.call(self.session.reservations.leases.extend(self._reserved(hosts), lease.total_seconds()))

    @keyword(tags=["Reservation"])
    def get_reservations(self) -> list[dict[str, Any]]:
        """Returns who has reserved what in the lab.

        Returns:
            A list of dictionaries with `resource`, `user`, `since` and `until` (seconds since 1970), `purpose`, `process` and
            `token`, which grows with every lease: a request with a lower one than was already seen comes from a lost
            lease.

        ```robotframework
        Reserve Hosts    dut1    purpose=example
        ${all}=    Get Reservations
        Log    ${all}[0][purpose]
        ```
        """
        return [
            dotted(vars(holding))
            for holding in self.session.reservations.holdings(self._entries(self.session.lab.loaded.names()))
        ]

    @keyword(tags=["Reservation"])
    def hosts_should_be_reserved(self, hosts: str) -> None:
        """Fails unless all of these hosts are reserved by this run.

        Args:
            hosts: Which, a selection.

        ```robotframework
        Reserve Hosts    dut1
        Hosts Should Be Reserved    dut1
        ```
        """
        reservations = self.session.reservations
        missing = [host for host in self._entries(self.session.lab.select(hosts)) if not reservations.has(host)]
        if missing:
            what = f"{plural(len(missing), 'host')} not reserved by this run: {', '.join(host.name for host in missing)}"
            raise NotFreeError(what, reservations.holders(missing) or ["nobody"], "Reserve with 'Reserve Hosts'.")

    def _entries(self, names: Sequence[str]) -> list[HostEntry]:
        return [self.session.lab.loaded.entry(name) for name in names]

    def _reserved(self, hosts: str) -> list[str]:
        return self.session.lab.select(hosts) if hosts else []
