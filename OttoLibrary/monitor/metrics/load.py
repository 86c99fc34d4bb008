"""How many threads run or wait to run, on average: ``/proc/loadavg``, proc_loadavg(5)."""

from __future__ import annotations

_SERIES = ("load_1min", "load_5min", "load_15min")


class Load:
    """The metric ``load``."""

    main = "load_1min"
    interval_s = 0.0
    forks = False

    def script(self) -> str:
        """Say its one line."""
        return "take /proc/loadavg 1\n"

    def values(self, said: str, uptime_s: float) -> dict[str, float]:
        """Return the three averages."""
        try:
            return dict(zip(_SERIES, map(float, said.split()[:3]), strict=True))
        except ValueError as error:
            raise ValueError(f"/proc/loadavg does not begin with three numbers: {said.strip()!r}") from error

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same of this machine."""
        import psutil

        return dict(zip(_SERIES, psutil.getloadavg(), strict=True))
