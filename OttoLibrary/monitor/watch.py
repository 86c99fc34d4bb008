"""The readings of one host, asked for once a tick, never in the tester's shell.

A host that starts processes gets a loop of shell text on a channel of its own: a line goes there, all readings come back at
once, and when the channel ends the loop ends. Where bash is, no reading costs a process or a system call per byte; elsewhere
the shell reads ``/proc`` itself. This machine is asked by psutil. A host with lines is asked over a second login, or, where it
has one line only, between the tester's commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from OttoLibrary.contracts.connections import Connection, EndOfStream
from OttoLibrary.contracts.metrics import Event, Follower, Metric, NetworkMetric, Tick
from OttoLibrary.deadline import Deadline, since_boot_s
from OttoLibrary.errors import HostKeyError, LoginError, OttoError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.shell import launch
from OttoLibrary.shell.launch import UserChangeRefusedError
from OttoLibrary.text import decode

_PATIENCE_S = 5.0
_COMMAND_PATIENCE_S = 10.0
_LONGEST_PAUSE_S = 30.0
# A wall clock without fractions is right to half a second.
_WHOLE_SECOND_S = 0.5
_STEP_S = 0.2
_CLOCK_INTERVAL_S = 60.0

# The first branch is hidden from shells that could not parse it.
_PRELUDE = r"""NL='
'
IFS=$NL
if [ -n "$BASH_VERSION" ]; then
  eval 'take() { [ -r "$1" ] || return 0
    if [ -n "$2" ]; then mapfile -t -n "$2" L <"$1"; else mapfile -t L <"$1"; fi 2>/dev/null
    O=$O${L[*]}$NL; }'
else
  take() { [ -r "$1" ] || return 0; otto_n=${2:-99999}
    while [ "$otto_n" -gt 0 ] && read -r otto_line; do O=$O$otto_line$NL; otto_n=$((otto_n - 1)); done <"$1"; } 2>/dev/null
fi
say() { O=$O$1$NL; }
tick() {
  O=
  take /proc/uptime 1
  if [ -n "$EPOCHREALTIME" ]; then say "$EPOCHREALTIME"; elif [ "$1" = clock ]; then say "$(date +%s.%N)"; else say ''; fi
  shift
  for otto_part do say "=@NONCE@ $otto_part"; "part$otto_part"; done
  printf '%s.@NONCE@\n' "$O"
}
"""
LOOP = r"""
while read -r otto_wanted; do IFS=' '; set -- $otto_wanted; IFS=$NL; tick "$@"; done
"""
# Commands may hang where nobody reads the loop's input: a relay does, and ends them all with the channel.
_RELAYED_LOOP = rf"""
(while read -r otto_line; do printf '%s\n' "$otto_line"; done; kill -s KILL -- "-$$") | {{
{LOOP}
}}
"""


class Sink(Protocol):
    """Who takes what a watch finds."""

    def tick(self, tick: Tick) -> None:
        """Take readings."""

    def mark(self, event: Event) -> int:
        """Take an event; return its number."""

    def end(self, number: int, until: float) -> None:
        """Note when an event ended."""


class BusyError(Exception):
    """The only line of a host is in use: there will be another tick."""


@dataclass(frozen=True)
class Frame:
    """One answer.

    Attributes:
        at: When, in seconds since 1970 by this machine's clock.
        uncertainty_s: How wrong that may be: half of the way there and back.
        uptime_s: The host's clock since its start.
        wall: Its clock as seconds since 1970, or None when it did not say.
        wall_step_s: How coarse that is.
        parts: What the scripts said, by number.
    """

    at: float
    uncertainty_s: float
    uptime_s: float
    wall: float | None
    wall_step_s: float
    parts: Mapping[int, str]


class Feed(Protocol):
    """One way to ask a host."""

    async def ask(self, numbers: Sequence[int], clock: bool) -> Frame:
        """Return what the scripts of these numbers say; raise EndOfStream, OttoError, OSError or ValueError."""

    async def close(self) -> None:
        """End what it started on the host; never raises."""


@dataclass
class Clock:
    """Beats that all hosts of a monitor share, so that their readings stand side by side."""

    interval_s: float
    began: float = field(default_factory=time.monotonic)

    async def next(self, before: int) -> int:
        """Sleep until the next beat after now and return its number."""
        beat = max(before, int((time.monotonic() - self.began) / self.interval_s)) + 1
        await asyncio.sleep(self.began + beat * self.interval_s - time.monotonic())
        return beat


class _Way:
    """One feed, what is asked over it, and when each of that is due.

    Commands are not asked for together: one that hangs holds up only itself.
    """

    def __init__(self, feed: Feed, metrics: Mapping[str, Any], interval_s: float, *, together: bool = True) -> None:
        self.feed, self.metrics, self.together = feed, metrics, together
        self.beat = 0
        self.patience_s = max(_PATIENCE_S if together else _COMMAND_PATIENCE_S, 3 * interval_s)
        self._interval_s = interval_s
        self._numbers = {name: number for number, name in enumerate(metrics)}
        self._due = dict.fromkeys(metrics, 0.0)
        self._pauses = dict.fromkeys(metrics, 0.0)
        self._clock_due = 0.0

    @property
    def counts(self) -> bool:
        """True when a beat without a question is one that was missed."""
        return self.together and not any(self._pauses.values())

    def number(self, name: str) -> int:
        """Return the number of a metric in the script."""
        return self._numbers[name]

    def due(self, now: float) -> list[list[str]]:
        """Return the names of what is due, those that are asked for together in one list."""
        names = [name for name in self.metrics if self._due[name] <= now]
        if self.together:
            return [names] if names else []
        return [[name] for name in names]

    async def ask(self, names: Sequence[str]) -> Frame:
        """Ask, and note when to ask again; raises what the feed raises, and TimeoutError."""
        now = time.monotonic()
        clock = self._clock_due <= now
        async with asyncio.timeout(self.patience_s):
            frame = await self.feed.ask([self._numbers[name] for name in names], clock)
        if clock:
            self._clock_due = now + _CLOCK_INTERVAL_S
        for name in names:
            self._pauses[name] = 0.0
            # Half a beat early is on time: beats are never exact.
            self._due[name] = now + self.metrics[name].interval_s - self._interval_s / 2
        return frame

    def postpone(self, names: Sequence[str]) -> None:
        """Wait longer from one failure to the next."""
        for name in names:
            self._pauses[name] = min(_LONGEST_PAUSE_S, 2 * self._pauses[name] or self._interval_s)
            self._due[name] = time.monotonic() + self._pauses[name]


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

    def __init__(self, host: Host, metrics: Mapping[str, Metric | NetworkMetric | Follower], clock: Clock, sink: Sink) -> None:
        self.host, self.metrics = host, metrics
        self._clock, self._sink = clock, sink
        self.missed = 0
        self._wrong: dict[str, str] = {}
        self._gaps: dict[str, int] = {}
        self._uptime_s = 0.0
        self._offset: tuple[float, float] | None = None

    async def follow(self) -> None:
        """Ask at every beat; a host that does not answer is tried again, ever less often."""
        try:
            facts = await self.host.connection.facts()
        except OttoError as error:
            self._sink.mark(Event(time.time(), f"It is not watched: {error}", "error", self.host.name))
            return
        local = facts.transport == "local"
        own_way = {name: metric for name, metric in self.metrics.items() if not hasattr(metric, "values")}
        here = {name: _Here(metric) for name, metric in self.metrics.items() if local and hasattr(metric, "here")}
        rest: dict[str, Any] = {name: metric for name, metric in self.metrics.items() if name not in {*own_way, *here}}
        quick = {name: metric for name, metric in rest.items() if not metric.forks}
        slow = {name: metric for name, metric in rest.items() if metric.forks}
        async with asyncio.TaskGroup() as group:
            if here:
                group.create_task(self._repeat(_Way(_LocalFeed(), here, self._clock.interval_s)))
            if quick:
                group.create_task(self._repeat(_Way(_HostFeed(self.host, quick, LOOP), quick, self._clock.interval_s)))
            if slow:
                feed = _HostFeed(self.host, slow, _RELAYED_LOOP)
                group.create_task(self._repeat(_Way(feed, slow, self._clock.interval_s, together=False)))
            for name, other in own_way.items():
                task: Any = self._follow_lines if hasattr(other, "take") else self._ask_over_network
                group.create_task(task(name, other))

    # -- asking

    async def _repeat(self, way: _Way) -> None:
        try:
            while True:
                before, way.beat = way.beat, await self._clock.next(way.beat)
                rounds = way.due(time.monotonic())
                self.missed += way.beat - before - 1 if before and rounds and way.counts else 0
                for names in rounds:
                    if not await self._round(way, names):
                        return
        finally:
            await asyncio.shield(asyncio.ensure_future(way.feed.close()))

    async def _round(self, way: _Way, names: Sequence[str]) -> bool:
        """Ask for some metrics; return False when there is no use in asking again."""
        try:
            frame = await way.ask(names)
        except BusyError:
            return True
        except (LoginError, HostKeyError, UsageError) as error:
            # Trying again would not help, and may lock an account.
            self._sink.mark(Event(time.time(), f"It is no longer watched: {error}", "error", self.host.name))
            return False
        except (OttoError, EndOfStream, OSError, ValueError, UserChangeRefusedError) as error:
            await self._lost(way, names, error)
            return True
        self._took(way, names, frame)
        return True

    async def _lost(self, way: _Way, names: Sequence[str], error: Exception) -> None:
        way.postpone(names)
        reason = str(error) or f"no answer in {way.patience_s:g} seconds"
        if names[0] not in self._gaps:
            what = "It" if way.together else f"Metric '{names[0]}'"
            self._gaps[names[0]] = self._sink.mark(Event(time.time(), f"{what} does not answer: {reason}", "gap", self.host.name))
        await way.feed.close()

    def _took(self, way: _Way, names: Sequence[str], frame: Frame) -> None:
        for name in names:
            gap = self._gaps.pop(name, None)
            if gap is not None:
                self._sink.end(gap, frame.at)
        self._note_reboot(frame)
        values = self._note_clock(frame)
        for name in names:
            values |= self._values(name, way.metrics[name], frame.parts.get(way.number(name)), frame.uptime_s)
        if values:
            self._sink.tick(Tick(self.host.name, frame.at, frame.uptime_s, values))

    def _values(self, name: str, metric: Any, said: str | None, uptime_s: float) -> dict[str, float]:
        """Return what a metric makes of what was said; what it does not understand is an event, once."""
        try:
            if said is None:
                raise ValueError("the host said nothing")
            found: dict[str, float] = metric.values(said, uptime_s)
        except Exception as error:  # noqa: BLE001 - parsers are also other people's code
            self._problem(name, f"Metric '{name}' cannot be read: {str(error) or type(error).__name__}")
            return {}
        self._wrong.pop(name, None)
        return found

    def _problem(self, name: str, sentence: str) -> None:
        if self._wrong.get(name) != sentence:
            self._wrong[name] = sentence
            self._sink.mark(Event(time.time(), sentence, "error", self.host.name))

    def _note_reboot(self, frame: Frame) -> None:
        if frame.uptime_s + 1 < self._uptime_s:
            began = frame.at - frame.uptime_s
            self._sink.mark(Event(began, "It was started anew", "reboot", self.host.name))
        self._uptime_s = frame.uptime_s

    def _note_clock(self, frame: Frame) -> dict[str, float]:
        if frame.wall is None:
            return {}
        offset, doubt = frame.wall - frame.at, frame.uncertainty_s + frame.wall_step_s
        if self._offset is not None:
            step = offset - self._offset[0]
            if abs(step) > _STEP_S + doubt + self._offset[1]:
                self._sink.mark(Event(frame.at, f"Its clock was set by {step:+.1f} s", "clock", self.host.name))
        self._offset = offset, doubt
        return {"clock_offset_s": offset}

    # -- other ways

    async def _ask_over_network(self, name: str, metric: NetworkMetric) -> None:
        facts = await self.host.connection.facts()
        beat, due = 0, 0.0
        while True:
            beat = await self._clock.next(beat)
            if time.monotonic() < due:
                continue
            due = time.monotonic() + metric.interval_s - self._clock.interval_s / 2
            try:
                async with asyncio.timeout(max(_PATIENCE_S, 3 * self._clock.interval_s)):
                    values = await metric.ask(facts, time.monotonic())
            except (ValueError, OSError, OttoError) as error:
                self._problem(name, f"Metric '{name}' cannot be read: {str(error) or 'no answer'}")
                continue
            self._wrong.pop(name, None)
            self._sink.tick(Tick(self.host.name, time.time(), 0.0, values))

    async def _follow_lines(self, name: str, follower: Follower) -> None:
        pause_s = self._clock.interval_s
        while True:
            try:
                await self._read_lines(name, follower)
            except (LoginError, HostKeyError, UsageError) as error:
                self._problem(name, f"Metric '{name}' cannot be followed: {error}")
                return
            except (OttoError, EndOfStream, OSError, UserChangeRefusedError) as error:
                self._problem(name, f"Metric '{name}' cannot be followed: {error}")
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    async def _read_lines(self, name: str, follower: Follower) -> None:
        connection = await self.host.connection.open(Deadline(_PATIENCE_S))
        if connection.line_limit:
            raise UsageError("a file is followed only on a host that starts processes, over SSH or locally")
        launched = await launch.start(connection, f"{launch.LIFELINE}\n{follower.script()}")
        try:
            while True:
                while (at := launched.output.find(b"\n")) < 0:
                    if launched.output.ended:
                        said = decode(bytes(launched.errors.data)).strip().splitlines()
                        raise launched.output.ended if not said else OSError(said[-1])
                    await launched.notifier.wait()
                self._take_line(name, follower, decode(launched.output.take(at + 1)).rstrip("\r\n"))
        finally:
            await asyncio.shield(asyncio.ensure_future(_end(connection, launched)))

    def _take_line(self, name: str, follower: Follower, line: str) -> None:
        now = time.time()
        try:
            values, text = follower.take(line)
        except ValueError as error:
            self._problem(name, f"Metric '{name}' cannot be read: {error}")
            return
        if values:
            self._sink.tick(Tick(self.host.name, now, 0.0, values))
        if text:
            self._sink.mark(Event(now, text, "log", self.host.name))


def script_of(metrics: Sequence[Metric], nonce: str) -> str:
    """Return shell text with a function ``tick``, which says all that some of the metrics read, by number.

    Its first argument is ``clock`` or ``-``, the others are the numbers. What it says ends with ``.NONCE``.
    """
    parts = "".join(f"part{number}() {{\n{metric.script()}\n}}\n" for number, metric in enumerate(metrics))
    return _PRELUDE.replace("@NONCE@", nonce) + parts


class _Here:
    """A metric of this machine, which psutil tells instead of a script."""

    def __init__(self, metric: Any) -> None:
        self.interval_s: float = metric.interval_s
        self._metric = metric

    def values(self, said: str, uptime_s: float) -> dict[str, float]:
        found: dict[str, float] = self._metric.here(uptime_s)
        return found


class _LocalFeed:
    """This machine, asked by psutil."""

    async def ask(self, numbers: Sequence[int], clock: bool) -> Frame:
        """Return at once; the metrics ask psutil themselves."""
        return Frame(time.time(), 0.0, since_boot_s(), None, 0.0, dict.fromkeys(numbers, ""))

    async def close(self) -> None:
        """Do nothing."""


class _HostFeed:
    """A host over whatever it offers: a process where it starts some, otherwise its lines."""

    def __init__(self, host: Host, metrics: Mapping[str, Metric], loop: str) -> None:
        self._host, self._loop = host, loop
        self._nonce = secrets.token_hex(4)
        self._script = script_of(list(metrics.values()), self._nonce)
        self._connection: Connection | None = None
        self._launched: launch.Launched | None = None
        self._line: Callable[[str], Any] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def ask(self, numbers: Sequence[int], clock: bool) -> Frame:
        """Ask over what is open, opened first when needed."""
        if self._launched is None and self._line is None:
            await self._open()
        question = f"{'clock' if clock else '-'} {' '.join(map(str, numbers))}"
        sent = time.time()
        began = time.monotonic()
        said = await (self._ask_process(question) if self._launched else self._ask_line(question))
        took = time.monotonic() - began
        return self._frame(said, sent + took / 2, took / 2)

    async def close(self) -> None:
        """End the process, or hang up the line."""
        launched, connection = self._launched, self._connection
        self._launched = self._line = None
        if launched is not None and connection is not None:
            await _end(connection, launched)
        with contextlib.suppress(OttoError, EndOfStream, OSError, TimeoutError):
            await self._stack.aclose()

    async def _open(self) -> None:
        connection = self._connection = await self._host.connection.open(Deadline(_PATIENCE_S))
        if not connection.line_limit:
            whole = shlex.quote(self._script + self._loop)
            shell = 'otto_shell=$(command -v bash) || otto_shell=/bin/sh; BASH_ENV= exec "$otto_shell" -c'
            self._launched = await launch.start(connection, f"{shell} {whole}")
        elif connection.line_limit == 1:
            self._line = self._between_commands
        else:
            shell_run = await self._stack.enter_async_context(self._host.own_line(Deadline(_PATIENCE_S), "watching it"))
            await shell_run(self._script)
            self._line = shell_run

    async def _ask_process(self, question: str) -> str:
        launched = self._launched
        assert launched is not None
        await launched.process.channel.write(f"{question}\n".encode())
        end = f".{self._nonce}\n".encode()
        while (at := launched.output.find(end)) < 0:
            if launched.output.ended:
                raise EndOfStream(launched.output.ended.lost or _last_words(launched))
            await launched.notifier.wait()
        said = decode(launched.output.take(at + len(end))[: -len(end)])
        if launched.pid is None:
            # The words of the login shell, and the process id, come before the first answer.
            hello = f"@{launched.nonce}:"
            number, _, said = said.partition(hello)[2].partition("\n")
            launched.pid = int(number)
        return said

    async def _ask_line(self, question: str) -> str:
        assert self._line is not None
        said = decode(await self._line(f"tick {question}"))
        return said.rpartition(f".{self._nonce}")[0]

    async def _between_commands(self, question: str) -> bytes:
        answer = await self._host.between_commands(f"{self._script}{question}", Deadline(_PATIENCE_S))
        if answer is None:
            raise BusyError
        return answer

    def _frame(self, said: str, at: float, uncertainty_s: float) -> Frame:
        head, *parts = said.split(f"={self._nonce} ")
        uptime, _, wall = head.partition("\n")
        try:
            uptime_s = float(uptime.split()[0])
        except (IndexError, ValueError):
            raise UsageError(f"Host '{self._host.name}' has no /proc/uptime; only Linux hosts can be watched.") from None
        numbered = (part.partition("\n") for part in parts)
        clock, step = _wall(wall.strip())
        return Frame(at, uncertainty_s, uptime_s, clock, step, {int(number): text for number, _, text in numbered})


def _wall(said: str) -> tuple[float | None, float]:
    """Return the host's clock and how coarse it is; busybox knows no nanoseconds."""
    whole, _, fraction = said.replace(",", ".").partition(".")
    if not whole.isdigit():
        return None, 0.0
    if fraction.isdigit():
        return float(f"{whole}.{fraction}"), 0.0
    return int(whole) + _WHOLE_SECOND_S, _WHOLE_SECOND_S


def _last_words(launched: launch.Launched) -> str:
    lines = decode(bytes(launched.errors.data)).strip().splitlines()
    return lines[-1] if lines else "what reads it has ended"


async def _end(connection: Connection, launched: launch.Launched) -> None:
    launched.find_pid()
    with contextlib.suppress(EndOfStream, OSError, TimeoutError, OttoError, UserChangeRefusedError):
        await launched.process.end_input()
        try:
            async with asyncio.timeout(0.5):
                await launched.process.wait()
        except TimeoutError:
            if launched.pid is not None and connection.lost is None:
                await launch.stop(connection, launched.pid)
    await launched.close()
