"""What goes wrong with real files on a real server: full disks, refused permissions, killed servers, moving sources."""

from __future__ import annotations

import contextlib
import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import TransferError, UsageError, WaitTimeoutError
from OttoLibrary.shell.launch import Account
from OttoLibrary.text import Secret
from tests.contract.sites import Site, content, write
from tests.peers import processes
from tests.peers.disk import read_only_disk, small_disk

VIAS = ("sftp", "scp", "console", "nc")


@pytest.fixture(params=VIAS)
def over(request: pytest.FixtureRequest, sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> Site:
    """A host over SSH."""
    return ssh_site(request.param, sshd, open_lab, keys, tmp_path)


def ssh_site(via: str, sshd: Any, open_lab: Any, keys: Any, folder: Path, **more: Any) -> Site:
    there, here = folder / "there", folder / "here"
    there.mkdir(mode=0o777)
    here.mkdir()
    own = {"user": sshd.user, "identity_file": str(keys.identity_file), "environment": {"TMPDIR": str(there)}}
    return Site(open_lab(box={"address": sshd.address, "port": sshd.port} | own | more), "box", via, there, here)


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def while_moving(folder: Path, work: Callable[[], Any]) -> threading.Thread:
    """Do it once some bytes are under a temporary name."""

    def moving() -> bool:
        return any(path.stat().st_size > 100_000 for path in folder.glob(".otto-*.part"))

    def wait_and_work() -> None:
        processes.wait_until(moving, "bytes are moving")
        work()

    return beside(wait_and_work)


# -- disks


def test_a_full_disk_there(over: Site) -> None:
    with small_disk(512) as disk:
        write(disk / "a.bin", b"old")
        with pytest.raises(TransferError, match=r"No space left|Failure|[Dd]isk|KiB are free") as caught:
            over.put(write(over.here / "a.bin", content(2 << 20)), str(disk / "a.bin"))
        assert "are free there" in str(caught.value) or "No space left" in str(caught.value)
        assert [path.name for path in disk.iterdir()] == ["a.bin"]
        assert (disk / "a.bin").read_bytes() == b"old"


def test_a_full_disk_here(over: Site) -> None:
    write(over.there / "a.bin", content(2 << 20))
    with small_disk(512) as disk:
        write(disk / "a.bin", b"old")
        with pytest.raises(TransferError, match="No space left on device"):
            over.get(f"{over.there}/a.bin", str(disk / "a.bin"))
        assert [path.name for path in disk.iterdir()] == ["a.bin"]
        assert (disk / "a.bin").read_bytes() == b"old"


def test_a_full_disk_takes_no_half_folder(sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    site = ssh_site("sftp", sshd, open_lab, keys, tmp_path)
    source = site.here / "many"
    source.mkdir()
    for number in range(40):
        write(source / f"{number}", content(50_000, number))
    folders = site.session.files.folders_on("box")
    with small_disk(512) as disk:
        with pytest.raises(TransferError, match="No space left on device"):
            site.session.engine.call(folders.put(source, f"{disk}/many"))
        assert not list(disk.iterdir())
        write(site.there / "there.txt", b"x")
        with pytest.raises(TransferError, match=r"it holds .*, and only .* are free on this machine"):
            site.session.engine.call(folders.get(str(source), f"{disk}/many"))
        assert not list(disk.iterdir())


def test_a_read_only_disk(over: Site) -> None:
    with read_only_disk("a.bin") as disk:
        with pytest.raises(TransferError, match="Read-only file system"):
            over.put(write(over.here / "a.bin", b"new"), str(disk / "a.bin"))
        with pytest.raises((TransferError, UsageError), match="Read-only file system"):
            over.get(f"{over.here}/a.bin", f"{disk}/a.bin")
        assert (disk / "a.bin").read_text() == "a.bin"


# -- permissions


def test_what_an_ordinary_user_may_not(sshd: Any, open_lab: Any, keys: Any, accounts: Any, tmp_path: Path) -> None:
    site = ssh_site("sftp", sshd, open_lab, keys, tmp_path, user=accounts.test.login)
    with pytest.raises(TransferError, match=r"cannot be entered \(permission denied\)"):
        site.put(write(site.here / "early.bin", b"data"), f"{site.there}/a.bin")
    for folder in [site.there, *site.there.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    locked = site.there / "locked"
    locked.mkdir(mode=0o755)
    write(locked / "secret.bin", b"x", mode=0o600)
    source = write(site.here / "a.bin", b"data")
    with pytest.raises(TransferError, match="Permission denied"):
        site.put(source, f"{locked}/a.bin")
    with pytest.raises(TransferError, match=r"cannot be read \(permission denied\)"):
        site.get(f"{locked}/secret.bin", f"{site.here}/")
    with pytest.raises(TransferError, match="Permission denied"):
        site.session.engine.call(site.session.files.folders_on("box").get(str(locked), f"{site.here}/back"))
    assert not (site.here / "back").exists()
    assert not site.litter()


def test_another_user_is_served_by_the_shell(sshd: Any, open_lab: Any, keys: Any, accounts: Any, tmp_path: Path) -> None:
    site = ssh_site("", sshd, open_lab, keys, tmp_path, user=accounts.test.login)
    host = site.session.hosts.use("box")
    account = Account("root", "sudo", Secret(accounts.test.password))
    site.session.engine.call(host.switch_user(account, Deadline(20)))
    sent = site.put(write(site.here / "a.bin", b"data", mode=0o600), "/root/.otto-test-switched")
    try:
        assert sent.protocol == "console"
        assert Path("/root/.otto-test-switched").stat().st_uid == 0
        assert site.get("/root/.otto-test-switched", f"{site.here}/back").sent_bytes == 4
    finally:
        Path("/root/.otto-test-switched").unlink()
    with pytest.raises(UsageError, match="sftp works as the login user, and host 'box' is user 'root' now"):
        site.put(site.here / "a.bin", "/root/x", via="sftp")


# -- servers that die


@pytest.mark.parametrize("direction", ["put", "get"])
@pytest.mark.parametrize("via", ["sftp", "scp", "console"])
def test_a_server_that_is_killed(via: str, direction: str, make_sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    sshd = make_sshd()
    site = ssh_site(via, sshd, open_lab, keys, tmp_path)
    site.put(write(site.here / "warm", b"x"), f"{site.there}/")
    source, target = (site.here, site.there) if direction == "put" else (site.there, site.here)
    with (source / "big.bin").open("wb") as file:
        file.truncate(3 << 30)
    write(target / "a.bin", b"old")
    # The server alone, not what it has started: that ends by itself when its streams do.
    killer = while_moving(target, lambda: processes.tell(sshd.sessions(), signal.SIGKILL))
    with pytest.raises(TransferError, match=r"connection broke|lost|closed|reset"):
        (site.put if direction == "put" else site.get)(
            source / "big.bin" if direction == "put" else f"{source}/big.bin", f"{target}/a.bin"
        )
    killer.join()
    assert (target / "a.bin").read_bytes() == b"old"
    processes.wait_until(lambda: not site.litter(), "the host has tidied up")
    assert site.put(site.here / "warm", f"{site.there}/again").sent_bytes == 1


# -- sources that move


def test_a_growing_log_comes_as_it_was(over: Site) -> None:
    log = over.there / "app.log"
    log.write_bytes(content(3 << 20))
    stop = threading.Event()

    def grow() -> None:
        with log.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"another line\n")
                time.sleep(0.0005)

    growing = beside(grow)
    try:
        for _ in range(3):
            got = over.get(str(log), f"{over.here}/app.log")
            data = (over.here / "app.log").read_bytes()
            assert len(data) == got.size_bytes >= 3 << 20
            assert log.read_bytes().startswith(data)
    finally:
        stop.set()
        growing.join()


@pytest.mark.parametrize("via", VIAS)
def test_a_source_that_changes_here_is_noticed(via: str, sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    site = ssh_site(via, sshd, open_lab, keys, tmp_path)
    site.put(write(site.here / "warm", b"x"), f"{site.there}/")
    source = site.here / "a.bin"
    source.write_bytes(bytes(256 << 20))
    write(site.there / "a.bin", b"old")

    def change() -> None:
        with source.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"x")
            file.seek(0)
            file.write(b"x")

    changer = while_moving(site.there, change)
    with pytest.raises(TransferError, match=r"it changed on this machine while it was being sent|checksum is"):
        site.put(source, f"{site.there}/a.bin")
    changer.join()
    assert (site.there / "a.bin").read_bytes() == b"old"
    assert not site.litter()


@pytest.mark.parametrize(
    ("via", "sentence"),
    [
        ("sftp", r"ends|ended|shorter|arrived|early"),
        ("console", r"ends|ended|shorter|arrived|early"),
        # The scp program there gives the last error of the system as its reason, whichever that was.
        ("scp", "did not give"),
        ("nc", "it ended too early"),
    ],
)
def test_a_source_that_shrinks_there_is_noticed(
    via: str, sentence: str, sshd: Any, open_lab: Any, keys: Any, tmp_path: Path
) -> None:
    site = ssh_site(via, sshd, open_lab, keys, tmp_path)
    site.put(write(site.here / "warm", b"x"), f"{site.there}/")
    source = site.there / "a.bin"
    with source.open("wb") as file:
        file.truncate(1 << 30)
    shrinker = while_moving(site.here, lambda: write(source, b"short"))
    with pytest.raises(TransferError, match=sentence):
        site.get(str(source), f"{site.here}/b.bin")
    shrinker.join()
    assert not (site.here / "b.bin").exists()
    assert not site.litter()


# -- limits


@pytest.mark.parametrize("via", VIAS)
def test_a_limit_of_the_file_size(via: str, make_sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    sshd = make_sshd()
    resource.prlimit(sshd.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    site = ssh_site(via, sshd, open_lab, keys, tmp_path)
    write(site.there / "a.bin", b"old")
    with pytest.raises(TransferError, match="did not take"):
        site.put(write(site.here / "a.bin", content(2 << 20)), f"{site.there}/a.bin")
    assert (site.there / "a.bin").read_bytes() == b"old"
    assert not site.litter()
    site.put(write(site.here / "small.bin", b"fits"), f"{site.there}/a.bin")
    assert (site.there / "a.bin").read_bytes() == b"fits"


def test_an_sftp_server_that_is_killed(make_sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    sshd = make_sshd()
    site = ssh_site("sftp", sshd, open_lab, keys, tmp_path)
    site.put(write(site.here / "warm", b"x"), f"{site.there}/")
    with (site.here / "big.bin").open("wb") as file:
        file.truncate(3 << 30)
    write(site.there / "a.bin", b"old")

    def kill() -> None:
        servers = [
            pid for pid in processes.descendants(sshd.pid) if b"internal-sftp" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        processes.tell(servers, signal.SIGKILL)

    killer = while_moving(site.there, kill)
    with pytest.raises(TransferError, match="the SFTP session ended"):
        site.put(site.here / "big.bin", f"{site.there}/a.bin")
    killer.join()
    assert (site.there / "a.bin").read_bytes() == b"old"
    assert not site.litter()
    # The connection lives on, and has a new SFTP session for the next one.
    assert site.put(site.here / "warm", f"{site.there}/again").sent_bytes == 1


# -- given up


def test_many_that_were_given_up_leave_nothing_and_no_session(over: Site) -> None:
    moments = random.Random(9)
    source = write(over.here / "a.bin", content(5000))
    over.put(source, f"{over.there}/a.bin")
    # More than the sessions that sshd allows a connection.
    for _ in range(25):
        with contextlib.suppress(WaitTimeoutError):
            over.put(source, f"{over.there}/a.bin", timeout_s=moments.uniform(0.0, 0.02))
        processes.wait_until(lambda: not over.litter(), "the host has tidied up")
    over.put(source, f"{over.there}/b.bin")


def test_connecting_counts_too(proxy: Any, sshd: Any, open_lab: Any, keys: Any, tmp_path: Path) -> None:
    way = proxy(sshd.address, sshd.port)
    way.stall()
    site = ssh_site("sftp", sshd, open_lab, keys, tmp_path, port=way.port, host_key="ignore")
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"did not finish '.*a\.bin → .*' in 0\.3 seconds"):
        site.put(write(site.here / "a.bin", b"x"), f"{site.there}/", timeout_s=0.3)
    assert time.monotonic() - began < 10


# -- two files, one name


def test_no_file_takes_the_place_of_another_of_the_same_call(over: Site) -> None:
    for name in ("one/x.log", "one/y.log", "two/x.log"):
        (over.there / name).parent.mkdir(exist_ok=True)
        write(over.there / name, name.encode())
    with pytest.raises(UsageError, match=r"one/x\.log' and '.*two/x\.log' would have the same name"):
        over.get(f"{over.there}/*/x.log", f"{over.here}/")
    with pytest.raises(UsageError, match=r"The folder '.*new' does not exist on this machine"):
        over.get(f"{over.there}/one/*", f"{over.here}/new")
    assert not list(over.here.iterdir())


def test_a_pattern_leaves_folders_out(over: Site) -> None:
    (over.there / "folder").mkdir()
    write(over.there / "file", b"x")
    assert [file.source for file in over.get(f"{over.there}/f*", f"{over.here}/").files] == [f"{over.there}/file"]
    with pytest.raises(TransferError, match="is a directory; use 'Get Directory From Host'"):
        over.get(f"{over.there}/folder", f"{over.here}/")


def test_text_is_not_written_into_a_folder(over: Site) -> None:
    with pytest.raises(TransferError, match=rf"did not take '{over.there}': '{over.there}/' is a directory"):
        over.session.engine.call(over.session.files.on("box").write(str(over.there), "text", "UTF-8", 0o644))
    assert not list(over.there.iterdir())
