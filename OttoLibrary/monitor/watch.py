"""The readings of one host, asked for once a tick, never in the tester's shell.

A metric says by its class how it is asked; what is asked in the same way shares a feed. Readings go to a sink, and so do events:
a host that does not answer, that rebooted, whose clock was set.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import (
    BuiltInsMetric,
    CommandMetric,
    Event,
    FollowedMetric,
    LocalMetric,
    Metric,
    NetworkMetric,
    Tick,
)
from OttoLibrary.deadline import Deadline
from OttoLibrary.engine import BackOff, Failure, supervise
from OttoLibrary.errors import HostKeyError, LoginError, OttoError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.feeds import CONNECT_S, LOOP, RELAYED_LOOP, BusyError, Feed, Frame, HostFeed, LocalFeed, end
from OttoLibrary.shell import launch
from OttoLibrary.shell.launch import UserChangeRefusedError
from OttoLibrary.text import decode

_ANSWER_S = 5.0
_COMMAND_ANSWER_S = 10.0
_LONGEST_PAUSE_S = 30.0
_LONGEST_LINE_BYTES = 1 << 16
_MOST_LINES_PER_S = 5000
_STEP_S = 0.2
_CLOCK_INTERVAL_S = 60.0
Work: TypeAlias = Callable[[], Awaitable[None]]


class Sink(Protocol):
    """Takes what a watch finds."""

    def tick(self, tick: Tick) -> None:
        """Take readings."""

    def mark(self, event: Event) -> int:
        """Take an event; return its number."""

    def end(self, number: int, until: float) -> None:
        """Note when an event ended."""


@dataclass
class Clock:
    """Beats that all hosts of a monitor share, so that their readings are taken at the same moments."""

    interval_s: float
    began: float = field(default_factory=time.monotonic)

    async def next(self, before: int) -> int:
        """Sleep until the next beat after now and return its number."""
        beat = max(before, int((time.monotonic() - self.began) / self.interval_s)) + 1
        await asyncio.sleep(self.began + beat * self.interval_s - time.monotonic())
        return beat


class Schedule:
    """One feed, the metrics that are asked for over it, and when each is due.

    Args:
        feed: The feed.
        metrics: The metrics, by name.
        interval_s: Seconds between two beats.
        together: Whether all that is due is asked for at the same time. Commands are not: one that hangs delays only itself.

    Attributes:
        beat: The last beat.
        uptime_s: The host's clock since it booted, as the last answer had it. Each feed has its own: the answer of a slow command
            is older than those that came meanwhile.
        offset: How far the host's wall clock was from this machine's, and how sure that is; None before the first answer.
    """

    def __init__(self, feed: Feed, metrics: Mapping[str, Metric], interval_s: float, *, together: bool = True) -> None:
        self.feed, self.together = feed, together
        self.beat = 0
        self.uptime_s = 0.0
        self.offset: tuple[float, float] | None = None
        self.answer_s = max(_ANSWER_S if together else _COMMAND_ANSWER_S, 3 * interval_s)
        self._metrics, self._interval_s = metrics, interval_s
        self._due = dict.fromkeys(metrics, 0.0)
        self._back_offs = {name: BackOff(interval_s, _LONGEST_PAUSE_S) for name in metrics}
        self._failing: set[str] = set()
        self._clock_due = 0.0

    @property
    def counts(self) -> bool:
        """True when a beat without a question is one that was missed."""
        return self.together and not self._failing

    def due(self, now: float) -> list[list[str]]:
        """Return the names of what is due, those that are asked for together in one list."""
        names = [name for name in self._metrics if self._due[name] <= now]
        if self.together:
            return [names] if names else []
        return [[name] for name in names]

    async def ask(self, names: Sequence[str]) -> Frame:
        """Ask, and note when to ask again; raises what the feed raises, and TimeoutError."""
        now = time.monotonic()
        clock = self._clock_due <= now
        async with asyncio.timeout(self.answer_s):
            frame = await self.feed.ask(names, clock)
        if clock:
            self._clock_due = now + _CLOCK_INTERVAL_S
        for name in names:
            self._back_offs[name].start_over()
            # Half a beat early is on time: beats are never exact.
            self._due[name] = now + self._metrics[name].interval_s - self._interval_s / 2
        self._failing.difference_update(names)
        return frame

    def postpone(self, names: Sequence[str]) -> None:
        """Wait longer from one failure to the next."""
        self._failing.update(names)
        for name in names:
            self._due[name] = time.monotonic() + self._back_offs[name].pause_s()


class Watch:
    """Follows one host until it is cancelled.

    Args:
        host: The host.
        metrics: What to read, by name.
        clock: The beats.
        sink: Takes what is found.

    Attributes:
        missed: How many beats passed without a question, because the answer before was late.
    """

    def __init__(self, host: Host, metrics: Mapping[str, Metric], clock: Clock, sink: Sink) -> None:
        self.host, self.metrics = host, metrics
        self._clock, self._sink = clock, sink
        self.missed = 0
        self._wrong: dict[str, str] = {}
        self._gaps: dict[str, int] = {}
        self._timekeeper: Schedule | None = None

    @property
    def interval_s(self) -> float:
        """Seconds between two questions."""
        return self._clock.interval_s

    def end_gaps(self) -> None:
        """Note that nobody waits for its answers any more."""
        now = time.time()
        while self._gaps:
            self._sink.end(self._gaps.popitem()[1], now)

    async def follow(self) -> None:
        """Ask at every beat; a host that does not answer is tried again, less and less often."""
        try:
            facts = await self.host.connection.facts()
        except OttoError as error:
            self._sink.mark(Event(time.time(), f"The host is not watched: {error}", "error", self.host.name))
            return
        async with asyncio.TaskGroup() as group:
            for names, work in self._works(facts).items():
                group.create_task(supervise(work, partial(self._failed, names), BackOff(longest_s=_LONGEST_PAUSE_S)))

    def _works(self, facts: HostFacts) -> dict[str, Work]:
        """Return what is to be done at the same time, by names of metrics: a loop for each feed, one for each without a feed."""
        works: dict[str, Work] = {}
        here: dict[str, LocalMetric] = {}
        built_ins: dict[str, BuiltInsMetric] = {}
        commands: dict[str, CommandMetric] = {}
        for name, metric in self.metrics.items():
            match metric:
                case LocalMetric() if facts.transport == "local":
                    here[name] = metric
                case BuiltInsMetric():
                    built_ins[name] = metric
                case CommandMetric():
                    commands[name] = metric
                case FollowedMetric():
                    works[name] = partial(self._follow_lines, name, metric)
                case NetworkMetric():
                    works[name] = partial(self._ask_over_network, name, metric, facts)
        if here:
            works[", ".join(here)] = self._asking(Schedule(LocalFeed(here), here, self._clock.interval_s))
        if built_ins:
            schedule = Schedule(HostFeed(self.host, built_ins, LOOP), built_ins, self._clock.interval_s)
            works[", ".join(built_ins)] = self._asking(schedule)
        if commands:
            feed = HostFeed(self.host, commands, RELAYED_LOOP)
            works[", ".join(commands)] = self._asking(Schedule(feed, commands, self._clock.interval_s, together=False))
        return works

    def _asking(self, schedule: Schedule) -> Work:
        # The first feed is the one whose answers tell reboots and clocks.
        self._timekeeper = self._timekeeper or schedule
        return partial(self._repeat, schedule)

    def _failed(self, names: str, failure: Failure) -> None:
        self._sink.mark(Event(time.time(), f"Watching '{names}' failed: {failure}", "error", self.host.name))

    # -- asking

    async def _repeat(self, schedule: Schedule) -> None:
        try:
            while True:
                before, schedule.beat = schedule.beat, await self._clock.next(schedule.beat)
                rounds = schedule.due(time.monotonic())
                self.missed += schedule.beat - before - 1 if before and rounds and schedule.counts else 0
                for names in rounds:
                    if not await self._round(schedule, names):
                        return
        finally:
            await asyncio.shield(asyncio.ensure_future(schedule.feed.close()))

    async def _round(self, schedule: Schedule, names: Sequence[str]) -> bool:
        """Ask for some metrics; return False when there is no use in asking again."""
        try:
            frame = await schedule.ask(names)
        except BusyError:
            return True
        except (LoginError, HostKeyError, UsageError) as error:
            # Trying again would not help, and may lock an account.
            self._sink.mark(Event(time.time(), f"The host is no longer watched: {error}", "error", self.host.name))
            return False
        except (OttoError, EndOfStream, OSError, ValueError, UserChangeRefusedError) as error:
            await self._lost(schedule, names, error)
            return True
        self._took(schedule, names, frame)
        return True

    async def _lost(self, schedule: Schedule, names: Sequence[str], error: Exception) -> None:
        schedule.postpone(names)
        reason = str(error) or f"no answer in {schedule.answer_s:g} seconds"
        if names[0] not in self._gaps:
            subject = "The host" if schedule.together else f"Metric '{names[0]}'"
            event = Event(time.time(), f"{subject} does not answer: {reason}", "gap", self.host.name)
            self._gaps[names[0]] = self._sink.mark(event)
        await schedule.feed.close()

    def _took(self, schedule: Schedule, names: Sequence[str], frame: Frame) -> None:
        for name in names:
            gap = self._gaps.pop(name, None)
            if gap is not None:
                self._sink.end(gap, frame.at)
        values: dict[str, float] = {}
        if schedule is self._timekeeper:
            self._note_reboot(schedule, frame)
            values |= self._note_clock(schedule, frame)
        for name in names:
            values |= self._values(name, schedule.feed, frame)
        if values:
            self._sink.tick(Tick(self.host.name, frame.at, frame.uptime_s, values))

    def _values(self, name: str, feed: Feed, frame: Frame) -> dict[str, float]:
        """Return the readings of a metric; an answer that it does not understand is an event, once."""
        try:
            found = feed.values(name, frame)
        except Exception as error:  # noqa: BLE001 - parsers are also other people's code
            self._problem(name, f"Metric '{name}' cannot be read: {str(error) or type(error).__name__}")
            return {}
        self._wrong.pop(name, None)
        return found

    def _problem(self, name: str, sentence: str) -> None:
        if self._wrong.get(name) != sentence:
            self._wrong[name] = sentence
            self._sink.mark(Event(time.time(), sentence, "error", self.host.name))

    def _note_reboot(self, schedule: Schedule, frame: Frame) -> None:
        if frame.uptime_s + 1 < schedule.uptime_s:
            began = frame.at - frame.uptime_s
            self._sink.mark(Event(began, "The host rebooted", "reboot", self.host.name))
        schedule.uptime_s = frame.uptime_s

    def _note_clock(self, schedule: Schedule, frame: Frame) -> dict[str, float]:
        if frame.wall is None:
            return {}
        offset, doubt = frame.wall - frame.at, frame.uncertainty_s + frame.wall_step_s
        if schedule.offset is not None:
            step = offset - schedule.offset[0]
            if abs(step) > _STEP_S + doubt + schedule.offset[1]:
                self._sink.mark(Event(frame.at, f"The host's clock was set by {step:+.1f} s", "clock", self.host.name))
        schedule.offset = offset, doubt
        return {"clock_offset_s": offset}

    # -- without a feed

    async def _ask_over_network(self, name: str, metric: NetworkMetric, facts: HostFacts) -> None:
        beat, due = 0, 0.0
        while True:
            beat = await self._clock.next(beat)
            if time.monotonic() < due:
                continue
            due = time.monotonic() + metric.interval_s - self._clock.interval_s / 2
            try:
                async with asyncio.timeout(max(_ANSWER_S, 3 * self._clock.interval_s)):
                    values = await metric.ask(facts, time.monotonic())
            except (ValueError, OSError, OttoError) as error:
                self._problem(name, f"Metric '{name}' cannot be read: {str(error) or 'no answer'}")
                continue
            self._wrong.pop(name, None)
            self._sink.tick(Tick(self.host.name, time.time(), 0.0, values))

    async def _follow_lines(self, name: str, metric: FollowedMetric) -> None:
        back_off = BackOff(self._clock.interval_s, _LONGEST_PAUSE_S)
        while True:
            began = time.monotonic()
            try:
                await self._read_lines(name, metric)
            except (LoginError, HostKeyError, UsageError) as error:
                self._problem(name, f"Metric '{name}' cannot be followed: {error}")
                return
            except (OttoError, EndOfStream, OSError, UserChangeRefusedError) as error:
                self._problem(name, f"Metric '{name}' cannot be followed: {error}")
            await asyncio.sleep(back_off.pause_s(time.monotonic() - began))

    async def _read_lines(self, name: str, metric: FollowedMetric) -> None:
        connection = await self.host.connection.open(Deadline(CONNECT_S))
        if connection.line_limit:
            raise UsageError("a file is followed only on a host that starts processes, over SSH or locally")
        launched = await launch.start(connection, f"{launch.LIFELINE}\n{metric.script()}")
        try:
            while True:
                second = time.monotonic() + 1
                for _ in range(_MOST_LINES_PER_S):
                    self._take_line(name, metric, decode(await self._next_line(name, launched)).rstrip("\r\n"))
                if (rest_s := second - time.monotonic()) > 0:
                    await self._hold_back(name, launched, rest_s)
        finally:
            await asyncio.shield(asyncio.ensure_future(end(connection, launched)))

    async def _hold_back(self, name: str, launched: launch.Launched, rest_s: float) -> None:
        """Let what writes lines wait for the rest of a second: others want to be read too."""
        self._problem(name, f"Metric '{name}': more than {_MOST_LINES_PER_S} lines a second are read late")
        launched.output.pause()
        await asyncio.sleep(rest_s)
        launched.output.resume()

    async def _next_line(self, name: str, launched: launch.Launched) -> bytes:
        """Return the next line; of one that is too long only the beginning."""
        kept = b""
        while (at := launched.output.find(b"\n")) < 0:
            if launched.output.ended:
                errors = decode(bytes(launched.errors.data)).strip().splitlines()
                raise launched.output.ended if not errors else OSError(errors[-1])
            if len(launched.output.data) > _LONGEST_LINE_BYTES:
                # What follows up to the newline is taken off, too, so that nothing grows while it does not come.
                kept = kept or bytes(launched.output.data[:_LONGEST_LINE_BYTES])
                launched.output.take()
            await launched.notifier.wait()
        line = launched.output.take(at + 1)
        if kept or len(line) > _LONGEST_LINE_BYTES:
            self._problem(name, f"Metric '{name}': a line longer than {_LONGEST_LINE_BYTES >> 10} KiB was cut")
        return (kept or line)[:_LONGEST_LINE_BYTES]

    def _take_line(self, name: str, metric: FollowedMetric, line: str) -> None:
        now = time.time()
        try:
            values, text = metric.take(line)
        except ValueError as error:
            self._problem(name, f"Metric '{name}' cannot be read: {error}")
            return
        if values:
            self._sink.tick(Tick(self.host.name, now, 0.0, values))
        if text:
            self._sink.mark(Event(now, text, "log", self.host.name))
