"""The folder of leases, which all users of a machine may write: they can say who has what, and do no other harm."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.errors import ReservationError
from OttoLibrary.reservation.backends.file import FileReservations
from OttoLibrary.reservation.queue import new_state
from tests.peers.requirements import require

DEMAND = Demand({"a": ("a",)}, 1, "alice", "testing", 60.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "leases"
    made.mkdir(mode=0o700)
    made.chmod(0o1777)
    return made


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def lease(**more: Any) -> dict[str, Any]:
    entry = {"ticket": "1", "owner": "0" * 16, "user": "bob", "purpose": "", "process": "bench:7", "lease_s": 60.0}
    return entry | {"token": 2, "since": 1.0, "end": 1e12} | more


def wrote(folder: Path, **state: Any) -> None:
    (folder / "state.json").write_text(json.dumps(new_state() | {"boot": boot()} | state))


def in_time(work: Callable[[], object]) -> None:
    """Do what may hang in a thread; fail when it does."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("owner", ["../victim", "/../victim", "x/../../victim", "", "0" * 15, "0" * 17, "G" * 16])
def test_an_owner_that_is_a_path_deletes_nothing(tmp_path: Path, folder: Path, owner: str) -> None:
    for name in ("victim", "alive-", "alive-..", "alive-x"):
        (tmp_path / name).write_text("mine")
    (folder / "alive-x").mkdir()
    wrote(folder, leases={"a": lease(owner=owner)})
    with pytest.raises(ReservationError, match=r"state\.json' cannot be read \(its 'owner' is wrong\)"):
        FileReservations(str(folder)).holdings()
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("name", ["state.json", "mutex", "state.new"])
@pytest.mark.parametrize("kind", ["pipe", "link", "hard link", "folder", "socket", "link to a device"])
def test_a_file_of_another_kind_blocks_and_changes_nothing(tmp_path: Path, folder: Path, name: str, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("{}")
    victim.chmod(0o600)
    file = folder / name
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to(victim)
    elif kind == "hard link":
        file.hardlink_to(victim)
    elif kind == "folder":
        file.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(file))
    else:
        file.symlink_to("/dev/zero")
    if name != "state.json":
        wrote(folder)
    reservations = FileReservations(str(folder))
    with pytest.raises(ReservationError, match=r"cannot be (used|written)|is not a plain file of its own"):
        in_time(lambda: reservations.attempt(reservations.join(DEMAND)))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert victim.read_text() == "{}"


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_life_sign_of_another_kind_counts_as_dead(tmp_path: Path, folder: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    sign = folder / f"alive-{'0' * 16}"
    if kind == "pipe":
        os.mkfifo(sign)
    else:
        sign.symlink_to(victim)
    wrote(folder, leases={"a": lease()})
    reservations = FileReservations(str(folder))
    in_time(lambda: reservations.attempt(reservations.join(DEMAND)))
    assert [(held.resource, held.user) for held in reservations.holdings()] == [("a", "alice")]
    assert victim.read_text() == "mine"
    reservations.close()


def test_a_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / "leases").symlink_to(elsewhere)
    with pytest.raises(ReservationError, match="It is a link; name the folder itself"):
        FileReservations(str(tmp_path / "leases")).join(DEMAND)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
    assert list(elsewhere.iterdir()) == []


WRONG = [
    "",
    "null",
    "[]",
    "7",
    "{",
    "[" * 100_000,
    '{"last": 1}',
    json.dumps(new_state() | {"boot": boot(), "last": "1"}),
    json.dumps(new_state() | {"boot": boot(), "leases": {"a": lease(token="1")}}),
    json.dumps(new_state() | {"boot": boot(), "leases": {"a": lease(end=float("inf"))}}),
    json.dumps(new_state() | {"boot": boot(), "leases": {"a": lease(end="late")}}),
    json.dumps(new_state() | {"boot": boot(), "leases": {"a": {}}}),
    json.dumps(new_state() | {"boot": boot(), "leases": ["a"]}),
    json.dumps(new_state() | {"boot": boot(), "queue": [lease(ticket="9" * 20)]}),
    json.dumps(new_state() | {"boot": boot(), "queue": [lease(priority=0, count=1, candidates={"a": 7})]}),
    '{"last": ' + "9" * 5000 + "}",
]


@pytest.mark.parametrize("text", WRONG[1:], ids=range(1, len(WRONG)))
def test_a_state_that_is_none_is_one_sentence(folder: Path, text: str) -> None:
    (folder / "state.json").write_text(text)
    with pytest.raises(ReservationError, match=r"state\.json' cannot be read \(") as caught:
        FileReservations(str(folder)).holdings()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_state_without_end_is_not_read(folder: Path) -> None:
    (folder / "state.json").write_text(json.dumps(new_state() | {"boot": boot()}) + " " * (17 << 20))
    with pytest.raises(ReservationError, match=r"state\.json' is longer than 16\.0 MiB"):
        FileReservations(str(folder)).holdings()


def test_text_of_others_is_one_line_without_control_characters(folder: Path) -> None:
    sign = os.open(folder / f"alive-{'0' * 16}", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(sign, fcntl.LOCK_EX)
        wrote(folder, leases={"a": lease(user="bob\x1b]0;owned\x07", purpose="x\ny" * 1000)})
        (held,) = FileReservations(str(folder)).holdings()
    finally:
        os.close(sign)
    assert held.user.isprintable()
    assert held.purpose.isprintable()
    assert len(held.purpose) <= 500


def test_a_process_that_died_while_it_wrote_loses_nothing(folder: Path) -> None:
    before = FileReservations(str(folder))
    assert before.attempt(before.join(DEMAND)) is not None
    text = (folder / "state.json").read_text()
    (folder / "state.new").write_text(text)
    for cut in (0, 1, len(text) // 2):
        (folder / "state.json").write_text(text[:cut])
        assert [held.resource for held in FileReservations(str(folder)).holdings()] == ["a"]
    before.close()


def test_files_have_the_rights_of_the_folder(tmp_path: Path) -> None:
    for mode, expected in ((0o1777, 0o666), (0o3770, 0o660), (0o700, 0o600)):
        folder = tmp_path / f"{mode:o}"
        folder.mkdir()
        folder.chmod(mode)
        reservations = FileReservations(str(folder))
        reservations.attempt(reservations.join(DEMAND))
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {expected}
        assert stat.S_IMODE(folder.stat().st_mode) == mode
        reservations.close()


def test_two_users_share_a_sticky_folder(accounts: Any) -> None:
    """Each in turn writes what the other made; nobody may replace another's file in a sticky folder."""
    require("root")
    code = """
import os, sys
from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.reservation.backends.file import FileReservations
os.setgid(int(sys.argv[4]))
os.setuid(int(sys.argv[3]))
mine = FileReservations(sys.argv[1])
lease = mine.attempt(mine.join(Demand({sys.argv[2]: (sys.argv[2],)}, 1, sys.argv[2])))
mine.release(lease)
mine.close()
"""
    # Not below pytest's own folder, which is for root alone.
    with tempfile.TemporaryDirectory(prefix="otto-shared-") as folder:
        Path(folder).chmod(0o1777)
        for account in (accounts.test, accounts.peer, accounts.test):
            facts = pwd.getpwnam(account.login)
            arguments = [folder, account.login, str(facts.pw_uid), str(facts.pw_gid)]
            words = [sys.executable, "-c", code, *arguments]
            ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
            assert ended.returncode == 0, ended.stderr
