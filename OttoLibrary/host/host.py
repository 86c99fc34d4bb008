"""One host of a lab: its connection, its shells and consoles, and the processes beside them.

A ``Host`` connects on first use, shares its connection with the hosts behind it, and reconnects when it is used after a lost
connection. A ``Runner`` does what the host is asked to do; each kind of connection has its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from OttoLibrary.contracts.connections import SUCCESS, CommandResult, Connection, EndOfStream, Expected, Match, Process, Record
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.transfers import FileResult, ScriptResult
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, NotOpenError, UsageError, WaitTimeoutError, subject
from OttoLibrary.host.background import BackgroundCommand
from OttoLibrary.host.host_connection import HostConnection
from OttoLibrary.host.line_runner import LineRunner
from OttoLibrary.host.process_runner import ProcessRunner
from OttoLibrary.host.records import HostRecords
from OttoLibrary.host.runner import Runner, Shell
from OttoLibrary.host.transcript import Transcript
from OttoLibrary.host.turns import Turn
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.launch import Account
from OttoLibrary.shell.output_file import OutputLimits
from OttoLibrary.shell.search_pattern import Pattern, SearchPattern
from OttoLibrary.text import Secret, reveal

# sshd allows 10 sessions a connection by default; shell, console and the stopping of commands need the rest.
_ONE_SHOTS_AT_A_TIME = 6
# Ctrl-C, Ctrl-\ and Ctrl-Z.
_SIGNALS = ("\x03", "\x1c", "\x1a")
_USUAL_LIMITS = OutputLimits()


class Host:
    """One host; safe to use by many callers at the same time.

    Args:
        name: Its name in the lab.
        path: The names of the hops to it, itself last.
        load_facts: Returns its facts; called when they are first needed, since that may ask a keyring.
        hop: The host before it, or None.
        journal: Takes a record of all that it does.
        transcript: Returns what keeps the output of a console that nobody else reads, or None to keep none.
        limits: How much is kept of what commands write.
    """

    def __init__(
        self,
        name: str,
        path: tuple[str, ...],
        load_facts: Callable[[], HostFacts],
        hop: Host | None,
        journal: Callable[[Record], None],
        transcript: Callable[[str], Transcript | None] = lambda host: None,
        limits: OutputLimits = _USUAL_LIMITS,
    ) -> None:
        self.name, self.path, self.hop = name, path, hop
        self._records = HostRecords(name, path, journal, limits)
        hops_connection: HostConnection | None = hop.connection if hop else None
        self.connection: HostConnection = HostConnection(name, path, load_facts, hops_connection, self._on_lost, self._on_open)
        self._transcript = transcript
        self._opened: Runner | None = None
        self._names: dict[str, float] = {}
        self._one_shots = Turn(self._records, _ONE_SHOTS_AT_A_TIME)

    async def deadline(self, timeout_s: float | None) -> Deadline:
        """Return ``timeout_s`` from now, or the lab's time-out for this host."""
        return Deadline(timeout_s if timeout_s is not None else (await self.connection.facts()).timeout)

    async def close(self) -> None:
        """Close shells and connection; the next use opens them again. Never raises."""
        if self._opened is not None:
            await self._opened.close()
        await self.connection.close()

    async def _on_open(self, connection: Connection) -> None:
        if self._opened is None:
            self._opened = self._runner_for(connection)
        self._records.news += getattr(connection, "notes", [])
        await self._opened.connected(connection)

    def _runner_for(self, connection: Connection) -> Runner:
        if connection.line_limit:
            return LineRunner(self._records, self.connection, self._transcript)
        return ProcessRunner(self._records, self.connection)

    async def _on_lost(self, reason: str) -> None:
        self._records.news.append(f"The connection was lost ({reason}); this is a new one, with new shells.")
        if self._opened is not None:
            await self._opened.close()

    async def _runner(self, deadline: Deadline) -> Runner:
        """Return what does the work, on a connection that lives."""
        await self.connection.open(deadline)
        assert self._opened is not None  # since the connection was opened
        return self._opened

    # -- named shells

    @property
    def shells(self) -> list[str]:
        """The names of the extra shells."""
        return list(self._names)

    async def open_shell(self, name: str, deadline: Deadline) -> None:
        """Open an extra shell; raise UsageError when the name is taken."""
        if not name or name in self._names:
            raise UsageError(f"Host '{self.name}' has a shell '{name}' already. Close it first, or choose another name.")
        self._names[name] = time.monotonic()
        try:
            async with (await self._runner(deadline)).shell(name, deadline):
                pass
        except BaseException:
            await self.close_shell(name)
            raise

    async def close_shell(self, name: str) -> None:
        """Close an extra shell, or the main one; raise NotOpenError for an unknown one."""
        self._check_shell(name)
        if name:
            del self._names[name]
        if self._opened is not None:
            await self._opened.close_shell(name)

    async def reset_shell(self, name: str) -> None:
        """Close a shell and its console, which open again with the next use; raise NotOpenError for an unknown one."""
        self._check_shell(name)
        if self._opened is not None:
            await self._opened.close_shell(name)

    async def close_shells(self, began: float) -> None:
        """Close what was opened at this time of ``time.monotonic`` or later: shells and consoles; the main ones open again."""
        for name, opened in list(self._names.items()):
            if opened >= began:
                await self.close_shell(name)
        if self._opened is not None and await self._opened.close_since(began):
            self._records.news.append("Its shell ended with the scope that had opened it; this is a new one.")

    def _check_shell(self, name: str) -> None:
        if name and name not in self._names:
            known = ", ".join(sorted(self._names)) or "none"
            raise NotOpenError(f"Host '{self.name}' has no open shell '{name}'. Open: {known}. Open it with 'Open Shell'.")

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
        _check_command(command, cwd)
        self._check_shell(shell)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        there = (await self._runner(deadline)).shell(shell, deadline)
        return await self._run("Run", there, command, cwd, expected, began, deadline)

    async def run_once(
        self,
        command: str,
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = SUCCESS,
        ends_with_us: bool = False,
    ) -> CommandResult:
        """Run a command apart from the shell and its state; raises what ``run`` raises.

        Args:
            command: The command.
            timeout_s: How long it may take, or None for the host's own.
            cwd: Where it runs.
            expected: What is a success.
            ends_with_us: It ends with this process, however that ends.
        """
        _check_command(command, cwd)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._one_shots.hold(deadline):
            there = (await self._runner(deadline)).one_shot(deadline, ends_with_us=ends_with_us)
            return await self._run("Run once", there, command, cwd, expected, began, deadline)

    async def _run(
        self,
        title: str,
        there: AbstractAsyncContextManager[Shell],
        command: str,
        cwd: str | None,
        expected: Expected,
        began: float,
        deadline: Deadline,
    ) -> CommandResult:
        async with there as shell:
            await self._check_status(shell, expected)
            with self._records.attempt(title, command, began, shell):
                outcome = await shell.run(command, deadline, cwd)
        return self._records.conclude(title, command, began, outcome, expected, deadline)

    async def start(self, command: str, *, cwd: str | None = None, timeout_s: float | None = None) -> BackgroundCommand:
        """Start a command apart from the shell, and return as soon as it has started."""
        _check_command(command, cwd)
        deadline = await self.deadline(timeout_s)
        background = await (await self._runner(deadline)).start(command, cwd, deadline)
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
        _check_command(command, cwd)
        self._check_shell(shell)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        replies: dict[Pattern, str | Secret] = {SearchPattern(pattern): reply for pattern, reply in answers.items()}
        background = await (await self._runner(deadline)).start_on_terminal(shell, command, cwd, deadline)
        outcome = await background.answer(replies, deadline)
        return self._records.conclude("Run", command, began, outcome, expected, deadline)

    async def _check_status(self, shell: Shell, expected: Expected) -> None:
        """Raise UsageError when an exit status is expected of a prompt that has none."""
        if expected.statuses and not shell.has_status:
            profile = (await self.connection.facts()).console.name
            raise UsageError(f"Host '{self.name}' (profile '{profile}') has no exit status; pass expected_rc=any.")

    # -- for transfers and watching

    @property
    def account(self) -> Account | None:
        """The user it has become, or None for the login user."""
        return self._opened.account if self._opened is not None else None

    def note(self, sentence: str) -> None:
        """Say something with the next record."""
        self._records.news.append(sentence)

    def note_transfer(self, title: str, text: str, began: float, files: Sequence[FileResult]) -> None:
        """Record what became of the files that were moved since ``began``."""
        self._records.transfer(title, text, began, files)

    async def execute(self, script: str, deadline: Deadline) -> Process:
        """Start shell text as the present user, with the lab's environment and folder, on streams that belong to the caller.

        Raises:
            EndOfStream: The connection broke. WaitTimeoutError: It did not start in time.
        """
        return await (await self._runner(deadline)).execute(script, deadline)

    async def parallel(self, deadline: Deadline) -> bool:
        """Return True when processes run side by side on clean streams; False when one line serves everything."""
        return (await self._runner(deadline)).parallel

    async def answer_of(self, script: str, deadline: Deadline) -> ScriptResult:
        """Run shell text to its end, beside everything else; no record is made. Raises what ``execute`` raises."""
        outcome = await (await self._runner(deadline)).answer_of(script, deadline)
        if outcome.status is None:
            raise WaitTimeoutError(self.name, self.path, "did not finish a step of the transfer", deadline.seconds)
        return ScriptResult(outcome.status.rc, outcome.stdout, outcome.stderr)

    @contextlib.asynccontextmanager
    async def own_line(self, deadline: Deadline, what: str) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
        """Give what runs shell text beside everything else and returns its output; ``what`` is what that is for."""
        async with (await self._runner(deadline)).own_line(deadline, what) as run:
            yield run

    async def between_commands(self, script: str, deadline: Deadline) -> bytes | None:
        """Run shell text where nobody is disturbed and return its output; None when that is impossible at the moment."""
        return await (await self._runner(deadline)).between_commands(script, deadline)

    # -- console

    async def send(self, text: str | Secret, *, shell: str = "", timeout_s: float | None = None) -> None:
        """Type ``text`` on the console."""
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._console(shell, deadline) as console:
            await console.send(reveal(text))
        self._records.record("Send", repr(str(text))[1:-1], began, (b"", b""))

    async def expect(
        self, patterns: Sequence[str], *, shell: str = "", timeout_s: float | None = None, raw: bool = False
    ) -> Match:
        """Wait until the console shows what one of the regular expressions matches; ``raw`` as in ``Console.expect``."""
        expressions = [SearchPattern(pattern) for pattern in patterns]
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        wanted = " or ".join(f"'{pattern}'" for pattern in patterns)
        async with self._console(shell, deadline) as console:
            try:
                match = await console.expect(expressions, deadline, raw=raw)
            except TimeoutError as error:
                self._records.record("Expect", wanted, began, (console.text.encode(), b""), "It did not show.")
                what = f"did not show {wanted}"
                raise WaitTimeoutError(self.name, self.path, what, deadline.seconds, last_output=console.text) from error
            except EndOfStream as error:
                raise await self._ended_before(wanted, console.text, shell, error) from error
        self._records.record("Expect", wanted, began, ((match.before + match.text).encode(), b""))
        return match

    async def _ended_before(self, wanted: str, shown: str, shell: str, error: EndOfStream) -> HostError:
        """Close a console that has ended, and return the error for it."""
        if self._opened is not None:
            await self._opened.drop_console(shell)
        if not self.connection.is_open:
            return self._records.loss(error, (shown.encode(), b""))
        sentence = f"{subject(self.name, self.path)}: the console ended before it showed {wanted}. Last output:\n{shown}"
        return HostError(sentence, host=self.name, path=self.path, last_output=shown)

    async def read(self, quiet_s: float, *, shell: str = "", timeout_s: float | None = None) -> str:
        """Return what the console wrote and nobody took, once it is quiet for ``quiet_s`` seconds."""
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._console(shell, deadline) as console:
            text = await console.read(quiet_s, deadline)
        self._records.record("Read", "", began, (text.encode(), b""))
        return text

    async def type_text(self, text: str, of: Console | None = None) -> Console:
        """Type on the console for a program that keeps its own record of the conversation.

        Args:
            text: What to type.
            of: The console that it talks with; None for whichever is open.

        Returns:
            The console.

        Raises:
            EndOfStream: That console has ended.
        """
        async with self._same_console(of) as console:
            await console.send(text)
            if text.endswith(_SIGNALS):
                # A terminal throws away what is typed while it deals with such a key.
                await console.settle()
            return console

    async def next_text(self, wait_s: float, of: Console | None = None) -> tuple[str, Console]:
        """Return what the console wrote and nobody took, and the console, for such a program.

        Args:
            wait_s: How long to wait for the first of it, in seconds, once the console is open.
            of: The console that it talks with; None for whichever is open.

        Raises:
            TimeoutError: Nothing came in time. EndOfStream: That console has ended.
        """
        async with self._same_console(of) as console:
            return await console.take(Deadline(wait_s)), console

    @contextlib.asynccontextmanager
    async def _same_console(self, of: Console | None) -> AsyncIterator[Console]:
        deadline = await self.deadline(None)
        async with (await self._runner(deadline)).console("", deadline) as console:
            if of is not None and console is not of:
                raise EndOfStream("the console was closed, and a new one is open")
            yield console

    async def leave_console(self) -> None:
        """Close the console where it can be opened again; a line that carries everything stays."""
        if self._opened is not None and self._opened.parallel:
            await self._opened.drop_console("")

    async def interrupt(self, *, shell: str = "") -> None:
        """Press Ctrl-C on the console."""
        deadline = await self.deadline(None)
        async with self._console(shell, deadline) as console:
            await console.interrupt()
        self._records.record("Interrupt", "Ctrl-C", time.monotonic(), (b"", b""))

    @contextlib.asynccontextmanager
    async def _console(self, shell: str, deadline: Deadline) -> AsyncIterator[Console]:
        self._check_shell(shell)
        async with (await self._runner(deadline)).console(shell, deadline) as console:
            try:
                yield console
            except EndOfStream as error:
                raise self._records.loss(error, (console.text.encode(), b"")) from error

    # -- users, and being up

    async def switch_user(self, account: Account | None, deadline: Deadline) -> None:
        """Be another user from now on (None: the login user); raise LoginError and stay who we were when refused."""
        await (await self._runner(deadline)).switch_user(account, deadline)

    async def probe(self, timeout_s: float) -> None:
        """Return once it runs a command, or its prompt answers; raise HostError."""
        deadline = Deadline(timeout_s)
        await (await self._runner(deadline)).probe(deadline)


def _check_command(command: str, cwd: str | None) -> None:
    if "\0" in command + (cwd or ""):
        raise UsageError("A command and its directory cannot contain NUL characters; write them with printf '\\\\0' on the host.")
    if not command.strip():
        raise UsageError("The command is empty. Give the command to run after the host.")
