"""Linux hosts: powered on when there is power, waited for, checked for their tools and set up."""

from __future__ import annotations

import asyncio

from OttoLibrary.errors import HostError
from OttoLibrary.testbed.posix_device import PosixDevice

_TRY_S = 10.0
_PAUSE_S = 0.5


class Linux(PosixDevice):
    """The device type ``linux``: a host that boots by itself once it has power."""

    async def boot(self) -> None:
        """Switch it on when there is power, and wait until it runs a command."""
        if self.power is not None:
            await self.power.on()
        await self._until_up()
        await self._run_all("boot")

    async def _until_up(self) -> None:
        """Return once it runs a command; the time limit of the hook bounds it, and a wrong login ends it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (self.patience_s if self.power is None else float("inf"))
        while True:
            try:
                await self.host.probe(_TRY_S)
                return
            except HostError as error:
                if not is_passing(error) or loop.time() > end:
                    raise
                self.log(f"not up yet: {str(error).splitlines()[0]}")
            await asyncio.sleep(_PAUSE_S)


def is_passing(error: HostError) -> bool:
    """Return True for what goes away when a host comes up: it refuses or does not answer yet."""
    return type(error).__name__ in {"ConnectError", "HopError", "ConnectionLostError", "WaitTimeoutError"}
