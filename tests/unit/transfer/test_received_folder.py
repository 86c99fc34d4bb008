"""Filling a folder with what somebody else names: inside it, through no link, with no rights for anybody else's program."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from OttoLibrary.transfer.received_folder import OutsideError, ReceivedFolder, check_names, inside, merge


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ReceivedFolder]:
    (tmp_path / "inside").mkdir()
    with ReceivedFolder(tmp_path / "inside") as made:
        yield made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize(("name", "normal"), [("a", "a"), ("./a//b/", "a/b"), (".", ""), ("", ""), ("..a", "..a"), (" ", " ")])
def test_a_name_in_normal_form(name: str, normal: str) -> None:
    assert inside(name) == normal


@pytest.mark.parametrize("name", ["/a", "..", "../a", "a/..", "a/../b", "a\0b", "//"])
def test_a_name_that_leads_outside(name: str) -> None:
    with pytest.raises(OutsideError):
        inside(name)


@pytest.mark.parametrize(
    "names",
    [
        [("file", "a"), ("file", "./a")],
        [("link", "a"), ("file", "a/b")],
        [("file", "a"), ("folder", "a/b"), ("file", "a/b/c")],
        [("file", "../a")],
    ],
)
def test_a_listing_that_leads_outside(names: list[tuple[str, str]]) -> None:
    with pytest.raises(OutsideError):
        check_names(names)


def test_a_usual_listing() -> None:
    check_names([("folder", "."), ("folder", "a"), ("file", "a/b"), ("link", "a/c"), ("file", "unlisted/d")])


def test_a_file_gets_content_mode_and_time(folder: ReceivedFolder, tmp_path: Path) -> None:
    folder.make_folder("a", 0o700)
    with folder.new_file("a/b", 0o640, 1_500_000_000) as file:
        file.write(b"data")
    path = tmp_path / "inside" / "a" / "b"
    assert (path.read_bytes(), mode(path), path.stat().st_mtime) == (b"data", 0o640, 1_500_000_000)
    assert folder.is_file("a/b")
    assert not folder.is_file("a")


def test_no_mode_gives_rights_of_another_user(folder: ReceivedFolder, tmp_path: Path) -> None:
    with folder.new_file("program", 0o6755, 0.0):
        pass
    folder.make_folder("sticky", 0o3777)
    folder.make_folder("locked", 0o500)
    assert mode(tmp_path / "inside" / "program") == 0o755
    assert mode(tmp_path / "inside" / "sticky") == 0o777
    # It can be filled until everything is in place.
    assert mode(tmp_path / "inside" / "locked") == 0o700
    folder.set_mode("locked", 0o500)
    assert mode(tmp_path / "inside" / "locked") == 0o500


def test_a_link_is_made_and_never_followed(folder: ReceivedFolder, tmp_path: Path, outside: Path) -> None:
    folder.make_link("link", str(outside))
    assert (tmp_path / "inside" / "link").readlink() == outside
    for attempt in (
        lambda: folder.make_folder("link", 0o777),
        lambda: folder.make_folder("link/a", 0o777),
        lambda: folder.make_link("link/a", "x"),
        lambda: folder.set_mode("link", 0o777),
        lambda: folder.make_hard_link("hard", "link"),
        lambda: folder.make_link("link", "x"),
        lambda: folder.new_file("link", 0o644, 0.0).__enter__(),
        lambda: folder.new_file("link/a", 0o644, 0.0).__enter__(),
    ):
        with pytest.raises(OutsideError):
            attempt()
    assert list(outside.iterdir()) == []
    assert mode(outside) == 0o700
    assert not folder.is_file("link/a")


@pytest.mark.parametrize("target", ["", "a\0b"])
def test_a_link_needs_a_target(folder: ReceivedFolder, target: str) -> None:
    with pytest.raises(OutsideError):
        folder.make_link("link", target)


def test_a_second_name_of_a_file(folder: ReceivedFolder, tmp_path: Path) -> None:
    with folder.new_file("a", 0o644, 0.0) as file:
        file.write(b"data")
    folder.make_hard_link("b", "a")
    assert (tmp_path / "inside" / "b").read_bytes() == b"data"


def test_merging_goes_through_no_link(tmp_path: Path, outside: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a").write_text("new")
    target.mkdir()
    (target / "sub").symlink_to(outside)
    with pytest.raises(OutsideError, match="is a link here and a folder there"):
        merge(source, target)
    assert list(outside.iterdir()) == []


def test_merging_replaces_a_link_by_a_file(tmp_path: Path, outside: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a").write_text("new")
    (target / "a").symlink_to(outside / "a")
    merge(source, target)
    assert (target / "a").read_text() == "new"
    assert list(outside.iterdir()) == []
