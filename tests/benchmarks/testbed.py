"""Testbeds: phases with any mix of hooks, many devices without work, and consoles beside pexpect's own."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect

from OttoLibrary import registry
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.engine import Engine
from OttoLibrary.host.host import Host
from OttoLibrary.lab.environment import Environment, EnvironmentDevice
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.testbed.bench_plan import plan
from OttoLibrary.testbed.deployment import Deployment, Surroundings
from OttoLibrary.testbed.device import Device, DeviceHost, HostCalls
from OttoLibrary.testbed.pexpect_console import HostConsole
from tests.benchmarks.measure import ROUNDS, Row

_BOOT_S = 1.0
_TURNS = 50
_LINES = "seq 1 200000; echo do''ne"
_COMMAND = "env TERM=dumb PS1='@@ ' bash --norc --noprofile"


class Plain(Device):
    """Boots for a second in a thread."""

    role = "server"

    def boot(self) -> None:
        """Boot."""
        time.sleep(_BOOT_S)


class Waiting(Device):
    """Boots for a second on the loop."""

    role = "server"

    async def boot(self) -> None:
        """Boot."""
        await asyncio.sleep(_BOOT_S)


class Empty(Device):
    """Has every hook, and does nothing in it."""

    def validate(self) -> None:
        """Do nothing."""

    async def boot(self) -> None:
        """Do nothing."""

    def configure(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


def all_rows() -> list[Row]:
    """Measure everything."""
    for name, kind in (("plain", Plain), ("waiting", Waiting), ("empty", Empty)):
        registry.register_device(name, kind)
    mixes = (("plain",) * 3, ("waiting",) * 3, ("plain", "waiting", "plain"))
    rows = [_row(f"3 servers of 1 s: {', '.join(mix)}", mix, 1100) for mix in mixes]
    rows.append(_row("50 devices with empty hooks", ("empty",) * 50, 300))
    return rows + _consoles()


def _row(what: str, kinds: tuple[str, ...], limit_ms: float) -> Row:
    spent = [asyncio.run(_life(kinds)) for _ in range(3)]
    return Row(what, statistics.median(spent), "", None, limit_ms, absolute=True)


async def _life(kinds: tuple[str, ...]) -> float:
    """Return how long devices take up and down, in milliseconds."""
    at = SourcePosition("bench", Path())
    devices = []
    for index, kind in enumerate(kinds):
        config = {"name": f"{kind}{index}", "type": kind}
        devices.append(EnvironmentDevice(config["name"], kind, config, {}, config, at, at))
    problems: list[str] = []
    made = plan(Environment("bench", tuple(devices), {}, {}), problems)
    assert not problems, problems
    around: Any = Surroundings(lambda name: None, lambda name: None, lambda name: False)  # type: ignore[arg-type, return-value]
    began = time.perf_counter()
    deployment = Deployment(made, around)
    await deployment.make()
    await deployment.bring_up()
    await deployment.bring_down()
    return 1000 * (time.perf_counter() - began)


def _consoles() -> list[Row]:
    engine = Engine()
    host = Host("box", ("box",), lambda: HostFacts("box", transport="program", address=_COMMAND), None, lambda record: None)

    async def calls() -> HostCalls:
        return HostCalls(asyncio.get_running_loop())

    ours = HostConsole(DeviceHost(host, engine.call(calls()), lambda: None))
    theirs = pexpect.spawn("sh", ["-c", _COMMAND], encoding="utf-8")
    tuned = pexpect.spawn("sh", ["-c", _COMMAND], encoding="utf-8", maxread=1 << 16)
    try:
        for console in (ours, theirs, tuned):
            _settle(console)
        # As it comes, it waits 50 ms before each line that it sends.
        tuned.delaybeforesend = None
        peers = [("pexpect.spawn", theirs, 1.0), ("pexpect.spawn, no delay, large reads", tuned, None)]
        works: list[tuple[str, Callable[[Any], float]]] = [("console: command, answer", _turns), ("console: 1.3 MB", _flood)]
        return [_compared(what, work, ours, peer) for what, work in works for peer in peers]
    finally:
        for console in (theirs, tuned):
            console.close(force=True)
        engine.call(host.close())
        engine.close()


def _settle(console: Any) -> None:
    console.sendline("echo re''ady")
    console.expect_exact("ready", timeout=30)


def _compared(what: str, work: Callable[[Any], float], ours: Any, peer: tuple[str, Any, float | None]) -> Row:
    name, theirs, limit = peer
    spent = [(work(ours), work(theirs)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*spent, strict=True))
    return Row(what, mine, name, other, limit)


def _turns(console: Any) -> float:
    began = time.perf_counter()
    for turn in range(_TURNS):
        console.sendline(f"echo a{turn}")
        console.expect_exact(f"\r\na{turn}\r\n", timeout=30)
    return 1000 * (time.perf_counter() - began) / _TURNS


def _flood(console: Any) -> float:
    began = time.perf_counter()
    console.sendline(_LINES)
    console.expect_exact("\r\ndone\r\n", timeout=60)
    assert "199999" in console.before
    return 1000 * (time.perf_counter() - began)
