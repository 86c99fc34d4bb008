"""The command shell: one persistent shell without a terminal that runs commands and reports exactly what each did.

A command goes as one quoted word into ``command eval``, so that its syntax stays inside it; a line after it prints a marker
with a nonce, a counter and the exit status on both streams. The command is done when both markers are here. The shell is an
interactive one without a terminal: there SIGINT gives up the whole command and leaves the shell alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from OttoLibrary.contracts.connections import EndOfStream, ExitStatus
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.launch import Launched
from OttoLibrary.shell.pending_output import PendingOutput
from OttoLibrary.text import decode

# Bash without readline; Debian's dash; busybox must not be interactive: there a background child's end would end it.
SCRIPT = (
    "if command -v bash >/dev/null 2>&1; then exec bash --norc --noprofile --noediting -i; fi\n"
    "exec sh -c 'case $(readlink /proc/$$/exe) in *busybox*) exec sh ;; esac; exec sh -i'"
)
# Descriptors 8 and 9 keep the way to us open when a command redirects the shell's own output.
_SETUP = (
    b"PS1= PS2= PS4='+ '\n"
    b"unset PROMPT_COMMAND HISTFILE MAILCHECK\n"
    b'[ -z "$BASH_VERSION" ] || set +o history +H\n'
    b"exec 8>&1 9>&2\n"
    b"export OTTO_COMMAND\n"
    b": &\n"  # so that $! has a value, also under `set -u`
)
_JOB_NOTICE = re.compile(rb"^\[\d+\] (\d+)\n", re.MULTILINE)
# Interactive bash writes this to stderr when a command ends it with `exit`.
_BASH_GOODBYE = b"exit\n"
_RECOVERY_S = 5.0
_RESYNC_S = 0.5
_EXIT_GRACE_S = 0.3


class PreludeFailedError(Exception):
    """The lab's environment or working directory could not be set; carries what the shell wrote."""


@dataclass(frozen=True)
class CommandOutcome:
    """What one command did.

    Attributes:
        status: How it ended; None when its time was over.
        shell_ended: True when the shell is gone with it.
        stray: What background processes wrote since the command before.
    """

    stdout: bytes
    stderr: bytes
    status: ExitStatus | None
    shell_ended: bool = False
    stray: bytes = b""


class CommandShell:
    """One shell; one command at a time.

    Args:
        launched: The started shell.
        stop: Ends what the present command started: called with the command's tag and the pids of older background jobs; returns
            the shell's working directory.

    Attributes:
        cwd: The working directory when a command was last ended by force.
        has_status: Every command has an exit status.
    """

    has_status = True

    def __init__(self, launched: Launched, stop: Callable[[str, list[int]], Awaitable[str]]) -> None:
        self._launched = launched
        self._stop = stop
        self.cwd: str | None = None
        self._seq = 0
        self._jobs: list[int] = []
        self._last_job = b""
        self._ended = False
        self._away = False
        self._is_bash = False
        self._recovery: asyncio.Task[None] | None = None
        # A background child may keep the output open long after the shell is gone.
        self._exit = asyncio.create_task(self._watch_exit())

    @property
    def ended(self) -> bool:
        """True when it runs no more commands."""
        return self._ended or self._exit.done() or self._launched.output.ended is not None

    async def begin(self, prelude: str) -> None:
        """Make the shell ready; raise PreludeFailedError, or EndOfStream when it ended at once."""
        await self._launched.process.channel.write(_SETUP)
        while not self._launched.find_pid():
            if self.ended:
                raise EndOfStream(decode(bytes(self._errors.data)).strip() or "the shell ended immediately")
            await self._launched.notifier.wait()
        outcome = await self.run(f"echo $BASH_VERSION\n{prelude}", None)
        self._is_bash = bool(outcome.stdout.strip())
        if outcome.shell_ended:
            raise EndOfStream(decode(outcome.stderr).strip() or "the shell ended immediately")
        if outcome.status and outcome.status.rc:
            raise PreludeFailedError(decode(outcome.stderr).strip().splitlines()[-1])

    async def run(self, command: str, deadline: Deadline | None, cwd: str | None = None) -> CommandOutcome:
        """Run one command, in ``cwd`` when given; the shell's own working directory is as before after it.

        Past the deadline, or when cancelled, everything it started is ended, and the shell lives on.

        Raises:
            EndOfStream: The connection broke; ``partial`` has what was written.
        """
        if self._recovery is not None:
            await asyncio.shield(self._recovery)
        stray = self._output.take() + self._errors.take()
        self._seq += 1
        self._away = cwd is not None
        try:
            async with asyncio.timeout(deadline.remaining_s if deadline else None):
                await self._launched.process.channel.write(self._frame(command, cwd))
                await self._until_marked()
        except TimeoutError:
            partial = self.partial()
            await self._recover()
            return CommandOutcome(*partial, status=None, shell_ended=self.ended, stray=stray)
        except asyncio.CancelledError:
            self._recovery = asyncio.create_task(self._end_command())
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
        return f"{self._launched.nonce}.{self._seq}"

    @property
    def _mark(self) -> bytes:
        return f"\n@{self._tag}:".encode()

    def _frame(self, command: str, cwd: str | None) -> bytes:
        there = f"OTTO_PWD=$PWD; cd -- {shlex.quote(cwd)} 2>&9 && " if cwd else ""
        streams = "</dev/null >&8 2>&9 8>&- 9>&-"
        # The braces hide the frame from `set -x`; the empty line lets bash recover from a syntax error in the command.
        frame = f"{{ OTTO_COMMAND={self._tag}; {there}command eval {shlex.quote(command)} {streams}; }} 2>/dev/null\n\n"
        return frame.encode("utf-8", "surrogateescape") + self._marker()

    def _marker(self) -> bytes:
        """Return the line that ends a command: tag, status and the last background job; after a time-out it is sent once more."""
        status, back = ("$OTTO_RC", 'OTTO_RC=$?; cd -- "$OTTO_PWD"; ') if self._away else ("$?", "")
        first = f"printf '\\n@{self._tag}:%d:%d@\\n' {status} $!"
        return f"{{ {back}{first}; printf '\\n@{self._tag}:@\\n' >&9; }} >&8 2>/dev/null\n".encode()

    def _job_query(self) -> bytes:
        listing = f"printf '\\n@{self._tag}:'; jobs -p; printf '@\\n'"
        return f"{{ {listing}; printf '\\n@{self._tag}:@\\n' >&9; }} >&8 2>/dev/null\n".encode()

    async def _marked_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until_marked()
                return True
        return False

    async def _until_marked(self) -> None:
        while not (self._marked(self._output) and self._marked(self._errors)):
            if self._output.ended or self._exit.done():
                return
            await self._launched.notifier.wait()

    def _marked(self, stream: PendingOutput) -> bool:
        at = stream.find(self._mark)
        return at >= 0 and stream.data.find(b"@\n", at + len(self._mark)) >= 0

    async def _outcome(self, stray: bytes) -> CommandOutcome:
        if not (self._marked(self._output) and self._marked(self._errors)):
            return await self._last_outcome(stray)
        stdout, status = self._split(self._output)
        stderr, _ = self._split(self._errors)
        rc, _, job = status.partition(b":")
        if job != self._last_job:
            self._last_job = job
            stderr = await self._note_jobs(stderr)
        return CommandOutcome(stdout, stderr, exit_status(int(rc)), stray=stray)

    async def _note_jobs(self, stderr: bytes) -> bytes:
        """Learn which background jobs there are; return stderr without bash's notices of new ones."""
        self._seq += 1
        await self._launched.process.channel.write(self._job_query())
        await self._until_marked()
        if not self._marked(self._output):
            return stderr
        _, pids = self._split(self._output)
        if self._marked(self._errors):
            self._split(self._errors)
        before, self._jobs = self._jobs, [int(pid) for pid in pids.split()]
        started = {*self._jobs, int(self._last_job)} - set(before)
        return _JOB_NOTICE.sub(lambda notice: b"" if int(notice[1]) in started else notice[0], stderr)

    def _split(self, stream: PendingOutput) -> tuple[bytes, bytes]:
        at = stream.find(self._mark)
        said = stream.take(at)
        end = stream.data.find(b"@\n", len(self._mark))
        return said, stream.take(end + 2)[len(self._mark) : -2]

    async def _last_outcome(self, stray: bytes) -> CommandOutcome:
        """The shell ended: by ``exit``, by ``set -e``, or because the connection broke."""
        self._ended = True
        lost = self._output.ended.lost if self._output.ended else None
        status = await self._status()
        if status is None:
            raise EndOfStream(lost or "the shell vanished")
        stdout, stderr = self.partial()
        await self.close()
        if self._is_bash:
            stderr = stderr.removesuffix(_BASH_GOODBYE)
        return CommandOutcome(stdout, stderr, status, shell_ended=True, stray=stray)

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

    async def _recover(self) -> None:
        self._recovery = asyncio.create_task(self._end_command())
        await asyncio.shield(self._recovery)

    async def _end_command(self) -> None:
        tag, jobs = self._tag, self._jobs
        try:
            async with asyncio.timeout(_RECOVERY_S):
                self._seq += 1
                self.cwd = await self._stop(tag, jobs) or None
                await self._launched.process.channel.write(self._marker())
                # A loop of short commands may slip through between two of them: stop it again.
                while not await self._marked_within(_RESYNC_S):
                    await self._stop(tag, jobs)
        except (TimeoutError, EndOfStream, OSError):
            await self.close()
        else:
            self._output.take()
            self._errors.take()
        finally:
            self._recovery = None
        if self._output.ended:
            await self.close()


def exit_status(rc: int) -> ExitStatus:
    """Return the status behind a shell's ``$?``: above 128 a signal ended the command."""
    try:
        return ExitStatus(rc, signal.Signals(rc - 128).name if rc > 128 else None)
    except ValueError:
        return ExitStatus(rc)
