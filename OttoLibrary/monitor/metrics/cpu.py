"""How busy the processors are: ``/proc/stat``, proc_stat(5)."""

from __future__ import annotations

from collections.abc import Sequence

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric

_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_SHOWN = {
    "cpu_user_percent": ("user", "nice"),
    "cpu_system_percent": ("system", "irq", "softirq"),
    "cpu_iowait_percent": ("iowait",),
    "cpu_steal_percent": ("steal",),
}


class Cpu(BuiltInsMetric, LocalMetric):
    """The metric ``cpu``: the share of time that all processors together, and each alone, were busy since the last reading."""

    main = "cpu_percent"

    def __init__(self) -> None:
        self._before: dict[str, dict[str, float]] = {}

    def script(self) -> str:
        """Print the lines of the processors, which come first."""
        return """[ -n "$cpu_lines" ] || { cpu_lines=1; while read -r cpu_line; do case $cpu_line in
cpu[0-9]*) cpu_lines=$((cpu_lines + 1));; intr*) break;; esac; done </proc/stat; }
take /proc/stat "$cpu_lines"
"""

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return shares in percent."""
        rows = [line.split() for line in printed.splitlines() if line.startswith("cpu")]
        if not rows:
            raise ValueError("/proc/stat has no line for a processor")
        return self._shares({row[0][3:]: [float(word) for word in row[1:9]] for row in rows})

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        every = {"": psutil.cpu_times(), **{str(index): times for index, times in enumerate(psutil.cpu_times(percpu=True))}}
        return self._shares({name: [getattr(times, field, 0.0) for field in _FIELDS] for name, times in every.items()})

    def _shares(self, times: dict[str, Sequence[float]]) -> dict[str, float]:
        shares: dict[str, float] = {}
        for name, spent in times.items():
            now = dict(zip(_FIELDS, spent, strict=False))
            before = self._before.get(name)
            self._before[name] = now
            if before is None or any(now[field] < before[field] for field in ("user", "system")):
                continue
            # iowait and idle may go back by a tick (proc_stat(5)).
            grown = {field: max(0.0, now[field] - before[field]) for field in now}
            total = sum(grown.values())
            if not total:
                continue
            busy = total - grown["idle"] - grown.get("iowait", 0.0)
            shares[f"cpu_percent[{name}]" if name else "cpu_percent"] = 100 * busy / total
            if not name:
                for series, fields in _SHOWN.items():
                    shares[series] = 100 * sum(grown.get(field, 0.0) for field in fields) / total
        return shares
