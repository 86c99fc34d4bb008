"""What a folder's way promises, by every protocol, in both directions."""

from __future__ import annotations

import os
import random
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import TransferError, UsageError, WaitTimeoutError
from tests.contract.sites import Site, content, write
from tests.contract.test_transfers import NAMES


class Tree:
    """A site that moves folders."""

    def __init__(self, site: Site) -> None:
        self.site, self.there, self.here = site, site.there, site.here
        self._folders = site.session.files.folders_on(site.name)

    def put(self, source: Path, target: str, **options: Any) -> Any:
        return self.site.session.engine.call(
            self._folders.put(source, target, TransferOptions(**({"via": self.site.via, "links": "keep"} | options)))
        )

    def get(self, source: str, target: str, **options: Any) -> Any:
        return self.site.session.engine.call(
            self._folders.get(source, target, TransferOptions(**({"via": self.site.via, "links": "keep"} | options)))
        )


@pytest.fixture
def tree(site: Site) -> Tree:
    return Tree(site)


def planted(folder: Path) -> Path:
    """Make a folder with some of everything."""
    for number in range(30):
        place = folder / f"d{number % 3}" / "deep"
        place.mkdir(parents=True, exist_ok=True)
        write(place / f"f {number}", content(number * 100, number), 0o600 + number % 8, 1_500_000_000 + number)
    (folder / "empty folder").mkdir()
    (folder / "to d0").symlink_to("d0")
    (folder / "to nowhere").symlink_to("/nowhere/at all")
    (folder / "to file").symlink_to("d0/deep/f 0")
    for name in NAMES:
        if len(name) < 200:
            write(folder / name, name.encode())
    return folder


def picture(folder: Path) -> dict[str, Any]:
    """Return all that is in a folder: kind, mode, time, content."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = (stat.S_IMODE(facts.st_mode),)
        else:
            found[name] = (stat.S_IMODE(facts.st_mode), int(facts.st_mtime), path.read_bytes())
    return found


def test_a_folder_goes_there_and_back_exactly(tree: Tree) -> None:
    source = planted(tree.here / "src")
    sent = tree.put(source, f"{tree.there}/copy")
    assert picture(tree.there / "copy") == picture(source)
    assert len(sent.files) == 30 + 3 + len(NAMES) - 1
    got = tree.get(f"{tree.there}/copy", f"{tree.here}/back")
    assert picture(tree.here / "back") == picture(source)
    assert got.size_bytes == sent.size_bytes
    assert all(file.checksum for file in got.files if file.size_bytes)
    assert not tree.site.litter()


def test_a_relative_path_begins_at_the_same_folder_after_a_folder_was_fetched(tree: Tree) -> None:
    site = tree.site
    origin = site.session.engine.call(site.session.files.on(site.name).checksum("/etc/hostname"))
    tree.put(planted(tree.here / "src"), f"{tree.there}/copy")
    tree.get(f"{tree.there}/copy", f"{tree.here}/back")
    depth = "../" * 40
    assert site.session.engine.call(site.session.files.on(site.name).checksum(f"{depth}etc/hostname")) == origin
    assert site.session.engine.call(site.session.files.on(site.name).matching("d0")) == []


def test_a_folder_goes_into_one_that_exists(tree: Tree) -> None:
    source = planted(tree.here / "src")
    assert tree.put(source, str(tree.there)).files[0].target.startswith(f"{tree.there}/src/")
    write(tree.there / "src" / "other.txt", b"stays")
    write(tree.there / "src" / "d0" / "deep" / "other", b"stays")
    write(source / "d0" / "deep" / "f 0", b"changed")
    tree.put(source, f"{tree.there}/")
    assert (tree.there / "src" / "other.txt").read_bytes() == b"stays"
    assert (tree.there / "src" / "d0" / "deep" / "other").read_bytes() == b"stays"
    assert (tree.there / "src" / "d0" / "deep" / "f 0").read_bytes() == b"changed"
    write(tree.here / "src" / "mine", b"stays")
    tree.get(f"{tree.there}/src", str(tree.here))
    assert (tree.here / "src" / "mine").read_bytes() == b"stays"
    assert (tree.here / "src" / "other.txt").read_bytes() == b"stays"
    assert not tree.site.litter()


def test_links_are_followed(tree: Tree) -> None:
    source = tree.here / "src"
    (source / "sub").mkdir(parents=True)
    write(source / "sub" / "a", b"data")
    (source / "link").symlink_to("sub")
    (source / "file").symlink_to("sub/a")
    tree.put(source, f"{tree.there}/copy", links="follow")
    assert not (tree.there / "copy" / "link").is_symlink()
    assert (tree.there / "copy" / "link" / "a").read_bytes() == b"data"
    shutil.rmtree(tree.there / "copy")
    shutil.copytree(source, tree.there / "copy", symlinks=True)
    tree.get(f"{tree.there}/copy", f"{tree.here}/back", links="follow")
    assert not (tree.here / "back" / "file").is_symlink()
    assert (tree.here / "back" / "link" / "a").read_bytes() == b"data"
    (source / "circle").symlink_to("..")
    with pytest.raises(TransferError, match="links to a folder above itself; use links=keep"):
        tree.put(source, f"{tree.there}/circle", links="follow")
    (source / "circle").unlink()
    (source / "circle").symlink_to("nowhere")
    with pytest.raises(TransferError, match="it is a broken link; links=keep copies it as it is"):
        tree.put(source, f"{tree.there}/circle", links="follow")
    assert not (tree.there / "circle").exists()


def test_only_what_differs_is_moved(tree: Tree) -> None:
    source = planted(tree.here / "src")
    tree.put(source, f"{tree.there}/copy")
    shutil.copytree(tree.there / "copy", tree.there / "src", symlinks=True)
    changed = source / "d1" / "deep" / "f 1"
    write(changed, b"new")
    sent = tree.put(source, f"{tree.there}/", skip_same=True)
    assert [file.source for file in sent.files if not file.skipped and file.size_bytes] == [str(changed)]
    assert (sent.sent_bytes, (tree.there / "src" / "d1" / "deep" / "f 1").read_bytes()) == (3, b"new")
    write(tree.there / "src" / "d2" / "deep" / "f 2", b"newer")
    got = tree.get(f"{tree.there}/src", str(tree.here), skip_same=True)
    assert [Path(file.source).name for file in got.files if not file.skipped and file.size_bytes] == ["f 2"]
    assert (source / "d2" / "deep" / "f 2").read_bytes() == b"newer"


def test_links_to_folders_above_are_no_trouble_when_the_same_is_skipped(tree: Tree) -> None:
    source = tree.here / "src"
    source.mkdir()
    write(source / "a", b"data")
    for name, target in (("itself", "."), ("above", "..")):
        (source / name).symlink_to(target)
    for _ in range(2):
        sent = tree.put(source, f"{tree.there}/", skip_same=True)
    assert [Path(file.source).name for file in sent.files if file.skipped] == ["a"]
    (tree.here / "back").mkdir()
    for _ in range(2):
        got = tree.get(f"{tree.there}/src", f"{tree.here}/back/", skip_same=True)
    assert [Path(file.source).name for file in got.files if file.skipped] == ["a"]
    assert (tree.here / "back" / "src" / "above").readlink() == Path("..")


def test_a_locked_folder_is_filled_and_locked(tree: Tree) -> None:
    source = tree.here / "src"
    (source / "locked").mkdir(parents=True)
    write(source / "locked" / "a", b"data")
    (source / "locked").chmod(0o555)
    tree.put(source, f"{tree.there}/copy")
    assert stat.S_IMODE((tree.there / "copy" / "locked").stat().st_mode) == 0o555
    tree.get(f"{tree.there}/copy", f"{tree.here}/back")
    assert stat.S_IMODE((tree.here / "back" / "locked").stat().st_mode) == 0o555


def test_wrong_sources_and_targets(tree: Tree) -> None:
    write(tree.here / "file", b"")
    write(tree.there / "file", b"")
    with pytest.raises(TransferError, match="does not exist on this machine"):
        tree.put(tree.here / "none", f"{tree.there}/")
    with pytest.raises(TransferError, match="is not a folder on this machine; use 'Put File To Host'"):
        tree.put(tree.here / "file", f"{tree.there}/")
    with pytest.raises(TransferError, match="does not exist"):
        tree.get(f"{tree.there}/none", f"{tree.here}/")
    with pytest.raises(TransferError, match="is not a folder; use 'Get File From Host'"):
        tree.get(f"{tree.there}/file", f"{tree.here}/")
    (tree.here / "src").mkdir()
    with pytest.raises(TransferError, match="exists and is not a folder"):
        tree.put(tree.here / "src", f"{tree.there}/file")
    with pytest.raises(UsageError, match="is a file on this machine"):
        tree.get(str(tree.there), f"{tree.here}/file")
    assert not tree.site.litter()


@pytest.mark.parametrize("direction", ["put", "get"])
def test_pipes_and_sockets_are_passed_over_by_name(tree: Tree, direction: str) -> None:
    start, end = (tree.here, tree.there) if direction == "put" else (tree.there, tree.here)
    (start / "odd" / "deep").mkdir(parents=True)
    write(start / "odd" / "deep" / "file", b"data")
    os.mkfifo(start / "odd" / "deep" / "pipe")
    os.mknod(start / "odd" / "socket", stat.S_IFSOCK | 0o600)
    for number, options in enumerate(({}, {"links": "follow"})):
        copy = end / f"copy{number}"
        result = (
            tree.put(start / "odd", str(copy), **options)
            if direction == "put"
            else tree.get(str(start / "odd"), str(copy), **options)
        )
        assert sorted(path.name for path in copy.rglob("*")) == ["deep", "file"]
        assert [Path(file.target).name for file in result.files] == ["file"]
        (said,) = [note for record in tree.site.session.journal.take_records() for note in record.notes if "Passed over" in note]
        assert "'deep/pipe'" in said
        assert "'socket'" in said
    assert not tree.site.litter()


def test_a_wrong_checksum_puts_nothing_in_place(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    source = planted(tree.here / "src")

    async def wrong(folder: Path, names: list[str], tool: str) -> dict[str, str]:
        return dict.fromkeys(names, "0")

    monkeypatch.setattr("OttoLibrary.transfer.folders.checksums", wrong)
    with pytest.raises(TransferError, match=r"checksums differ for '.*'"):
        tree.put(source, f"{tree.there}/copy")
    assert not (tree.there / "copy").exists()
    with pytest.raises(TransferError, match=r"checksums differ for '.*'"):
        tree.get(str(tree.there), f"{tree.here}/back") if write(tree.there / "one", b"1") else None
    assert not (tree.here / "back").exists()
    assert not tree.site.litter()


def test_time_over_leaves_nothing(tree: Tree) -> None:
    source = tree.here / "src"
    source.mkdir()
    for number in range(4):
        with (source / f"{number}.bin").open("wb") as file:
            file.truncate(1 << 30)
    tree.put(planted(tree.here / "small"), f"{tree.there}/small")
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"in 0\.3 seconds"):
        tree.put(source, f"{tree.there}/copy", timeout_s=0.3, verify="no")
    with pytest.raises(WaitTimeoutError, match=r"in 0\.3 seconds"):
        tree.get(str(tree.here / "src"), f"{tree.there}/back", timeout_s=0.3, verify="no")
    assert time.monotonic() - began < 10
    end = time.monotonic() + 3
    while tree.site.litter() and time.monotonic() < end:
        time.sleep(0.02)
    assert not tree.site.litter()
    assert not (tree.there / "copy").exists()
    assert not (tree.there / "back").exists()


@pytest.mark.parametrize("direction", ["put", "get"])
@pytest.mark.parametrize("seed", range(2))
def test_a_cut_puts_nothing_in_place(
    direction: str, seed: int, sshd: Any, proxy: Any, open_lab: Any, keys: Any, tmp_path: Path
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    way = proxy(sshd.address, sshd.port)
    host = {"address": way.address, "port": way.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    tree = Tree(Site(open_lab(box=host | {"host_key": "ignore"}), "box", "", there, here))
    source = here / "src" if direction == "put" else there / "src"
    source.mkdir()
    for number in range(100):
        write(source / f"{number}", content(50_000, number))
    tree.put(planted(here / "small"), f"{there}/small")
    way.cut_after(random.Random(seed).randrange(1, 4_000_000))
    with pytest.raises(TransferError, match=r"broke|lost|closed|reset"):
        tree.put(source, f"{there}/copy") if direction == "put" else tree.get(str(source), f"{here}/copy")
    end = time.monotonic() + 3
    while tree.site.litter() and time.monotonic() < end:
        time.sleep(0.02)
    assert not tree.site.litter()
    assert not (there / "copy").exists()
    assert not (here / "copy").exists()
