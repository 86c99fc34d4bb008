"""Ways to ask a host for its readings: this machine directly, another host in a shell of its own.

A host that starts processes gets a loop of shell text on a channel of its own: one line goes there, all readings come back
together, and when the channel ends the loop ends. Where there is bash, no reading costs a process or a system call per byte;
elsewhere the shell reads ``/proc`` itself. A host with lines is asked over a second login, or, where it has only one line,
between the tester's commands.
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
from OttoLibrary.contracts.metrics import LocalMetric, ShellMetric
from OttoLibrary.deadline import Deadline, since_boot_s
from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.shell import launch
from OttoLibrary.shell.launch import UserChangeRefusedError
from OttoLibrary.text import decode

CONNECT_S = 5.0
_END_S = 0.5
# No answer is longer; a host that sends more is not answering.
_LONGEST_ANSWER_BYTES = 8 << 20
# Of either clock: no host is up for 3000 years, and no clock shows the year 5000.
_LATEST_S = 1e11
_CLOCK_DIGITS = 11
# A wall clock without fractions is right to half a second.
_WHOLE_SECOND_S = 0.5

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
# Commands may hang where nobody reads the loop's input: a relay reads it, and ends them all with the channel.
RELAYED_LOOP = rf"""
(while read -r otto_line; do printf '%s\n' "$otto_line"; done; kill -s KILL -- "-$$") | {{
{LOOP}
}}
"""


class BusyError(Exception):
    """The only line of a host is in use: there will be another tick."""


@dataclass(frozen=True)
class Frame:
    """One answer.

    Attributes:
        at: When, in seconds since 1970 by this machine's clock.
        uncertainty_s: How wrong that may be: half of the round trip.
        uptime_s: The host's clock since it booted.
        wall: Its clock as seconds since 1970, or None when it gave none.
        wall_step_s: How coarse that is.
        parts: What the scripts printed, by the name of the metric; empty for this machine.
    """

    at: float
    uncertainty_s: float
    uptime_s: float
    wall: float | None = None
    wall_step_s: float = 0.0
    parts: Mapping[str, str] = field(default_factory=dict)


class Feed(Protocol):
    """One way to ask a host for some metrics."""

    async def ask(self, names: Sequence[str], clock: bool) -> Frame:
        """Return the answer for these metrics; raise BusyError, EndOfStream, OttoError, OSError or ValueError.

        Args:
            names: Their names.
            clock: Whether the host's wall clock is asked for even when that starts a process.
        """

    def values(self, name: str, frame: Frame) -> dict[str, float]:
        """Return the readings of a metric in an answer, by series; raise ValueError, or what a plug-in's parser raises."""

    async def close(self) -> None:
        """End what it started on the host; never raises."""


class LocalFeed:
    """This machine.

    Args:
        metrics: What it is asked for, by name.
    """

    def __init__(self, metrics: Mapping[str, LocalMetric]) -> None:
        self._metrics = metrics

    async def ask(self, names: Sequence[str], clock: bool) -> Frame:
        """Return only the time: the metrics read the values themselves."""
        return Frame(time.time(), 0.0, since_boot_s())

    def values(self, name: str, frame: Frame) -> dict[str, float]:
        """Return the readings of a metric."""
        return self._metrics[name].here(frame.uptime_s)

    async def close(self) -> None:
        """Do nothing."""


class HostFeed:
    """A host, asked in whatever shell it offers: a process where it starts some, otherwise its lines.

    Args:
        host: The host.
        metrics: What it is asked for, by name.
        loop: ``LOOP``, or ``RELAYED_LOOP`` for scripts that start processes.
    """

    def __init__(self, host: Host, metrics: Mapping[str, ShellMetric], loop: str) -> None:
        self._host, self._metrics, self._loop = host, metrics, loop
        self._numbers = {name: str(number) for number, name in enumerate(metrics)}
        self._names = {number: name for name, number in self._numbers.items()}
        self._nonce = secrets.token_hex(4)
        self._script = script_of(list(metrics.values()), self._nonce)
        self._connection: Connection | None = None
        self._launched: launch.Launched | None = None
        self._line: Callable[[str], Any] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def ask(self, names: Sequence[str], clock: bool) -> Frame:
        """Ask over the open channel or line, opened first when needed."""
        if self._launched is None and self._line is None:
            await self._open()
        question = f"{'clock' if clock else '-'} {' '.join(self._numbers[name] for name in names)}"
        sent = time.time()
        began = time.monotonic()
        answer = await (self._ask_process(question) if self._launched else self._ask_line(question))
        took = time.monotonic() - began
        return self._frame(answer, sent + took / 2, took / 2)

    def values(self, name: str, frame: Frame) -> dict[str, float]:
        """Return what the metric reads from its part of the answer."""
        if name not in frame.parts:
            raise ValueError("the host did not answer")
        return self._metrics[name].values(frame.parts[name], frame.uptime_s)

    async def close(self) -> None:
        """End the process, or hang up the line."""
        launched, connection = self._launched, self._connection
        self._launched = self._line = None
        if launched is not None and connection is not None:
            await end(connection, launched)
        with contextlib.suppress(OttoError, EndOfStream, OSError, TimeoutError):
            await self._stack.aclose()

    async def _open(self) -> None:
        connection = self._connection = await self._host.connection.open(Deadline(CONNECT_S))
        if not connection.line_limit:
            whole = shlex.quote(self._script + self._loop)
            shell = 'otto_shell=$(command -v bash) || otto_shell=/bin/sh; BASH_ENV= exec "$otto_shell" -c'
            self._launched = await launch.start(connection, f"{shell} {whole}")
        elif connection.line_limit == 1:
            self._line = self._between_commands
        else:
            shell_run = await self._stack.enter_async_context(self._host.own_line(Deadline(CONNECT_S), "watching it"))
            await shell_run(self._script)
            self._line = shell_run

    async def _ask_process(self, question: str) -> str:
        launched = self._launched
        assert launched is not None
        await launched.process.channel.write(f"{question}\n".encode())
        end_mark = f".{self._nonce}\n".encode()
        while launched.output.find(end_mark) < 0:
            if launched.output.ended:
                raise EndOfStream(launched.output.ended.lost or _last_words(launched))
            if len(launched.output.data) + len(launched.errors.data) > _LONGEST_ANSWER_BYTES:
                raise ValueError(f"its answer is longer than {_LONGEST_ANSWER_BYTES >> 20} MiB")
            await launched.notifier.wait()
        # The greeting of the login shell, and the process id, come before the first answer.
        launched.find_pid()
        launched.check()
        return decode(launched.output.take(launched.output.find(end_mark) + len(end_mark))[: -len(end_mark)])

    async def _ask_line(self, question: str) -> str:
        assert self._line is not None
        answer = decode(await self._line(f"tick {question}"))
        return answer.rpartition(f".{self._nonce}")[0]

    async def _between_commands(self, question: str) -> bytes:
        answer = await self._host.between_commands(f"{self._script}{question}", Deadline(CONNECT_S))
        if answer is None:
            raise BusyError
        return answer

    def _frame(self, answer: str, at: float, uncertainty_s: float) -> Frame:
        head, *parts = answer.split(f"={self._nonce} ")
        uptime, _, wall = head.partition("\n")
        try:
            uptime_s = float(uptime.split()[0])
        except (IndexError, ValueError):
            raise UsageError(f"Host '{self._host.name}' has no /proc/uptime; only Linux hosts can be watched.") from None
        if not 0 <= uptime_s < _LATEST_S:
            raise ValueError(f"it claims to have been up for {uptime_s:g} seconds")
        numbered = (part.partition("\n") for part in parts)
        clock, step = _wall(wall.strip())
        return Frame(
            at,
            uncertainty_s,
            uptime_s,
            clock,
            step,
            {self._names[number]: text for number, _, text in numbered if number in self._names},
        )


def script_of(metrics: Sequence[ShellMetric], nonce: str) -> str:
    """Return shell text with a function ``tick``, which prints all that some of the metrics read, by number.

    Its first argument is ``clock`` or ``-``, the others are the numbers. What it prints ends with ``.NONCE``.
    """
    parts = "".join(f"part{number}() {{\n{metric.script()}\n}}\n" for number, metric in enumerate(metrics))
    return _PRELUDE.replace("@NONCE@", nonce) + parts


async def end(connection: Connection, launched: launch.Launched) -> None:
    """End what was launched on a host: by the end of its input, then by a signal; never raises."""
    launched.find_pid()
    with contextlib.suppress(EndOfStream, OSError, TimeoutError, OttoError, UserChangeRefusedError):
        await launched.process.end_input()
        try:
            async with asyncio.timeout(_END_S):
                await launched.process.wait()
        except TimeoutError:
            if launched.pid is not None and connection.lost is None:
                await launch.stop(connection, launched.pid)
    await launched.close()


def _wall(text: str) -> tuple[float | None, float]:
    """Return the host's clock and how coarse it is; busybox knows no nanoseconds."""
    whole, _, fraction = text.replace(",", ".").partition(".")
    if not (whole.isascii() and whole.isdecimal()) or len(whole) > _CLOCK_DIGITS:
        return None, 0.0
    if fraction.isascii() and fraction.isdecimal():
        return float(f"{whole}.{fraction}"), 0.0
    return int(whole) + _WHOLE_SECOND_S, _WHOLE_SECOND_S


def _last_words(launched: launch.Launched) -> str:
    lines = decode(bytes(launched.errors.data)).strip().splitlines()
    return lines[-1] if lines else "the shell that reads it has ended"
