"""Robot's output in the folder of one process: which file it is, and whether it is complete."""

from __future__ import annotations

import os
from pathlib import Path

from OttoLibrary.parallel.robot_output import output_is_whole, output_of


def write(folder: Path, name: str, text: str, modified: float = 1000.0) -> Path:
    path = folder / name
    path.write_text(text)
    os.utime(path, (modified, modified))
    return path


def test_there_may_be_none(tmp_path: Path) -> None:
    write(tmp_path, "output-extra.xml", "</robot>")
    write(tmp_path, "output.xml.bak", "</robot>")
    assert output_of(tmp_path) is None
    assert not output_is_whole(tmp_path)


def test_the_newest_counts(tmp_path: Path) -> None:
    write(tmp_path, "output.xml", "</robot>", 1000)
    newest = write(tmp_path, "output-20261128-120000.xml", "<robot>", 2000)
    assert output_of(tmp_path) == newest
    assert not output_is_whole(tmp_path)


def test_one_that_ends_with_its_root_is_whole(tmp_path: Path) -> None:
    write(tmp_path, "output.xml", "<robot>" + "x" * 10_000 + "</robot>\n")
    assert output_is_whole(tmp_path)


def test_one_that_was_cut_is_not(tmp_path: Path) -> None:
    write(tmp_path, "output.xml", "<robot></robot><suite>")
    assert not output_is_whole(tmp_path)
    write(tmp_path, "output.xml", "")
    assert not output_is_whole(tmp_path)


def test_one_that_two_processes_wrote_is_not(tmp_path: Path) -> None:
    """A keyword forked, and the child left through Robot: the end is there, and nobody can read it."""
    write(tmp_path, "output.xml", "<robot><suite><test></suite></robot>\n</robot>\n")
    assert not output_is_whole(tmp_path)
    write(tmp_path, "output.xml", "<robot></robot>\n<robot></robot>\n")
    assert not output_is_whole(tmp_path)
