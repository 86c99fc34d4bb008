"""What every transfer promises, by every protocol, in both directions, also through hops."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import ConnectError, HostError, TransferError, UsageError, WaitTimeoutError
from tests.contract.sites import Site, content, write

NAMES = [
    "plain.bin",
    "two words.txt",
    'it\'s "quoted" $HOME `id` \\ ;&|<>*?[a]{b}!#~.bin',
    "-rf",
    "--help",
    "äöü-文件-🎉",
    ".hidden",
    "two\nlines",
    "tab\there",
    "x" * 255,
]


# -- right


@pytest.mark.parametrize("size", [0, 1, 4096, 255 * 1024, 255 * 1024 + 1, 3_000_001])
def test_a_file_goes_there_and_back_exactly(site: Site, size: int) -> None:
    data = content(size, size)
    sent = site.put(write(site.here / "a.bin", data, 0o640), f"{site.there}/b.bin")
    assert (site.there / "b.bin").read_bytes() == data
    assert (sent.size_bytes, sent.sent_bytes, sent.target, sent.protocol) == (size, size, f"{site.there}/b.bin", site.via)
    got = site.get(f"{site.there}/b.bin", f"{site.here}/c.bin")
    assert (site.here / "c.bin").read_bytes() == data
    assert (got.size_bytes, got.files[0].checksum) == (size, sent.files[0].checksum)
    for path in (site.there / "b.bin", site.here / "c.bin"):
        facts = path.stat()
        assert (stat.S_IMODE(facts.st_mode), int(facts.st_mtime)) == (0o640, 1_600_000_000)
    assert not site.litter()


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:12]))
def test_any_name_is_a_name(site: Site, name: str) -> None:
    data = content(1000)
    write(site.here / name, data)
    site.put(site.here / name, f"{site.there}/")
    assert (site.there / name).read_bytes() == data
    (site.here / name).unlink()
    if site.via == "ftp" and "\n" in name:
        with pytest.raises(UsageError, match="FTP cannot transfer names that contain a newline"):
            site.get(f"{site.there}/{name}", f"{site.here}/")
        return
    site.get(f"{site.there}/{name}", f"{site.here}/")
    assert (site.here / name).read_bytes() == data


def test_a_name_of_bytes_that_are_no_text(site: Site) -> None:
    name = os.fsdecode(b"bad-\xff-name")
    site.put(write(site.here / name, b"data"), f"{site.there}/")
    assert (site.there / name).read_bytes() == b"data"
    if site.via == "ftp":  # its names are UTF-8 (RFC 2640)
        with pytest.raises(TransferError, match=r"550 .*|no names"):
            site.get(f"{site.there}/{name}", f"{site.here}/again")
        return
    site.get(f"{site.there}/{name}", f"{site.here}/again")
    assert (site.here / "again").read_bytes() == b"data"


def test_a_target_is_a_folder_or_a_name(site: Site) -> None:
    source = write(site.here / "a.bin", b"data")
    (site.there / "folder").mkdir()
    assert site.put(source, f"{site.there}/folder").target == f"{site.there}/folder/a.bin"
    assert site.put(source, f"{site.there}/folder/").target == f"{site.there}/folder/a.bin"
    assert site.put(source, f"{site.there}/folder/b.bin").target == f"{site.there}/folder/b.bin"
    assert site.get(f"{site.there}/folder/b.bin", str(site.here)).target == f"{site.here}/b.bin"


def test_a_missing_folder_is_an_error_or_is_made(site: Site) -> None:
    source = write(site.here / "a.bin", b"data")
    for target in (f"{site.there}/new/b.bin", f"{site.there}/new/"):
        with pytest.raises(TransferError, match=f"the folder '{site.there}/new' does not exist; create it, or use parents=yes"):
            site.put(source, target)
    assert site.put(source, f"{site.there}/new/deep/", parents=True).target == f"{site.there}/new/deep/a.bin"
    with pytest.raises(UsageError, match=r"new2' does not exist on this machine\. Create it, or use parents=yes"):
        site.get(f"{site.there}/new/deep/a.bin", f"{site.here}/new2/x")
    site.get(f"{site.there}/new/deep/a.bin", f"{site.here}/new2/x", parents=True)
    assert (site.here / "new2" / "x").read_bytes() == b"data"


def test_mode_can_be_given(site: Site) -> None:
    site.put(write(site.here / "a.bin", b"data", 0o600), f"{site.there}/a.bin", mode=0o4755)
    assert stat.S_IMODE((site.there / "a.bin").stat().st_mode) == 0o4755
    site.get(f"{site.there}/a.bin", f"{site.here}/b.bin", mode=0o400)
    assert stat.S_IMODE((site.here / "b.bin").stat().st_mode) == 0o400


def test_a_pattern_brings_all_that_match(site: Site) -> None:
    for name in ("a 1.log", "b'2.log", "c.txt", "[x].log"):
        write(site.there / name, name.encode())
    got = site.get(f"{site.there}/*.log", f"{site.here}/")
    assert sorted(Path(file.target).name for file in got.files) == ["[x].log", "a 1.log", "b'2.log"]
    assert (site.here / "b'2.log").read_bytes() == b"b'2.log"
    assert site.get(f"{site.there}/[x].log", f"{site.here}/one").target.endswith("/one")
    with pytest.raises(TransferError, match="no file there matches it"):
        site.get(f"{site.there}/*.none", f"{site.here}/")


def test_a_link_at_the_target_stays_one(site: Site) -> None:
    write(site.there / "real.bin", b"old")
    (site.there / "link.bin").symlink_to("real.bin")
    site.put(write(site.here / "a.bin", b"new"), f"{site.there}/link.bin")
    assert (site.there / "link.bin").is_symlink()
    assert (site.there / "real.bin").read_bytes() == b"new"


def test_links_are_followed_or_kept(site: Site) -> None:
    write(site.here / "a.bin", b"data")
    (site.here / "link").symlink_to("a.bin")
    site.put(site.here / "link", f"{site.there}/followed")
    assert (site.there / "followed").read_bytes() == b"data"
    assert not (site.there / "followed").is_symlink()
    site.put(site.here / "link", f"{site.there}/kept", links="keep")
    assert str((site.there / "kept").readlink()) == "a.bin"
    site.get(f"{site.there}/kept", f"{site.here}/back", links="keep")
    assert str((site.here / "back").readlink()) == "a.bin"


def test_the_same_is_skipped(site: Site) -> None:
    source = write(site.here / "a.bin", content(5000))
    assert not site.put(source, f"{site.there}/a.bin", skip_same=True).files[0].skipped
    again = site.put(source, f"{site.there}/a.bin", skip_same=True)
    assert (again.files[0].skipped, again.sent_bytes) == (True, 0)
    write(source, content(5000, 1))
    assert not site.put(source, f"{site.there}/a.bin", skip_same=True).files[0].skipped
    assert site.get(f"{site.there}/a.bin", str(source), skip_same=True).files[0].skipped
    write(source, b"other")
    assert not site.get(f"{site.there}/a.bin", str(source), skip_same=True).files[0].skipped


@pytest.mark.parametrize("verify", ["sha256", "no"])
def test_verification_is_chosen(site: Site, verify: str) -> None:
    data = content(70_000)
    sent = site.put(write(site.here / "a.bin", data), f"{site.there}/a.bin", verify=verify)
    expected = hashlib.sha256(data).hexdigest() if verify == "sha256" else ""
    assert sent.files[0].checksum == expected
    assert site.get(f"{site.there}/a.bin", f"{site.here}/b.bin", verify=verify).files[0].checksum == expected


def test_a_file_without_a_size_is_read(site: Site) -> None:
    got = site.get("/proc/sys/kernel/ostype", f"{site.here}/ostype")
    assert Path(got.target).read_text() == "Linux\n"
    assert not site.litter()


def test_many_at_once_do_not_meet(site: Site) -> None:
    sources = [write(site.here / f"{number}.bin", content(100_000, number)) for number in range(5)]
    files = site.session.files.on(site.name)

    async def put_all() -> None:
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(files.put([source], f"{site.there}/", TransferOptions(via=site.via)))

    site.session.engine.call(put_all())
    for number in range(5):
        assert (site.there / f"{number}.bin").read_bytes() == content(100_000, number)


# -- wrong


def test_a_missing_source(site: Site) -> None:
    with pytest.raises(TransferError, match="cannot be read on this machine: No such file"):
        site.put(site.here / "none", f"{site.there}/")
    with pytest.raises(TransferError, match="does not exist"):
        site.get(f"{site.there}/none", f"{site.here}/")


def test_a_folder_is_no_file(site: Site) -> None:
    (site.here / "folder").mkdir()
    (site.there / "folder").mkdir()
    with pytest.raises(TransferError, match="it is a directory; use 'Put Directory To Host'"):
        site.put(site.here / "folder", f"{site.there}/x")
    with pytest.raises(TransferError, match="is a directory; use 'Get Directory From Host'"):
        site.get(f"{site.there}/folder", f"{site.here}/x")
    (site.there / "a.bin").mkdir()
    with pytest.raises(TransferError, match="is a directory"):
        site.put(write(site.here / "a.bin", b""), f"{site.there}/")


def test_a_device_is_not_replaced(site: Site) -> None:
    with pytest.raises(TransferError, match="'/dev/null' is not a regular file"):
        site.put(write(site.here / "a.bin", b"data"), "/dev/null")
    with pytest.raises(TransferError, match="'/dev/zero' is not a regular file"):
        site.get("/dev/zero", f"{site.here}/")


def test_a_place_that_takes_no_files(site: Site) -> None:
    with pytest.raises(TransferError, match="did not take"):
        site.put(write(site.here / "a.bin", b"data"), "/proc/a.bin")


def test_a_wrong_checksum_leaves_the_old_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    write(site.there / "a.bin", b"old")

    async def wrong(file: Path, tool: str) -> str:
        return "0" if tool else ""

    monkeypatch.setattr("OttoLibrary.transfer.checksums.checksum", wrong)
    with pytest.raises(TransferError, match=r"checksum is \w+ there and 0 here") as caught:
        site.put(write(site.here / "a.bin", content(5000)), f"{site.there}/a.bin")
    assert (caught.value.sent_bytes, caught.value.expected_bytes) == (5000, 5000)
    assert (site.there / "a.bin").read_bytes() == b"old"
    write(site.here / "b.bin", b"old")
    with pytest.raises(TransferError, match=r"checksum is \w+ there and 0 here"):
        site.get(f"{site.there}/a.bin", f"{site.here}/b.bin")
    assert (site.here / "b.bin").read_bytes() == b"old"
    assert not site.litter()


def test_time_over_ends_it_at_once_and_leaves_nothing(site: Site) -> None:
    write(site.there / "a.bin", b"old")
    source = site.here / "big.bin"
    with source.open("wb") as file:
        file.truncate(4 << 30)
    site.put(write(site.here / "small.bin", b"x"), f"{site.there}/")  # the way is open now
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"did not finish .* in 0\.3 seconds"):
        site.put(source, f"{site.there}/a.bin", timeout_s=0.3, verify="no")
    assert time.monotonic() - began < 10
    assert (site.there / "a.bin").read_bytes() == b"old"
    _gone(site)
    os.link(source, site.there / "big.bin")
    write(site.here / "b.bin", b"old")
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"in 0\.3 seconds"):
        site.get(f"{site.there}/big.bin", f"{site.here}/b.bin", timeout_s=0.3, verify="no")
    assert time.monotonic() - began < 10
    assert (site.here / "b.bin").read_bytes() == b"old"
    _gone(site)
    site.put(write(site.here / "small.bin", b"y"), f"{site.there}/")
    assert (site.there / "small.bin").read_bytes() == b"y"


def _gone(site: Site) -> None:
    """Wait a moment for the host to notice that we left."""
    end = time.monotonic() + 3
    while site.litter() and time.monotonic() < end:
        time.sleep(0.02)
    assert not site.litter()


# -- cut


@pytest.mark.parametrize("via", ["sftp", "scp", "console"])
@pytest.mark.parametrize("direction", ["put", "get"])
@pytest.mark.parametrize("seed", range(3))
def test_a_cut_leaves_the_old_file_and_no_litter(
    via: str, direction: str, seed: int, sshd: Any, proxy: Any, open_lab: Any, keys: Any, tmp_path: Path
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    way = proxy(sshd.address, sshd.port)
    host = {"address": way.address, "port": way.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    site = Site(open_lab(box=host | {"host_key": "ignore"}), "box", via, there, here)
    data = content(8 << 20)
    source, target = (here / "a.bin", there / "a.bin") if direction == "put" else (there / "a.bin", here / "a.bin")
    write(source, data)
    write(target, b"old")
    site.put(write(here / "warm", b""), f"{there}/")
    way.cut_after(random.Random(seed).randrange(1, len(data)))
    with pytest.raises((TransferError, ConnectError), match=r"connection|broke|lost|closed|reset"):
        (site.put if direction == "put" else site.get)(str(source) if direction == "get" else source, str(target))
    assert target.read_bytes() == b"old"
    _gone(site)
    # And the next one works, over a new connection.
    (site.put if direction == "put" else site.get)(str(source) if direction == "get" else source, str(target))
    assert target.read_bytes() == data
    assert not site.litter()


@pytest.mark.parametrize("via", ["sftp", "console"])
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_cut_transfer_is_continued(
    via: str, direction: str, sshd: Any, proxy: Any, open_lab: Any, keys: Any, tmp_path: Path
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    way = proxy(sshd.address, sshd.port)
    host = {"address": way.address, "port": way.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    site = Site(open_lab(box=host | {"host_key": "ignore"}), "box", via, there, here)
    data = content(16 << 20)
    source, target = (here / "a.bin", there / "a.bin") if direction == "put" else (there / "a.bin", here / "a.bin")
    write(source, data)
    site.put(write(here / "warm", b""), f"{there}/")
    way.cut_after(12 << 20)
    move = site.put if direction == "put" else site.get
    with pytest.raises(HostError):
        move(source if direction == "put" else str(source), str(target), resume=True)
    result = move(source if direction == "put" else str(source), str(target), resume=True)
    assert target.read_bytes() == data
    assert 0 < result.sent_bytes < len(data) - (4 << 20)
    assert not site.litter()


def test_what_cannot_be_continued_says_so(sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    site = Site(open_lab(box=host), "box", "scp", tmp_path, tmp_path)
    with pytest.raises(UsageError, match="A cut transfer by scp cannot be resumed"):
        site.put(write(tmp_path / "a.bin", b""), f"{tmp_path}/b.bin", resume=True)
