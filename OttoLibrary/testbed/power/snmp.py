"""Power by SNMP: an integer that is set, as most power distribution units have for each outlet; RFC 3416."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from pysnmp.error import PySnmpError  # type: ignore[import-untyped]
from pysnmp.hlapi.v1arch import asyncio as snmp  # type: ignore[import-untyped]
from pysnmp.proto.rfc1902 import Integer32  # type: ignore[import-untyped]

from OttoLibrary import units
from OttoLibrary.errors import HostError, UsageError

_KEYS = ("address", "port", "community", "oid", "on", "off", "cycle", "pause")
_NEEDED = ("address", "oid", "on", "off")
_OID = re.compile(r"\.?\d+(?:\.\d+)+")
_PAUSE_S, _ANSWER_S, _RETRIES, _PORT = 1.0, 2.0, 1, 161


class SnmpPower:
    """Switches by setting an integer.

    Args:
        device: The name of the device.
        part: ``snmp``, with ``address``, ``oid`` in numbers, the numbers for ``on`` and ``off``, and optionally ``cycle``,
            ``port``, ``community`` and ``pause``, how long it stays off when there is no number for a cycle.
        hosts: Not used: SNMP goes over UDP, which no hop carries.
    """

    def __init__(self, device: str, part: Mapping[str, Any], hosts: object) -> None:
        given = part.get("snmp")
        if (
            len(part) > 1
            or not isinstance(given, Mapping)
            or [key for key in _NEEDED if key not in given]
            or set(given) - set(_KEYS)
        ):
            raise UsageError(
                f"The power of device '{device}' by snmp is {{'snmp': {{...}}}} with {', '.join(_NEEDED)}, and may "
                f"have cycle, port, "
                "community and pause."
            )
        numbers = [given[key] for key in ("on", "off", "cycle") if key in given]
        if not _OID.fullmatch(str(given["oid"])) or not all(type(number) is int for number in numbers):
            raise UsageError(
                f"The power of device '{device}' by snmp needs an 'oid' in numbers, and whole numbers for on and off."
            )
        self._device, self._given = device, given
        self._pause_s = units.seconds(given.get("pause", _PAUSE_S))

    async def on(self) -> None:
        """Set the number for on."""
        await self._set(self._given["on"])

    async def off(self) -> None:
        """Set the number for off."""
        await self._set(self._given["off"])

    async def cycle(self) -> None:
        """Set the number for a cycle, or the other two."""
        if "cycle" in self._given:
            await self._set(self._given["cycle"])
            return
        await self.off()
        await asyncio.sleep(self._pause_s)
        await self.on()

    async def _set(self, number: int) -> None:
        address = str(self._given["address"])
        kind = snmp.Udp6TransportTarget if ":" in address else snmp.UdpTransportTarget
        dispatcher = snmp.SnmpDispatcher()
        try:
            target = await kind.create((address, int(self._given.get("port", _PORT))), timeout=_ANSWER_S, retries=_RETRIES)
            community = snmp.CommunityData(str(self._given.get("community", "private")), mpModel=1)  # noqa: S508 - version 2c
            question = (str(self._given["oid"]).removeprefix("."), Integer32(number))
            trouble, status, _, _ = await snmp.set_cmd(dispatcher, community, target, question)
        except PySnmpError as error:
            raise self._failure(number, str(error)) from error
        finally:
            dispatcher.close()
        if trouble or status:
            raise self._failure(number, str(trouble or getattr(status, "prettyPrint", str)()))

    def _failure(self, number: int, cause: str) -> HostError:
        where = f"{self._given['oid']} = {number} at {self._given['address']}"
        return HostError(f"The power of '{self._device}' could not be switched by SNMP ({where}): {cause}.")
