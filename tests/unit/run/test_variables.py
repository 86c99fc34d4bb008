"""Variables where no suite runs: those of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.run.variables import folder_of, suite_folder, variable


def test_without_a_suite_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_UNIT_TEST", "from outside")
    assert variable("OTTO_UNIT_TEST") == "from outside"


def test_what_is_nowhere_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTTO_UNIT_TEST", raising=False)
    assert variable("OTTO_UNIT_TEST") == ""


def test_without_a_suite_there_is_no_folder_of_one() -> None:
    assert suite_folder() is None


def test_the_folder_of_a_suite_is_its_folder_or_that_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "suite.robot").write_text("")
    assert folder_of(tmp_path) == tmp_path
    assert folder_of(str(tmp_path / "suite.robot")) == tmp_path


@pytest.mark.parametrize("source", [None, ""])
def test_a_suite_without_a_source_has_no_folder(source: object) -> None:
    assert folder_of(source) is None
