"""The outside of a session of a script."""

from __future__ import annotations

import pytest

from OttoLibrary.contracts.transfers import Progress
from OttoLibrary.errors import UsageError
from OttoLibrary.masking import process_masker
from OttoLibrary.run.run_context import OutputBounds, RunContext


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


def test_bounds_of_output_are_those_given_then_those_of_the_settings() -> None:
    given, settings = OutputBounds.parsed("2 MiB", ""), OutputBounds.parsed("4 MiB", 0)
    assert given.over(settings) == OutputBounds(2 << 20, 0)


@pytest.mark.parametrize(
    ("limit", "file_limit", "sentence"),
    [
        ("1 KiB", "", "output_limit is '1 KiB', and has to be from 1.0 MiB to 1.0 GiB"),
        ("2 GiB", "", "has to be from 1.0 MiB to 1.0 GiB"),
        ("much", "", "output_limit: 'much' is not a size"),
        ("", "-5", "output_file_limit: '-5' is not a size"),
    ],
)
def test_bounds_that_cannot_be_are_a_sentence(limit: str, file_limit: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        OutputBounds.parsed(limit, file_limit)
