"""A POSIX shell on a line: exact streams, exit status and state, although all of it goes over one terminal.

For each command one short line is typed. It takes echo and conversions off the terminal, confirms it, and lets the shell
read the real command as exactly so many bytes. Standard error goes to a file of the command's own, which nobody else can read or
has made before, and is printed behind standard output.
Marks with a nonce and a counter separate the parts; they are typed in a different form than they are printed, so that no echo
and no trace looks like one. When the command is done, the terminal is as it was.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import replace

from OttoLibrary.contracts.connections import Channel, EndOfStream, ExitStatus, UnexpectedAnswer
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import CommandOutcome, PreludeFailedError, exit_status
from OttoLibrary.shell.launch import ProcessId
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.output_file import NO_FILES, NewFile, all_ended, no_file
from OttoLibrary.shell.recovery import Recovery
from OttoLibrary.text import decode, quoted_path
from OttoLibrary.transport.channels import ProcessChannel
from OttoLibrary.transport.receive_buffer import ReceiveBuffer

_SYNC_AGAIN_S = 1.0
_UNTOLD_LIMIT = 1
_LONGEST_ANSWER = 4096
_RECOVERY_S = 8.0
_CLEAN_UP_S = 6.0
_RESYNC_S = 0.5
_PROMPT_S = 0.1
_KILL_LINE, _INTERRUPT, _QUIT, _SUSPEND = b"\x15", b"\x03", b"\x1c", b"\x1a"
_JOB_NOTICE = re.compile(rb"^\[\d+\][ +-]*(\d+)\n", re.MULTILINE)
_TTY_SIGNALS = re.compile(rb"[\x03\x1a\x1c]")

# The shell's own: `__otto_end STATUS [x]` reports how a command ended, x when the shell ends with it. Then the shell waits a
# moment: some Telnet servers throw away what was not sent yet when it is gone. Bash does that by itself when its line is hung up,
# and hangs up its jobs, which it would not with a trap of its own.
_SETUP = r"""unset HISTFILE TMOUT
OTTO_LINE=%(nonce)s OTTO_TAG=
export OTTO_COMMAND
for OTTO_DIR in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm "$HOME" ''; do
[ -d "$OTTO_DIR" ] && [ -w "$OTTO_DIR" ] && break
done
__otto_end() {
OTTO_RC=$1; \unset -f command; command printf '\036@%%s!\n' "$OTTO_TAG"
[ -z "$OTTO_ERR" ] || { [ ! -s "$OTTO_ERR" ] || command cat "$OTTO_ERR"; command rm -f "$OTTO_ERR"; }
command stty %(tty)s
command printf '\036@%%s:%%d:%%s:' "$OTTO_TAG" "$OTTO_RC" "${2-}"; command jobs -p; command umask; command printf '@\n'
OTTO_TAG=
} 2>/dev/null
trap 'OTTO_RC=$?; [ -z "$OTTO_TAG" ] || { __otto_end $OTTO_RC x; command sleep 0.2 || command sleep 1; } 2>/dev/null' EXIT
[ -n "${BASH_VERSION-}" ] || trap 'exit 129' HUP
"""
_FACTS = (
    "{ read -r OTTO_STAT </proc/$$/stat; } 2>/dev/null; "
    'command printf "%s@%s@%s\\n%s\\n" "${BASH_VERSION:+bash}" $$ "$OTTO_DIR" "$OTTO_STAT"; unset OTTO_STAT'
)
# What follows the mark: status, whether the shell has ended, background jobs and umask.
_END = re.compile(rb"(\d{1,3}):(x?):((?:\s*\d{1,10}\s)*?)\s*(\d{3,4})\s*@\r*\n")
_NO_END = re.compile(rb"[^\d\s:x@]|\d{11}|@\r*[^\r\n]")


class NoTerminalControlError(Exception):
    """The shell has no ``stty``: it can only be typed on."""


class LineShell:
    """The shell on one line; one command at a time.

    Args:
        line: The line.
        rescue: Runs a script on the host beside the line, to end what Ctrl-C does not; None when there is no other way in.

    Attributes:
        cwd: None: the shell's working directory lasts as long as the shell.
        new_file: Returns a new file for what is too long for memory of ``stdout`` or ``stderr``, or None.
        files: The files of the present command, or of the last one.
        has_status: Every command has an exit status.
        merged: True when stdout and stderr come together, since the host has no writable folder for temporary files.
    """

    has_status = True

    def __init__(self, line: Line, rescue: Callable[[str], Awaitable[None]] | None) -> None:
        self.cwd: str | None = None
        self.merged = False
        self._line, self._rescue = line, rescue
        # What the end of a command is known by; no command can read it.
        self._nonce = secrets.token_hex(4)
        # What the processes of a command are known by.
        self._name = secrets.token_hex(4)
        self._seq = 0
        self._began = False
        self._stdout: bytes | None = None
        self._jobs: set[int] = set()
        self._umask, self._tty, self._error_file = "022", "", ""
        self._pid: ProcessId | None = None
        self._ended = self._is_bash = False
        self._untold = 0
        self._used_by_console = False
        self.new_file: NewFile = no_file
        self.files = NO_FILES
        self.recovery = Recovery(self._end_command)

    @property
    def ended(self) -> bool:
        """True when it runs no more commands."""
        return self._ended or self._line.ended is not None

    async def begin(self, prelude: str) -> None:
        """Make the shell ready; raise PreludeFailedError, NoTerminalControlError, EndOfStream or what the greeting raises."""
        await self._line.greet()
        self._line.set_aside()
        await self._sync()
        pager_off = " ".join(f"{line};" for line in self._line.prompts.profile.pager_off)
        outcome = await self._setup(f"{pager_off}\n{prelude}")
        if outcome.shell_ended:
            raise EndOfStream(decode(outcome.stderr).strip() or "the shell ended immediately")
        if outcome.status and outcome.status.rc:
            raise PreludeFailedError(decode(outcome.stdout).strip().rpartition("\n")[2])

    async def run(self, command: str, deadline: Deadline | None, cwd: str | None = None) -> CommandOutcome:
        """Run one command, in ``cwd`` when given; the shell's own working directory is as before after it.

        Past the deadline, or when cancelled, everything it started is ended, and the shell lives on.

        Raises:
            EndOfStream: The line ended; ``partial`` has what was written.
        """
        stream = self._line.stream
        try:
            async with asyncio.timeout(deadline.remaining_s if deadline else None):
                await self.recovery.over()
                stream.left_out_bytes, self.files = 0, NO_FILES
                await self._start(self._frame(command, cwd))
                stream.keep_whole(lambda: self.new_file("stdout"))
                outcome = await self._outcome()
                await all_ended(self.files)
                return outcome
        except TimeoutError:
            if self.recovery.running:
                return CommandOutcome(b"", b"", status=None)
            partial, left_out = self.partial(), stream.left_out_bytes
            self._end_file()
            await self.recovery.finish_soon()
            await all_ended(self.files)
            ending = self.recovery.running
            return CommandOutcome(*partial, None, self.ended, left_out_bytes=left_out, files=self.files, is_ending=ending)
        except UnexpectedAnswer:
            await self.close()
            raise
        except NoTerminalControlError as error:
            self._ended = True
            raise EndOfStream("another shell is there now, and it has no stty") from error
        except asyncio.CancelledError:
            self._end_file()
            self.recovery.begin()
            raise

    async def execute(self, script: str, terminal: bool = False) -> LineProcess:
        """Start shell text that has the line for itself until it ends: what is written is its standard input, byte by byte.

        Args:
            script: Shell text; it runs in a subshell.
            terminal: Give it the terminal as a person has it, stdout and stderr together.
        """
        await self.recovery.over()
        body = f"( command eval {shlex.quote(script)} )"
        error = "2>&8" if terminal or self.merged else '2>|"$OTTO_ERR"'
        body = f"{body} >&8 {error} 8>&-"
        if terminal:
            body = f"command stty {self._tty}; {body}; OTTO_RC=$?; stty raw -echo isig; (exit $OTTO_RC)"
        try:
            await self._start(body)
        except asyncio.CancelledError:
            self.recovery.begin()
            raise
        return LineProcess(self, self._line, terminal)

    def partial(self) -> tuple[bytes, bytes]:
        """Return what the present command has written so far, on both streams."""
        if not self._began:
            return b"", b""
        self._split_off()
        rest = bytes(self._line.stream.data)
        stdout, stderr = (rest, b"") if self._stdout is None else (self._stdout, rest)
        return self._line.recoded(stdout), self._line.recoded(stderr)

    def _split_off(self) -> None:
        """Keep standard output apart as soon as its end is known."""
        if self._stdout is None and (at := self._line.stream.find(self.separator)) >= 0:
            self._end_file(at)
            self._line.stream.keep_whole(lambda: self.new_file("stderr"))
            self._stdout = self._line.stream.take(at + len(self.separator))[:at]

    def _end_file(self, at: int | None = None) -> None:
        """End the file of the stream that the line carries now."""
        file = self._line.stream.end_file(at)
        self.files = (file, None) if self._stdout is None else (self.files[0], file)

    @property
    def at_rest(self) -> bool:
        """True when the last that came over the line was a command to its end, and nothing was typed since."""
        return not self.ended and not self._used_by_console and not self.recovery.running

    def used_by_console(self) -> None:
        """Note that something was typed on the line: the terminal may be set differently, or another shell may be there."""
        self._used_by_console = True

    async def close(self) -> None:
        """Stop using the line; what runs on it is ended with the line. Never raises."""
        self._ended = True

    # -- a command

    @property
    def _tag(self) -> str:
        return f"{self._nonce}.{self._seq}"

    @property
    def _command_name(self) -> str:
        return f"{self._name}.{self._seq}"

    @property
    def _typed_tag(self) -> str:
        return f'{self._nonce[:4]}""{self._nonce[4:]}.{self._seq}'

    @property
    def separator(self) -> bytes:
        """The mark between standard output and standard error."""
        return f"\x1e@{self._tag}!\n".encode()

    async def _start(self, body: str) -> None:
        """Make the shell begin with ``body``; return when its own output comes."""
        self._line.set_aside()
        if self._used_by_console:
            await self._sync()
        # With noclobber a file that is there already, or a link, is not taken.
        error_file = self._error_file = "" if self.merged else f'"$OTTO_DIR/.otto-{secrets.token_hex(8)}"'
        make_file = f"umask 077; (set -C; : >{error_file}) || OTTO_ERR=; umask {self._umask}; " if error_file else ""
        self._seq += 1
        self._began, self._stdout = False, None
        begin = f"command printf '@%s<\\n' {self._tag} >&8; "
        settings = f"OTTO_TAG={self._tag} OTTO_ERR={error_file} OTTO_COMMAND={self._command_name}; "
        await self._send(f"{{ {settings}{make_file}{begin}{body}; __otto_end $? >&8; }} 8>&1 2>/dev/null")

    def _frame(self, command: str, cwd: str | None) -> str:
        error = "2>&8" if self.merged else '2>|"$OTTO_ERR"'
        run = f"command eval {shlex.quote(command)} </dev/null >&8 {error} 8>&-"
        if not cwd:
            return run
        return (
            f'OTTO_PWD=$PWD; {{ cd -- {quoted_path(cwd)} && {run}; }} >&8 {error}; OTTO_RC=$?; cd -- "$OTTO_PWD"; (exit $OTTO_RC)'
        )

    async def _send(self, payload: str) -> None:
        """Type the line that reads ``payload``, send that when the terminal is ready, and wait until it begins."""
        data = self._line.encoded(payload)
        keep_signals = _TTY_SIGNALS.search(data) is None
        if not keep_signals:
            data = b"stty isig;" + data
        mode = "raw -echo isig" if keep_signals else "raw -echo"
        typed = f" stty {mode};printf '\\r@%s?@' {self._typed_tag};eval \"$(head -c {len(data)})\""
        await self._line.write(_KILL_LINE + typed.encode() + b"\n")
        await self._take_mark(f"@{self._tag}?@".encode())
        await self._line.write(data)
        await self._take_mark(f"@{self._tag}<\n".encode())
        self._began = True

    async def _take_mark(self, mark: bytes) -> None:
        stream = self._line.stream
        while (at := stream.find(mark)) < 0:
            self._line.check()
            await self._line.notifier.wait()
        stream.take(at + len(mark))

    async def _outcome(self) -> CommandOutcome:
        found = await self._until_end()
        return self.conclude(found)

    async def _until_end(self) -> re.Match[bytes]:
        while (found := self.find_end()) is None:
            self._split_off()
            self._line.check()
            await self._line.notifier.wait()
        return found

    def find_end(self) -> re.Match[bytes] | None:
        """Return what follows the mark behind the command's output once all of it is here."""
        stream, mark = self._line.stream, f"\x1e@{self._tag}:".encode()
        at = stream.find(mark)
        if at < 0:
            return None
        found = _END.match(stream.data, at + len(mark))
        if found is None and _NO_END.search(stream.data, at + len(mark)):
            raise UnexpectedAnswer("its shell reported the end of a command in a form that no shell uses")
        return found

    def conclude(self, end: re.Match[bytes]) -> CommandOutcome:
        """Take all of the command's output off the line and note what the end mark reports."""
        # A match looks into the bytes that it was made of, which are taken away below.
        rc, ended, jobs, self._umask = int(end[1]), bool(end[2]), {int(pid) for pid in end[3].split()}, end[4].decode()
        mark, stop = f"\x1e@{self._tag}:".encode(), end.end()
        length = stop - self._line.stream.data.find(mark)
        self._split_off()
        at = self._line.stream.data.find(mark)
        self._end_file(at)
        written = self._line.stream.take(at + length)[:at]
        self._line.fresh = True
        stdout, stderr = (written, b"") if self._stdout is None else (self._stdout, written)
        started, self._jobs = jobs - self._jobs, jobs
        stderr = _JOB_NOTICE.sub(lambda notice: b"" if int(notice[1]) in started else notice[0], stderr)
        if ended:
            self._ended = True
            if self._is_bash:
                stderr = stderr.removesuffix(b"exit\n").removesuffix(b"logout\n")
        left_out = self._line.stream.left_out_bytes
        stdout, stderr = self._line.recoded(stdout), self._line.recoded(stderr)
        return CommandOutcome(stdout, stderr, exit_status(rc), ended, left_out_bytes=left_out, files=self.files)

    # -- the shell

    async def _sync(self) -> None:
        """Type a line that only a shell that waits for commands answers, until it does; learn what it reports."""
        while True:
            self._seq += 1
            await self._line.write(_KILL_LINE + f" {self._question}\n".encode())
            if await self._synced(_SYNC_AGAIN_S):
                break
            if self._line.prompts.asks(self._line.text) in {"login", "password"} and self._line.leave():
                self._line.stream.take()
                await self._line.greet()
        if self._used_by_console:
            self._used_by_console = False
            if self._owner != self._nonce:
                await self._setup("")

    @property
    def _question(self) -> str:
        """The command that only a shell answers: with its umask, its terminal, its process id and who has set it up."""
        return f"umask;stty -g;printf '\\r@%s:%d %s@\\n' {self._typed_tag} $$ ${{OTTO_LINE-}}"

    async def _synced(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._sync_mark()
        except TimeoutError:
            return False

    async def _sync_mark(self) -> bool:
        stream, mark = self._line.stream, rb"\r@%b:\d+ (\w*)@\r*\n" % re.escape(self._tag).encode()
        while (found := re.search(mark, stream.data)) is None:
            self._line.check()
            if self._line.prompts.asks(self._line.text) == "password":
                return False
            await self._line.notifier.wait()
        before = bytes(stream.data[: found.start()])
        told = re.search(rb"(\d{3,4})\r*\n([0-9a-f]+(?::[0-9a-f]+)+)\r*\n\Z", before[-_LONGEST_ANSWER:])
        if told is None:
            # Somebody else, such as the kernel, may have written in between; hardly twice in a row.
            self._untold += 1
            stream.take(found.end())
            if self._untold > _UNTOLD_LIMIT:
                raise NoTerminalControlError
            return False
        self._untold = 0
        self._umask, self._tty = told[1].decode(), told[2].decode()
        self._owner = found[1].decode()
        stream.take(found.end())
        return True

    async def _setup(self, prelude: str) -> CommandOutcome:
        self._used_by_console = False
        self._seq += 1
        self._began = False
        self._stdout = None
        script = _SETUP % {"nonce": self._nonce, "tty": self._tty}
        begin = f"command printf '@%s<\\n' {self._tag} >&8; {_FACTS} >&8; "
        body = f"command eval {shlex.quote(prelude)} </dev/null >&8 2>&8 8>&-" if prelude.strip() else "true"
        settings = f"OTTO_TAG={self._tag} OTTO_ERR=; "
        await self._send(f"{{ {script}\n{settings}{begin}{body}; __otto_end $? >&8; }} 8>&1 2>/dev/null")
        outcome = await self._outcome()
        facts, _, rest = outcome.stdout.partition(b"\n")
        stat, _, rest = rest.partition(b"\n")
        self._learn(facts, stat)
        return replace(outcome, stdout=rest)

    def _learn(self, facts: bytes, stat: bytes) -> None:
        """Note what the shell is: bash or not, which process, and whether it has a folder for standard error."""
        found = re.fullmatch(rb"(bash)?@(\d+)@(.*)", facts)
        if found is None:
            raise UnexpectedAnswer(f"its shell described itself as '{decode(facts[:100])}'")
        self._is_bash, self.merged = bool(found[1]), not found[3]
        self._pid = ProcessId.parsed(found[2], stat)

    # -- time-outs

    async def _end_command(self) -> None:
        name = self._command_name
        try:
            async with asyncio.timeout(_RECOVERY_S):
                await self._get_prompt_back(name)
            async with asyncio.timeout(_CLEAN_UP_S):
                await self._clean_up(name)
        except (TimeoutError, EndOfStream, OSError, NoTerminalControlError):
            await self.close()

    async def _get_prompt_back(self, name: str) -> None:
        keys = [_INTERRUPT, _INTERRUPT, _QUIT, _SUSPEND]
        for attempt in range(100):
            if attempt == 1 and self._rescue is not None and self._pid is not None:
                await self._rescue(launch.stop_script(self._pid, (name, sorted(self._jobs))))
            await self._line.write(keys[attempt % len(keys)])
            # What is typed before the terminal has dealt with the key would be thrown away.
            await self._line.news(_PROMPT_S)
            self._line.stream.take()
            if await self._resync():
                return

    async def _resync(self) -> bool:
        """Find out whether the shell waits for commands again, on a terminal as it was."""
        self._seq += 1
        # No kill character before it: a shell without line editing would read that from a raw terminal.
        await self._line.write(f" stty {self._tty};{self._question}\n".encode())
        return await self._synced(_RESYNC_S)

    async def _clean_up(self, name: str) -> None:
        """End what the command left behind."""
        script = launch.stop_script(None, (name, sorted(self._jobs)))
        left = f"command rm -f {self._error_file}; " if self._error_file else ""
        await self._start(f"{left}sh -c {shlex.quote(script)} </dev/null >&8 2>/dev/null 8>&-")
        await self._outcome()


class LineProcess:
    """What runs on a line and has it for itself; ``contracts.connections.Process``."""

    def __init__(self, shell: LineShell, line: Line, terminal: bool) -> None:
        self._shell, self._line = shell, line
        self.channel: Channel = ProcessChannel(self, self, "process on a line")
        self.outcome: CommandOutcome | None = None
        self._errors = ReceiveBuffer()
        self.errors: Channel | None = None
        if not terminal:
            self.errors = ProcessChannel(self, self._errors, "standard error of a process on a line")
        self.on_close: Callable[[], Awaitable[None]] | None = None
        self._closed = False
        self._left = b""

    @property
    def ended(self) -> bool:
        """True when nothing more will arrive."""
        return self.outcome is not None or self._line.ended is not None

    async def write(self, data: bytes) -> None:
        """Give it input."""
        await self._line.write(data)

    async def resize(self, columns: int, rows: int) -> None:
        """Report the size of the terminal."""
        await self._line.channel.resize(columns, rows)

    async def read(self, limit: int) -> bytes:
        """Return what it wrote to standard output."""
        while True:
            if self._left:
                data, self._left = self._left[:limit], self._left[limit:]
                return data
            if self.outcome is not None or self._closed:
                raise EndOfStream
            if not self._look():
                self._line.check()
                await self._line.notifier.wait()

    def _look(self) -> bool:
        """Take what is certainly output off the line, and the end when it is here; return True when there was any."""
        stream, mark = self._line.stream, self._shell.separator
        if (end := self._shell.find_end()) is not None:
            self._end(end)
            return True
        at = stream.find(mark)
        self._left += stream.take(at if at >= 0 else len(stream.data) - _begun(stream.data, mark))
        return bool(self._left)

    def _end(self, end: re.Match[bytes]) -> None:
        self.outcome = self._shell.conclude(end)
        self._left += self.outcome.stdout
        self._errors.feed(self.outcome.stderr)
        self._errors.end()
        self._line.notifier.notify()

    async def wait(self) -> ExitStatus:
        """Return how it ended; what it wrote before can still be read."""
        while True:
            if self.outcome is not None and self.outcome.status is not None:
                return self.outcome.status
            if (end := self._shell.find_end()) is not None:
                self._end(end)
                continue
            self._line.check()
            await self._line.notifier.wait()

    async def end_input(self) -> None:
        """Do nothing: a terminal has no end of input."""

    async def close(self) -> None:
        """End it, with all it started, and give the line back."""
        if self._closed:
            return
        self._closed = True
        on_close, self.on_close = self.on_close, None
        try:
            if self.outcome is None and self._line.ended is None:
                await self._shell.recovery.finish()
        finally:
            self._errors.end()
            self._line.notifier.notify()
            if on_close is not None:
                await on_close()


def _begun(data: bytearray, mark: bytes) -> int:
    """Return how many bytes at the end may be the beginning of the mark."""
    start = data.rfind(mark[:1], max(0, len(data) - len(mark) + 1))
    return len(data) - start if start >= 0 and mark.startswith(data[start:]) else 0
