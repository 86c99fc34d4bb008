"""otto-sh as a server of measurements: JSON requests on standard input, a list of seconds for each on standard output.

Runs under the interpreter of the peers, and knows nothing of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from otto.host import UnixHost  # type: ignore[import-not-found]
from otto.host.element import Element  # type: ignore[import-not-found]
from otto.host.options import SshOptions  # type: ignore[import-not-found]
from otto.models.base import Cred  # type: ignore[import-not-found]


class Otto:
    def __init__(self, address: str, port: int, user: str, key: str) -> None:
        self._where = (address, port, user, key)
        self.warm = self._host(0)
        self.moving: dict[str, Any] = {}
        self.many = [self._host(number) for number in range(50)]

    def _host(self, number: int, **more: Any) -> Any:
        address, port, user, key = self._where
        options = SshOptions(port=port, client_keys=[key])
        return UnixHost(address, [Cred(user)], name=f"h{number}", element=Element(f"h{number}"), ssh_options=options, **more)

    async def run(self, command: str) -> float:
        return await _seconds(command, [self.warm])

    async def cold(self, command: str) -> float:
        return await self._fresh(command, [self._host(99)])

    async def many_cold(self, command: str) -> float:
        return await self._fresh(command, [self._host(number) for number in range(100, 150)])

    async def many_warm(self, command: str) -> float:
        return await _seconds(command, self.many)

    async def tick_cpu(self, command: str) -> float:
        """Return the processor time of the default commands of its monitor, unparsed."""
        from otto.monitor.parsers import DEFAULT_PARSERS  # type: ignore[import-not-found]

        began = time.process_time()
        for wanted in DEFAULT_PARSERS:
            await self.warm.run(wanted)
        return time.process_time() - began

    async def put_sftp(self, paths: str) -> float:
        return await self._moved("sftp", "put", paths)

    async def get_sftp(self, paths: str) -> float:
        return await self._moved("sftp", "get", paths)

    async def put_scp(self, paths: str) -> float:
        return await self._moved("scp", "put", paths)

    async def get_scp(self, paths: str) -> float:
        return await self._moved("scp", "get", paths)

    async def _moved(self, protocol: str, direction: str, paths: str) -> float:
        if protocol not in self.moving:
            self.moving[protocol] = self._host(50, transfer=protocol)
            await self.moving[protocol].run("true")
        source, folder = (Path(path) for path in json.loads(paths))
        began = time.perf_counter()
        result = await getattr(self.moving[protocol], direction)(source, folder, show_progress=False)
        took = time.perf_counter() - began
        if not result.is_ok:
            raise RuntimeError(f"{direction} by {protocol} failed: {result}")
        return took

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
