"""How long tasks waited for a resource: ``/proc/pressure``, Documentation/accounting/psi of the Linux kernel."""

from __future__ import annotations

import re
from pathlib import Path

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric
from OttoLibrary.monitor.counter_rates import Rates

_KINDS = ("cpu", "memory", "io")
_TOTAL_US = re.compile(r"some .*\btotal=(\d+)")


class Pressure(BuiltInsMetric, LocalMetric):
    """The metric ``pressure``: the share of time since the last reading in which at least one task waited.

    A kernel without it (before Linux 4.20, or built without PSI) has no series.
    """

    main = "pressure_cpu_percent"

    def __init__(self) -> None:
        self._rates = Rates()

    def script(self) -> str:
        """Print each name and the first line of its file."""
        return "".join(f"say {kind}\ntake /proc/pressure/{kind} 1\n" for kind in _KINDS)

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return shares in percent."""
        shares: dict[str, float] = {}
        kind = ""
        for line in printed.splitlines():
            if line in _KINDS:
                kind = line
            elif line.strip():
                share = self._rates.per_second(kind, _total_percent(line, kind), uptime_s)
                if share is not None:
                    shares[f"pressure_{kind}_percent"] = min(share, 100.0)
        return shares

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine; psutil does not have it."""
        return self.values("".join(f"{kind}\n{_first_line(Path('/proc/pressure', kind))}\n" for kind in _KINDS), uptime_s)


def _total_percent(line: str, kind: str) -> float:
    found = _TOTAL_US.match(line)
    if found is None or not kind:
        raise ValueError(f"/proc/pressure does not say how long tasks waited: {line!r}")
    return int(found[1]) / 10_000


def _first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0]
    except OSError:
        return ""
