"""The metric snmp:OID, asked of an agent that is played by pysnmp itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts, SnmpOptions
from OttoLibrary.errors import LabError, UsageError
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.monitor.metrics.snmp import Snmp
from OttoLibrary.text import Secret

UPTIME = "1.3.6.1.2.1.1.3.0"
OID = "1.3.6.1.2.1.2.2.1.10.1"


@pytest.fixture
def asked() -> Callable[..., list[dict[str, float]]]:
    """Ask a metric several times, with what the agent knows each time."""
    pytest.importorskip("pysnmp", reason="needs: pip install 'pysnmp>=7'")
    from pyasn1.codec.ber import decoder, encoder
    from pysnmp.proto import api

    version = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]

    class Responder(asyncio.DatagramProtocol):
        known: dict[str, Any]
        transport: asyncio.DatagramTransport

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            question, _ = decoder.decode(data, asn1Spec=version.Message())
            if bytes(version.apiMessage.get_community(question)) != b"lab":
                return
            answer = version.apiMessage.get_response(question)
            oids = [oid for oid, _ in version.apiPDU.get_varbinds(version.apiMessage.get_pdu(question))]
            found = [(oid, self.known.get(str(oid), version.NoSuchObject(""))) for oid in oids]
            version.apiPDU.set_varbinds(version.apiMessage.get_pdu(answer), found)
            self.transport.sendto(encoder.encode(answer), address)

    async def all_of(metric: Snmp, rounds: list[dict[str, Any]], community: str) -> list[dict[str, float]]:
        transport, agent = await asyncio.get_running_loop().create_datagram_endpoint(Responder, ("127.0.0.1", 0))
        options = SnmpOptions(transport.get_extra_info("sockname")[1], Secret(community), 0.05)
        facts = HostFacts("switch", address="127.0.0.1", snmp=options)
        try:
            answers = []
            for number, known in enumerate(rounds):
                agent.known = known
                answers.append(await metric.ask(facts, 10.0 + number))
            return answers
        finally:
            transport.close()

    return lambda metric, *rounds, community="lab": asyncio.run(all_of(metric, list(rounds), community))


def test_snmp_counters_wrap_and_begin_anew(asked: Callable[..., list[dict[str, float]]]) -> None:
    from pysnmp.proto.rfc1902 import Counter32, TimeTicks

    rounds = [(2**32 - 10, 100), (2**32 - 5, 200), (5, 300), (9, 400), (3, 50), (4, 150)]
    answers = asked(Snmp(f".{OID}"), *({OID: Counter32(count), UPTIME: TimeTicks(up)} for count, up in rounds))
    assert [answer[f"snmp_value[{OID}]"] for answer in answers] == [count for count, _ in rounds]
    assert [answer.get(f"snmp_per_s[{OID}]") for answer in answers] == [None, 5.0, 10.0, 4.0, None, 1.0]


def test_snmp_reads_other_numbers(asked: Callable[..., list[dict[str, float]]]) -> None:
    from pysnmp.proto.rfc1902 import Counter64, Gauge32, Integer32, OctetString

    values = [Integer32(-5), Gauge32(7), OctetString("0.12"), Counter64(5), Counter64(2**63), Counter64(1)]
    answers = asked(Snmp(OID), *({OID: value} for value in values))
    assert [answer[f"snmp_value[{OID}]"] for answer in answers] == [-5.0, 7.0, 0.12, 5.0, 2.0**63, 1.0]
    assert ["snmp_per_s" in str(answer) for answer in answers] == [False, False, False, False, True, False]


def test_snmp_says_why_there_is_no_number(asked: Callable[..., list[dict[str, float]]]) -> None:
    from pysnmp.proto.rfc1902 import OctetString

    with pytest.raises(ValueError, match=f"{OID} is not a number but 'up'"):
        asked(Snmp(OID), {OID: OctetString("up")})
    with pytest.raises(ValueError, match=f"The SNMP agent has no {OID}"):
        asked(Snmp(OID), {})


def test_an_agent_that_does_not_answer_is_an_os_error(asked: Callable[..., list[dict[str, float]]]) -> None:
    with pytest.raises(OSError, match=r"SNMP agent 127\.0\.0\.1 port \d+ does not answer"):
        asked(Snmp(OID), {}, community="wrong")


def test_snmp_goes_through_no_hop() -> None:
    with pytest.raises(ValueError, match="Host 'switch' is behind 'jump': SNMP goes over UDP, which no hop carries"):
        asyncio.run(Snmp(OID).ask(HostFacts("switch", address="192.0.2.1", hop="jump"), 1.0))


def test_an_oid_is_numbers() -> None:
    with pytest.raises(UsageError, match="needs an OID in numbers"):
        Snmp("sysUpTime.0")


def test_a_lab_says_how_an_agent_is_asked(tmp_path: Path) -> None:
    lab = tmp_path / "bench.json"
    lab.write_text(json.dumps({
        "defaults": {"snmp": {"community": "lab"}},
        "hosts": {"switch": {"address": "192.0.2.1", "snmp": {"port": 1161, "timeout": "500ms"}}},
    }))  # fmt: skip
    assert load_lab(str(lab)).facts("switch").snmp == SnmpOptions(1161, Secret("lab"), 0.5)
    lab.write_text(json.dumps({"hosts": {"switch": {"address": "192.0.2.1", "snmp": {"comunity": "x"}}}}))
    with pytest.raises(LabError, match=r"unknown key 'comunity' @ hosts\.switch\.snmp"):
        load_lab(str(lab))
