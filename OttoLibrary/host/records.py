"""From what a host did to a record for the log, a result for the caller, or an error with all details."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from OttoLibrary.contracts.connections import (
    CommandResult,
    EndOfStream,
    Expected,
    Record,
    Refused,
    ShellRefused,
    UnexpectedAnswer,
)
from OttoLibrary.contracts.transfers import FileResult
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import (
    CommandError,
    ConnectionLostError,
    HostError,
    LoginError,
    UsageError,
    WaitTimeoutError,
    shorten,
    subject,
)
from OttoLibrary.shell.command_shell import CommandOutcome
from OttoLibrary.shell.output_file import NO_FILES, OutputFile, OutputFiles, OutputLimits
from OttoLibrary.text import decode, plural, printable
from OttoLibrary.units import size_text

_ALL_ENDED = "everything it started was ended"
_SHOWN_FILES = 100
_SHOWN_END_BYTES = 64 << 10
_RATED_BYTES = 1 << 20
_USUAL_LIMITS = OutputLimits()
_CANCELLED = "It was cancelled, and everything it started was ended."


class Written(Protocol):
    """What knows how much a command has written so far."""

    @property
    def files(self) -> OutputFiles:
        """The files with all of it; none while memory has all."""

    def partial(self) -> tuple[bytes, bytes]:
        """Return what is kept of it in memory, on both streams."""


class HostRecords:
    """Keeps the records of one host.

    Args:
        host: Name of the host.
        path: The hosts on the way to it, itself last.
        journal: Takes each record.
        limits: How much is kept of what commands write.

    Attributes:
        limits: The same.
        news: What readers of the next record must know, such as that the connection is a new one.
    """

    def __init__(
        self, host: str, path: tuple[str, ...], journal: Callable[[Record], None], limits: OutputLimits = _USUAL_LIMITS
    ) -> None:
        self.host, self.path, self.limits = host, path, limits
        self.news: list[str] = []
        self._journal = journal

    def new_file(self, stream: str) -> OutputFile | None:
        """Return a new file for all that a command writes to a stream, or None."""
        return self.limits.new_file(self.host, stream)

    def record(
        self,
        title: str,
        text: str,
        began: float,
        said: tuple[bytes, bytes] = (b"", b""),
        *notes: str,
        files: OutputFiles = NO_FILES,
    ) -> str:
        """Record something without a result, and return what was said as text; ``began`` is a time of ``time.monotonic``."""
        stdout, stderr = decode(said[0]), decode(said[1])
        duration = time.monotonic() - began
        told = (*self._take_news(), *notes)
        self._journal(
            Record(title, self.host, self.path, text, None, stdout, stderr, told, duration, _path(files[0]), _path(files[1]))
        )
        return stdout + stderr

    @contextlib.contextmanager
    def attempt(self, title: str, command: str, began: float, shell: Written) -> Iterator[None]:
        """Record a command that comes to no result, and raise the error for it; ``shell`` has what it wrote."""
        try:
            yield
        except EndOfStream as error:
            raise self.recorded_loss(error, title, command, began, shell.partial()) from error
        except asyncio.CancelledError:
            said = shell.partial()
            self.record(title, command, began, (_ends(said[0]), _ends(said[1])), _CANCELLED, files=shell.files)
            raise
        except UsageError as error:
            raise UsageError(f"Host '{self.host}' cannot run '{command}': {error}.") from error

    @contextlib.asynccontextmanager
    async def bounded(self, deadline: Deadline, what: str) -> AsyncIterator[None]:
        """Raise WaitTimeoutError when the block is not done by the deadline; ``what`` the host did not do."""
        try:
            async with deadline.timeout():
                yield
        except TimeoutError as error:
            raise WaitTimeoutError(self.host, self.path, what, deadline.seconds) from error

    def transfer(self, title: str, text: str, began: float, files: Sequence[FileResult]) -> None:
        """Record what became of files."""
        duration = time.monotonic() - began
        lines = "".join(f"{printable(_line(file))}\n" for file in files[:_SHOWN_FILES])
        if len(files) > _SHOWN_FILES:
            lines += f"… and {len(files) - _SHOWN_FILES} more\n"
        moved = sum(file.sent_bytes for file in files)
        # The rate of a small file shows the delay of the connection, not its throughput.
        rate = f", {size_text(int(moved / duration))}/s" if moved >= _RATED_BYTES else ""
        notes = [*self._take_news(), f"{plural(len(files), 'file')}, {size_text(moved)} moved{rate}"]
        notes += dict.fromkeys(note for file in files for note in file.notes)
        self._journal(Record(title, self.host, self.path, printable(text), None, lines, notes=tuple(notes), duration_s=duration))

    def conclude(
        self, title: str, command: str, began: float, outcome: CommandOutcome, expected: Expected, deadline: Deadline
    ) -> CommandResult:
        """Record a command and return its result; raise CommandError or WaitTimeoutError when it is not as it should be."""
        if outcome.status is None:
            end = "what it started is still being ended, and the host does not answer" if outcome.is_ending else _ALL_ENDED
            notes = [
                f"Its time was over: {end}.",
                *self._left_out(outcome.left_out_bytes, outcome.files),
            ]
            # Nobody gets this as a result: its ends are enough, and quick to show.
            shown = _ends(outcome.stdout), _ends(outcome.stderr)
            said = self.record(title, command, began, shown, *notes, files=outcome.files)
            what = f"did not finish '{shorten(command)}'"
            error = WaitTimeoutError(self.host, self.path, what, deadline.seconds, last_output=said)
            raise error.with_output((decode(shown[0]), decode(shown[1])))
        notes = self._take_news()
        if outcome.shell_ended:
            notes.append("It ended the shell; the next command gets a new one.")
        if outcome.stray:
            notes.append(f"Background processes wrote before it:\n{decode(_ends(outcome.stray))}")
        notes += self._left_out(outcome.left_out_bytes, outcome.files)
        duration = time.monotonic() - began
        rc, signal = outcome.status.rc, outcome.status.signal
        stdout, stderr = decode(outcome.stdout), decode(outcome.stderr)
        files = _path(outcome.files[0]), _path(outcome.files[1])
        ended, missing = outcome.shell_ended, outcome.left_out_bytes
        result = CommandResult(self.host, command, rc, stdout, stderr, signal, duration, ended, missing, *files)
        self._journal(Record(title, self.host, self.path, command, result, "", "", tuple(notes), duration, *files))
        if rc not in expected:
            raise CommandError(result, self.path, str(expected))
        return result

    def stopped(self, command: str, began: float, left_out_bytes: int, files: OutputFiles) -> None:
        """Record a background command that was ended and wrote more than is kept."""
        self.record("Stop", command, began, (b"", b""), *self._left_out(left_out_bytes, files), files=files)

    def loss(self, error: EndOfStream, said: tuple[bytes, bytes] = (b"", b"")) -> HostError:
        """Return the error for a connection that broke, or for an answer that cannot be right."""
        if isinstance(error, UnexpectedAnswer):
            sentence = f"{subject(self.host, self.path)} gave an answer that cannot be right: {error.lost}. Its shell was closed."
            return HostError(sentence, host=self.host, path=self.path)
        if isinstance(error, Refused):
            return HostError(f"{subject(self.host, self.path)} {error.lost}.", host=self.host, path=self.path)
        if isinstance(error, ShellRefused):
            return LoginError(self.host, self.path, str(error.lost))
        return ConnectionLostError(self.host, self.path, error.lost or "the other side closed it", decode(said[0] + said[1]))

    def recorded_loss(self, error: EndOfStream, title: str, command: str, began: float, said: tuple[bytes, bytes]) -> HostError:
        """Record a command whose connection broke, and return the error."""
        note = "The connection was lost while it ran."
        if isinstance(error, UnexpectedAnswer):
            note = "The host's answer cannot be right."
        elif isinstance(error, ShellRefused | Refused):
            note = "The host refused to run it."
        self.record(title, command, began, said, note)
        return self.loss(error, said).with_output((decode(_ends(said[0])), decode(_ends(said[1]))))

    def _left_out(self, left_out_bytes: int, both: OutputFiles) -> list[str]:
        if not left_out_bytes:
            return []
        files = [file for file in both if file is not None]
        if not files:
            where = "Write long output to a file on the host, and fetch that."
        elif all(file.is_whole for file in files):
            where = "All of it is in the file below."
        else:
            where = "The file below has the beginning of it."
        note = (
            f"{size_text(left_out_bytes)} of its output were left out: of each stream the first and the last "
            f"{size_text(self.limits.memory_bytes // 2)} are kept at most. {where}"
        )
        return [note]

    def _take_news(self) -> list[str]:
        news, self.news = self.news, []
        return news


def _ends(output: bytes) -> bytes:
    if len(output) <= 2 * _SHOWN_END_BYTES:
        return output
    return b"%b\n[...]\n%b" % (output[:_SHOWN_END_BYTES], output[-_SHOWN_END_BYTES:])


def _path(file: OutputFile | None) -> Path | None:
    return file.path if file is not None else None


def _line(file: FileResult) -> str:
    verified = f", checksum {file.checksum}" if file.checksum else ", not verified"
    fate = "is the same already" if file.skipped else size_text(file.size_bytes)
    return f"{' → '.join(filter(None, [file.source, file.target]))}: {fate}{verified}"
