"""A command in a process of its own: waited for immediately, or later."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from functools import partial

from OttoLibrary.contracts.connections import CommandResult, Connection, EndOfStream, ExitStatus, Expected, Match
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, WaitTimeoutError, shorten, subject, tail
from OttoLibrary.host.records import HostRecords
from OttoLibrary.shell import launch
from OttoLibrary.shell.command_shell import CommandOutcome
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.launch import Account, Launched, UserChangeRefusedError
from OttoLibrary.shell.output_file import NO_FILES, NewFile, OutputFile, all_ended, no_file
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from OttoLibrary.shell.search_pattern import Pattern
from OttoLibrary.text import Secret, decode, reveal

_STOP_BOUND_S = 7.0
_HELLO_S = 1.0
# After the end of a process its output is read as long as so much of it comes in each such time.
_LAST_OUTPUT_S, _FLOWING_BYTES, _MOST_LAST_OUTPUT_S = 0.2, 1 << 16, 10.0
_KEPT_BYTES = 1 << 16
# How long the exit status of a command that has ended may be on its way.
_STATUS_S = 0.1
_LONGEST_LINE_BYTES = 1 << 16


class BackgroundCommand:
    """A running command.

    Args:
        records: Of its host.
        command: The command as given.
        launched: Its process.
        connection: Where it runs, to end it.
        account: Whom it runs as, when not the login user.
        new_file: Returns a new file for what is too long for memory of ``stdout`` or ``stderr``, or None.

    Attributes:
        files: The files with all of its output, once it has ended.
    """

    def __init__(
        self,
        records: HostRecords,
        command: str,
        launched: Launched,
        connection: Connection,
        account: Account | None,
        new_file: NewFile = no_file,
    ) -> None:
        self.host, self.command = records.host, command
        self._records = records
        self._launched, self._connection, self._account = launched, connection, account
        self._began = time.monotonic()
        self.files = NO_FILES
        self._new_file = new_file
        launched.output.keep_whole(partial(self._file_of, "stdout"))
        launched.errors.keep_whole(partial(self._file_of, "stderr"))
        self._stopping: asyncio.Task[None] | None = None

    def partial(self) -> tuple[bytes, bytes]:
        """Return what it has written so far, on both streams."""
        self._launched.find_pid()
        return bytes(self._launched.output.data), bytes(self._launched.errors.data)

    @property
    def _left_out_bytes(self) -> int:
        return self._launched.output.left_out_bytes + self._launched.errors.left_out_bytes

    async def end_input(self) -> None:
        """Close its standard input."""
        await self._launched.process.end_input()

    def release(self) -> None:
        """Keep only the newest of its output; for one that has ended and that nobody will ask about its output again."""
        self._launched.output.release(_KEPT_BYTES)
        self._launched.errors.release(_KEPT_BYTES)

    def said(self) -> tuple[str, str]:
        """Return what it has written so far as text."""
        stdout, stderr = self.partial()
        return decode(stdout), decode(stderr)

    async def finish(self, deadline: Deadline) -> CommandOutcome:
        """Wait until it ends; past the deadline, or when cancelled, end it and all it started.

        Raises:
            EndOfStream: The connection broke; ``partial`` has what it wrote.
        """
        try:
            async with deadline.timeout():
                outcome = await self._ended()
        except TimeoutError:
            said, left_out = self.partial(), self._left_out_bytes
            self._end_files()
            await self.stop()
            await all_ended(self.files)
            return CommandOutcome(*said, status=None, left_out_bytes=left_out, files=self.files)
        except asyncio.CancelledError:
            self._end_files()
            self._begin_stop()
            raise
        await self._launched.close()
        return outcome

    async def answer(self, answers: Mapping[Pattern, str | Secret], deadline: Deadline) -> CommandOutcome:
        """Answer what it asks on its terminal until it ends; past the deadline, or when cancelled, end it."""
        console = Console(self._launched.process.channel, self._launched.output, self._launched.notifier)
        patterns, shown = list(answers), PendingOutput(None, Notifier())
        # What is taken to look for questions is in no file.
        self._launched.output.end_file()
        try:
            while True:
                match = await console.expect(patterns, deadline)
                shown.add(console.taken.encode())
                await console.send(reveal(answers[patterns[match.index]]) + "\n")
        except EndOfStream:
            status = await self._status(deadline)
        except (TimeoutError, asyncio.CancelledError) as error:
            await self.stop()
            if isinstance(error, asyncio.CancelledError):
                raise
            status = None
        shown.add(console.text.encode())
        await self._launched.close()
        left_out_bytes = self._left_out_bytes + shown.left_out_bytes
        return CommandOutcome(shown.take(), b"", status, left_out_bytes=left_out_bytes)

    async def _status(self, deadline: Deadline) -> ExitStatus | None:
        try:
            async with deadline.timeout():
                return await self._launched.process.wait()
        except (TimeoutError, EndOfStream):
            return None

    async def wait(self, deadline: Deadline, expected: Expected) -> CommandResult:
        """Wait for its end and return its result; a time-out leaves it running."""
        try:
            async with deadline.timeout():
                outcome = await self._ended()
        except TimeoutError as error:
            what, said = f"did not finish '{self.command}'", "".join(self.said())
            path, advice = self._records.path, "It still runs."
            raise WaitTimeoutError(self.host, path, what, deadline.seconds, last_output=said, advice=advice) from error
        except EndOfStream as error:
            raise self._records.recorded_loss(error, "Background", self.command, self._began, self.partial()) from error
        return self._records.conclude("Background", self.command, self._began, outcome, expected, deadline)

    async def wait_for_line(self, pattern: Pattern, deadline: Deadline) -> Match:
        """Wait until a line of its output, standard error included, matches; what was printed before this call counts too.

        Raises:
            WaitTimeoutError: None did in time; it is left running. HostError: It ended before.
        """
        searches = [_LineSearch(self._launched.output), _LineSearch(self._launched.errors)]
        try:
            async with deadline.timeout():
                while True:
                    has_ended = self._launched.output.ended and self._launched.errors.ended
                    self._launched.find_pid()
                    for search in searches:
                        if match := search.next_match(pattern):
                            return match
                    if has_ended:
                        break
                    await self._launched.notifier.wait()
        except TimeoutError as error:
            what = f"printed no line that matches '{pattern.pattern}' from '{shorten(self.command)}'"
            path, said = self._records.path, "".join(self.said())
            raise WaitTimeoutError(self.host, path, what, deadline.seconds, last_output=said, advice="It still runs.") from error
        raise await self._has_ended(f"before it printed a line that matches '{pattern.pattern}'")

    async def check_running(self) -> None:
        """Raise HostError when it has ended."""
        if await self.status_if_ended() is not None:
            raise await self._has_ended("already")

    async def status_if_ended(self) -> ExitStatus | None:
        """Return how it ended, or None while it runs; raise ConnectionLostError when nobody can tell."""
        try:
            async with asyncio.timeout(_STATUS_S):
                return await self._launched.process.wait()
        except TimeoutError:
            return None
        except EndOfStream as error:
            raise self._records.recorded_loss(error, "Background", self.command, self._began, self.partial()) from error

    async def _has_ended(self, when: str) -> HostError:
        status, said = await self.status_if_ended(), "".join(self.said())
        path = self._records.path
        sentence = f"{subject(self.host, path)}: command '{shorten(self.command)}' {ending(status)} {when}."
        return HostError(sentence + tail("Last output", said), host=self.host, path=path, last_output=said)

    async def stop(self) -> tuple[str, str]:
        """End it and all it started; return what it wrote. Idempotent; never raises."""
        await asyncio.shield(self._begin_stop())
        return self.said()

    def _begin_stop(self) -> asyncio.Task[None]:
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        return self._stopping

    async def _stop(self) -> None:
        if self._launched.nonce:
            # Its time may be over before the host has said what it is.
            with contextlib.suppress(TimeoutError, EndOfStream):
                async with asyncio.timeout(_HELLO_S):
                    await self._launched.until_begun()
        # What floods has to wait: its end comes sooner.
        self._launched.output.pause()
        self._launched.errors.pause()
        with contextlib.suppress(TimeoutError, EndOfStream, OSError, UserChangeRefusedError):
            if self._launched.pid is not None and self._connection.lost is None:
                async with asyncio.timeout(_STOP_BOUND_S):
                    await launch.stop(self._connection, self._launched.pid, account=self._account)
        self._end_files()
        await self._launched.close()
        if any(self.files):
            await all_ended(self.files)
            self._records.stopped(self.command, self._began, self._left_out_bytes, self.files)

    def _file_of(self, stream: str) -> OutputFile | None:
        self._launched.find_pid()  # its first line is ours, and goes into no file
        return self._new_file(stream)

    def _end_files(self) -> None:
        files = self._launched.output.end_file(), self._launched.errors.end_file()
        self.files = files if any(files) else self.files

    async def _ended(self) -> CommandOutcome:
        status = await self._launched.process.wait()
        await self._drained()
        if not self._launched.find_pid():
            raise await self._launched.refusal()
        self._launched.check()
        self._end_files()
        await all_ended(self.files)
        return CommandOutcome(*self.partial(), status=status, left_out_bytes=self._left_out_bytes, files=self.files)

    async def _drained(self) -> None:
        """Return when its last output is here; one that a background child keeps open is not waited for."""
        late = Deadline(_MOST_LAST_OUTPUT_S)
        while not late.expired:
            before = self._received_bytes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OUTPUT_S):
                    while not (self._launched.output.ended and self._launched.errors.ended):
                        await self._launched.notifier.wait()
                    return
            if self._all_taken and self._received_bytes - before < _FLOWING_BYTES:
                return

    @property
    def _all_taken(self) -> bool:
        streams = self._launched.output, self._launched.errors
        return all(stream.is_waiting or stream.ended for stream in streams)

    @property
    def _received_bytes(self) -> int:
        return self._launched.output.received_bytes + self._launched.errors.received_bytes


class _LineSearch:
    """Searches the lines of a stream as they come, each once; one that is not whole yet is searched again when it has grown."""

    def __init__(self, stream: PendingOutput) -> None:
        self._stream, self._searched_bytes = stream, 0

    def next_match(self, pattern: Pattern) -> Match | None:
        """Return the first match in what is new."""
        data, fresh_bytes = self._stream.data, self._stream.received_bytes - self._searched_bytes
        self._searched_bytes = self._stream.received_bytes
        begin = max(0, len(data) - fresh_bytes)
        least = max(0, begin - _LONGEST_LINE_BYTES)
        text = decode(bytes(data[max(least, data.rfind(b"\n", least, begin) + 1) :]))
        for line in text.split("\n"):
            if found := pattern.search(line.removesuffix("\r")):
                return Match(0, pattern.pattern, found[0], found.groups(), line[: found.start()])
        return None


def ending(status: ExitStatus | None) -> str:
    """Return how a sentence says how a command ended."""
    if status is None:
        return "ended"
    return f"was ended by {status.signal}" if status.signal else f"exited with {status.rc}"
