"""A host that starts processes side by side: each shell, console and background command is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from OttoLibrary.contracts.connections import SUCCESS, Connection, EndOfStream, Process, ShellRefused, Terminal
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError, WaitTimeoutError, subject
from OttoLibrary.host.background import BackgroundCommand
from OttoLibrary.host.host_connection import HostConnection
from OttoLibrary.host.records import HostRecords
from OttoLibrary.host.turns import Turn
from OttoLibrary.shell import command_shell as shells
from OttoLibrary.shell import console as consoles
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import CommandOutcome, CommandShell
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.launch import Account, Launched, ProcessId, UserChangeRefusedError
from OttoLibrary.shell.output_file import NO_FILES, NewFile, OutputFiles, OutputLimits, no_file
from OttoLibrary.text import decode, quoted_path

# The login shells that run POSIX shell text.
_POSIX_LOGIN = re.compile("(ba|da|a|z|ya|bosh|[lom]?k|pdk)?sh|ksh(93|88)|mksh-static|busybox")
_END_S, _END_TRIES = 1.0, 10
_CLOSING_S = 4.0
# What is asked for by us, such as a list of files or the end of a log, is of use only as a whole.
_OWN_LIMITS = OutputLimits(memory_bytes=32 << 20, file_bytes=0)
# The variables as `sh` writes them, for `sh` reads them again: bash has quotes that others do not know.
_STATE = """pwd
command sh -c 'unset OTTO_COMMAND TERM SHLVL PWD OLDPWD SUDO_COMMAND _; export -p' 2>/dev/null"""


@dataclass
class NamedShell:
    """A command shell and a console under one name, each opened on first use; one caller at a time for each.

    Attributes:
        cwd: Where the next command shell begins, when the one before it was ended by force.
        command_began: When the command shell was opened, as a time of ``time.monotonic``.
        console_began: The same of the console.
    """

    turn: Turn
    console_turn: Turn
    command: CommandShell | None = None
    console: Console | None = None
    launched: Launched | None = field(default=None, repr=False)
    cwd: str | None = None
    command_began: float = 0.0
    console_began: float = 0.0

    async def close(self) -> None:
        """Close what is open; it may open again, in the lab's folder."""
        self.cwd = None
        await self.close_command()
        await self.close_console()

    async def close_since(self, began: float) -> bool:
        """Close what was opened at this time or later, and return True when something was."""
        command, console = self.command is not None, self.console is not None
        command, console = command and self.command_began >= began, console and self.console_began >= began
        if command:
            self.cwd = None
            await self.close_command()
        if console:
            await self.close_console()
        return command or console

    async def close_command(self) -> None:
        """Close the command shell; it may open again."""
        command, self.command = self.command, None
        if command is not None:
            await command.close()

    async def close_console(self) -> None:
        """Close the console; it may open again."""
        console, launched = self.console, self.launched
        self.console = self.launched = None
        if console is not None:
            await console.close()
        if launched is not None:
            await launched.close()


class ProcessRunner:
    """Runs what a host is asked to run as processes side by side; ``host.runner.Runner``."""

    parallel = True

    def __init__(self, records: HostRecords, connection: HostConnection) -> None:
        self.account: Account | None = None
        self._records, self._connection = records, connection
        self._shells: dict[str, NamedShell] = {}
        # What was given up before it was there, and what closes it.
        self._ending: dict[asyncio.Task[None], Callable[[], Awaitable[object]]] = {}
        # Who used the host before each switch of the user, and when that was.
        self._former_accounts: list[tuple[float, Account | None]] = []
        # On which connection the login shell was asked for, and its name.
        self._login: tuple[Connection, str] | None = None

    async def connected(self, connection: Connection) -> None:
        """Do nothing: processes start when they are needed."""

    async def close(self) -> None:
        """Close all shells; what was given up while it started gets a moment to end on the host."""
        ending = dict(self._ending)
        if ending:
            await asyncio.wait(ending, timeout=_CLOSING_S)
        for task, close in ending.items():
            if task.cancel():
                await close()
                await asyncio.wait({task}, timeout=_END_S)
        for named in list(self._shells.values()):
            await named.close()

    async def close_shell(self, name: str) -> None:
        """Close one shell."""
        named = self._shells.pop(name, None) if name else self._named("")
        if named is not None:
            await named.close()

    async def close_since(self, began: float) -> bool:
        """Close the shells and consoles that were opened at this time or later, and be the user of before."""
        switched = False
        while self._former_accounts and self._former_accounts[-1][0] >= began:
            _, self.account = self._former_accounts.pop()
            switched = True
        if switched:
            # What another user opened cannot serve this one, however old it is.
            await self.close()
            return True
        closed = [await named.close_since(began) for named in list(self._shells.values())]
        return any(closed)

    # -- commands

    @contextlib.asynccontextmanager
    async def shell(self, name: str, deadline: Deadline) -> AsyncIterator[CommandShell]:
        """Give a command shell."""
        named = self._named(name)
        async with named.turn.hold(deadline):
            yield await self._living(named, deadline)

    @contextlib.asynccontextmanager
    async def one_shot(self, deadline: Deadline, *, ends_with_us: bool = False) -> AsyncIterator[_OneShot]:
        """Give what runs a command as a process of its own."""
        yield _OneShot(partial(self._start, lifeline=launch.LIFELINE_OF_RUN if ends_with_us else ""))

    async def start(self, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        """Start a process that ends with us, however we end, in the folder of the main shell."""
        return await self._start(command, cwd or await self._main_directory(deadline), deadline, lifeline=launch.LIFELINE)

    async def _main_directory(self, deadline: Deadline) -> str | None:
        named = self._named("")
        async with named.turn.hold(deadline):
            return await self._directory(named, deadline)

    async def start_on_terminal(self, name: str, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        """Start a process on a terminal of its own, with folder and environment of a shell."""
        private = await self._state_of(self._named(name), deadline, cwd)
        own = await self._runs_itself(deadline)
        launched = await self._launch(
            command, deadline, "did not start the command", Terminal(), private, limits=self._records.limits, login_shell=own
        )
        return await self._background(command, launched, deadline)

    async def _start(self, command: str, cwd: str | None, deadline: Deadline, *, lifeline: str = "") -> BackgroundCommand:
        facts = await self._connection.facts()
        directory = cwd or facts.cwd
        script = f"cd -- {quoted_path(directory)} || exit 1\n{command}" if directory else command
        if lifeline:
            script = f"{lifeline}\n{script}"
        private = launch.prelude(facts.environment, None)
        own = await self._runs_itself(deadline)
        launched = await self._launch(
            script, deadline, "did not start the command", private=private, limits=self._records.limits, login_shell=own
        )
        if not lifeline:
            await launched.process.end_input()
        return await self._background(command, launched, deadline)

    async def _runs_itself(self, deadline: Deadline) -> bool:
        """Return True when the login shell runs what the user gives it; another user, or a shell of another kind, has ``sh``."""
        return self.account is None and _POSIX_LOGIN.fullmatch(await self._login_shell(deadline)) is not None

    async def _login_shell(self, deadline: Deadline) -> str:
        """Return the name of the login shell: a POSIX one runs commands itself, so that they have its syntax and functions."""
        connection = await self._connection.open(deadline)
        if self._login is None or self._login[0] is not connection:
            outcome = await self.answer_of('printf %s "$SHELL"', deadline)
            self._login = connection, decode(outcome.stdout).rpartition("/")[2]
        return self._login[1]

    async def _background(
        self, command: str, launched: Launched, deadline: Deadline, new_file: NewFile | None = None
    ) -> BackgroundCommand:
        try:
            connection = await self._connection.open(deadline)
        except BaseException:
            await launched.close()
            raise
        return BackgroundCommand(self._records, command, launched, connection, self.account, new_file or self._records.new_file)

    # -- for transfers and watching

    async def execute(self, script: str, deadline: Deadline) -> Process:
        """Start a process."""
        connection, account = await self._connection.open(deadline), self.account
        if account is None and not any(named.command for named in self._shells.values()):
            await self._login_shell(deadline)  # a menu would wait for what we say to the process
        launched = await self._launch_at_home(script, deadline)
        try:
            async with self._records.bounded(deadline, "did not start a process"):
                return await launched.hand_over(lambda pid: launch.stop(connection, pid, account=account))
        except ShellRefused as error:
            await launched.close()
            raise self._records.loss(error) from error
        except BaseException:
            await launched.close()
            raise

    async def answer_of(self, script: str, deadline: Deadline) -> CommandOutcome:
        """Run a process to its end."""
        launched = await self._launch_at_home(script, deadline)
        background = await self._background(script, launched, deadline, no_file)
        try:
            await background.end_input()
            return await background.finish(deadline)
        except ShellRefused as error:
            raise self._records.loss(error) from error

    @contextlib.asynccontextmanager
    async def own_line(self, deadline: Deadline, what: str) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
        """Give what starts a process for each text."""

        async def run(script: str) -> bytes:
            return (await self.answer_of(script, Deadline(deadline.seconds))).stdout

        yield run

    async def between_commands(self, script: str, deadline: Deadline) -> bytes | None:
        """Run a process: it disturbs nobody."""
        return (await self.answer_of(script, deadline)).stdout

    async def _launch_at_home(self, script: str, deadline: Deadline) -> Launched:
        facts = await self._connection.facts()
        folder = f"cd -- {quoted_path(facts.cwd)} || exit 1\n" if facts.cwd else ""
        private = launch.prelude(facts.environment, None)
        return await self._launch(folder + script, deadline, "did not start a process", private=private)

    # -- console

    @contextlib.asynccontextmanager
    async def console(self, name: str, deadline: Deadline) -> AsyncIterator[Console]:
        """Give the console, a new one when there is none or all that the last one wrote was read."""
        named = self._named(name)
        async with named.console_turn.hold(deadline):
            await self._connection.open(deadline)
            if named.console is None or (named.console.ended and not named.console.text):
                await self._open_console(named, deadline)
            assert named.console is not None
            yield named.console

    async def drop_console(self, name: str) -> None:
        """Close a console that has ended."""
        await self._named(name).close_console()

    async def _open_console(self, named: NamedShell, deadline: Deadline) -> None:
        await named.close_console()
        private = await self._state_of(named, deadline, None)
        launched = await self._launch(
            consoles.SCRIPT, deadline, "did not open its console", Terminal(), private, limits=self._records.limits
        )
        named.launched, named.console_began = launched, time.monotonic()
        named.console = Console(launched.process.channel, launched.output, launched.notifier)
        await named.console.settle()

    # -- users, and being up

    async def switch_user(self, account: Account | None, deadline: Deadline) -> None:
        """Be another user from now on, in the folder of the main shell; raise LoginError and stay who we were when refused."""
        named = self._named("")
        async with named.turn.hold(deadline):
            fresh = NamedShell(named.turn, named.console_turn, cwd=await self._directory(named, deadline))
            before, self.account = self.account, account
            try:
                await self._living(fresh, deadline)
            except BaseException:
                self.account = before
                raise
            await self.close()
            named.command, named.command_began = fresh.command, fresh.command_began
            self._former_accounts.append((time.monotonic(), before))

    async def probe(self, deadline: Deadline) -> None:
        """Run ``true`` as a process of its own."""
        began = time.monotonic()
        async with self.one_shot(deadline) as shell:
            with self._records.attempt("Run once", "true", began, shell):
                outcome = await shell.run("true", deadline)
        self._records.conclude("Run once", "true", began, outcome, SUCCESS, deadline)

    # -- shells

    def _named(self, name: str) -> NamedShell:
        if name not in self._shells:
            self._shells[name] = NamedShell(Turn(self._records), Turn(self._records))
        return self._shells[name]

    async def _living(self, named: NamedShell, deadline: Deadline) -> CommandShell:
        """Return the command shell, a new one when there is none that lives."""
        await self._connection.open(deadline)
        if named.command is not None and (not await named.command.recovery.over(deadline) or not named.command.ended):
            return named.command
        if named.command is not None:
            named.cwd = named.cwd or named.command.cwd
            self._records.news.append("The shell before this one has ended; this is a new one.")
            await named.command.close()
            named.command = None
        named.command, named.cwd = await self._begun(named.cwd, deadline), None
        named.command_began = time.monotonic()
        return named.command

    async def _begun(self, former_cwd: str | None, deadline: Deadline) -> CommandShell:
        facts = await self._connection.facts()
        try:
            async with self._records.bounded(deadline, "did not start a shell"):
                launched = await self._launched(shells.SCRIPT, deadline, limits=self._records.limits)
                shell = CommandShell(launched, await self._stopper(launched, deadline), self._records.new_file)
                try:
                    await shell.begin(launch.prelude(facts.environment, facts.cwd, former_cwd))
                except BaseException:
                    self._end_later(self._ended(launched, shell.close, self.account), shell.close)
                    raise
                return shell
        except EndOfStream as error:
            raise self._records.loss(error) from error
        except shells.PreludeFailedError as error:
            host, path = self._records.host, self._records.path
            sentence = f"{subject(host, path)} rejected the lab's 'cwd' or 'environment': {error}."
            raise HostError(sentence, host=host) from error

    def _end_later(self, end: Coroutine[Any, Any, None], close: Callable[[], Awaitable[object]]) -> None:
        """End something without letting the caller wait for that."""
        task = asyncio.create_task(end)
        self._ending[task] = close
        task.add_done_callback(self._ending.pop)

    async def _ended_start(self, starting: asyncio.Task[Launched], nonce: str, account: Account | None) -> None:
        launched: Launched | None = None
        with contextlib.suppress(TimeoutError, EndOfStream, OSError, UserChangeRefusedError):
            async with asyncio.timeout(_END_S):
                launched = await starting
        if launched is not None:
            await self._ended(launched, launched.close, account)
        else:
            await self._stopped(nonce, None, account)

    async def _ended(self, launched: Launched, close: Callable[[], Awaitable[None]], account: Account | None) -> None:
        """Close what did not begin, and end it on the host."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    while not launched.find_pid() and not launched.output.ended:
                        await launched.notifier.wait()
        finally:
            await close()
        if launched.nonce is not None:
            await self._stopped(launched.nonce, launched.pid, account)

    async def _stopped(self, nonce: str, pid: ProcessId | None, account: Account | None) -> None:
        """End what was started, by its process id, or by what its command line has when that is not known."""
        for attempt in range(_END_TRIES):
            if not self._connection.is_open:
                return
            with contextlib.suppress(EndOfStream, OSError, TimeoutError, HostError, UserChangeRefusedError):
                # Those that hang may have all sessions of the connection.
                async with self._way_in(apart=attempt > 0) as connection:
                    if pid is not None:
                        await launch.stop(connection, pid, account=account)
                        return
                    for number in await launch.found(connection, nonce):
                        await launch.stop(connection, number)
                    return
            await asyncio.sleep(_END_S)

    @contextlib.asynccontextmanager
    async def _way_in(self, *, apart: bool) -> AsyncIterator[Connection]:
        if not apart:
            yield await self._connection.open(Deadline(_END_S))
            return
        connection = await self._connection.apart(Deadline((await self._connection.facts()).connect_timeout))
        try:
            yield connection
        finally:
            await connection.close()

    async def _stopper(self, launched: Launched, deadline: Deadline) -> Callable[[str, list[int]], Awaitable[str]]:
        connection, account = await self._connection.open(deadline), self.account

        async def stop(tag: str, jobs: list[int]) -> str:
            if launched.pid is None:
                return ""
            return await launch.stop(connection, launched.pid, account=account, spare=(tag, jobs))

        return stop

    async def _launch(
        self,
        script: str,
        deadline: Deadline,
        what: str,
        terminal: Terminal | None = None,
        private: str = "",
        *,
        limits: OutputLimits = _OWN_LIMITS,
        login_shell: bool = False,
    ) -> Launched:
        async with self._records.bounded(deadline, what):
            return await self._launched(script, deadline, terminal, private, limits=limits, login_shell=login_shell)

    async def _launched(
        self,
        script: str,
        deadline: Deadline,
        terminal: Terminal | None = None,
        private: str = "",
        *,
        limits: OutputLimits = _OWN_LIMITS,
        login_shell: bool = False,
    ) -> Launched:
        connection = await self._connection.open(deadline)
        account = self.account
        nonce = launch.new_nonce()
        work = launch.start(
            connection,
            script,
            terminal=terminal,
            account=account,
            private=private,
            limits=limits,
            login_shell=login_shell,
            nonce=nonce,
        )
        starting = asyncio.create_task(work)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._end_later(self._ended_start(starting, nonce, account), lambda: _cancelled(starting))
            raise
        except UserChangeRefusedError as error:
            user = self.account.user if self.account else "?"
            raise LoginError(self._records.host, self._records.path, f"switching to user '{user}' failed: {error}") from error
        except EndOfStream as error:
            raise self._records.loss(error) from error

    async def _state_of(self, named: NamedShell, deadline: Deadline, cwd: str | None) -> str:
        """Return shell text that gives another shell the folder and the exported variables of a command shell."""
        async with named.turn.hold(deadline):
            shell = await self._living(named, deadline)
            try:
                outcome = await shell.run(_STATE, deadline)
            except EndOfStream as error:
                raise self._records.loss(error) from error
        if outcome.status is None:
            what = "did not report its environment"
            raise WaitTimeoutError(self._records.host, self._records.path, what, deadline.seconds)
        directory, _, exports = decode(outcome.stdout).partition("\n")
        return f"{exports}export TERM=dumb\ncd -- {quoted_path(cwd or directory)}\n"

    async def _directory(self, named: NamedShell, deadline: Deadline) -> str | None:
        if named.command is None or named.command.ended:
            return None
        outcome = await named.command.run("pwd", deadline)
        return decode(outcome.stdout).rstrip("\n") or None


async def _cancelled(task: asyncio.Task[Launched]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class _OneShot:
    """Runs a command as a process of its own; ``host.runner.Shell``."""

    has_status = True

    def __init__(self, start: Callable[[str, str | None, Deadline], Awaitable[BackgroundCommand]]) -> None:
        self._start = start
        self._background: BackgroundCommand | None = None

    async def run(self, command: str, deadline: Deadline, cwd: str | None = None) -> CommandOutcome:
        """Run one command."""
        self._background = await self._start(command, cwd, deadline)
        return await self._background.finish(deadline)

    @property
    def files(self) -> OutputFiles:
        """The files with all that it wrote."""
        return self._background.files if self._background is not None else NO_FILES

    def partial(self) -> tuple[bytes, bytes]:
        """Return what it has written so far."""
        return self._background.partial() if self._background is not None else (b"", b"")
