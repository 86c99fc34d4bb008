"""Keywords about a host as a whole: connection, shells, user, being up."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.deadline import Deadline
from OttoLibrary.keywords.component import Component, Text
from OttoLibrary.text import Secret
from OttoLibrary.units import duration_text

if TYPE_CHECKING:
    from OttoLibrary.shell.launch import Account

_REBOOT_S = timedelta(minutes=5)


class HostKeywords(Component):
    """Open, close, reboot and become."""

    @keyword(tags=["Host"])
    def open_host(self, host: str, *, hop: str | None = None, timeout: timedelta | None = None) -> None:
        """Connects to a host now, instead of on first use.

        Args:
            host: Name of the host.
            hop: Go through this host instead of the lab's hop, from now on.
            timeout: How long it may take; by default the time-out of the host.

        Raises:
            LoginError, HostKeyError, HopError, ConnectError: It cannot be reached; the message says why and where.

        ```robotframework
        Open Host    dut1    hop=gateway    timeout=20 s
        ```
        """
        chosen = self.session.hosts.reroute(host, hop) if hop else self.session.hosts.use(host)
        self.call(self._open(chosen.name, self.timeout(host, timeout)))
        logger.info(f"Host '{host}' is open: {chosen.connection.describe()}.")

    @keyword(tags=["Host"])
    def close_host(self, host: str) -> None:
        """Closes a host's shells, consoles and connection; the next use opens them again.

        Args:
            host: Name of the host.

        ```robotframework
        Close Host    dut1
        ```
        """
        self.call(self.session.hosts.use(host).close())

    @keyword(tags=["Host"])
    def close_all_hosts(self) -> None:
        """Closes every host, those behind hops first.

        ```robotframework
        Close All Hosts
        ```
        """
        self.session.hosts.close()

    @keyword(tags=["Host", "Shell"])
    def open_shell(self, host: str, name: str, *, timeout: timedelta | None = None) -> None:
        """Opens an extra shell, with its own name.

        Args:
            host: Name of the host.
            name: Name for the shell, to be used as `shell=` of other keywords.
            timeout: How long it may take; by default the time-out of the host.

        Raises:
            UsageError: The host has a shell of that name already.

        It is closed at the end of the test, suite or run that opened it.

        ```robotframework
        Open Shell    dut1    logs
        Run On Host    dut1    cd /tmp    shell=logs
        ```
        """
        chosen = self.session.hosts.use(host)

        async def opened() -> None:
            await chosen.open_shell(name, await chosen.deadline(self.timeout(host, timeout)))

        async def closed() -> None:
            if name in chosen.shells:
                await chosen.close_shell(name)

        self.call(opened())
        self.session.scopes.on_end(closed)

    @keyword(tags=["Host", "Shell"])
    def close_shell(self, host: str, name: str) -> None:
        """Closes an extra shell.

        Args:
            host: Name of the host.
            name: Name of the shell.

        Raises:
            NotOpenError: There is no such shell.

        ```robotframework
        Open Shell    dut1    logs
        Close Shell    dut1    logs
        ```
        """
        self.call(self.session.hosts.use(host).close_shell(name))

    @keyword(tags=["Host", "Shell"])
    def reset_shell(self, host: str, *, shell: str = "") -> None:
        r"""Ends a command shell and its console; the next use begins fresh ones.

        Args:
            host: Name of the host.
            shell: Name of an extra shell, see `Open Shell`; it stays open under this name.

        Raises:
            NotOpenError: There is no such extra shell.

        Directory, variables, functions and whatever the console shows begin as after `Open Host`; the connection, the user of
        `Switch User On Host` and background commands stay.

        ```robotframework
        Run On Host    dut1    cd /tmp && export SPEED=fast
        Reset Shell    dut1
        ${result}=    Run On Host    dut1    echo "[$SPEED]"
        Should Be Equal    ${result.stdout}    []\n
        ```
        """
        self.call(self.session.hosts.use(host).reset_shell(shell))

    @keyword(tags=["Host", "Setting"])
    def set_host_timeout(
        self, host: str, timeout: timedelta, *, scope: Literal["Global", "Suite", "Test"] = "Suite"
    ) -> timedelta | None:
        """Sets how long keywords without a time-out of their own may take on a host.

        Args:
            host: Name of the host.
            timeout: The time-out.
            scope: How long it counts: the rest of the run, of this suite or of this test.

        Returns:
            The time-out set before, or None for the lab's.

        ```robotframework
        Set Host Timeout    dut1    2 min    scope=Test
        ```
        """
        self.session.lab.loaded.entry(host)
        before = self.session.scopes.set_timeout(host, timeout.total_seconds(), scope.lower())
        return None if before is None else timedelta(seconds=before)

    @keyword(tags=["Host"])
    def wait_until_host_is_up(self, host: str, *, timeout: timedelta = timedelta(minutes=2)) -> None:
        """Waits until a command runs on a host.

        Args:
            host: Name of the host.
            timeout: How long to wait.

        Raises:
            WaitTimeoutError: It was not up in time; the message has the last reason.
            LoginError: It is up, and rejects the login.

        ```robotframework
        Wait Until Host Is Up    dut1    timeout=30 s
        ```
        """
        from OttoLibrary.host.uptime import wait_until_up

        self.call(wait_until_up(self.session.hosts.use(host), Deadline(timeout.total_seconds())))

    @keyword(tags=["Host", "Assertion"])
    def host_should_be_up(self, host: str, *, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Fails unless a command runs on the host.

        Args:
            host: Name of the host.
            timeout: How long it may take to answer.

        Raises:
            HostError: It does not answer; the message says why.

        ```robotframework
        Host Should Be Up    gateway
        ```
        """
        self.call(self.session.hosts.use(host).probe(timeout.total_seconds()))

    @keyword(tags=["Host"])
    def reboot_host(self, host: str, *, command: str = "reboot", timeout: timedelta = _REBOOT_S) -> timedelta:
        """Reboots a host and waits until it is back.

        Args:
            host: Name of the host.
            command: What reboots it, run by its login user (or the one switched to).
            timeout: How long all of it may take.

        Returns:
            How long it was away.

        Raises:
            WaitTimeoutError: It did not go down, or did not come back in time.
            HostError: It came back with the same boot id: it never rebooted.

        ```robotframework
        # tags: no-run
        ${away}=    Reboot Host    dut1    command=sudo reboot    timeout=3 min
        ```
        """
        from OttoLibrary.host.uptime import reboot

        away = self.call(reboot(self.session.hosts.use(host), command, Deadline(timeout.total_seconds())))
        logger.info(f"Host '{host}' rebooted and was away for {duration_text(away)}.")
        return timedelta(seconds=away)

    @keyword(tags=["Host"])
    def switch_user_on_host(
        self,
        host: str,
        user: str | None = None,
        *,
        method: Literal["sudo", "su"] = "sudo",
        password: Text | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        """Runs the following commands on a host as another user.

        Args:
            host: Name of the host.
            user: The user to become; without one, the login user again.
            method: `sudo` asks for the login user's password, `su` for the new user's.
            password: The password asked for; by default the one in the lab's `accounts` (for sudo also the login's own).
            timeout: How long it may take.

        Raises:
            LoginError: The host rejected it; everything stays as it was.

        Shells and consoles are restarted, in the same directory.

        ```robotframework
        # tags: no-run
        Switch User On Host    dut1    root
        Run On Host    dut1    systemctl restart firmware
        Switch User On Host    dut1
        ```
        """
        chosen = self.session.hosts.use(host)
        given = self.secret(password) if password is not None else None
        account = self._account(host, user, method, Secret(given) if isinstance(given, str) else given) if user else None

        async def switched() -> None:
            await chosen.switch_user(account, await chosen.deadline(self.timeout(host, timeout)))

        self.call(switched())

    @keyword(name="Share Host With SSHLibrary", tags=["Host", "SSHLibrary"])
    def share_host_with_sshlibrary(self, host: str, *, timeout: timedelta = timedelta(seconds=30)) -> None:
        """Makes a host, hops included, the current connection of SSHLibrary.

        Args:
            host: Name of the host; also the alias in SSHLibrary.
            timeout: How long connecting may take.

        Raises:
            UsageError: The suite does not import SSHLibrary, or the host is not reached over SSH.
            HostKeyError: SSHLibrary got a different host key than OttoLibrary.

        ```robotframework
        # tags: no-run
        Share Host With SSHLibrary    dut1
        ${output}=    Execute Command    uname -r
        ```
        """
        from OttoLibrary.keywords.sshlibrary import share

        share(self, host, timeout.total_seconds())

    async def _open(self, name: str, timeout_s: float | None) -> None:
        chosen = self.session.hosts.use(name)
        await chosen.connection.open(await chosen.deadline(timeout_s))

    def _account(self, host: str, user: str, method: str, password: Secret | None) -> Account:
        from OttoLibrary.shell.launch import Account

        facts = self.session.lab.facts(host)
        if password is None:
            asked = user if method == "su" else (facts.user or "")
            password = facts.accounts.get(asked) or (facts.password if method == "sudo" else None)
        return Account(user, method, password)
