"""Time spans and exit statuses as people write them, and sentences for what is neither."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.keywords.argument_types import Mistake, check_arguments, exit_statuses, time_span
from OttoLibrary.keywords.commands import CommandKeywords
from OttoLibrary.library import OttoLibrary


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("10 s", 10), ("500ms", 0.5), ("1 min 30 s", 90), ("00:01:30", 90), ("2", 2), (0, 0), (1.5, 1.5), (timedelta(seconds=3), 3)],
)
def test_a_time_span(value: object, seconds: float) -> None:
    assert time_span(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["-1", -3, "soon", "1,5", "", "nan", "1e99", timedelta(seconds=-1), [1], b"1", object()])
def test_what_is_no_time_span_is_a_mistake(value: object) -> None:
    assert isinstance(time_span(value), Mistake)


@pytest.mark.parametrize(
    ("value", "statuses"), [("0", 0), (3, 3), ("0,2", [0, 2]), ("[0, 2]", [0, 2]), ([0, "2"], [0, 2]), ("ANY", "any"), ("-1", -1)]
)
def test_exit_statuses(value: object, statuses: object) -> None:
    assert exit_statuses(value) == statuses


@pytest.mark.parametrize("value", ["zero", "", [], [0, "x"], True, None, 1.5, "0;1"])
def test_what_is_no_exit_status_is_a_mistake(value: object) -> None:
    assert isinstance(exit_statuses(value), Mistake)


def test_the_sentence_names_the_argument_wherever_it_stands() -> None:
    keyword = CommandKeywords.run_on_host
    with pytest.raises(UsageError, match=r"^timeout=soon is not a time span\. Write seconds as a number from 0 on"):
        check_arguments(keyword, (), {"timeout": time_span("soon")})
    with pytest.raises(UsageError, match=r"^command=zero is not an exit status"):
        check_arguments(keyword, (None, "dut1", exit_statuses("zero")), {})


def test_no_keyword_lets_robot_framework_convert_a_time_span(tmp_path: Path) -> None:
    library = OttoLibrary()
    types = {name: library.get_keyword_types(name) for name in library.get_keyword_names()}
    assert "TimeSpan" in str(types)
    assert "timedelta" not in str(types)
