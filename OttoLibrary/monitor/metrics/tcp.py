"""TCP connections and retransmissions: ``/proc/net/snmp``, RFC 1213."""

from __future__ import annotations

from pathlib import Path

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric
from OttoLibrary.monitor.counter_rates import Rates

_FILE = "/proc/net/snmp"
# Ip, Icmp and IcmpMsg come before Tcp, each with a line of names and one of numbers.
_LINES = 8


class Tcp(BuiltInsMetric, LocalMetric):
    """The metric ``tcp``, of IPv4 and IPv6 together."""

    main = "tcp_established_count"

    def __init__(self) -> None:
        self._rates = Rates()

    def script(self) -> str:
        """Print the first lines."""
        return f"take {_FILE} {_LINES}\n"

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return how many connections are open, and how many segments per second were retransmitted."""
        rows = [line.split()[1:] for line in printed.splitlines() if line.startswith("Tcp:")]
        if len(rows) != 2:
            raise ValueError(f"{_FILE} cannot be read or has no lines for TCP")
        try:
            counts = {name: int(number) for name, number in zip(*rows, strict=False)}
            readings: dict[str, float] = {self.main: counts["CurrEstab"]}
        except (ValueError, KeyError) as error:
            raise ValueError(f"{_FILE} does not say how many connections are open: {' '.join(rows[1])!r}") from error
        rate = self._rates.per_second("retransmits", counts["RetransSegs"], uptime_s) if "RetransSegs" in counts else None
        return readings if rate is None else {**readings, "tcp_retransmits_per_s": rate}

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine; psutil would look at every connection and has no retransmits."""
        try:
            return self.values(Path(_FILE).read_text(), uptime_s)
        except OSError as error:
            raise ValueError(f"{_FILE} cannot be read: {error.strerror}") from error
