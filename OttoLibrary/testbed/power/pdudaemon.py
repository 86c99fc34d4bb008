"""Power through a pdudaemon: its HTTP interface, ``/power/control/COMMAND?hostname=...&port=...``."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from OttoLibrary.errors import HostError, UsageError

_KEYS = ("pdudaemon", "hostname", "port", "delay")
_ANSWER_S = 20.0
_MOST_BYTES = 4096
_OK = 200


class PduDaemonPower:
    """Switches a port of a power distribution unit.

    Args:
        device: The name of the device.
        part: ``pdudaemon``, its URL, ``hostname`` and ``port`` of the unit as its configuration names them, and optionally
            ``delay``, how many seconds a cycle stays off.
        hosts: Not used: the daemon is reached from this machine.
    """

    def __init__(self, device: str, part: Mapping[str, Any], hosts: object) -> None:
        url = str(part.get("pdudaemon", ""))
        wrong = [key for key in part if key not in _KEYS] + [key for key in ("hostname", "port") if key not in part]
        if wrong or urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise UsageError(
                f"The power of device '{device}' by pdudaemon has an http URL as 'pdudaemon', 'hostname' and 'port', "
                f"and may have "
                f"'delay'; wrong or missing: {', '.join(wrong) or 'pdudaemon'}."
            )
        self._device, self._url, self._part = device, url.rstrip("/"), part

    async def on(self) -> None:
        """Switch the port on."""
        await self._control("on")

    async def off(self) -> None:
        """Switch the port off."""
        await self._control("off")

    async def cycle(self) -> None:
        """Switch the port off and on."""
        await self._control("reboot")

    async def _control(self, command: str) -> None:
        words = {"hostname": self._part["hostname"], "port": self._part["port"]}
        if command == "reboot" and "delay" in self._part:
            words["delay"] = self._part["delay"]
        await asyncio.to_thread(self._asked, f"{self._url}/power/control/{command}?{urllib.parse.urlencode(words)}", command)

    def _asked(self, url: str, command: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310 - http or https
                said, status = answer.read(_MOST_BYTES), answer.status
        except urllib.error.HTTPError as error:
            raise self._failure(command, f"it answered {error.code} {error.reason}") from error
        except OSError as error:
            raise self._failure(command, str(getattr(error, "reason", error))) from error
        if status != _OK or b"accepted request" not in said.lower():
            raise self._failure(command, f"it answered {said[:200].decode(errors='replace').strip()!r}")

    def _failure(self, command: str, cause: str) -> HostError:
        unit = f"port {self._part['port']} of {self._part['hostname']}"
        return HostError(f"The power of '{self._device}' could not be switched ({command}, {unit}) by pdudaemon: {cause}.")
