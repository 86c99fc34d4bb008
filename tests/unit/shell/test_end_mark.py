"""The mark that ends a command: it is found once it is whole, and what can never become one is told."""

from __future__ import annotations

import re

import pytest

from OttoLibrary.contracts.connections import UnexpectedAnswer
from OttoLibrary.shell.end_mark import JOBS, NOTHING, STATUS_AND_JOB, EndMark
from OttoLibrary.shell.pending_output import Notifier, PendingOutput


def holding(data: bytes) -> PendingOutput:
    """Return a stream that has delivered this."""
    stream = PendingOutput(None, Notifier())
    stream.data += data
    return stream


@pytest.mark.parametrize("arrived", range(len(b"out\n@s.1:9:77@\n")))
def test_a_mark_that_is_not_whole_has_not_arrived(arrived: int) -> None:
    mark = EndMark("s")
    mark.renew()
    assert mark.find(holding(b"out\n@s.1:9:77@\n"[:arrived]), STATUS_AND_JOB) is None


def test_a_whole_mark_parts_output_and_report() -> None:
    mark = EndMark("s")
    mark.renew()
    stream = holding(b"out\n\n@s.1:9:77@\nnext")
    assert mark.split(stream, STATUS_AND_JOB) == (b"out\n", (b"9", b"77"))
    assert stream.data == b"next"


@pytest.mark.parametrize(
    ("report", "kind", "groups"),
    [(b"@\n", NOTHING, ()), (b"@\n", JOBS, (b"",)), (b"12\n345\n@\n", JOBS, (b"12\n345\n",))],
)
def test_each_kind_of_report_is_understood(report: bytes, kind: re.Pattern[bytes], groups: tuple[bytes, ...]) -> None:
    mark = EndMark("s")
    assert mark.split(holding(mark.printed + report), kind) == (b"", groups)


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        (b"x:1@\n", STATUS_AND_JOB),
        (b"1000:1@\n", STATUS_AND_JOB),
        (b"9" * 50, STATUS_AND_JOB),
        (b"1\n12345678901\n@\n", JOBS),
        (b"1\nrm\n@\n", JOBS),
        (b"7@\n", NOTHING),
    ],
)
def test_what_cannot_become_a_report_is_an_unexpected_answer(report: bytes, kind: re.Pattern[bytes]) -> None:
    mark = EndMark("s")
    with pytest.raises(UnexpectedAnswer):
        mark.find(holding(mark.printed + report), kind)


def test_the_mark_of_another_command_or_shell_does_not_count() -> None:
    mark = EndMark("s")
    mark.renew()
    assert mark.find(holding(b"\n@s.0:0:1@\n\n@t.1:0:1@\n"), STATUS_AND_JOB) is None


def test_two_shells_have_different_marks() -> None:
    assert EndMark().printed != EndMark().printed


def test_what_printf_prints_is_what_is_looked_for() -> None:
    mark = EndMark()
    printed = mark.format("0:1").strip("'").replace("\\n", "\n").encode()
    assert mark.find(holding(printed), STATUS_AND_JOB) is not None
