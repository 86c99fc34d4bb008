"""Where a file of a host goes on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import UsageError
from OttoLibrary.transfer.files import local_place, plain_name

OPTIONS = TransferOptions()


def test_a_folder_or_a_name(tmp_path: Path) -> None:
    assert local_place("/there/a.bin", f"{tmp_path}/", OPTIONS) == tmp_path / "a.bin"
    assert local_place("/there/a.bin", str(tmp_path), OPTIONS) == tmp_path / "a.bin"
    assert local_place("/there/a.bin", f"{tmp_path}/b.bin", OPTIONS) == tmp_path / "b.bin"


def test_a_missing_folder_is_an_error_or_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist on this machine"):
        local_place("/there/a", f"{tmp_path}/new/", OPTIONS)
    assert local_place("/there/a", f"{tmp_path}/new/", TransferOptions(parents=True)) == tmp_path / "new" / "a"
    assert (tmp_path / "new").is_dir()


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    assert local_place("/there/a", f"{tmp_path}/", OPTIONS) == tmp_path / "a"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="is a directory on this machine"):
        local_place("/there/a", f"{tmp_path}/", OPTIONS)


@pytest.mark.parametrize("path", ["/there/..", "..", ".", "/", "~", "~/", "/there/./"])
def test_a_path_without_a_name(path: str) -> None:
    with pytest.raises(UsageError, match="does not end with a name"):
        plain_name(path)


@pytest.mark.parametrize(("path", "name"), [("/a/b", "b"), ("a", "a"), ("/a/b/", "b"), ("~/..b", "..b")])
def test_the_name_of_a_path(path: str, name: str) -> None:
    assert plain_name(path) == name
