"""The metric tcp."""

from __future__ import annotations

import psutil
import pytest

from OttoLibrary.monitor.metrics.tcp import Tcp
from tests.unit.monitor.shells import printed

SNMP = """Ip: Forwarding DefaultTTL
Ip: 2 64
Icmp: InMsgs
Icmp: 3
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs{names}
Tcp: 1 200 120000 -1 96375 50633 42480 28576 7 38563740 41042532{numbers}
Udp: InDatagrams
Udp: 408
"""


def test_tcp_counts_connections_and_what_was_sent_again() -> None:
    tcp = Tcp()
    assert tcp.values(SNMP.format(names=" RetransSegs", numbers=" 10"), 10.0) == {"tcp_established_count": 7}
    values = tcp.values(SNMP.format(names=" RetransSegs InErrs", numbers=" 30 0"), 12.0)
    assert values == {"tcp_established_count": 7, "tcp_retransmits_per_s": 10.0}
    assert Tcp().values(SNMP.format(names="", numbers=""), 1.0) == {"tcp_established_count": 7}


def test_tcp_counts_what_psutil_counts(shell: str) -> None:
    values = Tcp().values(printed(shell, Tcp()), 1.0)
    open_now = [one for one in psutil.net_connections("tcp") if one.status in {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}]
    assert values["tcp_established_count"] == pytest.approx(len(open_now), abs=10)
