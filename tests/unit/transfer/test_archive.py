"""Folders as archives, and what an archive from somewhere else may not do."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from OttoLibrary.transfer.archive import Entry, TreeError, Unpacker, packed, scan
from OttoLibrary.transfer.received_folder import merge


def archive(*members: tuple[str, bytes, str]) -> io.BytesIO:
    """Return an archive of name, type and link or content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, kind, more in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                info.size = len(more)
                made.addfile(info, io.BytesIO(more.encode()))
            else:
                info.linkname = more
                made.addfile(info)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "members",
    [
        [("/etc/evil", tarfile.REGTYPE, "x")],
        [("../evil", tarfile.REGTYPE, "x")],
        [("a/../../evil", tarfile.REGTYPE, "x")],
        [("link", tarfile.SYMTYPE, "/tmp"), ("link/evil", tarfile.REGTYPE, "x")],
        [("link", tarfile.SYMTYPE, ".."), ("./link//evil", tarfile.REGTYPE, "x")],
        [("hard", tarfile.LNKTYPE, "../../etc/passwd")],
        [("link", tarfile.SYMTYPE, "/etc"), ("hard", tarfile.LNKTYPE, "link/passwd")],
    ],
)
def test_nothing_gets_out_of_the_folder(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(TreeError, match="leads outside the folder"):
        Unpacker(folder, 1 << 20, 100).run(archive(*members))
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil").exists()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("mine")
    members = [("link", tarfile.SYMTYPE, str(outside)), ("link", tarfile.REGTYPE, "theirs")]
    with pytest.raises(TreeError, match="was sent twice"):
        Unpacker(tmp_path / "inside", 1 << 20, 100).run(archive(*members))
    assert outside.read_text() == "mine"


def test_pipes_and_devices_are_passed_over(tmp_path: Path) -> None:
    kinds = (tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
    Unpacker(tmp_path, 1 << 20, 100).run(archive(*[(f"odd{number}", kind, "") for number, kind in enumerate(kinds)]))
    assert not list(tmp_path.iterdir())


def test_a_pipe_in_a_folder_is_listed_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    assert [(entry.name, entry.kind) for entry in scan(tmp_path, follow=False)][1:] == [("link", "link"), ("pipe", "other")]
    assert [entry.kind for entry in scan(tmp_path, follow=True)][1:] == ["other", "other"]
    with pytest.raises(TreeError, match=r"pipe' was a file, and is none any more"):
        list(packed(tmp_path, [Entry("pipe", "file", 5, 0o644, 0)]))


@pytest.mark.parametrize("piece", [1, 511, 4096, 1 << 20])
def test_an_archive_comes_in_any_pieces(tmp_path: Path, piece: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "folder" / ("n" * 120)).mkdir(parents=True)
    (source / "folder" / ("n" * 120) / "file").write_bytes(bytes(range(256)) * 20)
    (source / "link").symlink_to("folder")
    target.mkdir()
    data = b"".join(packed(source, scan(source, follow=False)))
    unpacker = Unpacker(target, 1 << 20, 100)
    thread = threading.Thread(target=unpacker.run)
    thread.start()
    for at in range(0, len(data), piece):
        unpacker.feed(data[at : at + piece])
    unpacker.feed(b"")
    thread.join(20)
    assert not thread.is_alive()
    assert (target / "folder" / ("n" * 120) / "file").read_bytes() == bytes(range(256)) * 20
    assert str((target / "link").readlink()) == "folder"


def test_an_archive_that_ends_too_early_is_damaged(tmp_path: Path) -> None:
    whole = archive(("file", tarfile.REGTYPE, "x" * 5000)).getvalue()
    with pytest.raises((TreeError, OSError)):
        Unpacker(tmp_path, 1 << 20, 100).run(io.BytesIO(whole[:2000]))


def test_a_file_that_shrinks_meanwhile_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    entries = scan(tmp_path, follow=False)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(TreeError, match="became shorter while it was being read"):
        list(packed(tmp_path, entries))


def test_merging_keeps_what_is_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("a/new", "a/both", "b/new"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("new")
    (target / "a").mkdir(parents=True)
    (target / "a" / "both").write_text("old")
    (target / "a" / "old").write_text("old")
    merge(source, target)
    assert {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()} == {
        "a/new": "new",
        "a/both": "new",
        "a/old": "old",
        "b/new": "new",
    }


def test_modes_of_an_archive(tmp_path: Path) -> None:
    """A locked folder can be filled first; its mode is known for the end, without rights of another user."""
    source = tmp_path / "source"
    (source / "locked").mkdir(parents=True)
    (source / "locked" / "program").write_text("x")
    (source / "locked" / "program").chmod(0o6751)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("locked", "locked/program"):
            info = archive.gettarinfo(source / name, name)
            info.mode = 0o2500 if name == "locked" else 0o6751
            archive.addfile(info, (source / name).open("rb") if info.isreg() else None)
    made.seek(0)
    target = tmp_path / "target"
    target.mkdir()
    unpacker = Unpacker(target, 1 << 20, 10)
    unpacker.run(made)
    assert unpacker.locked == {"locked": 0o500}
    assert stat.S_IMODE((target / "locked").stat().st_mode) == 0o700
    assert stat.S_IMODE((target / "locked" / "program").stat().st_mode) == 0o751


def test_no_more_members_than_announced(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="has more in it than the host announced"):
        Unpacker(tmp_path, 1 << 20, 2).run(archive(*[(f"{number}", tarfile.REGTYPE, "") for number in range(3)]))


def test_no_more_content_than_announced(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="'b' is longer than the host announced"):
        Unpacker(tmp_path, 10, 5).run(archive(("a", tarfile.REGTYPE, "x" * 6), ("b", tarfile.REGTYPE, "x" * 6)))


def test_no_more_input_than_announced(tmp_path: Path) -> None:
    """What comes behind the end of the archive counts too."""
    unpacker = Unpacker(tmp_path, 0, 1)
    failed: list[Exception] = []

    def run() -> None:
        try:
            unpacker.run()
        except TreeError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    unpacker.feed(archive(("a", tarfile.REGTYPE, "")).getvalue())
    for _ in range(100):
        unpacker.feed(bytes(1 << 16))
    unpacker.feed(b"")
    thread.join(20)
    assert [str(error) for error in failed] == ["the host sent more than it announced"]


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_is_not_read_into_memory_without_end(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, 8 << 30
    with pytest.raises(TreeError, match="a name or an extended header that is too long"):
        Unpacker(tmp_path, 1 << 40, 5).run(io.BytesIO(header.tobuf(tarfile.GNU_FORMAT) + bytes(10240)))
