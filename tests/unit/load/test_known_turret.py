"""A turret as an HQ knows it."""

from __future__ import annotations

import pytest

from OttoLibrary.load.known_turret import LOST, KnownTurret


@pytest.mark.parametrize(
    ("status", "ended", "silent_s", "given_up"),
    [
        ("Running", False, 100.0, False),
        (LOST, False, 3.0, False),
        (LOST, False, 16.0, True),
        (LOST, True, 0.0, True),
        ("Killed", False, 0.0, True),
        ("Aborted", False, 0.0, True),
    ],
)
def test_a_silent_turret_is_given_up_later_than_one_that_ended(status: str, ended: bool, silent_s: float, given_up: bool) -> None:
    turret = KnownTurret("u", "n", status, heard=1000.0, ended=ended)
    assert turret.is_given_up(1000.0 + silent_s) is given_up


def test_what_is_kept_of_it_has_its_counts() -> None:
    row = KnownTurret("u", "n", "ready", 0.0, identity=b"i", begun=4, done=3, stored=2, lost=1, planned=5, dropped=1).row()
    assert (row.own, row.begun, row.done, row.stored, row.lost, row.planned, row.dropped) == (True, 4, 3, 2, 1, 5, 1)
