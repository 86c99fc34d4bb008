"""Watching one host, with an invented way to ask it: reboots, clocks that are set, beats that are missed, parsers that break."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import BuiltInsMetric, Event, Tick
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.feeds import Frame
from OttoLibrary.monitor.watch import Clock, Schedule, Watch


class Sink:
    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.events: dict[int, Event] = {}
        self.ends: dict[int, float] = {}

    def tick(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def mark(self, event: Event) -> int:
        self.events[len(self.events) + 1] = event
        return len(self.events)

    def end(self, number: int, until: float) -> None:
        self.ends[number] = until


class Number(BuiltInsMetric):
    """A metric that reads the number in the answer."""

    main = "number_count"

    def script(self) -> str:
        return ""

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        return {"number_count": float(printed)}


class Script:
    """A feed that gives prepared answers: a frame, an error, or a frame after some seconds."""

    def __init__(self, *answers: Frame | Exception | tuple[float, Frame]) -> None:
        self.answers, self.closed = list(answers), 0

    async def ask(self, names: Sequence[str], clock: bool) -> Frame:
        if not self.answers:
            raise asyncio.CancelledError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            await asyncio.sleep(answer[0])
            return answer[1]
        return answer

    def values(self, name: str, frame: Frame) -> dict[str, float]:
        return Number().values(frame.parts[name], frame.uptime_s)

    async def close(self) -> None:
        self.closed += 1


def frame(at: float, uptime_s: float = 100.0, printed: str = "1", wall: float | None = None) -> Frame:
    return Frame(at, 0.001, uptime_s, wall, 0.0, {"number": printed})


def watched(*answers: Any, interval_s: float = 0.01) -> tuple[Sink, Watch, Script]:
    facts = HostFacts("box", address="127.0.0.1")
    host = Host("box", ("box",), lambda: facts, None, lambda record: None)
    sink, feed, metric = Sink(), Script(*answers), {"number": Number()}

    async def follow() -> Watch:
        watch = Watch(host, metric, Clock(interval_s), sink)
        with pytest.raises(asyncio.CancelledError):
            await watch._repeat(Schedule(feed, metric, interval_s))
        return watch

    return sink, asyncio.run(follow()), feed


def kinds(sink: Sink) -> list[str]:
    return [event.kind for event in sink.events.values()]


def test_readings_carry_the_time_of_the_answer() -> None:
    sink, _, feed = watched(frame(1000.0, 50.0, "7"))
    assert sink.ticks == [Tick("box", 1000.0, 50.0, {"number_count": 7.0})]
    assert feed.closed == 1


def test_a_clock_since_start_that_goes_back_is_a_reboot() -> None:
    sink, *_ = watched(frame(1000.0, 500.0), frame(1001.0, 501.0), frame(1060.0, 5.0))
    assert sink.events == {1: Event(1055.0, "The host rebooted", "reboot", "box")}


def test_a_clock_that_is_set_is_an_event_and_one_that_drifts_is_none() -> None:
    sink, *_ = watched(*(frame(1000.0 + at, wall=1000.0 + at + offset) for at, offset in ((0, 0.5), (1, 0.51), (2, -59.5))))
    assert [event.text for event in sink.events.values()] == ["The host's clock was set by -60.0 s"]
    assert [round(tick.values["clock_offset_s"], 2) for tick in sink.ticks] == [0.5, 0.51, -59.5]


def test_what_a_metric_does_not_understand_is_an_event_once_and_again_after_it_was_right() -> None:
    sink, *_ = watched(*(frame(float(at), printed=text) for at, text in enumerate(("x", "x", "1", "x"))))
    assert kinds(sink) == ["error", "error"]
    assert "Metric 'number' cannot be read: could not convert string to float: 'x'" in sink.events[1].text
    assert len(sink.ticks) == 1


def test_an_answer_that_does_not_come_is_one_gap_until_the_next() -> None:
    sink, _, feed = watched(frame(1.0), OSError("cable"), OSError("cable"), frame(9.0))
    assert kinds(sink) == ["gap"]
    assert sink.events[1].text == "The host does not answer: cable"
    assert sink.ends == {1: 9.0}
    assert feed.closed == 3


def test_a_late_answer_costs_beats_and_none_is_made_up_for() -> None:
    sink, watch, _ = watched(frame(1.0), (0.1, frame(2.0)), frame(3.0), interval_s=0.02)
    assert 3 <= watch.missed <= 6
    assert len(sink.ticks) == 3
