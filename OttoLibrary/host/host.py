"""One host of a lab: its connection, its shells and consoles, and the processes beside them.

A ``Host`` alone decides what serves a call. It connects on first use, shares its connection with the hosts behind it, and after a
lost connection the next call connects anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from OttoLibrary.contracts.connections import (
    SUCCESS,
    CommandResult,
    Connection,
    EndOfStream,
    ExitStatus,
    Expected,
    Match,
    Process,
    Record,
    Terminal,
)
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.profiles import POSIX
from OttoLibrary.contracts.transfers import FileResult, ScriptResult
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError, NotOpenError, UsageError, WaitTimeoutError, subject
from OttoLibrary.host.background import BackgroundCommand
from OttoLibrary.host.host_connection import HostConnection
from OttoLibrary.host.host_lines import Lines, LineSlot
from OttoLibrary.host.records import GIVEN_UP, HostRecords
from OttoLibrary.host.transcript import Transcript
from OttoLibrary.shell import command_shell as shells
from OttoLibrary.shell import console as consoles
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import CommandOutcome, CommandShell
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.launch import Account, UserChangeRefusedError
from OttoLibrary.shell.line_shell import LineProcess, LineShell
from OttoLibrary.shell.prompt_shell import PromptShell
from OttoLibrary.text import Secret, decode, reveal

# sshd allows 10 sessions a connection by default; shell, console and the stopping of commands need the rest.
_ONCE_AT_A_TIME = 6
_STATE = """pwd
(unset OTTO_COMMAND TERM SHLVL PWD OLDPWD SUDO_COMMAND; [ -z "$BASH_VERSION" ] || set -o posix; export -p) 2>/dev/null"""


@dataclass
class NamedShell:
    """A named shell: a command shell and a console, each opened on first use; one caller at a time.

    On a host with lines both are on the line of ``seat``, and ``turn`` is the turn of both.
    """

    command: CommandShell | None = None
    seat: LineSlot = field(default_factory=LineSlot)
    console: Console | None = None
    launched: launch.Launched | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    console_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    cwd: str | None = None

    async def close(self) -> None:
        """Close what is open of the shell; it may open again."""
        command, console, launched = self.command, self.console, self.launched
        self.command = self.console = self.launched = None
        if command is not None:
            await command.close()
        if console is not None:
            await console.close()
        if launched is not None:
            await launched.close()
        await self.seat.close()


class Host:
    """One host; safe to use by many callers at once.

    Args:
        name: Its name in the lab.
        path: The names of the hops to it, itself last.
        load_facts: Returns its facts; called when they are first needed, since that may ask a keyring.
        hop: The host before it, or None.
        journal: Takes a record of all that it does.
        transcript: Returns what takes the words of a console that nobody else reads, or None to keep none.
    """

    def __init__(
        self,
        name: str,
        path: tuple[str, ...],
        load_facts: Callable[[], HostFacts],
        hop: Host | None,
        journal: Callable[[Record], None],
        transcript: Callable[[str], Transcript | None] = lambda host: None,
    ) -> None:
        self.name, self.path, self.hop = name, path, hop
        self._records = HostRecords(name, path, journal)
        self.connection: HostConnection = HostConnection(
            name, path, load_facts, hop.connection if hop else None, self._on_lost, self._on_open
        )
        self._account: Account | None = None
        self._pairs: dict[str, NamedShell] = {"": NamedShell()}
        self._lines = Lines(self._records, self.connection, self._pairs[""].seat, transcript)
        self._once_slots = asyncio.Semaphore(_ONCE_AT_A_TIME)

    async def deadline(self, timeout_s: float | None) -> Deadline:
        """Return ``timeout_s`` from now, or the lab's time-out for this host."""
        return Deadline(timeout_s if timeout_s is not None else (await self.connection.facts()).timeout)

    async def close(self) -> None:
        """Close shells and connection; the next use opens them again. Never raises."""
        await self._close_pairs()
        await self.connection.close()

    async def _on_open(self, connection: Connection) -> None:
        """Listen to the first line from its first moment on: a wire says nothing twice, and a lost login is noticed."""
        if connection.line_limit:
            await self._lines.line(self._pairs[""].seat, connection)

    async def _on_lost(self, reason: str) -> None:
        self._records.news.append(f"The connection was lost ({reason}); this is a new one, with new shells.")
        await self._close_pairs()

    async def _close_pairs(self) -> None:
        for pair in list(self._pairs.values()):
            await pair.close()

    # -- named shells

    @property
    def shells(self) -> list[str]:
        """The names of the extra shells."""
        return [name for name in self._pairs if name]

    async def open_shell(self, name: str, deadline: Deadline) -> None:
        """Open an extra shell; raise UsageError when the name is taken."""
        if name in self._pairs:
            raise UsageError(f"Host '{self.name}' has a shell '{name}' already. Close it first, or choose another name.")
        self._pairs[name] = NamedShell()
        try:
            async with self._turn(self._pairs[name].turn, deadline):
                await self._command_shell(self._pairs[name], deadline)
        except BaseException:
            del self._pairs[name]
            raise

    async def close_shell(self, name: str) -> None:
        """Close an extra shell; raise NotOpenError for an unknown one."""
        pair = self._pair(name)
        if name:
            del self._pairs[name]
        await pair.close()

    def _pair(self, name: str) -> NamedShell:
        if name not in self._pairs:
            known = ", ".join(sorted(filter(None, self._pairs))) or "none"
            raise NotOpenError(f"Host '{self.name}' has no open shell '{name}'. Open: {known}. Open it with 'Open Shell'.")
        return self._pairs[name]

    @contextlib.asynccontextmanager
    async def _turn(self, lock: asyncio.Lock, deadline: Deadline) -> AsyncIterator[None]:
        if lock.locked():
            async with self._bounded(deadline, "was busy with another command"):
                await lock.acquire()
        else:
            await lock.acquire()  # at once, without the price of a timer
        try:
            yield
        finally:
            lock.release()

    async def _command_shell(self, pair: NamedShell, deadline: Deadline) -> CommandShell | LineShell | PromptShell:
        """Return the command shell, a new one when there is none that lives."""
        connection = await self.connection.open(deadline)
        if connection.line_limit:
            return await self._lines.shell(pair.seat, connection, deadline)
        return await self._process_shell(pair, connection, deadline)

    async def _process_shell(self, pair: NamedShell, connection: Connection, deadline: Deadline) -> CommandShell:
        if pair.command is not None and not pair.command.ended:
            return pair.command
        if pair.command is not None:
            pair.cwd = pair.cwd or pair.command.cwd
            await pair.command.close()
            pair.command = None
        facts = await self.connection.facts()
        try:
            async with deadline.timeout():
                launched = await self._launch(connection, shells.SCRIPT)
                shell = CommandShell(launched, self._stopper(connection, launched))
                await shell.begin(launch.prelude(facts.environment, facts.cwd, pair.cwd))
        except TimeoutError as error:
            raise WaitTimeoutError(self.name, self.path, "did not start a shell", deadline.seconds) from error
        except shells.PreludeFailedError as error:
            raise HostError(
                f"{subject(self.name, self.path)} did not take the lab's 'cwd' or 'environment': {error}.", host=self.name
            ) from error
        pair.command, pair.cwd = shell, None
        return shell

    def _stopper(self, connection: Connection, launched: launch.Launched) -> Callable[[str, list[int]], Awaitable[str]]:
        account = self._account

        async def stop(tag: str, jobs: list[int]) -> str:
            if launched.pid is None:
                return ""
            return await launch.stop(connection, launched.pid, account=account, spare=(tag, jobs))

        return stop

    async def _launch(
        self, connection: Connection, script: str, terminal: Terminal | None = None, private: str = ""
    ) -> launch.Launched:
        try:
            return await launch.start(connection, script, terminal=terminal, account=self._account, private=private)
        except UserChangeRefusedError as error:
            user = self._account.user if self._account else "?"
            raise LoginError(self.name, self.path, f"switching to user '{user}' failed: {error}") from error
        except EndOfStream as error:
            raise self._records.loss(error) from error

    # -- commands

    async def run(
        self,
        command: str,
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = SUCCESS,
        shell: str = "",
    ) -> CommandResult:
        """Run a command in the command shell.

        Raises:
            CommandError: It ended with another status than expected.
            WaitTimeoutError: It took too long; all it started was ended, and the shell lives on.
            ConnectionLostError: The connection broke under it.
        """
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        pair = self._pair(shell)
        began = time.monotonic()
        async with self._turn(pair.turn, deadline):
            command_shell = await self._command_shell(pair, deadline)
            await self._lines.check_status(command_shell, expected)
            try:
                outcome = await command_shell.run(command, deadline, cwd)
            except EndOfStream as error:
                raise self._records.recorded_loss(error, "Run", command, began, command_shell.partial()) from error
            except asyncio.CancelledError:
                self._records.record("Run", command, began, command_shell.partial(), GIVEN_UP)
                raise
            except UsageError as error:
                raise UsageError(f"Host '{self.name}' cannot run '{command}': {error}.") from error
            if outcome.shell_ended:
                await pair.seat.leave()
        return self._records.conclude("Run", command, began, outcome, expected, deadline)

    async def run_once(
        self,
        command: str,
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = SUCCESS,
    ) -> CommandResult:
        """Run a command in a process of its own, without the shell's state; raises what ``run`` raises."""
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._turn(self._once_slots, deadline):  # type: ignore[arg-type]
            connection = await self.connection.open(deadline)
            if connection.line_limit:
                outcome = await self._run_on_own_line(connection, command, cwd, expected, deadline)
                return self._records.conclude("Run once", command, began, outcome, expected, deadline)
            background = await self._start(command, cwd, deadline)
            try:
                outcome = await background.finish(deadline)
            except EndOfStream as error:
                raise self._records.recorded_loss(error, "Run once", command, began, background.partial()) from error
            except asyncio.CancelledError:
                self._records.record("Run once", command, began, background.partial(), GIVEN_UP)
                raise
        return self._records.conclude("Run once", command, began, outcome, expected, deadline)

    async def _run_on_own_line(
        self, connection: Connection, command: str, cwd: str | None, expected: Expected, deadline: Deadline
    ) -> CommandOutcome:
        began = time.monotonic()
        async with self._lines.own(connection, deadline) as shell:
            await self._lines.check_status(shell, expected)
            try:
                return replace(await shell.run(command, deadline, cwd), shell_ended=False)
            except EndOfStream as error:
                raise self._records.recorded_loss(error, "Run once", command, began, shell.partial()) from error
            except asyncio.CancelledError:
                self._records.record("Run once", command, began, shell.partial(), GIVEN_UP)
                raise
            except UsageError as error:
                raise UsageError(f"Host '{self.name}' cannot run '{command}': {error}.") from error

    async def start(self, command: str, *, cwd: str | None = None, timeout_s: float | None = None) -> BackgroundCommand:
        """Start a command in a process of its own and return at once."""
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        background = await self._start(command, cwd, deadline, lifeline=True)
        self._records.record("Start", command, time.monotonic(), (b"", b""))
        return background

    async def answer(
        self,
        command: str,
        answers: Mapping[str, str | Secret],
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = SUCCESS,
        shell: str = "",
    ) -> CommandResult:
        """Run a command on a terminal of its own and answer its questions: pattern -> reply, each time it shows."""
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        patterns = [compiled(pattern) for pattern in answers]
        connection = await self.connection.open(deadline)
        if connection.line_limit:
            script = f"cd -- {shlex.quote(cwd)} || exit 1\n{command}" if cwd else command
            launched = _launched(await self._on_main_line(self._pair(shell), script, deadline, terminal=True))
        else:
            private = await self._shell_state(self._pair(shell), deadline, cwd)
            async with self._bounded(deadline, "did not start the command"):
                launched = await self._launch(connection, command, Terminal(), private)
        background = BackgroundCommand(self._records, command, launched, connection, self._account)
        console = Console(launched.process.channel, launched.output, launched.notifier)
        said = ""
        try:
            while True:
                match = await console.expect(patterns, deadline)
                said += match.before + match.text
                await console.send(reveal(list(answers.values())[match.index]) + "\n")
        except EndOfStream:
            outcome = CommandOutcome((said + console.text).encode(), b"", await _status(launched, deadline))
        except (TimeoutError, asyncio.CancelledError) as error:
            partial = ((said + console.text).encode(), b"")
            await background.stop()
            if isinstance(error, asyncio.CancelledError):
                raise
            outcome = CommandOutcome(*partial, status=None)
        await launched.close()
        return self._records.conclude("Run", command, began, outcome, expected, deadline)

    async def _start(self, command: str, cwd: str | None, deadline: Deadline, *, lifeline: bool = False) -> BackgroundCommand:
        connection = await self.connection.open(deadline)
        facts = await self.connection.facts()
        directory = cwd or facts.cwd
        script = f"cd -- {shlex.quote(directory)} || exit 1\n{command}" if directory else command
        if connection.line_limit:
            seat = LineSlot()
            try:
                launched = _launched(await self._lines.start(seat, f"exec </dev/null\n{script}", deadline, seat.close))
            except BaseException:
                await seat.close()
                raise
            return BackgroundCommand(self._records, command, launched, connection, None)
        if lifeline:
            script = f"{launch.LIFELINE}\n{script}"
        private = launch.prelude(facts.environment, None)
        async with self._bounded(deadline, "did not start the command"):
            launched = await self._launch(connection, script, private=private)
            if not lifeline:
                await launched.process.end_input()
        return BackgroundCommand(self._records, command, launched, connection, self._account)

    @contextlib.asynccontextmanager
    async def _bounded(self, deadline: Deadline, what: str) -> AsyncIterator[None]:
        try:
            async with deadline.timeout():
                yield
        except TimeoutError as error:
            raise WaitTimeoutError(self.name, self.path, what, deadline.seconds) from error

    # -- for transfers

    @property
    def account(self) -> Account | None:
        """The user it has become, or None for the login user."""
        return self._account

    def note_transfer(self, title: str, text: str, began: float, files: Sequence[FileResult]) -> None:
        """Record what became of the files that were moved since ``began``."""
        self._records.transfer(title, text, began, files)

    async def execute(self, script: str, deadline: Deadline) -> Process:
        """Start shell text as the present user, with the lab's environment and folder, on streams that belong to the caller.

        Raises:
            EndOfStream: The connection broke. WaitTimeoutError: It did not start in time.
        """
        if (await self.connection.open(deadline)).line_limit:
            return await self._on_main_line(self._pairs[""], await self._at_home(script), deadline)
        connection, account = await self.connection.open(deadline), self._account
        launched = await self._own(script, deadline)
        return await launched.hand_over(lambda pid: launch.stop(connection, pid, account=account))

    async def parallel(self, deadline: Deadline) -> bool:
        """Return True when processes run side by side on clean streams; False when one line serves everything."""
        return not (await self.connection.open(deadline)).line_limit

    async def _on_main_line(self, pair: NamedShell, script: str, deadline: Deadline, *, terminal: bool = False) -> LineProcess:
        """Start a script that has the shell's line until its process is closed."""
        turn = contextlib.AsyncExitStack()
        await turn.enter_async_context(self._turn(pair.turn, deadline))
        try:
            return await self._lines.start(pair.seat, script, deadline, turn.aclose, terminal=terminal)
        except BaseException:
            await turn.aclose()
            raise

    async def _at_home(self, script: str) -> str:
        """Return a script that begins in the folder where processes of the host begin."""
        facts = await self.connection.facts()
        folder = shlex.quote(facts.cwd) if facts.cwd else '"${HOME:-/}"'
        return f"cd -- {folder} || exit 1\n{script}"

    async def answer_of(self, script: str, deadline: Deadline) -> ScriptResult:
        """Run shell text to its end, beside everything else; no record is made. Raises what ``execute`` raises."""
        if (await self.connection.open(deadline)).line_limit:
            return await self._answer_of_line(script, deadline)
        launched = await self._own(script, deadline)
        background = BackgroundCommand(self._records, script, launched, await self.connection.open(deadline), self._account)
        outcome = await background.finish(deadline)
        if outcome.status is None:
            raise WaitTimeoutError(self.name, self.path, "did not finish a step of the transfer", deadline.seconds)
        return ScriptResult(outcome.status.rc, outcome.stdout, outcome.stderr)

    async def _answer_of_line(self, script: str, deadline: Deadline) -> ScriptResult:
        pair = self._pairs[""]
        async with self._turn(pair.turn, deadline):
            shell = await self._lines.posix(pair.seat, await self.connection.open(deadline), deadline, "moving files")
            outcome = await shell.run(f"(\n{await self._at_home(script)}\n)", deadline)
        if outcome.status is None:
            raise WaitTimeoutError(self.name, self.path, "did not finish a step of the transfer", deadline.seconds)
        return ScriptResult(outcome.status.rc, outcome.stdout, outcome.stderr)

    async def _own(self, script: str, deadline: Deadline) -> launch.Launched:
        connection = await self.connection.open(deadline)
        facts = await self.connection.facts()
        folder = f"cd -- {shlex.quote(facts.cwd)} || exit 1\n" if facts.cwd else ""
        async with self._bounded(deadline, "did not start a process"):
            return await self._launch(connection, folder + script, private=launch.prelude(facts.environment, None))

    # -- for watching

    @contextlib.asynccontextmanager
    async def own_line(self, deadline: Deadline, what: str) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
        """Give what runs shell text on a line of its own and returns its output; ``what`` is what that is for."""
        async with self._lines.own(await self.connection.open(deadline), deadline) as shell:
            if not isinstance(shell, LineShell):
                raise UsageError(f"Host '{self.name}' has no POSIX shell, which {what} needs.")
            line_shell = shell

            async def run(script: str) -> bytes:
                return (await line_shell.run(script, Deadline(deadline.seconds))).stdout

            yield run

    async def between_commands(self, script: str, deadline: Deadline) -> bytes | None:
        """Run shell text on the main line and return its output; None when a command or a person has it, or nobody had yet."""
        pair = self._pairs[""]
        if pair.turn.locked() or not isinstance(pair.seat.shell, LineShell) or not pair.seat.shell.at_rest:
            return None
        return (await self._answer_of_line(script, deadline)).stdout

    # -- console

    async def send(self, text: str | Secret, *, shell: str = "", timeout_s: float | None = None) -> None:
        """Type ``text`` on the console."""
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._console(shell, deadline) as console:
            await console.send(reveal(text))
        self._records.record("Send", repr(str(text))[1:-1], began, (b"", b""))

    async def expect(self, patterns: Sequence[str], *, shell: str = "", timeout_s: float | None = None) -> Match:
        """Wait until the console says what one of the regular expressions matches."""
        expressions = [compiled(pattern) for pattern in patterns]
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        wanted = " or ".join(f"'{pattern}'" for pattern in patterns)
        async with self._console(shell, deadline) as console:
            try:
                match = await console.expect(expressions, deadline)
            except TimeoutError as error:
                self._records.record("Expect", wanted, began, (console.text.encode(), b""), "It did not show.")
                what = f"did not say {wanted}"
                raise WaitTimeoutError(self.name, self.path, what, deadline.seconds, last_output=console.text) from error
            except EndOfStream as error:
                said = console.text
                await self._drop_console(shell)
                if self.connection.is_open:
                    sentence = f"{subject(self.name, self.path)}: the console ended before it said {wanted}. Last output:\n{said}"
                    raise HostError(sentence, host=self.name, path=self.path, last_output=said) from error
                raise self._records.loss(error, (said.encode(), b"")) from error
        self._records.record("Expect", wanted, began, ((match.before + match.text).encode(), b""))
        return match

    async def read(self, quiet_s: float, *, shell: str = "", timeout_s: float | None = None) -> str:
        """Return what the console said and nobody took, once it is quiet for ``quiet_s`` seconds."""
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._console(shell, deadline) as console:
            text = await console.read(quiet_s, deadline)
        self._records.record("Read", "", began, (text.encode(), b""))
        return text

    async def interrupt(self, *, shell: str = "") -> None:
        """Press Ctrl-C on the console."""
        deadline = await self.deadline(None)
        async with self._console(shell, deadline) as console:
            await console.interrupt()
        self._records.record("Interrupt", "Ctrl-C", time.monotonic(), (b"", b""))

    @contextlib.asynccontextmanager
    async def _console(self, shell: str, deadline: Deadline) -> AsyncIterator[Console]:
        pair = self._pair(shell)
        connection = await self.connection.open(deadline)
        if connection.line_limit:
            async with self._line_console(pair, connection, deadline) as console:
                yield console
            return
        async with self._turn(pair.console_turn, deadline):
            connection = await self.connection.open(deadline)
            if pair.console is None or (pair.console.ended and not pair.console.text):
                await self._drop_console(shell)
                private = await self._shell_state(pair, deadline, None)
                async with self._bounded(deadline, "did not open its console"):
                    pair.launched = await self._launch(connection, consoles.SCRIPT, Terminal(), private)
                pair.console = Console(pair.launched.process.channel, pair.launched.output, pair.launched.notifier)
                await pair.console.settle()
            try:
                yield pair.console
            except EndOfStream as error:
                raise self._records.loss(error, (pair.console.text.encode(), b"")) from error

    @contextlib.asynccontextmanager
    async def _line_console(self, pair: NamedShell, connection: Connection, deadline: Deadline) -> AsyncIterator[Console]:
        async with self._turn(pair.turn, deadline):
            if connection.logs_in and (await self.connection.facts()).console.runs == POSIX and pair.seat.shell is None:
                await self._lines.shell(pair.seat, connection, deadline)
            line = await self._lines.line(pair.seat, connection)
            if pair.seat.shell is not None:
                await line.settle()
            try:
                yield line.console
            except EndOfStream as error:
                raise self._records.loss(error, (line.console.text.encode(), b"")) from error
            finally:
                if pair.seat.shell is not None:
                    pair.seat.shell.used_by_console()

    async def _drop_console(self, shell: str) -> None:
        pair = self._pair(shell)
        await pair.seat.close()
        console, launched = pair.console, pair.launched
        pair.console = pair.launched = None
        if console is not None:
            await console.close()
        if launched is not None:
            await launched.close()

    async def _shell_state(self, pair: NamedShell, deadline: Deadline, cwd: str | None) -> str:
        """Return shell text that makes another shell like the command shell: its directory and exported environment."""
        async with self._turn(pair.turn, deadline):
            command_shell = await self._command_shell(pair, deadline)
            try:
                outcome = await command_shell.run(_STATE, deadline)
            except EndOfStream as error:
                raise self._records.loss(error) from error
        if outcome.status is None:
            raise WaitTimeoutError(self.name, self.path, "did not tell its environment", deadline.seconds)
        directory, _, exports = decode(outcome.stdout).partition("\n")
        return f"{exports}export TERM=dumb\ncd -- {shlex.quote(cwd or directory)}\n"

    # -- users, and being up

    async def switch_user(self, account: Account | None, deadline: Deadline) -> None:
        """Be another user from now on (None: the login user); raise LoginError and stay who we were when refused."""
        connection = await self.connection.open(deadline)
        if connection.line_limit:
            raise UsageError(
                f"Host '{self.name}' cannot switch its user, because it is reached over a line. Use 'su' or 'sudo' there, with "
                "'Send To Host' or with answers= of 'Run On Host'."
            )
        before = self._account
        pair = self._pair("")
        async with self._turn(pair.turn, deadline):
            directory = await self._directory(pair, deadline)
            fresh = NamedShell(cwd=directory)
            self._account = account
            try:
                await self._process_shell(fresh, connection, deadline)
            except BaseException:
                self._account = before
                raise
            await self._close_pairs()
            pair.command = fresh.command

    async def probe(self, timeout_s: float) -> None:
        """Return once it runs a command, or its prompt answers; raise HostError."""
        deadline = Deadline(timeout_s)
        connection = await self.connection.open(deadline)
        if not connection.line_limit:
            await self.run_once("true", timeout_s=deadline.remaining_s)
        elif connection.logs_in:
            async with self._lines.own(connection, deadline):
                return
        else:
            await self._probe_line(deadline)

    async def _probe_line(self, deadline: Deadline) -> None:
        pair = self._pairs[""]
        async with self._turn(pair.turn, deadline):
            shell = await self._command_shell(pair, deadline)
            try:
                outcome = await shell.run("true" if isinstance(shell, LineShell) else "", deadline)
            except EndOfStream as error:
                raise self._records.loss(error) from error
        if outcome.status is None:
            raise WaitTimeoutError(self.name, self.path, "did not answer", deadline.seconds)

    async def _directory(self, pair: NamedShell, deadline: Deadline) -> str | None:
        if pair.command is None or pair.command.ended:
            return None
        outcome = await pair.command.run("pwd", deadline)
        return decode(outcome.stdout).rstrip("\n") or None


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a regular expression; raise UsageError that says what is wrong with it."""
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"'{pattern}' is no regular expression: {error}. Escape literal signs with a backslash.") from error


def _launched(process: LineProcess) -> launch.Launched:
    """Return a process on a line with its streams; the line ends it, so it needs no process id."""
    return launch.Launched.listening(process, "no nonce")


async def _status(launched: launch.Launched, deadline: Deadline) -> ExitStatus | None:
    try:
        async with deadline.timeout():
            return await launched.process.wait()
    except (TimeoutError, EndOfStream):
        return None


def _check_command(command: str) -> None:
    if "\0" in command:
        raise UsageError("A command cannot contain NUL characters; write them with printf '\\\\0' on the host.")
    if not command.strip():
        raise UsageError("The command is empty. Give the command to run after the host.")
