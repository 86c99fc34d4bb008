"""What the processes of one name use: ``/proc/PID``, proc_pid_stat(5)."""

from __future__ import annotations

import math
import re
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric
from OttoLibrary.errors import UsageError

if TYPE_CHECKING:
    import psutil

# The kernel keeps this much of a name, and shows times in hundredths of a second (except on Alpha).
_NAME_BYTES = 15
_TICKS_PER_S = 100
# Looking at all processes costs much more than looking at the known ones, so it is done once in this many readings.
_SEARCH_EVERY = 5
# Of what follows the name in /proc/PID/stat. Its own number of pages in memory is not exact, that of statm is.
_STATE, _USER, _SYSTEM, _THREADS, _START, _SIZE_BYTES = 0, 11, 12, 17, 19, 20
_STAT = re.compile(r"(?P<pid>\d+) \(.*\) (?P<rest>[A-Za-z](?: -?\d+){21,})(?: .*)?", re.DOTALL)

# @ stands for the beginning of the names of the variables. $$ is the shell and /proc/self/stat perhaps a subshell of it; both
# are no processes that anyone looks for. Shells drop the NUL bytes between arguments, so the pieces of a command line are
# compared here one after the other, and exactly once it has arrived.
_SEARCH = """@_size() { @_open=$#; [ -L "$1" ] || @_open=0; }
for @_pid in $@_pids; do [ -r "/proc/$@_pid/stat" ] || @_left=0; done
if [ "${@_left:-0}" -le 0 ]; then
@_left=%every% @_pids=
say search
read -r @_own </proc/self/stat
@_own=${@_own%% *}
for @_dir in /proc/[0-9]*; do
@_pid=${@_dir#/proc/}
case $@_pid in "$$"|"$@_own") continue;; esac
[ -r "$@_dir/%file%" ] || continue
%read%
case $@_text in %pattern%) ;; *) continue;; esac
%tell%
@_pids="$@_pids
$@_pid"
done 2>/dev/null
fi
@_left=$((@_left - 1))
for @_pid in $@_pids; do
[ -r "/proc/$@_pid/stat" ] || continue
@_open=- @_pages=
[ -r "/proc/$@_pid/fd" ] && @_size "/proc/$@_pid/fd/"*
read -r @_pages <"/proc/$@_pid/statm"
say "uses $@_open $@_pages"
take "/proc/$@_pid/stat" 1
done 2>/dev/null
"""
_READ_NAME = 'read -r @_text <"$@_dir/comm" || continue'
_READ_LINE = """@_text=
while read -r @_part || [ -n "$@_part" ]; do @_text="$@_text $@_part"; done <"$@_dir/cmdline\""""


@dataclass(frozen=True)
class _Reading:
    """One process: who it is, and what it has used."""

    key: tuple[int, float]
    cpu_s: float
    rss_bytes: int
    threads: int
    open_files: int | None


class ProcessUsage(BuiltInsMetric, LocalMetric):
    """The metric ``process:NAME``: what all processes of that name use together; 100 % is one core.

    A NAME with a slash or a blank is looked for in the command lines instead. A new process is found within five readings.
    """

    def __init__(self, name: str) -> None:
        if not name.strip() or "\0" in name:
            raise UsageError("The metric 'process' needs the name of a process, such as process:sshd.")
        self._name = name
        self.main = f"process_cpu_percent[{name}]"
        self._words = name.split() if "/" in name or len(name.split()) > 1 else []
        # There were blanks or NUL bytes between the words; the shell dropped the latter.
        self._line = re.compile(r"\s*".join(map(re.escape, self._words)))
        self._chosen: set[int] = set()
        self._before: dict[tuple[int, float], float] = {}
        self._before_s = 0.0
        self._known: list[psutil.Process] = []
        self._left = 0

    def script(self) -> str:
        """Print for each process how many files it has open, and its line of numbers; search for new ones now and then."""
        # In pieces, so that the command line of a shell that was given this script does not contain what it looks for.
        pieces = [f"{shlex.quote(word[0])}''{shlex.quote(word[1:])}" for word in self._words]
        parts = {
            "every": str(_SEARCH_EVERY),
            "file": "cmdline" if self._words else "comm",
            "read": _READ_LINE if self._words else _READ_NAME,
            "tell": 'say "line $@_pid $@_text"' if self._words else 'say "name $@_pid"',
        }
        text = re.sub("%([a-z]+)%", lambda part: parts.get(part[1], part[0]), _SEARCH)
        text = text.replace("@", f"process_{zlib.crc32(self._name.encode()):08x}")
        return text.replace("%pattern%", f"*{'*'.join(pieces)}*" if pieces else _comm_pattern(self._name))

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return what they use together."""
        readings: list[_Reading] = []
        uses = ""
        for line in printed.splitlines():
            word, _, rest = line.partition(" ")
            if word == "search":
                self._chosen.clear()
            elif word == "name" or (word == "line" and self._line.search(rest.partition(" ")[2])):
                self._chosen.add(_pid(rest))
            elif word == "uses":
                uses = rest
            elif word != "line":
                readings += self._process(line, uses.split())
        return self._together(readings, uptime_s)

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        self._left -= 1
        if self._left < 0 or not all(process.is_running() for process in self._known):
            self._left = _SEARCH_EVERY - 1
            self._known = [process for process in psutil.process_iter() if self._is_one(process)]
        return self._together([reading for process in self._known for reading in _here(process)], uptime_s)

    def _is_one(self, process: psutil.Process) -> bool:
        import psutil

        try:
            if self._words:
                return self._line.search("".join(process.cmdline())) is not None
            return _comm(process.name()) == _comm(self._name)
        except psutil.Error:
            return False

    def _process(self, line: str, uses: list[str]) -> list[_Reading]:
        found = _STAT.fullmatch(line)
        if found is None:
            raise ValueError(f"/proc/PID/stat does not describe a process: {line!r}")
        row = found["rest"].split()
        if int(found["pid"]) not in self._chosen or row[_STATE] in "ZXx":
            return []
        opened, size, resident = [*uses, "", "", ""][:3]
        return [
            _Reading(
                key=(int(found["pid"]), float(row[_START])),
                cpu_s=(int(row[_USER]) + int(row[_SYSTEM])) / _TICKS_PER_S,
                rss_bytes=_rss_bytes(int(row[_SIZE_BYTES]), size, resident),
                threads=int(row[_THREADS]),
                open_files=int(opened) if opened.isdecimal() else None,
            )
        ]

    def _together(self, readings: Sequence[_Reading], uptime_s: float) -> dict[str, float]:
        name, values = self._name, {f"process_count[{self._name}]": float(len(readings))}
        # What a process used since the last reading is known only of one that was there before.
        grown = [max(0.0, reading.cpu_s - self._before[reading.key]) for reading in readings if reading.key in self._before]
        elapsed_s = uptime_s - self._before_s
        self._before, self._before_s = {reading.key: reading.cpu_s for reading in readings}, uptime_s
        if not readings:
            return values
        if grown and elapsed_s > 0:
            values[self.main] = 100 * sum(grown) / elapsed_s
        values[f"process_rss_bytes[{name}]"] = sum(reading.rss_bytes for reading in readings)
        values[f"process_threads_count[{name}]"] = sum(reading.threads for reading in readings)
        opened = [reading.open_files for reading in readings if reading.open_files is not None]
        if len(opened) == len(readings):
            values[f"process_open_files_count[{name}]"] = sum(opened)
        return values


def _comm(name: str) -> str:
    """Return what the kernel keeps of a name, without a character that was cut through."""
    return name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "ignore")


def _comm_pattern(name: str) -> str:
    kept = _comm(name)
    # A part of a character that was cut through may follow.
    return shlex.quote(kept) + ("*" if len(kept.encode()) < _NAME_BYTES and kept != name else "")


def _pid(text: str) -> int:
    number = text.partition(" ")[0]
    if not number.isdecimal():
        raise ValueError(f"A process id is expected, not {number!r}")
    return int(number)


def _rss_bytes(size_bytes: int, size_pages: str, resident_pages: str) -> int:
    """Return bytes in memory. The size of a page follows from the whole size, which is given in bytes and in pages."""
    if not (size_pages.isdecimal() and resident_pages.isdecimal() and int(size_pages)):
        return 0
    # It may have grown between the two, but a page is always a power of two.
    return int(resident_pages) << max(0, round(math.log2(max(1, size_bytes) / int(size_pages))))


def _here(process: psutil.Process) -> list[_Reading]:
    import psutil

    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return []
            times = process.cpu_times()
            cpu_s, memory, threads = times.user + times.system, process.memory_info().rss, process.num_threads()
            return [_Reading((process.pid, process.create_time()), cpu_s, memory, threads, _open_files(process))]
    except psutil.Error:
        return []


def _open_files(process: psutil.Process) -> int | None:
    import psutil

    try:
        return process.num_fds()
    except psutil.AccessDenied:
        return None
