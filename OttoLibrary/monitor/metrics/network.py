"""Traffic of the network interfaces: ``/proc/net/dev``, proc_pid_net(5)."""

from __future__ import annotations

from OttoLibrary.contracts.metrics import BuiltInsMetric, LocalMetric
from OttoLibrary.monitor.counter_rates import Rates

_COLUMNS = 12
_LOOPBACK = "lo"
_RECEIVED = "network_received_bytes_per_s"
_SENT = "network_sent_bytes_per_s"


class Network(BuiltInsMetric, LocalMetric):
    """The metric ``network``: bytes, packets, errors and drops per second of each interface, and the bytes of all but ``lo``."""

    main = "network_bytes_per_s"

    def __init__(self) -> None:
        self._rates = Rates()

    def script(self) -> str:
        """Print the whole table."""
        return "take /proc/net/dev\n"

    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return rates."""
        counters: dict[str, dict[str, int]] = {}
        for line in printed.splitlines():
            # Old kernels write eth0:123, without a space.
            name, colon, numbers = line.rpartition(":")
            if colon:
                counters[name.strip()] = _counters(numbers.split(), line)
        if not counters:
            raise ValueError("/proc/net/dev has no line for an interface")
        return self._per_second(counters, uptime_s)

    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the same for this machine."""
        import psutil

        counters = {
            name: {
                _RECEIVED: count.bytes_recv,
                _SENT: count.bytes_sent,
                "network_received_packets_per_s": count.packets_recv,
                "network_sent_packets_per_s": count.packets_sent,
                "network_errors_per_s": count.errin + count.errout,
                "network_drops_per_s": count.dropin + count.dropout,
            }
            for name, count in psutil.net_io_counters(pernic=True, nowrap=False).items()
        }
        return self._per_second(counters, uptime_s)

    def _per_second(self, counters: dict[str, dict[str, int]], uptime_s: float) -> dict[str, float]:
        rates: dict[str, float] = {}
        for name, counts in counters.items():
            for series, count in counts.items():
                labelled = f"{series}[{name}]"
                rate = self._rates.per_second(labelled, count, uptime_s)
                if rate is not None:
                    rates[labelled] = rate
        outside = [name for name in counters if name != _LOOPBACK]
        for series in (_RECEIVED, _SENT):
            known = [rates[label] for name in outside if (label := f"{series}[{name}]") in rates]
            # A host that has only lo has no traffic; it is known from the second reading on, as that of others is.
            if known or (rates and not outside):
                rates[series] = sum(known)
        if _RECEIVED in rates and _SENT in rates:
            rates[self.main] = rates[_RECEIVED] + rates[_SENT]
        return rates


def _counters(row: list[str], line: str) -> dict[str, int]:
    try:
        count = [int(number) for number in row[:_COLUMNS]]
        return {
            _RECEIVED: count[0],
            _SENT: count[8],
            "network_received_packets_per_s": count[1],
            "network_sent_packets_per_s": count[9],
            "network_errors_per_s": count[2] + count[10],
            "network_drops_per_s": count[3] + count[11],
        }
    except (ValueError, IndexError) as error:
        raise ValueError(f"/proc/net/dev has a line that does not describe an interface: {line.strip()!r}") from error
