"""From what a host did to a record for the log, a result for the caller, or an error with all details."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

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
from OttoLibrary.shell.pending_output import STREAM_LIMIT_BYTES
from OttoLibrary.text import decode, plural, printable
from OttoLibrary.units import size_text

_SHOWN_FILES = 100
_SHOWN_END_BYTES = 128 << 10
_RATED_BYTES = 1 << 20
_CANCELLED = "It was cancelled, and everything it started was ended."


class HostRecords:
    """Keeps the records of one host.

    Args:
        host: Name of the host.
        path: The hosts on the way to it, itself last.
        journal: Takes each record.

    Attributes:
        news: What readers of the next record must know, such as that the connection is a new one.
    """

    def __init__(self, host: str, path: tuple[str, ...], journal: Callable[[Record], None]) -> None:
        self.host, self.path = host, path
        self.news: list[str] = []
        self._journal = journal

    def record(self, title: str, text: str, began: float, said: tuple[bytes, bytes] = (b"", b""), *notes: str) -> None:
        """Record something without a result; ``began`` is a time of ``time.monotonic``."""
        stdout, stderr = decode(said[0]), decode(said[1])
        duration = time.monotonic() - began
        self._journal(Record(title, self.host, self.path, text, None, stdout, stderr, (*self._take_news(), *notes), duration))

    @contextlib.contextmanager
    def attempt(self, title: str, command: str, began: float, partial: Callable[[], tuple[bytes, bytes]]) -> Iterator[None]:
        """Record a command that comes to no result, and raise the error for it; ``partial`` has what it wrote."""
        try:
            yield
        except EndOfStream as error:
            raise self.recorded_loss(error, title, command, began, partial()) from error
        except asyncio.CancelledError:
            self.record(title, command, began, partial(), _CANCELLED)
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
            notes = ["Its time was over: everything it started was ended.", *_left_out(outcome)]
            # Nobody gets this as a result: its ends are enough, and quick to show.
            shown = _ends(outcome.stdout), _ends(outcome.stderr)
            self.record(title, command, began, shown, *notes)
            said = decode(shown[0]) + decode(shown[1])
            what = f"did not finish '{shorten(command)}'"
            raise WaitTimeoutError(self.host, self.path, what, deadline.seconds, last_output=said)
        notes = self._take_news()
        if outcome.shell_ended:
            notes.append("It ended the shell; the next command gets a new one.")
        if outcome.stray:
            notes.append(f"Background processes wrote before it:\n{decode(outcome.stray)}")
        notes += _left_out(outcome)
        duration = time.monotonic() - began
        rc, signal = outcome.status.rc, outcome.status.signal
        stdout, stderr = decode(outcome.stdout), decode(outcome.stderr)
        left_out = outcome.left_out_bytes
        result = CommandResult(self.host, command, rc, stdout, stderr, signal, duration, outcome.shell_ended, left_out)
        self._journal(Record(title, self.host, self.path, command, result, notes=tuple(notes), duration_s=duration))
        if rc not in expected:
            raise CommandError(result, self.path, str(expected))
        return result

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
        return self.loss(error, said)

    def _take_news(self) -> list[str]:
        news, self.news = self.news, []
        return news


def _ends(output: bytes) -> bytes:
    if len(output) <= 2 * _SHOWN_END_BYTES:
        return output
    return b"%b\n[...]\n%b" % (output[:_SHOWN_END_BYTES], output[-_SHOWN_END_BYTES:])


def _left_out(outcome: CommandOutcome) -> list[str]:
    if not outcome.left_out_bytes:
        return []
    note = (
        f"{size_text(outcome.left_out_bytes)} of its output were left out: of each stream the first and the last "
        f"{size_text(STREAM_LIMIT_BYTES // 2)} are kept at most. Write long output to a file on the host, and fetch that."
    )
    return [note]


def _line(file: FileResult) -> str:
    verified = f", checksum {file.checksum}" if file.checksum else ", not verified"
    fate = "is the same already" if file.skipped else size_text(file.size_bytes)
    return f"{' → '.join(filter(None, [file.source, file.target]))}: {fate}{verified}"
