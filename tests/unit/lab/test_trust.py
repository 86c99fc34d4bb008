"""Which files are used although nobody named them."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.lab.trust import distrust


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OTTO_SAFE_DIRECTORIES", raising=False)
    folder = tmp_path / "repository" / ".otto"
    folder.mkdir(parents=True)
    (folder / "settings.toml").touch(mode=0o644)
    return folder / "settings.toml"


def test_a_file_of_this_user_is_used(file: Path) -> None:
    assert distrust(file) is None


def test_a_folder_for_everybody_is_fine_when_it_is_sticky(file: Path) -> None:
    above = file.parents[2]
    above.chmod(0o1777)
    assert distrust(file) is None
    above.chmod(0o777)
    assert f"everybody may write to '{above}'" in (distrust(file) or "")


def test_a_sticky_file_is_no_sticky_folder(file: Path) -> None:
    file.chmod(0o1666)
    assert f"everybody may write to '{file}'" in (distrust(file) or "")


def test_the_first_reason_and_the_remedy_are_named(file: Path) -> None:
    file.chmod(0o666)
    assert distrust(file) == (
        f"{file} is not used, because everybody may write to '{file}': another user of this machine may have written it. "
        f"If you trust it, name the folder: OTTO_SAFE_DIRECTORIES={file.parents[1]}"
    )


@pytest.mark.parametrize(
    ("safe", "used"), [("{}", True), ("{}/.otto", True), ("/nowhere:{}", True), ("*", True), ("{}x", False), ("", False)]
)
def test_a_folder_is_named_with_all_that_is_below(file: Path, safe: str, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o666)
    monkeypatch.setenv("OTTO_SAFE_DIRECTORIES", safe.format(file.parents[1]))
    assert (distrust(file) is None) is used


def test_a_file_that_is_gone_is_a_reason(file: Path) -> None:
    file.unlink()
    assert "cannot be read (No such file or directory)" in (distrust(file) or "")
