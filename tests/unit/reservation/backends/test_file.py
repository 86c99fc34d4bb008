"""Leases in a folder, seen by one process; what several do is tested with real ones."""

from __future__ import annotations

import json
from pathlib import Path

from OttoLibrary.contracts.reservations import Demand, Lease
from OttoLibrary.reservation.backends.file import FileReservations

DEMAND = Demand({"a": ("a",)}, 1, "alice", "testing", 60.0)


def granted(reservations: FileReservations) -> Lease:
    lease = reservations.attempt(reservations.join(DEMAND))
    assert lease is not None
    return lease


def test_a_question_makes_no_folder(tmp_path: Path) -> None:
    reservations = FileReservations(str(tmp_path / "leases"))
    assert reservations.holdings() == []
    reservations.close()
    assert not (tmp_path / "leases").exists()


def test_what_one_has_another_sees(tmp_path: Path) -> None:
    ours, theirs = FileReservations(str(tmp_path / "leases")), FileReservations(str(tmp_path / "leases"))
    lease = granted(ours)
    assert theirs.who_reserved("a") == ["alice"]
    assert theirs.attempt(theirs.join(DEMAND)) is None
    ours.release(lease)
    assert theirs.who_reserved("a") == []
    ours.close()
    theirs.close()
    assert sorted(path.name for path in (tmp_path / "leases").iterdir()) == ["mutex", "state.json", "state.new"]


def test_after_a_reboot_nothing_is_reserved_and_tokens_grow(tmp_path: Path) -> None:
    before = FileReservations(str(tmp_path))
    lease = granted(before)
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps(state | {"boot": "another"}))
    after = FileReservations(str(tmp_path))
    assert after.holdings() == []
    assert granted(after).token > lease.token
    after.close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    reservations = FileReservations(str(tmp_path))
    granted(reservations)
    reservations.close()
    reservations.close()
    assert FileReservations(str(tmp_path)).holdings() == []
