"""The command shell: one persistent shell without a terminal that runs commands and reports exactly what each did.

A command goes as one quoted word into ``command eval``, so that its syntax stays inside it; a line after it prints a marker
with a secret, a counter and the exit status on both streams. The command is done when both markers are here. No command can read
the secret: it is in no variable, and no argument of a process. What a command is known by, ``OTTO_COMMAND``, is another word.

The shell is an interactive one without a terminal: there SIGINT gives up the whole command and leaves the shell alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from OttoLibrary.contracts.connections import EndOfStream, ExitStatus, UnexpectedAnswer
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.end_mark import JOBS, NOTHING, STATUS_AND_JOB, EndMark
from OttoLibrary.shell.launch import Launched
from OttoLibrary.shell.output_file import NO_FILES, NewFile, OutputFile, OutputFiles, all_ended, no_file
from OttoLibrary.shell.pending_output import PendingOutput
from OttoLibrary.shell.recovery import Recovery
from OttoLibrary.text import decode, quoted_path

# Bash without readline; Debian's dash; busybox must not be interactive: there a background child's end would end it.
SCRIPT = (
    "if command -v bash >/dev/null 2>&1; then exec bash --norc --noprofile --noediting -i; fi\n"
    "exec sh -c 'case $(readlink /proc/$$/exe) in *busybox*) exec sh ;; esac; exec sh -i'"
)
# Descriptors 8 and 9 are the way to us. The shell's own output goes nowhere: prompts, notices, and what runs before each prompt.
_SETUP = (
    b"\\unset -f unset command builtin eval printf cd jobs exec export set 2>/dev/null\n"  # functions of the login's environment
    b"PS1= PS2= PS4='+ '\n"
    b"unset PROMPT_COMMAND HISTFILE MAILCHECK TMOUT 2>/dev/null\n"
    b'[ -z "$BASH_VERSION" ] || set +o history +H\n'
    b"exec 8>&1 9>&2 >/dev/null 2>&1\n"
    b"export OTTO_COMMAND\n"
    b": &\n"  # so that $! has a value, also under `set -u`
)
_JOB_NOTICE = re.compile(rb"^\[\d{1,9}\] (\d{1,10})\n", re.MULTILINE)
# Interactive bash writes this to stderr when a command ends it with `exit`.
_BASH_GOODBYE = b"exit\n"
_RECOVERY_S = 5.0
_RESYNC_S = 0.5
_EXIT_GRACE_S = 0.3
_JOB_QUERY_S = 2.0


class PreludeFailedError(Exception):
    """The lab's environment or working directory could not be set; carries what the shell wrote."""


@dataclass(frozen=True)
class CommandOutcome:
    """What one command did.

    Attributes:
        status: How it ended; None when its time was over.
        shell_ended: True when the shell is gone with it.
        stray: What background processes wrote since the command before.
        left_out_bytes: How much of its output was not kept in memory.
        files: The files with all of stdout and of stderr; None where memory has all, or there is no file.
        is_ending: True when its time was over and the host has not said yet that all it started is ended.
    """

    stdout: bytes
    stderr: bytes
    status: ExitStatus | None
    shell_ended: bool = False
    stray: bytes = b""
    left_out_bytes: int = 0
    files: OutputFiles = NO_FILES
    is_ending: bool = False


class CommandShell:
    """One shell; one command at a time.

    Args:
        launched: The started shell.
        stop: Ends what the present command started: called with the command's tag and the pids of older background jobs; returns
            the shell's working directory.
        new_file: Returns a new file for what is too long for memory of ``stdout`` or ``stderr``, or None.

    Attributes:
        files: The files of the present command, or of the last one.
        cwd: The working directory when a command was last ended by force.
        has_status: Every command has an exit status.
    """

    has_status = True

    def __init__(self, launched: Launched, stop: Callable[[str, list[int]], Awaitable[str]], new_file: NewFile = no_file) -> None:
        self._launched = launched
        self._stop, self._new_file = stop, new_file
        self.files = NO_FILES
        self.cwd: str | None = None
        self._mark = EndMark()
        self._jobs: list[int] = []
        self._last_job = b""
        self._ended = False
        self._away = False
        self._is_bash = False
        self._report = STATUS_AND_JOB
        self.recovery = Recovery(self._end_command)
        # A background child may keep the output open long after the shell is gone.
        self._exit = asyncio.create_task(self._watch_exit())

    @property
    def ended(self) -> bool:
        """True when it runs no more commands."""
        return self._ended or self._exit.done() or self._launched.output.ended is not None

    async def begin(self, prelude: str) -> None:
        """Make the shell ready; raise PreludeFailedError, or EndOfStream when it ended immediately."""
        with contextlib.suppress(EndOfStream):  # it may have ended already; the reason comes with the next line
            await self._launched.process.channel.write(_SETUP)
        await self._launched.until_begun()
        outcome = await self.run(f"echo $BASH_VERSION\n{prelude}", None)
        self._is_bash = bool(outcome.stdout.strip())
        if outcome.shell_ended:
            raise EndOfStream(decode(outcome.stderr).strip() or "the shell ended immediately")
        if outcome.status and outcome.status.rc:
            raise PreludeFailedError((decode(outcome.stderr).strip() or f"exit status {outcome.status.rc}").splitlines()[-1])

    async def run(self, command: str, deadline: Deadline | None, cwd: str | None = None) -> CommandOutcome:
        """Run one command, in ``cwd`` when given; the shell's own working directory is as before after it.

        Past the deadline, or when cancelled, everything it started is ended, and the shell lives on.

        Raises:
            EndOfStream: The connection broke; ``partial`` has what was written.
            UnexpectedAnswer: What came cannot be from a shell of ours.
        """
        if not await self.recovery.over(deadline):
            return CommandOutcome(b"", b"", status=None)
        stray = self._output.take() + self._errors.take()
        self._output.left_out_bytes = self._errors.left_out_bytes = 0
        self.files = NO_FILES
        self._output.keep_whole(partial(self._new_file, "stdout"))
        self._errors.keep_whole(partial(self._new_file, "stderr"))
        self._mark.renew()
        self._away = cwd is not None
        try:
            async with asyncio.timeout(deadline.remaining_s if deadline else None):
                await self._launched.process.channel.write(self._frame(command, cwd))
                await self._until_marked()
        except TimeoutError:
            said, left_out = self.partial(), self._left_out_bytes
            self.files = self._output.end_file(), self._errors.end_file()
            await self.recovery.finish_soon()
            await all_ended(self.files)
            return CommandOutcome(*said, None, self.ended, stray, left_out, self.files, self.recovery.running)
        except asyncio.CancelledError:
            self.files = self._output.end_file(), self._errors.end_file()
            self.recovery.begin()
            raise
        except UnexpectedAnswer:
            await self.close()
            raise
        return await self._outcome(stray)

    def partial(self) -> tuple[bytes, bytes]:
        """Return what the present command has written so far, on both streams."""
        return bytes(self._output.data), bytes(self._errors.data)

    async def close(self) -> None:
        """End the shell and what it still runs in the foreground; never raises."""
        self._ended = True
        self._exit.cancel()
        await self._launched.close()

    @property
    def _output(self) -> PendingOutput:
        return self._launched.output

    @property
    def _errors(self) -> PendingOutput:
        return self._launched.errors

    @property
    def _tag(self) -> str:
        return f"{self._launched.nonce}.{self._mark.number}"

    @property
    def _left_out_bytes(self) -> int:
        return self._output.left_out_bytes + self._errors.left_out_bytes

    @property
    def _own(self) -> str:
        r"""What makes the shell run its own command where a function or an alias has the same name."""
        return "\\builtin" if self._is_bash else "\\command"

    def _frame(self, command: str, cwd: str | None) -> bytes:
        there = f"OTTO_PWD=$PWD; {self._own} cd -- {quoted_path(cwd)} 2>&9 && " if cwd else ""
        streams = "</dev/null >&8 2>&9 8>&- 9>&-"
        # The braces hide the frame from `set -x`; the empty line lets bash recover from a syntax error in the command.
        run = f"{there}{self._own} eval {shlex.quote(command)} {streams}"
        return f"{{ OTTO_COMMAND={self._tag}; {run}; }} 2>/dev/null\n\n".encode("utf-8", "surrogateescape") + self._marker()

    def _marker(self) -> bytes:
        """Return the line that ends a command: mark, status and last background job; after a time-out it is sent once more."""
        back = f'{self._own} cd -- "$OTTO_PWD"; ' if self._away else ""
        return self._last_words(f"OTTO_RC=$?; {self._only_own}{back}", f'{self._printed("%d:%d")} "$OTTO_RC" "$!" >&8')

    def _job_query(self) -> bytes:
        parts = self._printed("", ""), f"{self._own} jobs -p", f"{self._own} printf '@\\n'"
        return self._last_words("", "; ".join(f"{part} >&8" for part in parts))

    @property
    def _only_own(self) -> str:
        """Shell text that takes away a function which would answer for the shell."""
        return f"\\unset -f {self._own[1:]}; "

    def _printed(self, values: str, end: str = "@\\n") -> str:
        return f"{self._own} printf {self._mark.format(values, end)}"

    def _last_words(self, first: str, output: str) -> bytes:
        # Without a last word of its own, $_ would tell the mark to the next command. Each word has a redirection of its own:
        # what a trap for DEBUG prints between them goes nowhere.
        error = self._printed("", "@\\n%.0s") + " ."
        return f"{{ {first}{output}; {error} >&9; }} 2>/dev/null\n".encode()

    async def _marked_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until_marked()
                return True
        return False

    async def _until_marked(self) -> None:
        while not (self._end_of(self._output) and self._end_of(self._errors)):
            if self._output.ended or self._exit.done():
                return
            await self._launched.notifier.wait()

    def _end_of(self, stream: PendingOutput) -> re.Match[bytes] | None:
        """Return the report of the mark on a stream once all of it is here."""
        return self._mark.find(stream, self._report if stream is self._output else NOTHING)

    async def _outcome(self, stray: bytes) -> CommandOutcome:
        left_out = self._left_out_bytes
        if not (self._end_of(self._output) and self._end_of(self._errors)):
            return await self._last_outcome(stray)
        self.files = self._end_file(self._output), self._end_file(self._errors)
        stdout, (rc, job) = self._split(self._output)
        stderr, _ = self._split(self._errors)
        await all_ended(self.files)
        if job != self._last_job:
            self._last_job = job
            stderr = await self._note_jobs(stderr)
        return CommandOutcome(stdout, stderr, exit_status(int(rc)), self._ended, stray, left_out, self.files)

    async def _note_jobs(self, stderr: bytes) -> bytes:
        """Learn which background jobs there are; return stderr without bash's notices of new ones."""
        self._mark.renew()
        self._report = JOBS
        try:
            await self._launched.process.channel.write(self._job_query())
            if not await self._marked_within(_JOB_QUERY_S):
                raise UnexpectedAnswer("its shell does not answer")
            if not self._end_of(self._output):
                return stderr
            _, (pids,) = self._split(self._output)
            if self._end_of(self._errors):
                self._split(self._errors)
        except EndOfStream:
            await self.close()
            return stderr
        finally:
            self._report = STATUS_AND_JOB
        before, self._jobs = self._jobs, [int(pid) for pid in pids.split()]
        started = {*self._jobs, int(self._last_job)} - set(before)
        return _JOB_NOTICE.sub(lambda notice: b"" if int(notice[1]) in started else notice[0], stderr)

    def _end_file(self, stream: PendingOutput) -> OutputFile | None:
        """End the file of a stream before the mark, which is here."""
        found = self._end_of(stream)
        assert found is not None
        return stream.end_file(found.start() - len(self._mark.printed))

    def _split(self, stream: PendingOutput) -> tuple[bytes, tuple[bytes, ...]]:
        """Take what was written before the mark off a stream, and return it with what the mark reports."""
        return self._mark.split(stream, self._report if stream is self._output else NOTHING)

    async def _last_outcome(self, stray: bytes) -> CommandOutcome:
        """The shell ended: by ``exit``, by ``set -e``, or because the connection broke."""
        self._ended = True
        lost = self._output.ended.lost if self._output.ended else None
        status = await self._status()
        if status is None:
            raise EndOfStream(lost or "the shell vanished")
        stdout, stderr = self.partial()
        self.files = self._output.end_file(), self._errors.end_file()
        await all_ended(self.files)
        await self.close()
        if self._is_bash:
            stderr = stderr.removesuffix(_BASH_GOODBYE)
        return CommandOutcome(stdout, stderr, status, True, stray, self._left_out_bytes, self.files)

    async def _status(self) -> ExitStatus | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_GRACE_S):
                status = await asyncio.shield(self._exit)
                while not (self._output.ended and self._errors.ended):
                    await self._launched.notifier.wait()
                return status
        return self._exit.result() if self._exit.done() else None

    async def _watch_exit(self) -> ExitStatus | None:
        try:
            return await self._launched.process.wait()
        except EndOfStream:
            return None
        finally:
            self._launched.notifier.notify()

    async def _end_command(self) -> None:
        tag, jobs = self._tag, self._jobs
        # What floods has to wait: its end comes sooner.
        self._output.pause()
        self._errors.pause()
        try:
            async with asyncio.timeout(_RECOVERY_S):
                self._mark.renew()
                self.cwd = await self._stop(tag, jobs) or None
                self._output.resume()
                self._errors.resume()
                await self._launched.process.channel.write(self._marker())
                # A loop of short commands may slip through between two of them: stop it again.
                while not await self._marked_within(_RESYNC_S):
                    await self._stop(tag, jobs)
        except (TimeoutError, EndOfStream, OSError):
            await self.close()
        else:
            self._output.take()
            self._errors.take()
        if self._output.ended:
            await self.close()


def exit_status(rc: int) -> ExitStatus:
    """Return the status behind a shell's ``$?``: above 128 a signal ended the command."""
    try:
        return ExitStatus(rc, signal.Signals(rc - 128).name if rc > 128 else None)
    except ValueError:
        return ExitStatus(rc)
