"""Keywords that run commands."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.contracts.connections import CommandOutput, CommandResult, ExitStatus, Match
from OttoLibrary.errors import HostError, shorten
from OttoLibrary.keywords.component import Component, ExpectedRc, FanoutOptions, OnError, Text, expected


class CommandKeywords(Component):
    """Run commands in the shell, beside it, on many hosts and in the background."""

    @keyword(tags=["Command"])
    def run_on_host(
        self,
        host: str,
        command: str,
        *,
        timeout: timedelta | None = None,
        cwd: str | None = None,
        expected_rc: ExpectedRc = 0,
        answers: dict[str, Text] | None = None,
        shell: str = "",
    ) -> CommandResult:
        r"""Runs a command in the host's command shell.

        Args:
            host: Name of the host.
            command: Shell text, also of several lines. It reads nothing from standard input.
            timeout: How long it may take, connecting included; by default the time-out of the host.
            cwd: Directory for this command alone.
            expected_rc: The right exit status, a list of right ones, or `any`.
            answers: Replies to questions: regular expressions and the text for each. The command then runs on its own terminal,
                which starts like the shell and mixes stdout and stderr.
            shell: Name of an extra shell, see `Open Shell`.

        Returns:
            The result: `rc`, `stdout`, `stderr`, `signal`, `duration_s`, `host`, `command`; of a very long output also
                `left_out_bytes`, `stdout_file` and `stderr_file`, see `output_limit` of the library.

        Raises:
            CommandError: Another exit status; the message has the last lines of stderr.
            WaitTimeoutError: It took too long. Everything it started is ended, and the shell stays usable.
            ConnectError, ConnectionLostError: The host cannot be reached, or the connection was lost.

        Directory, environment, functions and umask last from call to call; redirections by `exec` last for the call. An exit
        status above 128 counts as a signal, as shells do.

        ```robotframework
        ${result}=    Run On Host    dut1    ./fw --version    timeout=10 s
        Should Be Equal    ${result.stdout}    fw 2.1 on dut1\n
        Run On Host    dut1    read -p "Sure? " yes && test $yes = y    answers=${{{'Sure. ': 'y'}}}
        ```
        """
        chosen, timeout_s = self.session.hosts.use(host), self.timeout(host, timeout)
        right = expected(expected_rc)
        if answers:
            replies = {pattern: self.secret(reply) for pattern, reply in answers.items()}
            return self.call(chosen.answer(command, replies, timeout_s=timeout_s, cwd=cwd, expected=right, shell=shell))
        return self.call(chosen.run(command, timeout_s=timeout_s, cwd=cwd, expected=right, shell=shell))

    @keyword(tags=["Command"])
    def run_once_on_host(
        self, host: str, command: str, *, timeout: timedelta | None = None, cwd: str | None = None, expected_rc: ExpectedRc = 0
    ) -> CommandResult:
        """Runs a command in its own process, apart from the command shell.

        Args:
            host: Name of the host.
            command: Shell text for the host's login shell.
            timeout: How long it may take, connecting included; by default the time-out of the host.
            cwd: Directory to run in; by default the lab's.
            expected_rc: The right exit status, a list of right ones, or `any`.

        Returns:
            The result, as of `Run On Host`.

        Raises:
            CommandError, WaitTimeoutError, ConnectError, ConnectionLostError: As `Run On Host`.

        ```robotframework
        ${result}=    Run Once On Host    dut1    exit 3    expected_rc=3
        ```
        """
        right = expected(expected_rc)
        return self.call(
            self.session.hosts.use(host).run_once(command, timeout_s=self.timeout(host, timeout), cwd=cwd, expected=right)
        )

    @keyword(tags=["Command"])
    def run_on_hosts(
        self,
        hosts: str,
        command: str,
        *,
        limit: int = 20,
        stop_after: int = 0,
        on_error: OnError = "fail",
        timeout: timedelta | None = None,
        cwd: str | None = None,
        expected_rc: ExpectedRc = 0,
    ) -> dict[str, Any]:
        """Runs a command on many hosts side by side and logs one table.

        Args:
            hosts: Which hosts: a selection as of `Get Hosts`, such as `tag:dut` or `dut1 OR dut2`.
            command: Shell text.
            limit: How many hosts at the same time.
            stop_after: After so many failures no further host is begun, such as 1; those that run are finished. By default all
                hosts are tried.
            on_error: `fail`, or `return` the errors among the results.
            timeout: How long it may take on each host, connecting included; by default the time-out of the host.
            cwd: Directory for this command alone.
            expected_rc: The right exit status, a list of right ones, or `any`.

        Returns:
            A dictionary of host name to result, with `on_error=return` to result or error. An error has `rc`, `stdout` and
            `stderr` too: the exit status when it was a wrong one, otherwise -1, and what the command wrote until then.

        Raises:
            HostError: It failed on at least one host; the message names each.

        Every host has a result or an error, and one that hangs costs its own time-out only. What fails is in the log at once;
        the table has all hosts, also when the keyword itself is ended by a time-out.

        ```robotframework
        &{all}=    Run On Hosts    tag:dut    ./fw --version
        Should Contain    ${all.dut2.stdout}    on dut2
        &{some}=    Run On Hosts    tag:dut    test $(hostname) != dut9 && ./fw --version    on_error=return
        Log    ${some.dut1}
        ```
        """
        right = expected(expected_rc)

        async def run(name: str) -> CommandResult:
            timeout_s = self.timeout(name, timeout)
            return await self.session.hosts.use(name).run(command, timeout_s=timeout_s, cwd=cwd, expected=right)

        from OttoLibrary.report.blocks import fan_out

        failed = f"'{shorten(command)}' failed on"
        spread = FanoutOptions(limit, stop_after, on_error)
        return self.on_each(hosts, run, spread, lambda outcomes: fan_out(command, outcomes, self.attachments), failed)

    @keyword(tags=["Command", "Background"])
    def start_on_host(self, host: str, command: str, *, cwd: str | None = None, timeout: timedelta | None = None) -> str:
        """Starts a command in its own process and returns immediately.

        Args:
            host: Name of the host.
            command: Shell text for the host's login shell.
            cwd: Directory to run in; by default the one in which the command shell is, or the lab's while no shell is open.
            timeout: How long starting it may take, connecting included.

        Returns:
            A handle for `Wait For Command`, `Stop Command` and `Get Command Output`.

        The command is ended, with all it started, at the end of the test, suite or run in which it was started.

        ```robotframework
        ${ticker}=    Start On Host    dut1    while sleep 0.1; do echo tick; done
        Sleep    0.3 s
        ${stdout}    ${stderr}=    Stop Command    ${ticker}
        Should Contain    ${stdout}    tick
        ```
        """
        command_ = self.call(self.session.hosts.use(host).start(command, cwd=cwd, timeout_s=self.timeout(host, timeout)))
        return self.session.commands.add(command_)

    @keyword(tags=["Command", "Background"])
    def wait_for_command(self, command: str, *, timeout: timedelta | None = None, expected_rc: ExpectedRc = 0) -> CommandResult:
        """Waits for the end of a background command.

        Args:
            command: The handle.
            timeout: How long to wait; by default the time-out of the host.
            expected_rc: The right exit status, a list of right ones, or `any`.

        Returns:
            The result, as of `Run On Host`.

        Raises:
            WaitTimeoutError: It is still running, and is left running.
            CommandError: Another exit status.

        ```robotframework
        ${job}=    Start On Host    dut1    ./fw selftest
        ${result}=    Wait For Command    ${job}    timeout=10 s
        Should Contain    ${result.stdout}    flash ok
        ```
        """
        running = self.session.commands.get(command)
        name = running.host

        async def waited() -> CommandResult:
            deadline = await self.session.hosts.use(name).deadline(self.timeout(name, timeout))
            return await running.wait(deadline, expected(expected_rc))

        return self.call(waited())

    @keyword(tags=["Command", "Background"])
    def stop_command(self, command: str) -> tuple[str, str]:
        """Ends a background command and all it started.

        Args:
            command: The handle.

        Returns:
            Its stdout and its stderr.

        When it had ended already, the log says so, with its exit status.

        ```robotframework
        ${job}=    Start On Host    dut1    sleep 100
        Stop Command    ${job}
        ```
        """
        running = self.session.commands.get(command)

        async def stopped() -> tuple[ExitStatus | None, tuple[str, str]]:
            with contextlib.suppress(HostError):  # a connection that is lost has ended it
                return await running.status_if_ended(), await running.stop()
            return None, await running.stop()

        status, said = self.call(stopped())
        if status is not None:
            from OttoLibrary.host.background import ending

            logger.info(f"It had ended already: it {ending(status)}.")
        return said

    @keyword(tags=["Command", "Background"])
    def wait_until_command_prints(self, command: str, pattern: str, *, timeout: timedelta | None = None) -> Match:
        r"""Waits until a background command prints a line that matches.

        Args:
            command: The handle.
            pattern: Regular expression of Python, searched in each line of stdout and stderr; `^` and `$` are the ends of a line.
            timeout: How long to wait; by default the time-out of the host.

        Returns:
            The match: `text`, `groups`, and `before`, what stands before it in its line.

        Raises:
            WaitTimeoutError: No such line came in time; the command is left running.
            HostError: The command ended before.

        What the command printed before this keyword counts too.

        ```robotframework
        ${server}=    Start On Host    dut1    echo listening on 8080; sleep 100
        ${match}=    Wait Until Command Prints    ${server}    listening on (\\d+)    timeout=5 s
        Should Be Equal    ${match.groups}[0]    8080
        ```
        """
        running = self.session.commands.get(command)
        from OttoLibrary.shell.search_pattern import SearchPattern

        expression = SearchPattern(pattern)

        async def waited() -> Match:
            deadline = await self.session.hosts.use(running.host).deadline(self.timeout(running.host, timeout))
            return await running.wait_for_line(expression, deadline)

        return self.call(waited())

    @keyword(tags=["Command", "Background", "Assertion"])
    def command_should_be_running(self, command: str) -> None:
        """Fails when a background command has ended.

        Args:
            command: The handle.

        Raises:
            HostError: It has ended; the message has its exit status and what it wrote last.

        ```robotframework
        ${job}=    Start On Host    dut1    sleep 100
        Command Should Be Running    ${job}
        ```
        """
        self.call(self.session.commands.get(command).check_running())

    @keyword(tags=["Command", "Background", "Getter"])
    def get_command_output(self, command: str) -> CommandOutput:
        """Returns the output of a background command so far.

        Args:
            command: The handle.

        Returns:
            Its output, with the attributes `stdout` and `stderr`; it may be assigned to two variables, too.

        ```robotframework
        ${job}=    Start On Host    dut1    echo ready; sleep 100
        Wait Until Keyword Succeeds    5 s    50 ms    Output Should Say Ready    ${job}
        ```
        """
        running = self.session.commands.get(command)

        async def said() -> CommandOutput:
            return CommandOutput(*running.said())

        return self.call(said())
