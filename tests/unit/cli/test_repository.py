"""Commands for a repository: settings that apply in a folder, without the values that may be secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.cli.main import main

SETTINGS = """
name = "bench"
version = "1.2.0"
tests = ["suites"]

[defaults.snmp]
community = "hunter2"

[reservations]
backend = "redis"
"""


@pytest.fixture
def repository(tmp_path: Path) -> str:
    (tmp_path / ".otto").mkdir()
    (tmp_path / "suites").mkdir()
    (tmp_path / ".otto" / "settings.toml").write_text(SETTINGS)
    return str(tmp_path)


def test_settings_are_shown_without_values_that_may_be_secret(repository: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", repository]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"bench 1.2.0    {repository}/.otto/settings.toml\n")
    assert "[reservations] backend = redis\n" in shown
    assert "[defaults] snmp\n" in shown
    assert "hunter2" not in shown


def test_folders_with_suites_are_one_per_line(repository: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", repository, "--tests"]) == 0
    assert capsys.readouterr().out == f"{repository}/suites\n"


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err == f"There is no folder '{tmp_path}/gone'.\n"
