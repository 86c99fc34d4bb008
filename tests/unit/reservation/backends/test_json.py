"""Who has what according to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import ReservationError
from OttoLibrary.reservation.backends.json import JsonReservations


def backend(folder: Path, *entries: Any, **more: Any) -> JsonReservations:
    file = folder / "reservations.json"
    file.write_text(json.dumps({"version": 1, "reservations": list(entries)} | more))
    return JsonReservations(str(file))


def test_it_says_who_has_what(tmp_path: Path) -> None:
    found = backend(tmp_path, {"user": "alice", "resources": ["a", "b"]}, {"user": "bob", "resources": ["b"]})
    assert found.who_reserved("b") == ["alice", "bob"]
    assert found.get_reserved_resources("alice") == {"a", "b"}
    assert found.list_usernames() == ["alice", "bob"]


def test_what_has_expired_is_free(tmp_path: Path) -> None:
    past, future = "2001-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"
    found = backend(
        tmp_path,
        {"user": "alice", "resources": ["a"], "expires": past},
        {"user": "bob", "resources": ["b"], "expires": future},
    )
    assert (found.who_reserved("a"), found.who_reserved("b")) == ([], ["bob"])


@pytest.mark.parametrize("entry", ["alice", {"user": "alice"}, {"user": "alice", "resources": ["a"], "expires": "soon"}, None])
def test_an_entry_that_cannot_be_read_is_an_error(tmp_path: Path, entry: Any) -> None:
    with pytest.raises(ReservationError, match="has a reservation that cannot be read"):
        backend(tmp_path, entry).holdings()


def test_another_version_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReservationError, match="is not a file of reservations of version 1"):
        backend(tmp_path, version=2).holdings()


def test_no_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTTO_RESERVATIONS", raising=False)
    with pytest.raises(ReservationError, match="need a file"):
        JsonReservations().holdings()
    with pytest.raises(ReservationError, match="it is unknown who has what"):
        JsonReservations(str(tmp_path / "none.json")).holdings()
