"""Records, results and errors of what a host did."""

from __future__ import annotations

import asyncio
import time

import pytest

from OttoLibrary.contracts.connections import EndOfStream, ExitStatus, Expected, Record
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import CommandError, ConnectionLostError, UsageError, WaitTimeoutError
from OttoLibrary.host.records import HostRecords
from OttoLibrary.shell.command_shell import CommandOutcome
from OttoLibrary.shell.output_file import NO_FILES


def _records() -> tuple[HostRecords, list[Record]]:
    journal: list[Record] = []
    return HostRecords("box", ("hop", "box"), journal.append), journal


def _conclude(records: HostRecords, outcome: CommandOutcome, expected: Expected) -> object:
    return records.conclude("Run", "work", time.monotonic(), outcome, expected, Deadline(2))


def test_an_expected_status_is_a_result_with_the_news() -> None:
    records, journal = _records()
    records.news.append("It is new.")
    outcome = CommandOutcome(b"out", b"err", ExitStatus(3), shell_ended=True, stray=b"late")
    result = _conclude(records, outcome, Expected((3,)))
    assert journal[0].result is result
    assert journal[0].notes == (
        "It is new.",
        "It ended the shell; the next command gets a new one.",
        "Background processes wrote before it:\nlate",
    )
    _conclude(records, CommandOutcome(b"", b"", ExitStatus(3)), Expected((3,)))
    assert journal[1].notes == ()


def test_another_status_is_an_error_and_recorded_too() -> None:
    records, journal = _records()
    with pytest.raises(CommandError, match="exited with 1, expected 0"):
        _conclude(records, CommandOutcome(b"", b"", ExitStatus(1)), Expected())
    assert journal[0].result is not None


def test_no_status_is_a_time_out() -> None:
    records, journal = _records()
    with pytest.raises(WaitTimeoutError, match="did not finish 'work' in 2 seconds") as caught:
        _conclude(records, CommandOutcome(b"part", b"", None), Expected())
    assert caught.value.last_output == "part"
    assert journal[0].stdout == "part"


class _Said:
    """What a command has written."""

    files = NO_FILES

    def __init__(self, stdout: bytes, stderr: bytes) -> None:
        self._said = stdout, stderr

    def partial(self) -> tuple[bytes, bytes]:
        return self._said


@pytest.mark.parametrize(
    ("error", "raised", "note"),
    [
        (EndOfStream("cut"), ConnectionLostError, "The connection was lost while it ran."),
        (asyncio.CancelledError(), asyncio.CancelledError, "It was cancelled, and everything it started was ended."),
    ],
)
def test_an_attempt_without_a_result_is_recorded_with_its_output(
    error: BaseException, raised: type[BaseException], note: str
) -> None:
    records, journal = _records()
    with pytest.raises(raised), records.attempt("Run", "work", time.monotonic(), _Said(b"so far", b"oh")):
        raise error
    assert (journal[0].stdout, journal[0].stderr, journal[0].notes) == ("so far", "oh", (note,))


def test_a_command_that_the_shell_cannot_take_names_host_and_command() -> None:
    records, _ = _records()
    wanted = pytest.raises(UsageError, match="Host 'box' cannot run 'work': one line at a time")
    with wanted, records.attempt("Run", "work", 0.0, _Said(b"", b"")):
        raise UsageError("one line at a time")
