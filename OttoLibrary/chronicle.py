"""From what a host did to a record for the log, a result for the caller, or an error that says it all."""

from __future__ import annotations

import time
from collections.abc import Callable

from OttoLibrary.contracts import CommandResult, EndOfStream, Expected, Record
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import CommandError, ConnectionLostError, WaitTimeoutError
from OttoLibrary.shell import Outcome
from OttoLibrary.text import decode

GIVEN_UP = "It was given up, and everything it started is ended."


class Chronicle:
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

    def conclude(
        self, title: str, command: str, began: float, outcome: Outcome, expected: Expected, deadline: Deadline
    ) -> CommandResult:
        """Record a command and return its result; raise CommandError or WaitTimeoutError when it is not as it should be."""
        if outcome.status is None:
            self.record(
                title, command, began, (outcome.stdout, outcome.stderr), "Its time was over: everything it started is ended."
            )
            said = decode(outcome.stdout) + decode(outcome.stderr)
            what = f"did not finish '{command}'"
            raise WaitTimeoutError(self.host, self.path, what, deadline.seconds, last_output=said)
        notes = self._take_news()
        if outcome.shell_ended:
            notes.append("It ended the shell; the next command gets a new one.")
        if outcome.stray:
            notes.append(f"Before it, background processes said:\n{decode(outcome.stray)}")
        duration = time.monotonic() - began
        rc, signal = outcome.status.rc, outcome.status.signal
        stdout, stderr = decode(outcome.stdout), decode(outcome.stderr)
        result = CommandResult(self.host, command, rc, stdout, stderr, signal, duration, outcome.shell_ended)
        self._journal(Record(title, self.host, self.path, command, result, notes=tuple(notes), duration_s=duration))
        if rc not in expected:
            raise CommandError(result, self.path, str(expected))
        return result

    def loss(self, error: EndOfStream, said: tuple[bytes, bytes] = (b"", b"")) -> ConnectionLostError:
        """Return the error for a connection that broke."""
        return ConnectionLostError(self.host, self.path, error.lost or "the other side closed it", decode(said[0] + said[1]))

    def recorded_loss(
        self, error: EndOfStream, title: str, command: str, began: float, said: tuple[bytes, bytes]
    ) -> ConnectionLostError:
        """Record a command whose connection broke, and return the error."""
        self.record(title, command, began, said, "The connection was lost while it ran.")
        return self.loss(error, said)

    def _take_news(self) -> list[str]:
        news, self.news = self.news, []
        return news
