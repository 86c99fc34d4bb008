"""Keys of a project: made once, for their owner alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.load.curve_keys import HQ_KEYS, TURRET_KEYS, make_keys, read_keys


def test_keys_that_were_made_fit_and_nobody_else_reads_them(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    found = read_keys(tmp_path / "keys")
    assert found.turret["server"] == found.hq.public
    assert found.hq.turrets == (found.turret["public"],)
    assert len({found.hq.public, found.hq.secret, found.turret["public"], found.turret["secret"]}) == 4
    assert [(tmp_path / "keys" / name).stat().st_mode & 0o777 for name in (HQ_KEYS, TURRET_KEYS)] == [0o600, 0o600]
    assert found.hq.secret not in repr(found.hq)


def test_keys_are_not_replaced(tmp_path: Path) -> None:
    make_keys(tmp_path)
    with pytest.raises(UsageError, match="exists already"):
        make_keys(tmp_path)


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / HQ_KEYS).chmod(0o640)
    with pytest.raises(UsageError, match=r"can be read by others\. Take that away: chmod 600"):
        read_keys(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"public": "short", "secret": 5}'])
def test_what_is_no_key_is_told(text: str, tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / HQ_KEYS).write_text(text)
    with pytest.raises(UsageError, match=r"hq\.json"):
        read_keys(tmp_path)


def test_missing_keys_are_told_with_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="load make-keys"):
        read_keys(tmp_path)


def test_keys_of_two_projects_do_not_fit(tmp_path: Path) -> None:
    make_keys(tmp_path / "one")
    make_keys(tmp_path / "two")
    keys = json.loads((tmp_path / "two" / TURRET_KEYS).read_text())
    (tmp_path / "one" / TURRET_KEYS).write_text(json.dumps(keys))
    with pytest.raises(UsageError, match="is for another HQ"):
        read_keys(tmp_path / "one")
