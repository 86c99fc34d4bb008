"""The outside of a session of a script."""

from __future__ import annotations

import pytest

from OttoLibrary.contracts.transfers import Progress
from OttoLibrary.masking import process_masker
from OttoLibrary.run.run_context import RunContext


def test_variables_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_UNIT_TEST", "x")
    assert RunContext().variable("OTTO_UNIT_TEST") == "x"
    monkeypatch.delenv("OTTO_UNIT_TEST")
    assert RunContext().variable("OTTO_UNIT_TEST") == ""


def test_secrets_are_shared_by_the_whole_process() -> None:
    assert RunContext().masker is RunContext().masker is process_masker()


def test_nothing_is_printed_and_no_file_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    context = RunContext()
    context.tell("waiting")
    context.progress(Progress("a", 1, 2))
    assert capsys.readouterr() == ("", "")
    assert (context.output_folder, context.suite_folder) == (None, None)


def test_a_broken_limit_may_end_what_runs() -> None:
    assert RunContext().may_interrupt()
