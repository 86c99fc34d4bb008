"""The log of many keyword runs: what is left out of a long one, with everything that is open closed."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.run import folded_log
from OttoLibrary.run.folded_log import KeptRuns, _Recording


class Log:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda item: self.told.append((name, item))


def test_all_is_told_later_in_order() -> None:
    recording, log = _Recording(), Log()
    recording.start_keyword(1)
    recording.log_message("hello")
    recording.end_keyword(1)
    assert log.told == []
    recording.write_to(log)
    assert log.told == [("start_keyword", 1), ("log_message", "hello"), ("end_keyword", 1)]


def test_of_a_long_run_the_beginning_is_kept_and_what_is_open_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_log, "_MOST_CALLS", 3)
    recording, log = _Recording(), Log()
    recording.start_keyword("outer")
    recording.start_keyword("inner")
    recording.log_message("kept")
    recording.log_message("left out")
    recording.start_for("left out")
    recording.log_message("left out")
    recording.end_for("left out")
    recording.end_keyword("inner")
    recording.end_keyword("outer")
    recording.write_to(log)
    assert log.told == [
        ("start_keyword", "outer"),
        ("start_keyword", "inner"),
        ("log_message", "kept"),
        ("end_keyword", "inner"),
        ("end_keyword", "outer"),
    ]


def test_a_keyword_that_fails_all_day_is_kept_some_hundred_times() -> None:
    kept = KeptRuns()
    failed = [kept.status("boom", number, has_failed=True) for number in range(1, 86_401)]
    assert failed[:200] == ["FAIL"] * 200
    assert failed.count("FAIL") == 200 + len([1_000, 10_000])
    assert [number for number in range(1, 1_001) if kept.status("tick", number, has_failed=False)] == [1, 10, 100, 1_000]
