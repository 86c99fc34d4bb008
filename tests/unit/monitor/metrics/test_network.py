"""The metric network: rates of counters, and what they are without a second reading."""

from __future__ import annotations

import psutil

from OttoLibrary.monitor.metrics.network import Network
from tests.unit.monitor.shells import printed

NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: {lo}  10    0    0    0     0          0         0 {lo}    10    0    0    0     0       0          0
  eth0:{received}  {packets}    1    2    0     0          0         0  {sent}   {packets}    3    4    0     0       0          0
"""


def test_network_is_rates_and_totals_without_lo() -> None:
    network = Network()
    assert network.values(NET_DEV.format(lo=5, received=1000, sent=200, packets=10), 10.0) == {}
    assert network.values(NET_DEV.format(lo=105, received=3000, sent=600, packets=30), 12.0) == {
        "network_received_bytes_per_s[lo]": 50.0,
        "network_sent_bytes_per_s[lo]": 50.0,
        "network_received_packets_per_s[lo]": 0.0,
        "network_sent_packets_per_s[lo]": 0.0,
        "network_errors_per_s[lo]": 0.0,
        "network_drops_per_s[lo]": 0.0,
        "network_received_bytes_per_s[eth0]": 1000.0,
        "network_sent_bytes_per_s[eth0]": 200.0,
        "network_received_packets_per_s[eth0]": 10.0,
        "network_sent_packets_per_s[eth0]": 10.0,
        "network_errors_per_s[eth0]": 0.0,
        "network_drops_per_s[eth0]": 0.0,
        "network_received_bytes_per_s": 1000.0,
        "network_sent_bytes_per_s": 200.0,
        "network_bytes_per_s": 1200.0,
    }


def test_a_counter_that_begins_anew_is_no_traffic() -> None:
    network = Network()
    network.values(NET_DEV.format(lo=5, received=1000, sent=200, packets=10), 10.0)
    values = network.values(NET_DEV.format(lo=5, received=3, sent=2, packets=1), 11.0)
    assert "network_bytes_per_s" not in values
    assert "network_received_bytes_per_s[eth0]" not in values
    again = network.values(NET_DEV.format(lo=5, received=13, sent=2, packets=1), 12.0)
    assert again["network_bytes_per_s"] == 10


def test_a_host_with_only_lo_has_no_traffic() -> None:
    network = Network()
    line = "    lo: {0}  10    0    0    0     0          0         0 {0}    10    0    0    0     0       0          0"
    network.values(line.format(5), 1.0)
    assert network.values(line.format(9), 2.0)["network_bytes_per_s"] == 0


def test_network_counts_what_psutil_counts(shell: str) -> None:
    network = Network()
    before = psutil.net_io_counters(pernic=True, nowrap=False)
    network.here(10.0)
    now = network.values(printed(shell, network), 11.0)
    after = psutil.net_io_counters(pernic=True, nowrap=False)
    for name, count in after.items():
        grown = count.bytes_recv - before[name].bytes_recv
        assert 0 <= now[f"network_received_bytes_per_s[{name}]"] <= grown
