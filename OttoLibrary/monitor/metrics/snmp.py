"""Readings of a host's SNMP agent, by pysnmp: RFC 3416, RFC 2578."""

from __future__ import annotations

import re
from typing import Any

from pysnmp.error import PySnmpError  # type: ignore[import-untyped]
from pysnmp.hlapi.v1arch import asyncio as snmp  # type: ignore[import-untyped]
from pysnmp.proto.rfc1902 import Null  # type: ignore[import-untyped]

from OttoLibrary.contracts.facts import HostFacts, SnmpOptions
from OttoLibrary.contracts.metrics import NetworkMetric
from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.counter_rates import Rates

_OID = re.compile(r"\.?\d+(?:\.\d+)+")
_UPTIME = "1.3.6.1.2.1.1.3.0"
_COUNTER32 = 1 << 32
_RETRIES = 1


class Snmp(NetworkMetric):
    """The metric ``snmp:OID``: a number, and how fast it grows when it is a counter.

    Args:
        oid: The object identifier in numbers, such as ``1.3.6.1.2.1.2.2.1.10.1``.
    """

    def __init__(self, oid: str) -> None:
        if not _OID.fullmatch(oid):
            raise UsageError(f"The metric 'snmp' needs an OID in numbers, such as snmp:{_UPTIME}, not {oid!r}.")
        self._oid = oid.removeprefix(".")
        self.main = f"snmp_value[{self._oid}]"
        self._rates = Rates()
        self._before = 0
        self._wrapped = 0
        self._agent_uptime = 0

    async def ask(self, facts: HostFacts, uptime_s: float) -> dict[str, float]:
        """Return what the agent answers."""
        if facts.hop is not None:
            raise ValueError(f"Host '{facts.name}' is behind '{facts.hop}': SNMP goes over UDP, which no hop carries")
        value, uptime = await self._asked(facts.address, facts.snmp)
        readings = {self.main: _number(value, self._oid)}
        kind = type(value).__name__
        if kind in {"Counter32", "Counter64"}:
            rate = self._rate(int(value), uptime, uptime_s, 0 if kind == "Counter64" else _COUNTER32)
            if rate is not None:
                readings[f"snmp_per_s[{self._oid}]"] = rate
        return readings

    def _rate(self, count: int, uptime: Any, uptime_s: float, size: int) -> float | None:
        # Only the agent's own uptime tells a counter that was reset from one that wrapped. It wraps itself after 497 days.
        up = int(uptime) if type(uptime).__name__ == "TimeTicks" else 0
        restarted, self._agent_uptime = up < self._agent_uptime, up
        if restarted:
            self._rates, self._wrapped = Rates(), 0
        elif count < self._before:
            self._wrapped += size
        self._before = count
        return self._rates.per_second(self._oid, count + self._wrapped, uptime_s)

    async def _asked(self, address: str, options: SnmpOptions) -> tuple[Any, Any]:
        """Return the values of the OID and of the agent's uptime."""
        kind = snmp.Udp6TransportTarget if ":" in address else snmp.UdpTransportTarget
        questions = [(oid, Null("")) for oid in (self._oid, _UPTIME)]
        dispatcher = snmp.SnmpDispatcher()
        try:
            target = await kind.create((address, options.port), timeout=options.timeout, retries=_RETRIES)
            community = snmp.CommunityData(options.community.value, mpModel=1)  # noqa: S508 - version 2c is what is offered
            trouble, status, _, answers = await snmp.get_cmd(dispatcher, community, target, *questions)
        except PySnmpError as error:
            raise OSError(f"SNMP agent {address} port {options.port} cannot be asked: {error}") from error
        finally:
            dispatcher.close()
        if trouble:
            raise OSError(f"SNMP agent {address} port {options.port} does not answer: {trouble}")
        if status or len(answers) != len(questions):
            raise ValueError(f"SNMP agent {address} refuses {self._oid}: {getattr(status, 'prettyPrint', str)()}")
        return answers[0][1], answers[1][1]


def _number(value: Any, oid: str) -> float:
    kind = type(value).__name__
    if kind in {"NoSuchObject", "NoSuchInstance", "EndOfMibView", "Null"}:
        raise ValueError(f"The SNMP agent has no {oid}")
    try:
        # Some agents write numbers as text.
        return float(str(value))
    except ValueError as error:
        raise ValueError(f"{oid} is not a number but {value.prettyPrint()!r}") from error
