"""Plain files, read with a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from OttoLibrary.lab.plain_file import is_file, read_plain_file


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 2048)
    assert read_plain_file(file, 2048) == b"x" * 2048
    with pytest.raises(OSError, match="it has more than 1 KiB"):
        read_plain_file(file, 1024)


def test_what_grows_beyond_its_length_is_read_as_it_is() -> None:
    """A file of /proc says that it has no bytes."""
    assert b"Name:" in read_plain_file(Path("/proc/self/status"), 1 << 16)


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null"), tmp_path):
        with pytest.raises(OSError, match=r"plain file|directory"):
            read_plain_file(path, 10)
    with pytest.raises(FileNotFoundError):
        read_plain_file(tmp_path / "none", 10)


def test_an_impossible_path_is_no_file(tmp_path: Path) -> None:
    assert not is_file(Path("a\0b"))
    assert not is_file(tmp_path / ("x" * 10_000))
    assert not is_file(tmp_path)


def test_a_folder_is_named_and_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OSError, match=r"it is not a plain file: '.*'"):
            read_plain_file(tmp_path, 10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "file").write_bytes(f"{mark}lab = 'Tōkyō'".encode(encoding))
    assert read_plain_file(tmp_path / "file", 1024).decode() == "lab = 'Tōkyō'"


def test_a_mark_of_utf_16_before_something_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfex")
    with pytest.raises(OSError, match="it begins as UTF-16 text, and is none"):
        read_plain_file(tmp_path / "file", 1024)
