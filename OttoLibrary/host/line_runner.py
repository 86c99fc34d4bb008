"""A host that is reached over lines: each is a command shell and a console in one, and one process at a time has it."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from OttoLibrary.contracts.connections import Connection, EndOfStream
from OttoLibrary.contracts.profiles import POSIX
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError, UsageError, WaitTimeoutError, subject
from OttoLibrary.host.background import BackgroundCommand
from OttoLibrary.host.host_connection import HostConnection
from OttoLibrary.host.records import HostRecords
from OttoLibrary.host.transcript import Recorded, Transcript
from OttoLibrary.host.turns import Turn
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import CommandOutcome, PreludeFailedError
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.launch import Account, Launched
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.line_shell import LineProcess, LineShell, NoTerminalControlError
from OttoLibrary.shell.output_file import OutputFiles, no_file
from OttoLibrary.shell.prompt_shell import PromptShell
from OttoLibrary.text import decode, quoted_path
from OttoLibrary.transport.login import LoginRefusedError, Prompts, log_in

# How long a console may be quiet before Enter is pressed.
_KNOCK_S = 1.5
_RESCUE_S = 5.0


@dataclass
class LineSlot:
    """Where a shell has its line and what runs commands there, each from its first use on.

    Attributes:
        shell_began: When the shell was ready, as a time of ``time.monotonic``.
    """

    turn: Turn
    line: Line | None = None
    shell: LineShell | PromptShell | None = None
    shell_began: float = 0.0

    async def leave(self) -> None:
        """Note that the shell has ended; hang up unless the next login can use the same line."""
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


class LineRunner:
    """Runs what a host is asked to run on its lines; ``host.runner.Runner``.

    Args:
        records: Of the host.
        connection: Its connection.
        transcript: Returns what keeps the output of a host's only line, or None to keep none.
    """

    parallel = False
    account: Account | None = None

    def __init__(self, records: HostRecords, connection: HostConnection, transcript: Callable[[str], Transcript | None]) -> None:
        self._records, self._connection, self._transcript = records, connection, transcript
        self._main = LineSlot(Turn(records))
        self._logs_in = False
        self._slots = {"": self._main}

    async def connected(self, connection: Connection) -> None:
        """Listen to the main line from its first moment on: what a wire carries comes only once, and a lost login is noticed."""
        self._logs_in = connection.logs_in
        await self._line(self._main, connection)

    async def close(self) -> None:
        """Hang up all lines."""
        for slot in list(self._slots.values()):
            await slot.close()

    async def close_shell(self, name: str) -> None:
        """Hang up one line."""
        slot = self._slots.pop(name, None) if name else self._main
        if slot is not None:
            await slot.close()

    async def close_since(self, began: float) -> bool:
        """Log out of the lines whose shells began at this time or later; a console that others log in to stays as it is."""
        if not self._logs_in:
            return False
        young = [slot for slot in self._slots.values() if slot.shell is not None and slot.shell_began >= began]
        for slot in young:
            await slot.close()
        return bool(young)

    # -- commands

    @contextlib.asynccontextmanager
    async def shell(self, name: str, deadline: Deadline) -> AsyncIterator[LineShell | PromptShell]:
        """Give the shell on a line."""
        slot = self._slot(name)
        async with slot.turn.hold(deadline):
            shell = await self._living(slot, deadline)
            shell.new_file = self._records.new_file
            try:
                yield shell
            finally:
                shell.new_file = no_file
            if shell.ended:
                await slot.leave()

    @contextlib.asynccontextmanager
    async def one_shot(self, deadline: Deadline, *, ends_with_us: bool = False) -> AsyncIterator[_OneShot]:
        """Give a shell on a line of its own, which always ends with its line."""
        async with self._own(deadline) as shell:
            shell.new_file = self._records.new_file
            yield _OneShot(shell)

    async def start(self, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        """Start a command on a line of its own, in the folder of the main shell."""
        directory = cwd or await self._main_directory(deadline) or (await self._connection.facts()).cwd
        script = f"cd -- {quoted_path(directory)} || exit 1\n{command}" if directory else command
        slot = self._new_slot()
        try:
            process = await self._started(slot, f"exec </dev/null\n{script}", deadline, slot.close)
        except BaseException:
            await slot.close()
            raise
        return await self._background(command, process, deadline)

    async def _main_directory(self, deadline: Deadline) -> str | None:
        if self._main.shell is None or not self._main.shell.has_status or self._main.shell.ended:
            return None
        async with self.shell("", deadline) as shell:
            return decode((await shell.run("pwd", deadline)).stdout).rstrip("\r\n") or None

    async def start_on_terminal(self, name: str, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        """Start a command that has the line of a shell, and its terminal, until it ends."""
        script = f"cd -- {quoted_path(cwd)} || exit 1\n{command}" if cwd else command
        process = await self._started_in_turn(self._slot(name), script, deadline, terminal=True)
        return await self._background(command, process, deadline)

    async def _background(self, command: str, process: LineProcess, deadline: Deadline) -> BackgroundCommand:
        # The line ends the process, so its process id is not needed.
        launched = Launched.listening(process, None, limits=self._records.limits)
        try:
            connection = await self._connection.open(deadline)
        except BaseException:
            # It has the line until it is closed.
            await launched.close()
            raise
        return BackgroundCommand(self._records, command, launched, connection, None, self._records.new_file)

    # -- for transfers and watching

    async def execute(self, script: str, deadline: Deadline) -> LineProcess:
        """Start a script that has the main line until its process is closed."""
        return await self._started_in_turn(self._main, await self._at_home(script), deadline)

    async def answer_of(self, script: str, deadline: Deadline) -> CommandOutcome:
        """Run a script on the main line."""
        async with self._main.turn.hold(deadline):
            shell = await self._posix(self._main, deadline, "moving files")
            return await shell.run(f"(\n{await self._at_home(script)}\n)", deadline)

    @contextlib.asynccontextmanager
    async def own_line(self, deadline: Deadline, what: str) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
        """Give what runs shell text on a line of its own."""
        async with self._own(deadline) as shell:
            if not isinstance(shell, LineShell):
                raise UsageError(f"Host '{self._records.host}' has no POSIX shell, which {what} needs.")
            line_shell = shell

            async def run(script: str) -> bytes:
                return (await line_shell.run(script, Deadline(deadline.seconds))).stdout

            yield run

    async def between_commands(self, script: str, deadline: Deadline) -> bytes | None:
        """Run a script on the main line unless a command or a person has it, or nobody has used it yet."""
        shell = self._main.shell
        if self._main.turn.taken or not isinstance(shell, LineShell) or not shell.at_rest:
            return None
        return (await self.answer_of(script, deadline)).stdout

    async def _at_home(self, script: str) -> str:
        """Return a script that begins in the folder where processes of the host begin."""
        facts = await self._connection.facts()
        folder = quoted_path(facts.cwd) if facts.cwd else '"${HOME:-/}"'
        return f"cd -- {folder} || exit 1\n{script}"

    # -- console

    @contextlib.asynccontextmanager
    async def console(self, name: str, deadline: Deadline) -> AsyncIterator[Console]:
        """Give the console that is on the line of a shell."""
        slot = self._slot(name)
        async with slot.turn.hold(deadline):
            connection = await self._connection.open(deadline)
            if connection.logs_in and (await self._connection.facts()).console.runs == POSIX and slot.shell is None:
                await self._living(slot, deadline)
            line = await self._line(slot, connection)
            if slot.shell is not None:
                await line.settle()
            try:
                yield line.console
            finally:
                if slot.shell is not None:
                    slot.shell.used_by_console()

    async def drop_console(self, name: str) -> None:
        """Hang up a line whose console has ended."""
        await self._slot(name).close()

    # -- users, and being up

    async def switch_user(self, account: Account | None, deadline: Deadline) -> None:
        """Refuse: a line stays with the user who logged in."""
        raise UsageError(
            f"Host '{self._records.host}' cannot switch its user, because it is reached over a line. Use 'su' or 'sudo' there, "
            "with 'Send To Host' or with answers= of 'Run On Host'."
        )

    async def probe(self, deadline: Deadline) -> None:
        """Log in once more where there is a login; otherwise see whether the main line answers."""
        if (await self._connection.open(deadline)).logs_in:
            async with self._own(deadline):
                return
        async with self.shell("", deadline) as shell:
            try:
                outcome = await shell.run("true" if isinstance(shell, LineShell) else "", deadline)
            except EndOfStream as error:
                raise self._records.loss(error) from error
        if outcome.status is None:
            raise WaitTimeoutError(self._records.host, self._records.path, "did not answer", deadline.seconds)

    # -- lines

    def _slot(self, name: str) -> LineSlot:
        if name not in self._slots:
            self._slots[name] = self._new_slot()
        return self._slots[name]

    def _new_slot(self) -> LineSlot:
        return LineSlot(Turn(self._records))

    async def _line(self, slot: LineSlot, connection: Connection) -> Line:
        """Return the line of a slot, a new one when there is none that lives; raise UsageError where there is no room."""
        if slot.line is not None and slot.line.ended is None:
            return slot.line
        await slot.close()
        if connection.line_limit == 1 and slot is not self._main:
            raise UsageError(
                f"Host '{self._records.host}' has one line only, its {connection.describe()}. Extra shells, 'Run Once On Host' "
                "and 'Start On Host' need one of their own. Use 'Run On Host', which starts background jobs too: 'command &'."
            )
        facts = await self._connection.facts()
        try:
            channel = await connection.open_line()
        except EndOfStream as error:
            raise self._records.loss(error) from error
        transcript = self._transcript(self._records.host) if connection.line_limit == 1 else None
        if transcript is not None:
            transcript.note(f"{connection.describe()} is open")
            channel = Recorded(channel, transcript)
        slot.line = Line(channel, Prompts(facts.console), None if connection.logs_in else self._greet, self._records.limits)
        return slot.line

    async def _greet(self, line: Line) -> None:
        """Log in where a login is asked for; a console that waits for a command already is fine."""
        facts = await self._connection.facts()
        try:
            await log_in(line.more, line.write, line.prompts, facts.user, facts.password, knock_s=_KNOCK_S)
        except LoginRefusedError as error:
            raise LoginError(self._records.host, self._records.path, f"user '{facts.user or ''}': {error}") from error

    # -- shells on lines

    async def _living(self, slot: LineSlot, deadline: Deadline) -> LineShell | PromptShell:
        """Return what runs commands on the line of a slot, made ready when it is new."""
        connection = await self._connection.open(deadline)
        if slot.shell is not None and (not await slot.shell.recovery.over(deadline) or not slot.shell.ended):
            return slot.shell
        if slot.shell is not None:
            await slot.leave()
        line = await self._line(slot, connection)
        host, path = self._records.host, self._records.path
        try:
            async with deadline.timeout():
                slot.shell, slot.shell_began = await self._begun(line, connection), time.monotonic()
        except TimeoutError as error:
            last_output = line.console.text
            if connection.logs_in:
                await slot.close()
            what = "did not show its prompt"
            raise WaitTimeoutError(host, path, what, deadline.seconds, last_output=last_output) from error
        except EndOfStream as error:
            raise self._records.loss(error, (line.console.text.encode(), b"")) from error
        except PreludeFailedError as error:
            raise HostError(f"{subject(host, path)} rejected the lab's 'cwd' or 'environment': {error}.", host=host) from error
        return slot.shell

    async def _posix(self, slot: LineSlot, deadline: Deadline, what: str) -> LineShell:
        """Return the shell of a slot; raise UsageError when it is only a prompt, with ``what`` needs more."""
        shell = await self._living(slot, deadline)
        if isinstance(shell, LineShell):
            return shell
        profile = (await self._connection.facts()).console.name
        raise UsageError(f"Host '{self._records.host}' (profile '{profile}') has no POSIX shell, which {what} needs.")

    async def _begun(self, line: Line, connection: Connection) -> LineShell | PromptShell:
        facts, profile = await self._connection.facts(), line.prompts.profile
        prelude = launch.prelude(facts.environment, facts.cwd) if profile.runs == POSIX else ""
        if profile.runs == POSIX:
            try:
                shell = LineShell(line, self._rescuer(connection))
                await shell.begin(prelude)
                return shell
            except NoTerminalControlError:
                self._records.news.append("The host has no stty: commands are typed, and stdout and stderr come together.")
        prompt_shell = PromptShell(line, profile.status or ("echo $?" if profile.runs == POSIX else ""))
        await prompt_shell.begin(prelude)
        return prompt_shell

    @contextlib.asynccontextmanager
    async def _own(self, deadline: Deadline) -> AsyncIterator[LineShell | PromptShell]:
        """Give a shell on a line of its own, hung up afterwards."""
        slot = self._new_slot()
        try:
            yield await self._living(slot, deadline)
        finally:
            await slot.close()

    def _rescuer(self, connection: Connection) -> Callable[[str], Awaitable[None]] | None:
        """Return what runs a script on a line of its own, or None where there is only one."""
        if connection.line_limit == 1:
            return None

        async def rescue(script: str) -> None:
            # Where it fails, the line is given up and a new one is opened.
            with contextlib.suppress(HostError, UsageError, EndOfStream):
                async with self._own(Deadline(_RESCUE_S)) as shell:
                    await shell.run(f"sh -c {shlex.quote(script)}", Deadline(_RESCUE_S))

        return rescue

    # -- processes on lines

    async def _started_in_turn(self, slot: LineSlot, script: str, deadline: Deadline, *, terminal: bool = False) -> LineProcess:
        """Start a script that has a shell's line until its process is closed."""
        turn = contextlib.AsyncExitStack()
        await turn.enter_async_context(slot.turn.hold(deadline))
        try:
            return await self._started(slot, script, deadline, turn.aclose, terminal=terminal)
        except BaseException:
            await turn.aclose()
            raise

    async def _started(
        self,
        slot: LineSlot,
        script: str,
        deadline: Deadline,
        on_close: Callable[[], Awaitable[None]],
        *,
        terminal: bool = False,
    ) -> LineProcess:
        try:
            async with deadline.timeout():
                shell = await self._posix(slot, deadline, "a process of its own")
                process = await shell.execute(script, terminal)
        except TimeoutError as error:
            what = "did not start the command"
            raise WaitTimeoutError(self._records.host, self._records.path, what, deadline.seconds) from error
        except EndOfStream as error:
            raise self._records.loss(error) from error
        process.on_close = on_close
        return process


class _OneShot:
    """Runs a command in a shell that ends afterwards anyway; ``host.runner.Shell``."""

    def __init__(self, shell: LineShell | PromptShell) -> None:
        self._shell = shell
        self.has_status, self.partial = shell.has_status, shell.partial

    @property
    def files(self) -> OutputFiles:
        """The files with all that the command wrote."""
        return self._shell.files

    async def run(self, command: str, deadline: Deadline, cwd: str | None = None) -> CommandOutcome:
        """Run one command."""
        outcome = await self._shell.run(command, deadline, cwd)
        return replace(outcome, shell_ended=False)
