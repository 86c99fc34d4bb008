"""How many threads run or wait to run, on average: ``/proc/loadavg``, proc_loadavg(5)."""

from __future__ import annotations

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric

_SERIES = ("load_1min", "load_5min", "load_15min")


class Load(BuiltInsMetric, LocalMetric):
    """The metric ``load``."""

    main = "load_1min"

    def script(self) -> str:
        """Print its one line."""
        return "take /proc/loadavg 1\n"

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return the three averages."""
        try:
            return dict(zip(_SERIES, map(float, printed.split()[:3]), strict=True))
        except ValueError as error:
            raise ValueError(f"/proc/loadavg does not begin with three numbers: {printed.strip()!r}") from error

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        return dict(zip(_SERIES, psutil.getloadavg(), strict=True))
