"""Metrics of a lab or plug-in: commands, and what is read from their output."""

from __future__ import annotations

import json

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.own_metrics import Command, pattern_parser
from tests.unit.monitor.shells import ran


@pytest.mark.parametrize(
    ("command", "first", "status"),
    [
        ("echo one; echo two", "one\ntwo", 0),
        ("false", "", 1),
        ("exit 3", "", 3),
        ("echo wrong >&2; exit 4", "wrong", 4),
        ("echo 'un", None, 2),
        ("set -- $(echo a b); echo $#", "2", 0),
        ("cat; echo end", "end", 0),
        ("echo 1 # and nothing more", "1", 0),
        ("O=; exit 0", "", 0),
    ],
)
def test_a_command_says_its_output_and_how_it_ended(command: str, first: str | None, status: int, shell: str) -> None:
    before, own, after, _ = ran(
        shell, f"say before\nsay '=next'\n{Command('x', command, float).script()}\nsay '=next'\nsay after\nsay '=next'\n"
    )
    assert (before, after) == ("before\n", "after\n")
    output, _, number = own.removesuffix("\n").rpartition("\n")
    assert first is None or output == first
    assert (int(number) == status) if first is not None else int(number) > 0


def test_numbers_get_the_name_in_front() -> None:
    assert Command("queue", "x", float).values("12\n0\n", 1.0) == {"queue": 12.0}
    metric = Command("queue", "x", lambda output: {"length": "3", "queue_age_s": 1, "size_bytes[a]": 2})
    assert metric.main == "queue"
    assert metric.values("\n0\n", 1.0) == {"queue_length": 3.0, "queue_age_s": 1.0, "queue_size_bytes[a]": 2.0}
    assert metric.main == "queue_length"


def test_the_main_series_is_the_one_of_that_name() -> None:
    metric = Command("queue", "x", json.loads)
    metric.values('{"length": 1}\n0\n', 1.0)
    assert metric.main == "queue_length"
    metric.values('{"length": 1, "queue": 2}\n0\n', 1.0)
    assert metric.main == "queue"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("cannot connect\nbye\n2\n", "The command of 'queue' ended with exit status 2: cannot connect"),
        ("\n127\n", "The command of 'queue' ended with exit status 127: no output"),
        ("", "The command of 'queue' gave no exit status: no output"),
        ("abc\n0\n", "could not convert string to float: 'abc'"),
    ],
)
def test_a_command_that_went_wrong_is_an_error(said: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Command("queue", "x", float).values(said, 1.0)


def test_a_parser_that_breaks_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"The output of 'queue' cannot be parsed: .*It was: a b"):
        Command("queue", "x", lambda output: {"length": output.split()[5]}).values("a b\n0\n", 1.0)


def test_a_pattern_makes_series_of_groups() -> None:
    parse = pattern_parser("queue", r"^(?P<label>\w+): (?P<length>\d+)(?: \((?P<age_s>[\d.]+) s\))?$")
    assert parse("in: 3 (0.5 s)\nnoise\nout: 12\n") == {
        "queue_length[in]": 3.0,
        "queue_age_s[in]": 0.5,
        "queue_length[out]": 12.0,
    }
    assert pattern_parser("queue", r"(?P<length>\d+)")("length 7") == {"queue_length": 7.0}


def test_a_pattern_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the pattern 'a\(\?P<n>x\)' does not match: first"):
        pattern_parser("queue", "a(?P<n>x)")("first\nsecond")
    with pytest.raises(ValueError, match="the group 'n' of metric 'queue' matches 'x', which is not a number"):
        pattern_parser("queue", "a(?P<n>x)")("ax")
    with pytest.raises(UsageError, match=r"The pattern '\(' of metric 'queue' is not a regular expression"):
        pattern_parser("queue", "(")
    with pytest.raises(UsageError, match="has no named group"):
        pattern_parser("queue", r"(?P<label>\d+)")
