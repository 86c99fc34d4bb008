"""Watching one host, with an invented way to ask it: reboots, clocks that are set, beats that are missed, parsers that break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import BuiltInsMetric, Event, Tick
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.feeds import Frame
from OttoLibrary.monitor.watch import Clock, Schedule, Watch
from OttoLibrary.shell.launch import Launched
from tests.unit.fakes import FakeProcess


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
            await watch._asking(Schedule(feed, metric, interval_s))()
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


def test_a_clock_is_doubted_by_what_the_answer_took() -> None:
    # Between two answers of which each may be wrong by two seconds, a step of three says nothing; one of ten does.
    doubtful = [Frame(at, 2.0, 100.0, at + offset, 0.0, {"number": "1"}) for at, offset in ((1.0, 0.0), (2.0, 3.0), (3.0, 13.0))]
    sink, *_ = watched(*doubtful)
    assert [event.text for event in sink.events.values()] == ["The host's clock was set by +10.0 s"]


def test_a_clock_without_fractions_is_doubted_by_its_step() -> None:
    coarse = [Frame(at, 0.0, 100.0, at + offset, 0.5, {"number": "1"}) for at, offset in ((1.0, 0.0), (2.0, 1.1), (3.0, 3.0))]
    sink, *_ = watched(*coarse)
    assert [event.text for event in sink.events.values()] == ["The host's clock was set by +1.9 s"]


def schedule(**intervals: float) -> Schedule:
    def metric(interval_s: float) -> Number:
        made = Number()
        made.interval_s = interval_s
        return made

    return Schedule(Script(), {name: metric(interval_s) for name, interval_s in intervals.items()}, 2.0)


def test_what_fails_is_asked_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("OttoLibrary.monitor.watch.time.monotonic", lambda: now)
    made, pauses = schedule(number=0.0), []
    for _ in range(6):
        made.postpone(["number"])
        assert not made.counts
        pauses.append(next(pause for pause in range(100) if made.due(now + pause)))
    assert pauses == [2, 4, 8, 16, 30, 30]


def test_an_answer_ends_the_pauses() -> None:
    made = Schedule(Script(frame(1.0)), {"number": Number()}, 2.0)
    for _ in range(4):
        made.postpone(["number"])
    asyncio.run(made.ask(["number"]))
    assert made.counts
    made.postpone(["number"])
    assert made.due(time.monotonic() + 2.1) == [["number"]]


def test_each_feed_has_its_own_uptime() -> None:
    # The answer of a slow command was true when it was asked: no reboot since.
    facts = HostFacts("box", address="127.0.0.1")
    sink = Sink()
    watch = Watch(Host("box", ("box",), lambda: facts, None, lambda record: None), {}, Clock(1.0), sink)
    fast, slow = schedule(number=0.0), schedule(number=0.0)
    watch._asking(fast), watch._asking(slow)
    for asked, uptime_s in ((fast, 100.0), (slow, 95.0), (fast, 101.0)):
        watch._took(asked, ["number"], frame(1000.0, uptime_s))
    assert sink.events == {}
    watch._took(fast, ["number"], frame(1000.0, 5.0))
    assert kinds(sink) == ["reboot"]


def test_a_reboot_and_a_clock_are_told_once_whatever_feeds_there_are() -> None:
    facts = HostFacts("box", address="127.0.0.1")
    sink = Sink()
    watch = Watch(Host("box", ("box",), lambda: facts, None, lambda record: None), {}, Clock(1.0), sink)
    feeds = [schedule(number=0.0), schedule(number=0.0)]
    for made in feeds:
        watch._asking(made)
    for at, uptime_s, wall in ((1000.0, 500.0, 1000.0), (1060.0, 5.0, 1000.0)):
        for made in feeds:
            watch._took(made, ["number"], frame(at, uptime_s, wall=wall))
    assert kinds(sink) == ["reboot", "clock"]


def test_of_a_line_without_an_end_only_the_beginning_is_kept() -> None:
    async def go() -> None:
        facts = HostFacts("box", address="127.0.0.1")
        watch = Watch(Host("box", ("box",), lambda: facts, None, lambda record: None), {}, Clock(1.0), Sink())
        process = FakeProcess()
        launched = Launched.listening(process, "abc")  # type: ignore[arg-type]
        line = asyncio.create_task(watch._next_line("log", launched))
        for _ in range(50):
            process.channel.inbox.feed(b"x" * 10_000)
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(launched.output.data) <= 1 << 16
        process.channel.inbox.feed(b"\n")
        assert len(await line) == 1 << 16
        await launched.close()

    asyncio.run(go())
