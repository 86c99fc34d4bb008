"""Benches that a process of its own keeps up: who may use one, and when it ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.lab.environment import Environment
from OttoLibrary.run import kept_bench
from OttoLibrary.run.kept_bench import KeptBench, Unused
from tests.unit.testbed.benches import environment


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OTTO_BENCHES", str(tmp_path / "benches"))
    return tmp_path


@pytest.fixture
def place() -> KeptBench:
    return KeptBench("/env.json", "/inv.json", "bench-1")


def found(**config: Any) -> Environment:
    return environment({"name": "box", "password": "pa55-word", **config})


def test_what_is_up_can_be_used_by_its_user(place: KeptBench) -> None:
    assert not place.is_up
    with place.kept():
        place.announce(found(), "me", time.time() + 60)
        other = KeptBench("/env.json", "/inv.json", "bench-1")
        assert other.is_up
        other.attach(found(), "me")
        assert not place.is_wanted(time.time() - 1)
        assert not KeptBench("/env.json", "/inv.json", "bench-2").is_up
        other.leave()
    assert not place.is_up


@pytest.mark.parametrize(
    ("user", "config", "until_s", "problem"),
    [
        ("you", {}, 60, "it is me's, and you are you"),
        ("me", {}, -1, "its lease has expired"),
        ("me", {"image": "2"}, 60, 'box.image is nothing there, and "2" in the files'),
        ("me", {"password": "other-word"}, 60, "a secret of a device is another one"),
    ],
)
def test_another_one_is_refused_with_the_difference(
    place: KeptBench, user: str, config: dict[str, Any], until_s: float, problem: str
) -> None:
    with place.kept():
        place.announce(found(), "me", time.time() + until_s)
        with pytest.raises(UsageError) as raised:
            place.attach(found(**config), user)
    assert problem in str(raised.value)
    assert "word" not in str(raised.value).replace("a secret", "")


def test_there_is_one_keeper(place: KeptBench) -> None:
    with (
        place.kept(),
        pytest.raises(UsageError, match="is kept up already"),
        KeptBench("/env.json", "/inv.json", "bench-1").kept(),
    ):
        pass


def test_secrets_are_not_in_the_file(place: KeptBench, folder: Path) -> None:
    with place.kept():
        place.announce(found(), "me", time.time() + 60)
        (state,) = (folder / "benches").glob("*.json")
        assert "pa55" not in state.read_text()
        assert state.stat().st_mode & 0o077 == 0


def test_an_unused_one_ends_when_nobody_can_come_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Unused(1 << 30).for_long(is_free=True)
    living = Unused(os.getpid())
    assert not living.for_long(is_free=True)
    monkeypatch.setattr(kept_bench, "UNUSED_S", 0.0)
    assert living.for_long(is_free=True)
    assert not living.for_long(is_free=False)


def test_a_folder_of_others_is_refused(folder: Path, place: KeptBench) -> None:
    (folder / "benches").mkdir()
    (folder / "benches").chmod(0o777)
    with pytest.raises(UsageError, match="is not a folder of yours alone"):
        _ = place.is_up


def test_a_keeper_that_does_not_end_is_not_waited_for_without_end(place: KeptBench) -> None:
    assert not place.ask_for_release()
    with place.kept(), pytest.raises(UsageError, match="'bench-1' up did not shut it down in"):
        KeptBench("/env.json", "/inv.json", "bench-1").ask_for_release(0.0)


def test_who_uses_a_bench_knows_its_keeper(place: KeptBench) -> None:
    with place.kept():
        place.announce(found(), "me", time.time() + 60)
        other = KeptBench("/env.json", "/inv.json", "bench-1")
        other.attach(found(), "me")
        assert other.process.endswith(f":{os.getpid()}")
        other.leave()
