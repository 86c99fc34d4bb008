"""How many processes there are: ``/proc`` itself, ``/proc/loadavg``, ``/proc/stat``, proc(5)."""

from __future__ import annotations

import re
from pathlib import Path

# Of /proc/loadavg: averages, threads that run / all threads, the last process.
_THREADS = re.compile(r"[\d.]+ [\d.]+ [\d.]+ (\d+)/(\d+) ")


class Processes:
    """The metric ``processes``: all processes; how many threads there are, run, and wait for a disk or the like."""

    main = "processes_count"
    interval_s = 0.0
    forks = False

    def script(self) -> str:
        """Say the number of processes, the averages, and how many are blocked."""
        # bash reads a line of a file in /proc by having it made anew, so there it reads all at once; others cannot.
        return """processes_number() { processes_count=$#; }
processes_number /proc/[0-9]*
say "$processes_count"
take /proc/loadavg 1
processes_stat=
if [ -n "$BASH_VERSION" ]; then read -r -d '' processes_stat
else while read -r processes_stat; do case $processes_stat in procs_blocked*) break;; esac; done
fi </proc/stat
processes_stat=${processes_stat##*procs_blocked }
say "${processes_stat%%
*}"
"""

    def values(self, said: str, uptime_s: float) -> dict[str, float]:
        """Return numbers of processes and threads."""
        count, threads, blocked = [*said.splitlines(), "", "", ""][:3]
        found = _THREADS.match(threads)
        if not count.isdecimal() or found is None:
            raise ValueError(f"/proc does not say how many processes and threads there are: {said.strip()!r}")
        readings: dict[str, float] = {self.main: int(count)}
        readings["processes_running_count"], readings["threads_count"] = int(found[1]), int(found[2])
        if blocked.isdecimal():
            readings["processes_blocked_count"] = int(blocked)
        return readings

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same of this machine; psutil would have to look at each process for what the kernel knows."""
        import psutil

        try:
            threads, stat = Path("/proc/loadavg").read_text(), Path("/proc/stat").read_text()
        except OSError as error:
            raise ValueError(f"{error.filename} cannot be read: {error.strerror}") from error
        blocked = stat.partition("procs_blocked ")[2].partition("\n")[0]
        return self.values(f"{len(psutil.pids())}\n{threads.strip()}\n{blocked}", uptime_s)
