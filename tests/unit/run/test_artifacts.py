"""Folders for the files of tests: their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.run.artifacts import _new, _safe


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Boots", "Boots-s1-t1"),
        ("It boots: 2 ways?", "It_boots_2_ways-s1-t1"),
        ("../../etc/passwd", "etc_passwd-s1-t1"),
        ("起動する", "起動する-s1-t1"),
        ("///", "s1-t1"),
        ("", "s1-t1"),
    ],
)
def test_a_name_is_one_folder_below_the_output(name: str, folder: str) -> None:
    assert _safe(name, "s1-t1") == folder


def test_the_longest_name_fits_a_file_system() -> None:
    assert len(_safe("\U0001d518" * 500, "s1-s20-s300-t4000").encode()) <= 255


def test_what_an_earlier_run_left_is_not_touched(tmp_path: Path) -> None:
    parent = tmp_path / "otto"
    made = [_new(parent, "boots") for _ in range(3)]
    assert [path.name for path in made] == ["boots", "boots-2", "boots-3"]
    (parent / "other").write_text("a file")
    assert _new(parent, "other") == parent / "other-2"
    assert all(path.is_dir() for path in made)
