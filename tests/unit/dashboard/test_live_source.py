"""What a page is told while hosts are watched: news once, and the tests that still count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.dashboard import live_source
from OttoLibrary.dashboard.live_source import LiveSource


class Monitor:
    """A monitor that remembers who follows it."""

    interval_s, began = 1.0, 100.0
    hosts: dict[str, Any] = {}  # noqa: RUF012 - it has none

    def __init__(self) -> None:
        self.followers: list[object] = []

    def subscribe(self, follower: object) -> None:
        self.followers.append(follower)

    def numbered_events(self) -> dict[int, Event]:
        return {}


class RunningMonitor:
    """The monitor of a run; what is done with it is done at once."""

    def __init__(self) -> None:
        self.running = Monitor()

    def do(self, work: Callable[[Monitor], Any]) -> Any:
        return work(self.running)


class Followed:
    """Tells of tests."""

    def __init__(self) -> None:
        self.followers: list[object] = []

    def follow(self, take: object) -> None:
        self.followers.append(take)

    def leave(self, take: object) -> None:
        self.followers.remove(take)


class Lab:
    """A lab with a name."""

    references = "bench"


class Run:
    """The part of a run that the page needs."""

    def __init__(self) -> None:
        self.monitor, self.tests, self.lab = RunningMonitor(), Followed(), Lab()


def _source() -> tuple[LiveSource, Run]:
    run = Run()
    return LiveSource(run), run  # type: ignore[arg-type]


def test_news_are_told_once_and_readings_together() -> None:
    source, run = _source()
    assert run.monitor.running.followers == [source]
    source.tick(Tick("a", 1.0, 0.0, {"cpu": 1.0}))
    source.event(3, None)
    source.tick(Tick("b", 2.0, 0.0, {"cpu": 2.0}))
    source.test({"began": 5.0, "name": "Boots"})
    assert source.news() == [
        ("ticks", [{"host": "a", "at": 1.0, "values": {"cpu": 1.0}}, {"host": "b", "at": 2.0, "values": {"cpu": 2.0}}]),
        ("gone", {"id": 3}),
        ("test", {"began": 5.0, "name": "Boots"}),
    ]
    assert source.news() == []


def test_a_test_that_has_ended_replaces_itself_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_source, "_MOST_TESTS", 2)
    source, _ = _source()
    source.test({"began": 1.0, "status": "RUNNING"})
    source.test({"began": 1.0, "status": "PASS"})
    assert source.page()["tests"] == [{"began": 1.0, "status": "PASS"}]
    for began in range(2, 9):
        source.test({"began": float(began)})
    assert [test["began"] for test in source.page()["tests"]][-2:] == [7.0, 8.0]
    assert len(source.page()["tests"]) <= 3


def test_the_end_is_told_to_all_and_tests_are_followed_no_more() -> None:
    source, run = _source()
    told: list[str] = []
    source.on_end(lambda: told.append("early"))
    assert len(run.tests.followers) == 1
    source.end()
    assert (told, run.tests.followers) == (["early"], [])
    source.on_end(lambda: told.append("late"))
    assert told == ["early", "late"]
