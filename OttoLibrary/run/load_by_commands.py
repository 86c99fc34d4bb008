"""Users who run a command on lab hosts again and again: a turret in this process, which has the connections to the hosts."""

from __future__ import annotations

import asyncio
import itertools
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from OttoLibrary.engine import Engine
from OttoLibrary.load.load_run import LoadRun
from OttoLibrary.load.turret.transactions import FunctionTransaction, Maker
from OttoLibrary.load.turret.turret import OttoTurret

if TYPE_CHECKING:
    from OttoLibrary.run.open_hosts import OpenHosts

_END_S = 10.0


class CommandUsers:
    """The turret of one load of commands.

    Args:
        engine: Where hosts are reached.
        hosts: The hosts of the run.
        run: The load.
        token: The word that lets turrets in.
        mask: Hides secrets in what the turret says of itself.
    """

    def __init__(self, engine: Engine, hosts: OpenHosts, run: LoadRun, token: str, mask: Callable[[str], str]) -> None:
        self._engine, self._hosts, self._run, self._token, self._mask = engine, hosts, run, token, mask
        self._turret: OttoTurret | None = None
        self._thread: threading.Thread | None = None

    async def start(self, names: Sequence[str], command: str) -> None:
        """Let the users take the hosts in turns; raise HostError when one cannot be reached."""
        await self._run.until_ports()
        for name in names:
            await self._hosts.use(name).probe(60.0)
        turns = itertools.cycle(names)

        def make() -> FunctionTransaction:
            host = self._hosts.use(next(turns))
            return FunctionTransaction(lambda: self._engine.call(host.run_once(command)))

        def maker(context: dict[str, Any]) -> Maker:
            return make

        config = {
            "name": "commands",
            "script": self._mask(command)[:80],
            "hq_address": "127.0.0.1",
            "hq_port": self._run.ports["own"],
        }
        self._turret = OttoTurret({**config, "token": self._token, "once": True}, maker, str(uuid.uuid4()))
        # Users are threads, as in the process of any turret; each waits for the engine.
        self._thread = threading.Thread(target=self._turret.run, name="OttoLibrary commands", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End the turret; idempotent."""
        turret, thread = self._turret, self._thread
        self._turret = self._thread = None
        if turret is not None and thread is not None:
            turret.end()
            await asyncio.to_thread(thread.join, _END_S)
