"""otto-sh as a server of measurements: JSON requests on standard input, seconds on standard output.

Runs under the interpreter of the peers, and knows nothing of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from otto.host import UnixHost  # type: ignore[import-not-found]
from otto.host.element import Element  # type: ignore[import-not-found]
from otto.host.options import SshOptions  # type: ignore[import-not-found]
from otto.models.base import Cred  # type: ignore[import-not-found]


class Otto:
    def __init__(self, address: str, port: int, user: str, key: str) -> None:
        self._where = (address, port, user, key)
        self.warm = self._host(0)
        self.many = [self._host(number) for number in range(50)]

    def _host(self, number: int) -> Any:
        address, port, user, key = self._where
        options = SshOptions(port=port, client_keys=[key])
        return UnixHost(address, [Cred(user)], name=f"h{number}", element=Element(f"h{number}"), ssh_options=options)

    async def run(self, count: int, command: str) -> None:
        for _ in range(count):
            await self.warm.run(command)

    async def cold(self, count: int, command: str) -> None:
        for _ in range(count):
            host = self._host(99)
            await host.run(command)
            await host.close()

    async def many_cold(self, count: int, command: str) -> None:
        for _ in range(count):
            await asyncio.gather(*(host.close() for host in self.many))
            self.many = [self._host(number) for number in range(50)]
            await self.many_warm(1, command)

    async def many_warm(self, count: int, command: str) -> None:
        for _ in range(count):
            await asyncio.gather(*(host.run(command) for host in self.many))


async def main() -> None:
    otto = Otto(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        began = time.perf_counter()
        await getattr(otto, request["what"])(request["count"], request["command"])
        print(json.dumps((time.perf_counter() - began) / request["count"]), flush=True)


asyncio.run(main())
