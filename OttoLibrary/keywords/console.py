"""Keywords that talk to a host's console."""

from __future__ import annotations

from datetime import timedelta

from robot.api.deco import keyword

from OttoLibrary.contracts.connections import Match
from OttoLibrary.errors import UsageError
from OttoLibrary.keywords.component import Component, Text


class ConsoleKeywords(Component):
    """Send, expect, read and interrupt."""

    @keyword(tags=["Console"])
    def send_to_host(self, host: str, text: Text, *, shell: str = "", timeout: timedelta | None = None) -> None:
        r"""Types text on the host's console, exactly as it is; a line ends with `\n`.

        Args:
            host: Name of the host.
            text: What to type; a `Secret` is typed and never shown.
            shell: Name of an extra shell, see `Open Shell`.
            timeout: How long it may take, connecting included; by default the time-out of the host.

        Raises:
            ConnectError, ConnectionLostError: The host cannot be reached, or the connection was lost.

        The console opens on first use, with the directory and environment of the command shell.

        ```robotframework
        Send To Host    dut1    echo $((6*7))\n
        Expect From Host    dut1    ^42
        ```
        """
        self.call(self.session.hosts.use(host).send(self.secret(text), shell=shell, timeout_s=self.timeout(host, timeout)))

    @keyword(tags=["Console"])
    def expect_from_host(
        self, host: str, *patterns: str, shell: str = "", timeout: timedelta | None = None, raw: bool = False
    ) -> Match:
        r"""Waits until the console prints text that a regular expression matches.

        Args:
            host: Name of the host.
            patterns: Regular expressions of Python; `^` and `$` match at lines. The match that begins first wins.
                They see text as a person reads it: without colours and other terminal sequences, each line ended by `\n` alone.
            shell: Name of an extra shell, see `Open Shell`.
            timeout: How long to wait; by default the time-out of the host.
            raw: With `yes`, patterns see, and the match has, exactly what the console wrote.

        Returns:
            The match: `index` and `pattern` (which one), `text`, `groups`, and `before`, everything printed before it.

        Raises:
            WaitTimeoutError: None appeared; the message has the output, which can still be expected or read.
            UsageError: No pattern was given, or one is not a regular expression.

        One pattern may span up to 65 536 characters.

        ```robotframework
        Send To Host    dut1    ./fw --version\n
        ${match}=    Expect From Host    dut1    fw (\\d+)\\.(\\d+)    error    timeout=5 s
        Should Be Equal    ${match.groups}[0]    2
        ```
        """
        if not patterns:
            raise UsageError("Nothing to expect. Give at least one regular expression after the host.")
        work = self.session.hosts.use(host).expect(patterns, shell=shell, timeout_s=self.timeout(host, timeout), raw=raw)
        return self.call(work)

    @keyword(tags=["Console"])
    def read_from_host(
        self, host: str, *, quiet: timedelta = timedelta(milliseconds=200), shell: str = "", timeout: timedelta | None = None
    ) -> str:
        r"""Returns what the console printed since it was last expected or read.

        Args:
            host: Name of the host.
            quiet: Read until nothing arrives for this long.
            shell: Name of an extra shell, see `Open Shell`.
            timeout: Read no longer than this; by default the time-out of the host.

        Returns:
            The text, possibly empty.

        ```robotframework
        Send To Host    dut1    echo done\n
        ${text}=    Read From Host    dut1    quiet=500 ms
        Should Contain    ${text}    done
        ```
        """
        return self.call(
            self.session.hosts.use(host).read(quiet.total_seconds(), shell=shell, timeout_s=self.timeout(host, timeout))
        )

    @keyword(tags=["Console"])
    def interrupt_host(self, host: str, *, shell: str = "") -> None:
        r"""Presses Ctrl-C on the host's console.

        Args:
            host: Name of the host.
            shell: Name of an extra shell, see `Open Shell`.

        ```robotframework
        Send To Host    dut1    sleep 100\n
        Interrupt Host    dut1
        ```
        """
        self.call(self.session.hosts.use(host).interrupt(shell=shell))
