"""otto-sh as a server of measurements: JSON requests on standard input, a list of seconds for each on standard output.

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

    async def run(self, command: str) -> float:
        return await _seconds(command, [self.warm])

    async def cold(self, command: str) -> float:
        return await self._fresh(command, [self._host(99)])

    async def many_cold(self, command: str) -> float:
        return await self._fresh(command, [self._host(number) for number in range(100, 150)])

    async def many_warm(self, command: str) -> float:
        return await _seconds(command, self.many)

    async def _fresh(self, command: str, hosts: list[Any]) -> float:
        try:
            return await _seconds(command, hosts)
        finally:
            await asyncio.gather(*(host.close() for host in hosts))


async def _seconds(command: str, hosts: list[Any]) -> float:
    """Run it on all at once; a failure is no measurement."""
    began = time.perf_counter()
    results = await asyncio.gather(*(host.run(command) for host in hosts))
    took = time.perf_counter() - began
    for result in results:
        if not result.is_ok or result.only.retcode != 0:
            raise RuntimeError(f"'{command}' failed: {result.only}")
    return took


async def main() -> None:
    otto = Otto(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        measure = getattr(otto, request["what"])
        print(json.dumps([await measure(request["command"]) for _ in range(request["count"])]), flush=True)


asyncio.run(main())
