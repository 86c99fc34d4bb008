"""Files that are not as files usually are: those of the kernel, those that cannot be replaced, pipes and devices."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import TransferError, UsageError
from tests.contract.sites import Site, opened, write
from tests.peers.disk import read_only_disk
from tests.peers.requirements import find, require

WAYS = [("local", "local"), ("sshd", "sftp"), ("sshd", "scp"), ("sshd", "console"), ("busybox", "sftp"), ("busybox", "console")]
# A page long by its own account, and empty by its own account.
KERNEL_FILES = ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/class/net/lo/mtu", "/proc/version")


@pytest.fixture(params=WAYS, ids=" ".join)
def site(request: pytest.FixtureRequest, open_lab: Any, tmp_path: Path) -> Iterator[Site]:
    """A host on each way that has other tools or another protocol."""
    with ExitStack() as ending:
        yield opened(*request.param, request, open_lab, tmp_path, ending)


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Path]:
    """A file over which another one is mounted, as containers do it; needs root."""
    require("root", "mount", "umount")
    outside, inside = write(tmp_path / "outside", b"old", 0o640), write(tmp_path / "inside", b"")
    subprocess.run([str(find("mount")), "--bind", outside, inside], check=True)
    try:
        yield inside
    finally:
        subprocess.run([str(find("umount")), "--lazy", inside], check=True)


# -- files of the kernel


@pytest.mark.parametrize("name", KERNEL_FILES)
def test_a_file_whose_size_lies_comes_as_it_is(site: Site, name: str) -> None:
    if not Path(name).exists():
        pytest.skip(f"this kernel has no {name}")
    expected = Path(name).read_bytes()
    got = site.get(name, f"{site.here}/")
    assert (site.here / Path(name).name).read_bytes() == expected
    assert got.files[0].size_bytes == len(expected)
    assert (site.here / Path(name).name).stat().st_mode == Path(name).stat().st_mode
    files = site.session.files.on(site.name)
    assert site.session.engine.call(files.read(name, "UTF-8")).encode() == expected
    assert site.session.engine.call(files.copy(name, files, f"{site.there}/copy")).size_bytes == len(expected)
    assert (site.there / "copy").read_bytes() == expected
    assert not site.litter()


def test_a_file_of_the_kernel_that_cannot_be_read_says_why(site: Site) -> None:
    with pytest.raises(TransferError, match=r"did not give '/proc/.*/mem'.*(Input/output|I/O) error"):
        site.get(f"/proc/{os.getpid()}/mem", f"{site.here}/")
    assert not list(site.here.iterdir())
    assert not site.litter()


# -- files that cannot be replaced


def test_a_file_that_is_mounted_is_written_into(site: Site, bound: Path) -> None:
    source = write(site.here / "new", b"longer than the old")
    with pytest.raises(TransferError, match=r"busy.*in_place=yes writes into the file that exists"):
        site.put(source, str(bound))
    assert bound.read_bytes() == b"old"
    for data in (b"longer than the old", b"x", b""):
        sent = site.put(write(source, data), str(bound), in_place=True)
        assert bound.read_bytes() == (site.here.parent / "outside").read_bytes() == data
        assert sent.target == str(bound)
    assert bound.stat().st_mode & 0o777 == 0o640
    site.put(source, str(bound), in_place=True, mode=0o600)
    assert bound.stat().st_mode & 0o777 == 0o600
    site.session.engine.call(site.session.files.on(site.name).write(str(bound), "text", "UTF-8", None, in_place=True))
    assert bound.read_bytes() == b"text"
    assert not site.litter()


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "replaced"])
def test_links_that_lead_in_a_circle_stay(site: Site, in_place: bool) -> None:
    circle = Path(site.there) / "circle"
    circle.symlink_to("round")
    (Path(site.there) / "round").symlink_to("circle")
    with pytest.raises(TransferError, match="is a symbolic link that leads back to itself"):
        site.put(write(site.here / "new", b"data"), str(circle), in_place=in_place)
    assert circle.is_symlink()


def test_in_place_makes_a_file_that_is_not_there(site: Site) -> None:
    site.put(write(site.here / "new", b"data", 0o600), f"{site.there}/", in_place=True)
    assert (site.there / "new").read_bytes() == b"data"
    assert (site.there / "new").stat().st_mode & 0o777 == 0o600
    assert not site.litter()


def test_a_setting_of_the_kernel_is_written(site: Site) -> None:
    require("root")
    setting = "/proc/self/oom_score_adj"
    files = site.session.files.on(site.name)
    with pytest.raises(TransferError, match="in_place=yes"):
        site.session.engine.call(files.write(setting, "100", "UTF-8", None))
    site.session.engine.call(files.write(setting, "100", "UTF-8", None, in_place=True))
    with pytest.raises(TransferError, match=r"writing into '/proc/.*' failed \([Ii]nvalid argument\)"):
        site.session.engine.call(files.write(setting, "no number", "UTF-8", None, in_place=True))
    assert not site.litter()


def test_what_may_not_be_written_stays_as_it_was(site: Site) -> None:
    with read_only_disk("a.bin") as disk:
        with pytest.raises(TransferError, match=r"cannot write into '.*a\.bin' \(Read-only file system\); it is as it was"):
            site.put(write(site.here / "new", b"new"), str(disk / "a.bin"), in_place=True)
        assert (disk / "a.bin").read_text() == "a.bin"
    assert not site.litter()


def test_what_does_not_go_with_in_place(site: Site) -> None:
    with pytest.raises(UsageError, match="in_place=yes writes into the file that exists, which links=keep cannot do"):
        site.put(write(site.here / "new", b"new"), f"{site.there}/", in_place=True, links="keep")


# -- the home folder


@pytest.fixture
def home(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in the home of the account, which is the home on the host and on this machine."""
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setenv("HOME", str(real))
    # A server of another run may have had the same port, and has another key.
    monkeypatch.setenv("OTTO_KNOWN_HOSTS", str(site.here / "known_hosts"))
    with tempfile.TemporaryDirectory(prefix="otto-test of ours-", dir=real) as folder:
        yield Path(folder)


def test_the_home_folder_wherever_a_path_is_named(site: Site, home: Path) -> None:
    there, files, call = f"~/{home.name}", site.session.files.on(site.name), site.session.engine.call
    folders = site.session.files.folders_on(site.name)
    site.put(write(site.here / "a.bin", b"data"), f"{there}/")
    site.put(site.here / "a.bin", f"{there}/new/b.bin", parents=True)
    assert (home / "a.bin").read_bytes() == (home / "new" / "b.bin").read_bytes() == b"data"
    assert [file.source for file in site.get(f"{there}/a.*", f"{there}/back/", parents=True).files] == [str(home / "a.bin")]
    assert (home / "back" / "a.bin").exists()
    call(folders.put(home / "new", f"{there}/folder"))
    call(folders.get(f"{there}/folder", f"{there}/folder2"))
    assert (home / "folder2" / "b.bin").read_bytes() == b"data"
    assert call(files.listing(there, "*")) == ["a.bin", "back/", "folder/", "folder2/", "new/"]
    assert f"{home.name}/" in call(files.listing("~", "*"))
    assert call(files.matching("~")) == [str(home.parent)]
    assert call(files.matching("~/")) == [f"{home.parent}/"]
    assert call(files.read(f"{there}/a.bin", "UTF-8")) == "data"
    call(files.copy(f"{there}/a.bin", files, f"{there}/copy"))
    call(files.make_folder(f"{there}/made/deep"))
    call(files.remove(f"{there}/a.bin"))
    assert (home / "made" / "deep").is_dir()
    assert (home / "copy").exists()
    assert not (home / "a.bin").exists()
    user = pwd.getpwuid(os.getuid()).pw_name
    assert call(files.matching(f"~{user}/{home.name}/copy")) == [str(home / "copy")]
    site.put(write(site.here / "c.bin", b"data"), f"~{user}/{home.name}/")
    assert (home / "c.bin").exists()


def test_commands_begin_in_the_home_folder(site: Site, home: Path) -> None:
    host, call = site.session.hosts.use(site.name), site.session.engine.call
    for cwd in (f"~/{home.name}", f"~{pwd.getpwuid(os.getuid()).pw_name}/{home.name}"):
        assert call(host.run("pwd", cwd=cwd, timeout_s=20)).stdout.strip() == str(home)
        assert call(host.run_once("pwd", cwd=cwd, timeout_s=20)).stdout.strip() == str(home)


# -- names that no file can have


def test_a_name_with_nul_touches_no_other_file(site: Site) -> None:
    (site.there / "zzb").write_text("precious")
    files, call = site.session.files.on(site.name), site.session.engine.call
    wrong = f"{site.there}/z\0zb"
    for work in (
        lambda: files.remove(wrong),
        lambda: files.read(wrong, "UTF-8"),
        lambda: files.write(wrong, "x", "UTF-8", None),
        lambda: files.make_folder(wrong),
        lambda: files.matching(wrong),
        lambda: files.put([write(site.here / "x", b"x")], wrong),
        lambda: files.put([site.here / "a\0b"], f"{site.there}/x"),
        lambda: files.get(wrong, str(site.here / "y")),
        lambda: files.get(f"{site.there}/zzb", str(site.here / "a\0b")),
    ):
        with pytest.raises(UsageError, match=r"has a NUL character, which no path can have\.$"):
            call(work())
    with pytest.raises(UsageError, match="cannot contain NUL"):
        call(site.session.hosts.use(site.name).run("pwd", cwd="a\0b"))
    assert (site.there / "zzb").read_text() == "precious"
    assert [path.name for path in site.there.iterdir()] == ["zzb"]
    assert not site.litter()


def test_a_name_that_is_too_long_is_the_host_s_to_refuse(site: Site) -> None:
    with pytest.raises(TransferError, match=r"^Host '.*' did not take '.*[Ff]ile ?name too long"):
        site.session.engine.call(site.session.files.on(site.name).write(f"{site.there}/{'a' * 300}", "x", "UTF-8", None))
