"""Power by commands on a host: a relay card, a test rig's own script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from OttoLibrary import units
from OttoLibrary.errors import UsageError
from OttoLibrary.host.host import Host

_KEYS = ("on", "off", "cycle", "host", "pause")
_PAUSE_S = 1.0


class CommandPower:
    """Switches by shell commands.

    Args:
        device: The name of the device.
        part: ``host``, the host of the lab that runs the commands, ``on`` and ``off``, and optionally ``cycle`` and
            ``pause``, how long it stays off when there is no command for ``cycle``.
        hosts: Returns a host of the lab.
    """

    def __init__(self, device: str, part: Mapping[str, Any], hosts: Callable[[str], Host]) -> None:
        wrong = [key for key in part if key not in _KEYS] + [key for key in ("host", "on", "off") if key not in part]
        if wrong or not all(isinstance(part[key], str) for key in part if key != "pause"):
            raise UsageError(
                f"The power of device '{device}' is {', '.join(part)}. By commands, it has 'host', 'on' and 'off', and may have "
                "'cycle' and 'pause'."
            )
        self._part, self._host = part, hosts(part["host"])
        self._pause_s = units.seconds(part.get("pause", _PAUSE_S))

    async def on(self) -> None:
        """Run the command for on."""
        await self._host.run(self._part["on"])

    async def off(self) -> None:
        """Run the command for off."""
        await self._host.run(self._part["off"])

    async def cycle(self) -> None:
        """Run the command for a cycle, or the other two."""
        if "cycle" in self._part:
            await self._host.run(self._part["cycle"])
            return
        await self.off()
        await asyncio.sleep(self._pause_s)
        await self.on()
