"""A web server under load, as a process of its own: it takes known times, stalls, errs and dies when it is told.

``python -m tests.peers.target PORT LOG`` is the server; in ``LOG`` is a line for each answer: its status and how long it took.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.peers import processes
from tests.peers.loads import running
from tests.peers.turrets import free_ports

# What answers take, one after the other, in seconds.
LATENCIES_S = [0.002 + 0.0004 * ((number * 37) % 100) for number in range(100)]


class Target:
    """A server that runs.

    Args:
        port: Where it listens, on the loopback.
        log: What it wrote.
    """

    def __init__(self, port: int, log: Path) -> None:
        self.url, self._log = f"http://127.0.0.1:{port}", log

    def tell(self, what: str) -> None:
        """Order it: ``/stall?5`` holds all answers for five seconds, ``/err`` lets them fail from now on, ``/die`` ends it."""
        with contextlib.suppress(OSError):
            urllib.request.urlopen(self.url + what, timeout=30).read()

    def answers(self) -> list[tuple[int, float]]:
        """Return status and duration of each answer up to now."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(int(status), float(took_s)) for status, took_s in (line.split() for line in lines if line.count(" ") == 1)]


@contextlib.contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Run a server; it has ended afterwards."""
    (port,) = free_ports(1)
    log = folder / "answers.txt"
    with running([sys.executable, "-m", "tests.peers.target", str(port), str(log)]):
        made = Target(port, log)
        processes.wait_until(lambda: _is_up(made), "Starting the target", timeout_s=60)
        yield made


def _is_up(made: Target) -> bool:
    try:
        urllib.request.urlopen(made.url + "/hello", timeout=5).read()
    except OSError:
        return False
    return True


def _serve(port: int, log_path: str) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    log = Path(log_path).open("a", buffering=1)  # noqa: SIM115 - it is open until the end
    free, errs, count = asyncio.Event(), False, 0
    free.set()

    async def work(request: Request) -> PlainTextResponse:
        nonlocal count
        began, number = time.perf_counter(), count
        count += 1
        await asyncio.sleep(LATENCIES_S[number % len(LATENCIES_S)])
        await free.wait()
        status = 500 if errs else 200
        log.write(f"{status} {time.perf_counter() - began}\n")
        return PlainTextResponse("", status)

    async def stall(request: Request) -> PlainTextResponse:
        free.clear()
        asyncio.get_running_loop().call_later(float(request.url.query), free.set)
        return PlainTextResponse("")

    async def err(request: Request) -> PlainTextResponse:
        nonlocal errs
        errs = True
        return PlainTextResponse("")

    async def die(request: Request) -> PlainTextResponse:
        os._exit(1)

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    routes = [Route(f"/{each.__name__}", each) for each in (work, stall, err, die, hello)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="critical")


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
