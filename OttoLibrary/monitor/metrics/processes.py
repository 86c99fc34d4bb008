"""How many processes there are: ``/proc`` itself, ``/proc/loadavg``, ``/proc/stat``, proc(5)."""

from __future__ import annotations

import re
from pathlib import Path

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric

# Of /proc/loadavg: averages, threads that run / all threads, the last process.
_THREADS = re.compile(r"[\d.]+ [\d.]+ [\d.]+ (\d+)/(\d+) ")


class Processes(BuiltInsMetric, LocalMetric):
    """The metric ``processes``: how many processes and threads there are, and how many run or are blocked."""

    main = "processes_count"

    def script(self) -> str:
        """Print the number of processes, the averages, and how many are blocked."""
        # bash would have the kernel generate the whole file again for each line, so it reads all in one go; others cannot.
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

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return how many processes and threads there are."""
        count, threads, blocked = [*printed.splitlines(), "", "", ""][:3]
        found = _THREADS.match(threads)
        if not count.isdecimal() or found is None:
            raise ValueError(f"/proc does not say how many processes and threads there are: {printed.strip()!r}")
        readings: dict[str, float] = {self.main: int(count)}
        readings["processes_running_count"], readings["threads_count"] = int(found[1]), int(found[2])
        if blocked.isdecimal():
            readings["processes_blocked_count"] = int(blocked)
        return readings

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine; psutil would look at each process for what the kernel counts already."""
        import psutil

        try:
            threads, stat = Path("/proc/loadavg").read_text(), Path("/proc/stat").read_text()
        except OSError as error:
            raise ValueError(f"{error.filename} cannot be read: {error.strerror}") from error
        blocked = stat.partition("procs_blocked ")[2].partition("\n")[0]
        return self.values(f"{len(psutil.pids())}\n{threads.strip()}\n{blocked}", uptime_s)
