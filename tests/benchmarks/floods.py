"""Output without an end: how long it takes beyond its time, and the most memory it needs over idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from robot.api import ExecutionResult

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import Tick
from OttoLibrary.errors import WaitTimeoutError
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.monitor import Monitor
from OttoLibrary.text import Secret
from tests.benchmarks.measure import Row
from tests.peers.consoles import SerialConsole, shell
from tests.peers.sshd import Sshd
from tests.peers.telnetd import PASSWORD, USER, Telnetd, login_program

_TIMEOUT_S = 2.0
_LATE_MS = 500
_BOUND_MB = 100
_HOSTS, _SERIES, _SECONDS = 200, 20, 1200
_CONSOLE = "Send To Host    dut1    yes\\n\n    Expect From Host    dut1    never    timeout=1 min"
_SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo

*** Test Cases ***
Ready
    Run On Host    dut1    true

Flood
    [Timeout]    2 s
    {step}
"""


def all_rows(sshd: Sshd, identity_file: Path) -> list[Row]:
    ssh = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(identity_file)}
    rows = []
    for name, facts in (("local", {"transport": "local"}), ("ssh", {**ssh, "host_key": "ignore"})):
        rows += asyncio.run(_rows(name, facts))
    return [*rows, *_line_rows(), *_demo_rows(), asyncio.run(_monitor_row())]


def _line_rows() -> list[Row]:
    """Floods on lines: Telnet, and a serial console."""
    with tempfile.TemporaryDirectory(prefix="otto-bench-") as folder:
        login = {"user": USER, "password": Secret(PASSWORD)}
        with Telnetd("inetutils", login_program(Path(folder), "sh -i")) as server:
            rows = asyncio.run(_rows("telnet", {"transport": "telnet", "address": server.address, "port": server.port, **login}))
        with SerialConsole(shell) as console:
            rows += asyncio.run(_rows("serial", {"transport": "serial", "device": console.device}))
    return rows


def _demo_rows() -> list[Row]:
    """Floods in the demo lab, whose servers are in the process of robot, under Robot's own time-out and with a log."""
    _, idle_mb = _robot("Run On Host    dut1    true")
    rows = []
    for what, step in (("`yes`", "Run On Host    dut1    yes"), ("`yes` on a console", _CONSOLE)):
        seconds, peak_mb = _robot(step)
        name = f"{what}, [Timeout] of 2 s, demo lab"
        rows.append(Row(name, seconds * 1000, "its time", _TIMEOUT_S * 1000, _LATE_MS, difference=True))
        name = f"{what}, [Timeout] of 2 s, demo lab: peak memory over idle"
        rows.append(Row(name, peak_mb - idle_mb, "", None, _BOUND_MB, absolute=True, unit="MB"))
    return rows


def _robot(step: str) -> tuple[float, float]:
    """Return how long a test with one step took, in seconds, and the most memory of robot, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "flood.robot").write_text(_SUITE.format(step=step))
        words = [sys.executable, "-m", "robot", "--outputdir", folder, "--console", "none", f"{folder}/flood.robot"]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": path}) as process:
            peak = 0.0
            while process.poll() is None:
                with contextlib.suppress(OSError, StopIteration):
                    peak = max(peak, _resident_mb(process.pid))
                time.sleep(0.01)
        flood = ExecutionResult(Path(folder) / "output.xml").suite.tests[1]
        return flood.elapsed_time.total_seconds(), peak


async def _monitor_row() -> Row:
    """What a monitor remembers of many hosts that it has watched for long."""

    async def watched() -> None:
        monitor = Monitor([], (), 1.0)
        names = [f"series_{number}_percent" for number in range(_SERIES)]
        for second in range(_SECONDS):
            for host in range(_HOSTS):
                monitor.tick(Tick(f"h{host}", 1e9 + second, second, {name: second + at / 7 for at, name in enumerate(names)}))

    _, peak_mb = await _measured(watched)
    what = f"monitor of {_HOSTS} hosts with {_SERIES} series each, after {_SECONDS} readings: memory over idle"
    return Row(what, peak_mb, "", None, _BOUND_MB, absolute=True, unit="MB")


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


def _resident_mb(pid: int | str = "self") -> float:
    return next(int(line.split()[1]) / 1000 for line in Path(f"/proc/{pid}/status").open() if line.startswith("VmRSS"))
