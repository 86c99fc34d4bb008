"""What a host sends stays where it was sent for: its archives, its listings, its names, its lengths and its replies."""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import TransferError, UsageError
from OttoLibrary.run.session import Session
from tests.peers.ftp import Pyftpdlib
from tests.peers.hostile import HostileHost

MIB = 1 << 20


class Victim:
    """This machine: a folder that takes what is fetched, and files beside it that nobody may touch."""

    def __init__(self, folder: Path, session: Session, host: HostileHost) -> None:
        self.session, self.host = session, host
        self.here, self.outside = folder / "here", folder / "outside"
        self.here.mkdir()
        self.outside.mkdir(mode=0o700)
        (self.outside / "secret").write_text("mine")
        (self.outside / "secret").chmod(0o600)
        self.there = host.folder / "files"
        self.there.mkdir()
        (self.there / "a.log").write_text("log")

    def get_folder(self, source: str | Path = "", target: str | Path = "", **options: Any) -> Any:
        folders = self.session.files.folders_on("box")
        wanted = TransferOptions(**({"links": "keep"} | options))
        return self.session.engine.call(folders.get(str(source or self.there), str(target or self.here / "copy"), wanted))

    def get_file(self, source: str | Path, target: str | Path = "", **options: Any) -> Any:
        files = self.session.files.on("box")
        return self.session.engine.call(files.get(str(source), str(target or f"{self.here}/"), TransferOptions(**options)))

    def sends(self, *members: tuple[str, bytes, str]) -> None:
        """Let the host's tar send an archive of name, type, and target or content."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as made:
            for name, kind, more in members:
                info = tarfile.TarInfo(name)
                info.type, info.mode = kind, 0o6777
                info.size = len(more) if kind == tarfile.REGTYPE else 0
                info.linkname = "" if kind == tarfile.REGTYPE else more
                made.addfile(info, io.BytesIO(more.encode()) if info.size else None)
        file = self.host.folder / "archive.tar"
        file.write_bytes(archive.getvalue())
        self.host.tool("tar", f"exec cat {file}")

    def is_untouched(self) -> bool:
        """Return True when nothing outside was written, made or changed in mode."""
        return (
            [path.name for path in self.outside.iterdir()] == ["secret"]
            and (self.outside / "secret").read_text() == "mine"
            and stat.S_IMODE(self.outside.stat().st_mode) == 0o700
            and stat.S_IMODE((self.outside / "secret").stat().st_mode) == 0o600
        )


@pytest.fixture(params=["local", "sshd"])
def victim(request: pytest.FixtureRequest, tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any) -> Victim:
    host = hostile(request.param)
    return Victim(tmp_path, open_lab(box=host.lab), host)


OUTWARD = [
    (
        "a hard link to an outward link",
        [("l", tarfile.SYMTYPE, "OUT"), ("h", tarfile.LNKTYPE, "l"), ("h/x", tarfile.REGTYPE, "x")],
    ),
    (
        "a hard link to an outward file",
        [("l", tarfile.SYMTYPE, "OUT/secret"), ("h", tarfile.LNKTYPE, "l"), ("h", tarfile.REGTYPE, "x")],
    ),
    ("a folder in place of a link", [("l", tarfile.SYMTYPE, "OUT"), ("l", tarfile.DIRTYPE, "")]),
    ("a locked folder in place of a link", [("l", tarfile.SYMTYPE, "OUT"), ("./l/", tarfile.DIRTYPE, "")]),
    ("a name through a link", [("l", tarfile.SYMTYPE, "OUT"), ("l/x", tarfile.REGTYPE, "x")]),
    ("a name with ..", [("../outside/x", tarfile.REGTYPE, "x")]),
    ("an absolute name", [("OUT/x", tarfile.REGTYPE, "x")]),
    ("a hard link to an absolute name", [("h", tarfile.LNKTYPE, "OUT/secret")]),
    ("a device with ..", [("../outside/d", tarfile.CHRTYPE, "")]),
]


@pytest.mark.parametrize("members", [members for _, members in OUTWARD], ids=[name for name, _ in OUTWARD])
def test_an_archive_that_leads_outside(victim: Victim, members: list[tuple[str, bytes, str]]) -> None:
    out = str(victim.outside)
    victim.sends(*[(name.replace("OUT", out), kind, more.replace("OUT", out)) for name, kind, more in members])
    with pytest.raises(TransferError, match=r"leads outside|which is not a file|was sent twice|is not a file, folder or link"):
        victim.get_folder()
    assert victim.is_untouched()
    assert list(victim.here.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_in_an_archive_is_never_made(victim: Victim, kind: bytes) -> None:
    victim.sends(("d", kind, ""))
    victim.get_folder(verify="no")
    assert victim.is_untouched()
    assert list((victim.here / "copy").iterdir()) == []


def test_modes_of_an_archive_give_nobody_rights(victim: Victim) -> None:
    victim.sends(("d", tarfile.DIRTYPE, ""), ("d/program", tarfile.REGTYPE, "x"))
    victim.get_folder(verify="no")
    for path in (victim.here / "copy" / "d", victim.here / "copy" / "d" / "program"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o777


def test_the_mode_of_a_file_gives_nobody_rights(victim: Victim) -> None:
    (victim.there / "a.log").chmod(0o6755)
    victim.get_file(victim.there / "a.log")
    assert stat.S_IMODE((victim.here / "a.log").stat().st_mode) == 0o755


def test_a_second_fetch_through_a_link_of_the_first(victim: Victim) -> None:
    (victim.there / "sub").symlink_to(victim.outside)
    victim.get_folder(target=f"{victim.here}/")
    assert (victim.here / "files" / "sub").is_symlink()
    (victim.there / "sub").unlink()
    (victim.there / "sub").mkdir(mode=0o777)
    (victim.there / "sub" / "x").write_text("x")
    with pytest.raises(TransferError, match=r"'.*files/sub' is a link here and a folder there"):
        victim.get_folder(target=f"{victim.here}/")
    assert victim.is_untouched()


def test_a_file_through_a_link_of_an_earlier_fetch(victim: Victim) -> None:
    (victim.there / "b.log").symlink_to(victim.outside / "secret")
    victim.get_file(victim.there / "b.log", links="keep")
    (victim.there / "b.log").unlink()
    (victim.there / "b.log").write_text("evil")
    victim.get_file(victim.there / "b.log")
    assert victim.is_untouched()
    assert (victim.here / "b.log").read_text() == "evil"


@pytest.mark.parametrize("name", ["../outside/x", "/../x", "OUT/x", "sub/../../outside/x", "..", "a.log/x"])
@pytest.mark.parametrize("way", ["no tar", "skip_same"])
def test_a_listing_that_leads_outside(
    tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any, name: str, way: str
) -> None:
    host = hostile()
    if way == "no tar":
        host.without("tar")
    victim = Victim(tmp_path, open_lab(box=host.lab), host)
    evil = name.replace("OUT", str(victim.outside))
    # The real find runs a shell that has the mark of each line in $K; other questions are answered.
    line = "printf '\\n%s-f:%s' \"$K\""
    host.tool("find", f"""case "$*" in *printf*) {line} a.log; {line} '{evil}' ;; *) exec $REAL "$@" ;; esac""")
    if way == "skip_same":
        (victim.here / "files").mkdir()
    with pytest.raises(TransferError, match=r"leads outside the folder|in something that is not a folder"):
        victim.get_folder(victim.there, f"{victim.here}/", skip_same=way == "skip_same")
    assert victim.is_untouched()
    assert [path.name for path in tmp_path.iterdir() if path.name == "x"] == []


@pytest.mark.parametrize("answer", [".bashrc", "../evil.log", "/etc/evil.conf", "evil.log/..", "x/evil.log"])
def test_a_pattern_answered_with_other_names(victim: Victim, answer: str) -> None:
    """The shell of the host is the attacker's: it says the same for whatever it is asked."""
    evil = victim.there / answer if not answer.startswith("/") else Path(answer)
    victim.host.replies(f"1:{evil}")
    with pytest.raises(TransferError, match=r"the host answered with '.*', which was not asked for"):
        victim.get_file(f"{victim.there}/*.log")
    assert list(victim.here.iterdir()) == []


@pytest.mark.parametrize("source", ["/usr/..", "..", ".", "~", "/usr/."])
def test_a_source_without_a_name_of_its_own(victim: Victim, source: str) -> None:
    with pytest.raises(UsageError, match="does not end with a name"):
        victim.get_folder(source, f"{victim.here}/")
    assert list(victim.here.iterdir()) == []


def test_a_folder_gets_the_name_that_was_asked_for(victim: Victim) -> None:
    """The path in the reply is the host's; the name here is ours."""
    (victim.there / "logs").symlink_to(".ssh")
    (victim.there / ".ssh").mkdir()
    got = victim.get_folder(victim.there / "logs", f"{victim.here}/")
    assert [path.name for path in victim.here.iterdir()] == ["logs"]
    assert got.files == ()


def test_a_tar_that_sends_without_end(victim: Victim) -> None:
    victim.sends(("a.log", tarfile.REGTYPE, "log"))
    victim.host.tool("tar", f"cat {victim.host.folder}/archive.tar; exec head -c {650 * MIB} /dev/zero")
    with pytest.raises(TransferError, match="the host sent more than it announced"):
        victim.get_folder()
    assert list(victim.here.iterdir()) == []


def test_a_sparse_file_that_unpacks_to_more_than_was_announced(victim: Victim) -> None:
    big = victim.host.folder / "big"
    with big.open("wb") as file:
        file.truncate(650 * MIB)
    victim.host.tool("tar", f"cd {big.parent} && exec $REAL cSf - big")
    with pytest.raises(TransferError, match="'big' is longer than the host announced"):
        victim.get_folder()
    assert list(victim.here.iterdir()) == []


def test_a_name_that_needs_gigabytes(victim: Victim) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    (victim.host.folder / "header").write_bytes(header.tobuf(tarfile.GNU_FORMAT))
    victim.host.tool("tar", f"cat {victim.host.folder}/header; exec cat /dev/zero")
    with pytest.raises(TransferError, match="a name or an extended header that is too long"):
        victim.get_folder()


@pytest.mark.parametrize("via", ["console", "scp"])
def test_a_file_that_comes_without_end(tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any, via: str) -> None:
    host = hostile("sshd")
    victim = Victim(tmp_path, open_lab(box=host.lab), host)
    host.tool("head", f"exec $REAL -c {650 * MIB} /dev/zero")
    host.tool("scp", f"dd bs=1 count=1 >/dev/null 2>&1; printf 'C0644 {650 * MIB} a.log\\n'; exec cat /dev/zero")
    with pytest.raises(TransferError, match=r"the host sent more than it announced|checksum is .* after 3 B of 3 B"):
        victim.get_file(victim.there / "a.log", via=via)
    assert list(victim.here.iterdir()) == []


DIGITS = "9" * 5000
REPLIES = [
    ["x"],
    ["path:/etc/hostname"],
    ["facts:3 1 644"],
    ["path:/etc/hostname", f"facts:{DIGITS} 1 644"],
    ["path:/etc/hostname", f"facts:3 {DIGITS} 644"],
    ["path:/etc/hostname", f"facts:3 1 {DIGITS}"],
    ["path:/etc/hostname", "facts:-3 1 644"],
    ["path:/etc/hostname", "facts:3 1"],
    ["path:/etc/hostname", "facts:three one rw"],
    ["path:/etc/host\\0name", "facts:3 1 644"],
    ["path:/etc/hostname", "facts:3 1 644", "tool:rm -rf"],
    ["path:/etc/hostname", "facts:3 1 644"],
]


@pytest.mark.parametrize("reports", REPLIES)
@pytest.mark.parametrize("what", ["get file", "put file", "get folder", "put folder", "look", "checksum"])
def test_a_reply_that_is_not_what_was_agreed(
    tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any, reports: list[str], what: str
) -> None:
    host = hostile()
    victim = Victim(tmp_path, open_lab(box=host.lab), host)
    host.replies(*reports)
    files, folders = victim.session.files.on("box"), victim.session.files.folders_on("box")
    (victim.here / "folder").mkdir()
    (victim.here / "folder" / "file").write_text("data")
    work = {
        "get file": lambda: files.get("/etc/hostname", f"{victim.here}/"),
        "put file": lambda: files.put([victim.here / "folder" / "file"], "/nowhere/"),
        "get folder": lambda: folders.get("/etc", f"{victim.here}/copy"),
        "put folder": lambda: folders.put(victim.here / "folder", "/nowhere/"),
        "look": lambda: files.listing("/etc", "*"),
        "checksum": lambda: files.checksum("/etc/hostname"),
    }[what]
    if what == "look":
        if reports == ["x"]:
            with pytest.raises(TransferError, match="the host's reply is not what was agreed"):
                victim.session.engine.call(work())
        return
    with pytest.raises(TransferError, match="the host's reply is not what was agreed"):
        victim.session.engine.call(work())
    assert victim.is_untouched()


def test_a_reply_without_end_is_cut(tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any) -> None:
    host = hostile()
    victim = Victim(tmp_path, open_lab(box=host.lab), host)
    host.tool("sh", '[ "$#" = 0 ] || exec /bin/sh "$@"; exec cat /dev/zero')
    with pytest.raises(TransferError, match="the host's reply is longer than"):
        victim.get_file("/etc/hostname")


def test_a_host_that_says_nothing_is_left(tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any) -> None:
    host = hostile()
    victim = Victim(tmp_path, open_lab(box=host.lab | {"timeout": 1}), host)
    host.tool("sh", '[ "$#" = 0 ] || exec /bin/sh "$@"; exec sleep 60')
    with pytest.raises(TransferError, match="no byte moved for 1 seconds"):
        victim.get_file("/etc/hostname")


def test_an_absurd_length_does_not_lengthen_the_wait(tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any) -> None:
    host = hostile()
    victim = Victim(tmp_path, open_lab(box=host.lab | {"timeout": 1}), host)
    host.tool("tail", "exec sleep 60")
    host.replies("1:/etc/hostname", "path:/etc/hostname", f"facts:{10**17} 1 644", "sum:1", "link:")
    with pytest.raises(TransferError, match="no byte moved for 1 seconds"):
        victim.get_file("/etc/hostname", via="console", verify="no")


@pytest.mark.parametrize("via", ["ftp", "scp", "nc", "sftp", "console"])
def test_650_mib_for_12_bytes(tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any, via: str) -> None:
    """The host says that a file has 12 bytes, and sends the 650 MiB that it has: 12 bytes are taken, as of a log that grows."""
    host = hostile("sshd")
    with Pyftpdlib("otto", "secret") as ftp:
        victim = Victim(tmp_path, open_lab(box=host.lab | {"ftp": ftp.lab}), host)
        big = victim.there / "big.bin"
        with big.open("wb") as file:
            file.truncate(650 * MIB)
        host.tool("stat", "echo 12 1 644")
        got = victim.get_file(big, via=via, verify="no")
    assert (got.size_bytes, got.sent_bytes) == (12, 12)
    assert (victim.here / "big.bin").stat().st_size == 12
