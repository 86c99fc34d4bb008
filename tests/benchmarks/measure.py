"""Measuring: ours and a peer's in turns, in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.sshd import Sshd

Measure = Callable[[], Awaitable[list[float]]]
ROUNDS = 7


@dataclass
class Row:
    """One line of the table; times in milliseconds. ``limit`` is a ratio, or milliseconds of it or of the difference."""

    what: str
    ours_ms: float
    peer: str
    peer_ms: float | None
    limit: float | None
    absolute: bool = False
    difference: bool = False
    unit: str = "ms"

    @property
    def missed(self) -> bool | None:
        """Whether it is over its limit; None without one."""
        if self.limit is None:
            return None
        if self.difference:
            return self.ours_ms - (self.peer_ms or 0) > self.limit
        return self.ours_ms / (1 if self.absolute else self.peer_ms or 1) > self.limit

    def __str__(self) -> str:
        ratio = self.ours_ms / self.peer_ms if self.peer_ms else None
        verdict = "" if self.missed is None else ("missed" if self.missed else "met")
        limit = "" if self.limit is None else (f"{self.limit:g} {self.unit}" if self.absolute else f"{self.limit:.2f}")
        limit = f"{self.limit:g} {self.unit} more" if self.difference else limit
        peer = "" if self.peer_ms is None else f"{self.peer_ms:.2f}"
        shown = "" if ratio is None else f"{ratio:.2f}"
        ours = f"{self.ours_ms:.2f}" if self.ours_ms >= 0.1 or not self.ours_ms else f"{self.ours_ms:.5f}"
        return f"| {self.what} | {ours} | {self.peer} | {peer} | {shown} | {limit} | {verdict} |"


class Otto:
    """The peer otto-sh, in its own interpreter; what it complains about goes to ``log``."""

    def __init__(self, python: str, sshd: Sshd, key: Path, log: Path) -> None:
        script = Path(__file__).with_name("peer_otto.py")
        command = [python, str(script), sshd.address, str(sshd.port), sshd.user, str(key)]
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)

    def measure(self, what: str, count: int, command: str = "true") -> Measure:
        async def measured() -> list[float]:
            return await asyncio.to_thread(self._ask, json.dumps({"what": what, "count": count, "command": command}))

        return measured

    def _ask(self, request: str) -> list[float]:
        assert self._process.stdin
        assert self._process.stdout
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            print(request, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"otto-sh failed at {request}. It said: {self._log.read_text(errors='replace')[-4000:]}")
        seconds: list[float] = json.loads(answer)
        return seconds

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def timed(work: Callable[[], Awaitable[Any]], count: int, before: Callable[[], Awaitable[Any]] | None = None) -> Measure:
    """Return a measurement of ``count`` turns, in seconds each; ``before`` comes before each and does not count."""

    async def measured() -> list[float]:
        seconds = []
        for _ in range(count):
            if before is not None:
                await before()
            began = time.perf_counter()
            await work()
            seconds.append(time.perf_counter() - began)
        return seconds

    return measured


async def compare(what: str, ours: Measure, peer: str, theirs: Measure, limit: float | None, rounds: int = ROUNDS) -> Row:
    """Measure both in turns, after one turn that does not count."""
    await ours(), await theirs()
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        mine += await ours()
        other += await theirs()
    return Row(what, statistics.median(mine) * 1000, peer, statistics.median(other) * 1000, limit)
