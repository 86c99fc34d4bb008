"""The lines of a host that has no processes side by side: opened, greeted, given a shell, and hung up."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from OttoLibrary.contracts.connections import Connection, EndOfStream, Expected
from OttoLibrary.contracts.profiles import POSIX
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError, UsageError, WaitTimeoutError, subject
from OttoLibrary.host.host_connection import HostConnection
from OttoLibrary.host.records import HostRecords
from OttoLibrary.host.transcript import Recorded, Transcript
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import PreludeFailedError
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.line_shell import LineProcess, LineShell, NoTerminalControlError
from OttoLibrary.shell.prompt_shell import PromptShell
from OttoLibrary.transport.login import LoginRefusedError, Prompts, log_in

# How long a console may be quiet before somebody presses Enter.
_KNOCK_S = 1.5
_RESCUE_S = 5.0


@dataclass
class LineSlot:
    """Where a shell sits on a host with lines: its line and what runs commands there, each from its first use on."""

    line: Line | None = None
    shell: LineShell | PromptShell | None = None

    async def leave(self) -> None:
        """Note that the shell has ended; hang up unless somebody else may come to the same line."""
        if self.line is not None and not self.line.leave():
            await self.close()

    async def close(self) -> None:
        """Hang up."""
        line, shell = self.line, self.shell
        self.line = self.shell = None
        if shell is not None:
            await shell.close()
        if line is not None:
            await line.close()


class Lines:
    """The lines of one host.

    Args:
        records: Of the host.
        link: Its connection.
        main: The seat that a host with only one line has.
        transcript: Returns what takes the words of such a line, or None to keep none.
    """

    def __init__(
        self, records: HostRecords, link: HostConnection, main: LineSlot, transcript: Callable[[str], Transcript | None]
    ) -> None:
        self._records, self._link = records, link
        self._main, self._transcript = main, transcript

    async def line(self, seat: LineSlot, connection: Connection) -> Line:
        """Return the line of a seat, a new one when there is none that lives; raise UsageError where there is no room."""
        if seat.line is not None and seat.line.ended is None:
            return seat.line
        await seat.close()
        if connection.line_limit == 1 and seat is not self._main:
            raise UsageError(
                f"Host '{self._records.host}' has one line only, its {connection.describe()}. Extra shells, 'Run Once On Host' "
                "and 'Start On Host' need one of their own. Use 'Run On Host', which starts background jobs too: 'command &'."
            )
        facts = await self._link.facts()
        try:
            channel = await connection.open_line()
        except EndOfStream as error:
            raise self._records.loss(error) from error
        transcript = self._transcript(self._records.host) if connection.line_limit == 1 else None
        if transcript is not None:
            transcript.note(f"{connection.describe()} is open")
            channel = Recorded(channel, transcript)
        seat.line = Line(channel, Prompts(facts.console), None if connection.logs_in else self._greet)
        return seat.line

    async def shell(self, seat: LineSlot, connection: Connection, deadline: Deadline) -> LineShell | PromptShell:
        """Return what runs commands on the line of a seat, made ready when it is new."""
        if seat.shell is not None and not seat.shell.ended:
            return seat.shell
        if seat.shell is not None:
            await seat.leave()
        line = await self.line(seat, connection)
        host, path = self._records.host, self._records.path
        try:
            async with deadline.timeout():
                seat.shell = await self._begun(line, connection)
        except TimeoutError as error:
            said = line.console.text
            if connection.logs_in:
                await seat.close()
            raise WaitTimeoutError(host, path, "did not show its prompt", deadline.seconds, last_output=said) from error
        except EndOfStream as error:
            raise self._records.loss(error, (line.console.text.encode(), b"")) from error
        except PreludeFailedError as error:
            raise HostError(
                f"{subject(host, path)} did not take the lab's 'cwd' or 'environment': {error}.", host=host
            ) from error
        return seat.shell

    async def posix(self, seat: LineSlot, connection: Connection, deadline: Deadline, what: str) -> LineShell:
        """Return the shell of a seat; raise UsageError when it is only a prompt, with ``what`` needs more."""
        shell = await self.shell(seat, connection, deadline)
        if isinstance(shell, LineShell):
            return shell
        profile = (await self._link.facts()).console.name
        raise UsageError(f"Host '{self._records.host}' (profile '{profile}') has no POSIX shell, which {what} needs.")

    async def start(
        self,
        seat: LineSlot,
        script: str,
        deadline: Deadline,
        on_close: Callable[[], Awaitable[None]],
        *,
        terminal: bool = False,
    ) -> LineProcess:
        """Start a script that has the line of a seat until its process is closed; raise WaitTimeoutError."""
        connection = await self._link.open(deadline)
        try:
            async with deadline.timeout():
                shell = await self.posix(seat, connection, deadline, "a process of its own")
                process = await shell.execute(script, terminal)
        except TimeoutError as error:
            host, path = self._records.host, self._records.path
            raise WaitTimeoutError(host, path, "did not start the command", deadline.seconds) from error
        except EndOfStream as error:
            raise self._records.loss(error) from error
        process.on_close = on_close
        return process

    async def check_status(self, shell: object, expected: Expected) -> None:
        """Raise UsageError when an exit status is expected of a prompt that has none."""
        if isinstance(shell, PromptShell) and not shell.has_status and expected.statuses:
            profile = (await self._link.facts()).console.name
            raise UsageError(f"Host '{self._records.host}' (profile '{profile}') has no exit status; pass expected_rc=any.")

    @contextlib.asynccontextmanager
    async def own(self, connection: Connection, deadline: Deadline) -> AsyncIterator[LineShell | PromptShell]:
        """Give a shell on a line of its own, hung up afterwards."""
        seat = LineSlot()
        try:
            yield await self.shell(seat, connection, deadline)
        finally:
            await seat.close()

    async def _greet(self, line: Line) -> None:
        """Log in where a login is asked for; what waits for a command already is fine."""
        facts = await self._link.facts()
        try:
            await log_in(line.more, line.write, line.prompts, facts.user, facts.password, knock_s=_KNOCK_S)
        except LoginRefusedError as error:
            host, path = self._records.host, self._records.path
            raise LoginError(host, path, f"user '{facts.user or ''}': {error}") from error

    async def _begun(self, line: Line, connection: Connection) -> LineShell | PromptShell:
        facts, profile = await self._link.facts(), line.prompts.profile
        prelude = launch.prelude(facts.environment, facts.cwd) if profile.runs == POSIX else ""
        if profile.runs == POSIX:
            try:
                shell = LineShell(line, self._rescuer(connection))
                await shell.begin(prelude)
                return shell
            except NoTerminalControlError:
                self._records.news.append("The host has no stty: it is typed on, and stdout and stderr come together.")
        prompt_shell = PromptShell(line, profile.status or ("echo $?" if profile.runs == POSIX else ""))
        await prompt_shell.begin(prelude)
        return prompt_shell

    def _rescuer(self, connection: Connection) -> Callable[[str], Awaitable[None]] | None:
        """Return what runs a script on a line of its own, or None where there is only one."""
        if connection.line_limit == 1:
            return None

        async def rescue(script: str) -> None:
            # Where it fails, the line is given up and opened anew.
            with contextlib.suppress(HostError, UsageError, EndOfStream):
                async with self.own(connection, Deadline(_RESCUE_S)) as shell:
                    await shell.run(f"sh -c {shlex.quote(script)}", Deadline(_RESCUE_S))

        return rescue
