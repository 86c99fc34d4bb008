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
from dataclasses import dataclass, field

from OttoLibrary import console as consoles
from OttoLibrary import launch, registry
from OttoLibrary import shell as shells
from OttoLibrary.console import Console, Match
from OttoLibrary.contracts import Channel, CommandResult, Connection, EndOfStream, ExitStatus, HostFacts, Record, Terminal
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import (
    CommandError,
    ConnectError,
    ConnectionLostError,
    HopError,
    HostError,
    LoginError,
    NotOpenError,
    UsageError,
    WaitTimeoutError,
)
from OttoLibrary.launch import Account, LoginRefused
from OttoLibrary.shell import CommandShell, Outcome
from OttoLibrary.text import Secret, decode, reveal

# sshd allows 10 sessions a connection by default; shell, console and the stopping of commands need the rest.
_ONCE_AT_A_TIME = 6
_STOP_BOUND_S = 7.0
_STATE = 'pwd; ([ -z "$BASH_VERSION" ] || set -o posix; export -p)'
_UNKNOWN_BOOT = "cat /proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Expected:
    """Which exit statuses are right; none named means any."""

    statuses: tuple[int, ...] = (0,)

    def __contains__(self, rc: int) -> bool:
        """Return True for a right one."""
        return not self.statuses or rc in self.statuses

    def __str__(self) -> str:
        """Return ``0`` or ``0 or 2``."""
        return " or ".join(map(str, self.statuses)) or "any"


@dataclass
class _Pair:
    """A named shell: a command shell and a console, each opened on first use; one caller at a time."""

    command: CommandShell | None = None
    console: Console | None = None
    launched: launch.Launched | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    console_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    cwd: str | None = None
    notes: list[str] = field(default_factory=list)

    async def close(self) -> None:
        command, console, launched = self.command, self.console, self.launched
        self.command = self.console = self.launched = None
        if command is not None:
            await command.close()
        if console is not None:
            await console.close()
        if launched is not None:
            await launched.close()


class Host:
    """One host; safe to use by many callers at once.

    Args:
        name: Its name in the lab.
        path: The names of the hops to it, itself last.
        load_facts: Returns its facts; called when they are first needed, since that may ask a keyring.
        hop: The host before it, or None.
        journal: Takes a record of all that it does.
    """

    def __init__(
        self,
        name: str,
        path: tuple[str, ...],
        load_facts: Callable[[], HostFacts],
        hop: Host | None,
        journal: Callable[[Record], None],
    ) -> None:
        self.name, self.path, self.hop = name, path, hop
        self._load_facts = load_facts
        self._journal = journal
        self._facts: HostFacts | None = None
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._account: Account | None = None
        self._pairs: dict[str, _Pair] = {"": _Pair()}
        self._once_slots = asyncio.Semaphore(_ONCE_AT_A_TIME)
        self._news: list[str] = []

    @property
    def is_open(self) -> bool:
        """True while the connection lives."""
        return self._connection is not None and self._connection.lost is None

    @property
    def user(self) -> str | None:
        """Who commands run as, as far as the lab says."""
        return self._account.user if self._account else (self._facts.user if self._facts else None)

    async def facts(self) -> HostFacts:
        """Return what the lab says about it; raise LabError when a reference has no value."""
        if self._facts is None:
            self._facts = await asyncio.to_thread(self._load_facts)
        return self._facts

    async def deadline(self, timeout_s: float | None) -> Deadline:
        """Return ``timeout_s`` from now, or the lab's time-out for this host."""
        return Deadline(timeout_s if timeout_s is not None else (await self.facts()).timeout)

    # -- connection

    async def open(self, deadline: Deadline) -> Connection:
        """Return the connection, opening it and its hops when needed; raise ConnectError."""
        if self.is_open and self._connection is not None:
            return self._connection
        if self._opening is None:
            await self._forget_connection()
            self._begin_opening()
        opening = self._opening
        try:
            async with deadline.timeout():
                return await asyncio.shield(opening)
        except TimeoutError as error:
            if isinstance(error, HostError):
                raise
            raise ConnectError(self.name, self.path, f"no answer in {deadline.seconds:g} seconds") from error

    async def close(self) -> None:
        """Close shells and connection; the next use opens them again. Never raises."""
        if self._opening is not None:
            self._opening.cancel()
        await self._close_pairs()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def dial(self, address: str, port: int, deadline: Deadline) -> Channel:
        """Open a byte stream from this host to ``address``; raise ConnectError."""
        connection = await self.open(deadline)
        try:
            async with deadline.timeout():
                return await connection.dial(address, port)
        except OSError as error:
            raise ConnectError(self.name, self.path, f"it got no connection to {error}") from error

    def describe(self) -> str:
        """Return how it is connected, or ``not connected``."""
        return self._connection.describe() if self._connection and self.is_open else "not connected"

    def _begin_opening(self) -> None:
        """Connect in a task of its own: one caller that goes away does not stop it for the others."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(self._opened)

    async def _connect(self) -> Connection:
        facts = await self.facts()
        hop = await self._open_hop(Deadline(facts.connect_timeout)) if self.hop else None
        transport = registry.load("transport", facts.transport)
        connection: Connection = await transport.connect(facts, self.path, hop, Deadline(facts.connect_timeout))
        self._connection = connection
        return connection

    async def _open_hop(self, deadline: Deadline) -> Connection:
        assert self.hop is not None
        try:
            return await self.hop.open(deadline)
        except HopError as error:
            raise HopError(self.name, self.path, error.hop, error.what.partition("' ")[2], error.cause) from error
        except ConnectError as error:
            raise HopError(self.name, self.path, self.hop.name, error.what, error.cause) from error

    def _opened(self, task: asyncio.Task[Connection]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # fetched, so that a caller who went away leaves no warning

    async def _forget_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._news.append(f"The connection was lost ({connection.lost}); this is a new one, with new shells.")
        await self._close_pairs()
        await connection.close()

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
        self._pairs[name] = _Pair()
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

    def _pair(self, name: str) -> _Pair:
        if name not in self._pairs:
            known = ", ".join(sorted(filter(None, self._pairs))) or "none"
            raise NotOpenError(f"Host '{self.name}' has no open shell '{name}'. Open: {known}. Open it with 'Open Shell'.")
        return self._pairs[name]

    @contextlib.asynccontextmanager
    async def _turn(self, lock: asyncio.Lock, deadline: Deadline) -> AsyncIterator[None]:
        try:
            async with deadline.timeout():
                await lock.acquire()
        except TimeoutError as error:
            raise WaitTimeoutError(self.name, self.path, "was busy with another command", deadline.seconds) from error
        try:
            yield
        finally:
            lock.release()

    async def _command_shell(self, pair: _Pair, deadline: Deadline) -> CommandShell:
        """Return the command shell, a new one when there is none that lives."""
        connection = await self.open(deadline)
        if pair.command is not None and not pair.command.ended:
            return pair.command
        if pair.command is not None:
            pair.cwd = pair.cwd or pair.command.cwd
            await pair.command.close()
            pair.command = None
        facts = await self.facts()
        try:
            async with deadline.timeout():
                launched = await self._launch(connection, shells.SCRIPT)
                shell = CommandShell(launched, self._stopper(launched))
                await shell.begin(launch.prelude(facts.environment, pair.cwd or facts.cwd))
        except TimeoutError as error:
            raise WaitTimeoutError(self.name, self.path, "did not start a shell", deadline.seconds) from error
        except shells.PreludeFailed as error:
            raise HostError(
                f"{self._subject()} did not take the lab's 'cwd' or 'environment': {error}.", host=self.name
            ) from error
        pair.command, pair.cwd = shell, None
        return shell

    def _stopper(self, launched: launch.Launched) -> Callable[[str, list[int]], Awaitable[str]]:
        async def stop(tag: str, jobs: list[int]) -> str:
            if self._connection is None or launched.pid is None:
                return ""
            return await launch.stop(self._connection, launched.pid, account=self._account, spare=(tag, jobs))

        return stop

    async def _launch(
        self, connection: Connection, script: str, terminal: Terminal | None = None, private: str = ""
    ) -> launch.Launched:
        try:
            return await launch.start(connection, script, terminal=terminal, account=self._account, private=private)
        except LoginRefused as error:
            user = self._account.user if self._account else "?"
            raise LoginError(self.name, self.path, f"switching to user '{user}' failed: {error}") from error
        except EndOfStream as error:
            raise self._lost(error, "") from error

    # -- commands

    async def run(
        self,
        command: str,
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = Expected(),
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
            try:
                outcome = await command_shell.run(command, deadline, cwd)
            except EndOfStream as error:
                raise self._recorded_loss(error, command, command_shell.partial(), began) from error
            except asyncio.CancelledError:
                self._record(
                    "Run", command, began, command_shell.partial(), "It was given up, and everything it started is ended."
                )
                raise
            if outcome.shell_ended:
                pair.notes.append(f"The command before ended the shell ({command!r}); this is a new one.")
        return self._conclude("Run", command, began, outcome, expected, deadline, pair)

    async def run_once(
        self,
        command: str,
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = Expected(),
    ) -> CommandResult:
        """Run a command in a process of its own, without the shell's state; raises what ``run`` raises."""
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._turn(self._once_slots, deadline):  # type: ignore[arg-type]
            background = await self._start(command, cwd, deadline)
            try:
                outcome = await background.finish(deadline)
            except EndOfStream as error:
                raise self._recorded_loss(error, command, background.partial(), began) from error
            except asyncio.CancelledError:
                self._record(
                    "Run once", command, began, background.partial(), "It was given up, and everything it started is ended."
                )
                raise
        return self._conclude("Run once", command, began, outcome, expected, deadline, None)

    async def start(self, command: str, *, cwd: str | None = None, timeout_s: float | None = None) -> BackgroundCommand:
        """Start a command in a process of its own and return at once."""
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        background = await self._start(command, cwd, deadline)
        self._record("Start", command, time.monotonic(), (b"", b""))
        return background

    async def answer(
        self,
        command: str,
        answers: Mapping[str, str | Secret],
        *,
        timeout_s: float | None = None,
        cwd: str | None = None,
        expected: Expected = Expected(),
        shell: str = "",
    ) -> CommandResult:
        """Run a command on a terminal of its own and answer its questions: pattern -> reply, each time it shows."""
        _check_command(command)
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        patterns = [compiled(pattern) for pattern in answers]
        private = await self._shell_state(self._pair(shell), deadline, cwd)
        connection = await self.open(deadline)
        async with self._bounded(deadline, "did not start the command"):
            launched = await self._launch(connection, command, Terminal(), private)
        background = BackgroundCommand(self, command, launched, connection)
        console = Console(launched.process.channel, launched.output, launched.bell)
        said = ""
        try:
            while True:
                match = await console.expect(patterns, deadline)
                said += match.before + match.text
                await console.send(reveal(list(answers.values())[match.index]) + "\n")
        except EndOfStream:
            outcome = Outcome((said + console.text).encode(), b"", await _status(launched, deadline))
        except (TimeoutError, asyncio.CancelledError) as error:
            partial = ((said + console.text).encode(), b"")
            await background.stop()
            if isinstance(error, asyncio.CancelledError):
                raise
            outcome = Outcome(*partial, status=None)
        await launched.close()
        return self._conclude("Run", command, began, outcome, expected, deadline, None)

    async def _start(self, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        connection = await self.open(deadline)
        facts = await self.facts()
        directory = cwd or facts.cwd
        script = f"cd -- {shlex.quote(directory)} || exit 1\n{command}" if directory else command
        private = launch.prelude(facts.environment, None)
        async with self._bounded(deadline, "did not start the command"):
            launched = await self._launch(connection, script, private=private)
            await launched.process.end_input()
        return BackgroundCommand(self, command, launched, connection)

    @contextlib.asynccontextmanager
    async def _bounded(self, deadline: Deadline, what: str) -> AsyncIterator[None]:
        try:
            async with deadline.timeout():
                yield
        except TimeoutError as error:
            raise WaitTimeoutError(self.name, self.path, what, deadline.seconds) from error

    def _conclude(
        self, title: str, command: str, began: float, outcome: Outcome, expected: Expected, deadline: Deadline, pair: _Pair | None
    ) -> CommandResult:
        notes = self._take_notes(pair)
        if outcome.shell_ended:
            notes.append("It ended the shell; the next command gets a new one.")
        if outcome.stray:
            notes.append(f"Before it, background processes said:\n{decode(outcome.stray)}")
        duration = time.monotonic() - began
        stdout, stderr = decode(outcome.stdout), decode(outcome.stderr)
        if outcome.status is None:
            notes.append("Its time was over: everything it started is ended.")
            self._journal(Record(title, self.name, self.path, command, None, stdout, stderr, tuple(notes), duration))
            what = f"did not finish '{command}'"
            raise WaitTimeoutError(self.name, self.path, what, deadline.seconds, last_output=stdout + stderr)
        rc, signal = outcome.status.rc, outcome.status.signal
        result = CommandResult(self.name, command, rc, stdout, stderr, signal, duration, outcome.shell_ended)
        self._journal(Record(title, self.name, self.path, command, result, notes=tuple(notes), duration_s=duration))
        if rc not in expected:
            raise CommandError(result, self.path, str(expected))
        return result

    def _take_notes(self, pair: _Pair | None) -> list[str]:
        notes, self._news = self._news, []
        if pair is not None:
            notes, pair.notes = [*notes, *pair.notes], []
        return notes

    def _record(self, title: str, text: str, began: float, said: tuple[bytes, bytes], *notes: str) -> None:
        stdout, stderr = decode(said[0]), decode(said[1])
        all_notes = (*self._take_notes(None), *notes)
        self._journal(Record(title, self.name, self.path, text, None, stdout, stderr, all_notes, time.monotonic() - began))

    def _recorded_loss(self, error: EndOfStream, text: str, said: tuple[bytes, bytes], began: float) -> ConnectionLostError:
        self._record("Run", text, began, said, "The connection was lost while it ran.")
        return self._lost(error, decode(said[0] + said[1]))

    def _lost(self, error: EndOfStream, last_output: str) -> ConnectionLostError:
        cause = (self._connection.lost if self._connection else None) or error.lost or "the other side closed it"
        return ConnectionLostError(self.name, self.path, cause, last_output)

    def _subject(self) -> str:
        return f"Host '{self.name}'"

    # -- console

    async def send(self, text: str | Secret, *, shell: str = "", timeout_s: float | None = None) -> None:
        """Type ``text`` on the console."""
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._console(shell, deadline) as console:
            await console.send(reveal(text))
        self._record("Send", repr(str(text))[1:-1], began, (b"", b""))

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
                self._record("Expect", wanted, began, (console.text.encode(), b""), "It did not show.")
                what = f"did not say {wanted}"
                raise WaitTimeoutError(self.name, self.path, what, deadline.seconds, last_output=console.text) from error
            except EndOfStream as error:
                said = console.text
                await self._drop_console(shell)
                if self._connection is not None and self._connection.lost is None:
                    sentence = f"{self._subject()}: the console ended before it said {wanted}. Last output:\n{said}"
                    raise HostError(sentence, host=self.name, path=self.path, last_output=said) from error
                raise self._lost(error, said) from error
        self._record("Expect", wanted, began, ((match.before + match.text).encode(), b""))
        return match

    async def read(self, quiet_s: float, *, shell: str = "", timeout_s: float | None = None) -> str:
        """Return what the console said and nobody took, once it is quiet for ``quiet_s`` seconds."""
        deadline = await self.deadline(timeout_s)
        began = time.monotonic()
        async with self._console(shell, deadline) as console:
            text = await console.read(quiet_s, deadline)
        self._record("Read", "", began, (text.encode(), b""))
        return text

    async def interrupt(self, *, shell: str = "") -> None:
        """Press Ctrl-C on the console."""
        deadline = await self.deadline(None)
        async with self._console(shell, deadline) as console:
            await console.interrupt()
        self._record("Interrupt", "Ctrl-C", time.monotonic(), (b"", b""))

    @contextlib.asynccontextmanager
    async def _console(self, shell: str, deadline: Deadline) -> AsyncIterator[Console]:
        pair = self._pair(shell)
        async with self._turn(pair.console_turn, deadline):
            connection = await self.open(deadline)
            if pair.console is None or (pair.console.ended and not pair.console.text):
                await self._drop_console(shell)
                private = await self._shell_state(pair, deadline, None)
                async with self._bounded(deadline, "did not open its console"):
                    pair.launched = await self._launch(connection, consoles.SCRIPT, Terminal(), private)
                pair.console = Console(pair.launched.process.channel, pair.launched.output, pair.launched.bell)
            try:
                yield pair.console
            except EndOfStream as error:
                raise self._lost(error, pair.console.text) from error

    async def _drop_console(self, shell: str) -> None:
        pair = self._pair(shell)
        console, launched = pair.console, pair.launched
        pair.console = pair.launched = None
        if console is not None:
            await console.close()
        if launched is not None:
            await launched.close()

    async def _shell_state(self, pair: _Pair, deadline: Deadline, cwd: str | None) -> str:
        """Return shell text that makes another shell like the command shell: its directory and exported environment."""
        async with self._turn(pair.turn, deadline):
            command_shell = await self._command_shell(pair, deadline)
            try:
                outcome = await command_shell.run(_STATE, deadline)
            except EndOfStream as error:
                raise self._lost(error, "") from error
        if outcome.status is None:
            raise WaitTimeoutError(self.name, self.path, "did not tell its environment", deadline.seconds)
        directory, _, exports = decode(outcome.stdout).partition("\n")
        kept = re.sub(r"^export (OTTO_COMMAND|TERM|SHLVL|PWD|OLDPWD|_)\b.*\n", "", exports, flags=re.MULTILINE)
        return f"{kept}export TERM=dumb\ncd -- {shlex.quote(cwd or directory)}\n"

    # -- users and reboots

    async def switch_user(self, account: Account | None, deadline: Deadline) -> None:
        """Be another user from now on (None: the login user); raise LoginError and stay who we were when refused."""
        before = self._account
        pair = self._pair("")
        async with self._turn(pair.turn, deadline):
            directory = await self._directory(pair, deadline)
            self._account = account
            await self._close_pairs()
            pair.cwd = directory
            try:
                await self._command_shell(pair, deadline)
            except BaseException:
                self._account = before
                raise

    async def boot_id(self, timeout_s: float) -> str:
        """Return the kernel's random id of this boot."""
        result = await self.run_once(_UNKNOWN_BOOT, timeout_s=timeout_s)
        return result.stdout.strip()

    async def wait_until_up(self, deadline: Deadline, pause_s: float = 0.5) -> None:
        """Return once a command runs on it; raise WaitTimeoutError with the last reason."""
        problem = "it was not tried"
        while not deadline.expired:
            try:
                await self.run_once("true", timeout_s=max(0.1, min(deadline.remaining_s, 10)))
                return
            except LoginError:
                raise
            except HostError as error:
                problem = str(error)
            await asyncio.sleep(min(pause_s, deadline.remaining_s))
        raise WaitTimeoutError(self.name, self.path, "was not up", deadline.seconds, advice=f"Last try: {problem}")

    async def reboot(self, command: str, deadline: Deadline) -> float:
        """Reboot it, wait until it is back, and return how many seconds it was away.

        Raises:
            WaitTimeoutError: It did not go down, or did not come back.
            HostError: It came back without having rebooted.
        """
        before = await self.boot_id(deadline.remaining_s)
        began = time.monotonic()
        connection = await self.open(deadline)
        # Detached and a moment later, so that the command's own answer still gets through.
        await self.run_once(f"(sleep 0.2; {command}) >/dev/null 2>&1 </dev/null &", timeout_s=deadline.remaining_s)
        while connection.lost is None:
            if deadline.expired:
                raise WaitTimeoutError(self.name, self.path, f"did not go down after '{command}'", deadline.seconds)
            await asyncio.sleep(0.05)
        await self.wait_until_up(deadline)
        away = time.monotonic() - began
        if await self.boot_id(max(1.0, deadline.remaining_s)) == before:
            sentence = f"{self._subject()} was away for {away:.1f} seconds but did not reboot: its boot id is the same."
            raise HostError(sentence, host=self.name, path=self.path)
        return away

    async def _directory(self, pair: _Pair, deadline: Deadline) -> str | None:
        if pair.command is None or pair.command.ended:
            return None
        outcome = await pair.command.run("pwd", deadline)
        return decode(outcome.stdout).rstrip("\n") or None


class BackgroundCommand:
    """A command in a process of its own."""

    def __init__(self, host: Host, command: str, launched: launch.Launched, connection: Connection) -> None:
        self.host, self.command = host, command
        self._launched, self._connection = launched, connection
        self._account = host._account
        self._began = time.monotonic()
        self._stopped = False

    def partial(self) -> tuple[bytes, bytes]:
        """Return what it said so far, on both streams."""
        if self._launched.pid is None:
            self._launched.find_pid()
        return bytes(self._launched.output.data), bytes(self._launched.errors.data)

    def said(self) -> tuple[str, str]:
        """Return what it said so far as text."""
        stdout, stderr = self.partial()
        return decode(stdout), decode(stderr)

    async def finish(self, deadline: Deadline) -> Outcome:
        """Wait until it ends; past the deadline, or when cancelled, end it and all it started."""
        try:
            async with deadline.timeout():
                status = await self._launched.process.wait()
                await self._drained()
        except TimeoutError:
            partial = self.partial()
            await self.stop()
            return Outcome(*partial, status=None)
        except asyncio.CancelledError:
            self._stopping = asyncio.create_task(self.stop())
            raise
        outcome = Outcome(*self.partial(), status=status)
        await self._launched.close()
        return outcome

    async def wait(self, deadline: Deadline, expected: Expected) -> CommandResult:
        """Wait for its end and return its result; a time-out leaves it running."""
        try:
            async with deadline.timeout():
                status = await self._launched.process.wait()
                await self._drained()
        except TimeoutError as error:
            said = decode(b"".join(self.partial()))
            what = f"did not finish '{self.command}'"
            raise WaitTimeoutError(
                self.host.name, self.host.path, what, deadline.seconds, last_output=said, advice="It still runs."
            ) from error
        except EndOfStream as error:
            raise self.host._recorded_loss(error, self.command, self.partial(), self._began) from error
        outcome = Outcome(*self.partial(), status=status)
        return self.host._conclude("Background", self.command, self._began, outcome, expected, deadline, None)

    async def stop(self) -> tuple[str, str]:
        """End it and all it started; return what it said. Idempotent; never raises."""
        said = self.partial()
        if not self._stopped:
            self._stopped = True
            pid = self._launched.pid
            with contextlib.suppress(TimeoutError, EndOfStream, OSError, LoginRefused):
                if pid is not None and self._connection.lost is None:
                    async with asyncio.timeout(_STOP_BOUND_S):
                        await launch.stop(self._connection, pid, account=self._account)
            said = self.partial()
            await self._launched.close()
        return decode(said[0]), decode(said[1])

    async def _drained(self) -> None:
        """Wait for the rest of the output; a background child that keeps it open is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while not (self._launched.output.ended and self._launched.errors.ended):
                    await self._launched.bell.wait()


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a regular expression; raise UsageError that says what is wrong with it."""
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"'{pattern}' is no regular expression: {error}. Escape literal signs with a backslash.") from error


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
