"""Output without an end: how long it takes beyond its time, and the most memory it needs over idle."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.errors import WaitTimeoutError
from OttoLibrary.host.host import Host
from tests.benchmarks.measure import Row
from tests.peers.sshd import Sshd

_TIMEOUT_S = 2.0
_LATE_MS = 500
_BOUND_MB = 100


def all_rows(sshd: Sshd, identity_file: Path) -> list[Row]:
    ssh = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(identity_file)}
    rows = []
    for name, facts in (("local", {"transport": "local"}), ("ssh", {**ssh, "host_key": "ignore"})):
        rows += asyncio.run(_rows(name, facts))
    return rows


async def _rows(name: str, facts: dict[str, Any]) -> list[Row]:
    host = Host("box", ("box",), lambda: HostFacts("box", **facts), None, lambda record: None)
    await host.run("true")
    rows = []
    for command in ("yes", "cat /dev/urandom"):
        seconds, peak_mb = await _measured(lambda command=command: _timed_out(host, command))  # type: ignore[misc]
        what = f"`{command}`, timeout=2 s, {name}"
        rows.append(Row(what, seconds * 1000, "its time", _TIMEOUT_S * 1000, _LATE_MS, difference=True))
        rows.append(Row(f"{what}: peak memory over idle", peak_mb, "", None, _BOUND_MB, absolute=True, unit="MB"))
    seconds, peak_mb = await _measured(lambda: _unread(host))
    rows.append(Row(f"`yes` on an unread console, {name}: peak", peak_mb, "", None, _BOUND_MB, absolute=True, unit="MB"))
    await host.close()
    return rows


async def _timed_out(host: Host, command: str) -> None:
    with contextlib.suppress(WaitTimeoutError):
        await host.run(command, timeout_s=_TIMEOUT_S)


async def _unread(host: Host) -> None:
    await host.send("yes\n")
    await asyncio.sleep(_TIMEOUT_S)
    await host.interrupt()


async def _measured(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    before, peak, ended = _resident_mb(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.01):
            peak = max(peak, _resident_mb() - before)

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.monotonic()
    try:
        await work()
        return time.monotonic() - began, peak
    finally:
        ended.set()
        watching.join()


def _resident_mb() -> float:
    return next(int(line.split()[1]) / 1000 for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))
