"""What watching costs: here, on the hosts, in a test and in a log."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import Tick
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.feeds import LOOP, script_of
from OttoLibrary.monitor.monitor import Monitor, WatchedHost, open_store
from OttoLibrary.monitor.registered_metrics import make_metrics
from OttoLibrary.monitor.watching import Watching, watch_request
from tests.benchmarks.measure import Otto, Row
from tests.peers.sshd import Sshd

_METRICS = ("cpu", "memory", "network", "load", "disk_io")
_LONG_S = 60
_TICKS = 200
_TESTS = 100
_SHELLS = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
_ROOT = Path(__file__).parents[2]


@dataclass
class Cost:
    """What watching for some time took: processor seconds here, ticks that came, and beats that were missed."""

    cpu_s: float
    ticks: int
    missed: int


async def all_rows(sshd: Sshd, key: Path, otto: Otto) -> list[Row]:
    """Measure ticks, the store, the listener and the log."""

    def hosts(count: int) -> list[Host]:
        return [_host(sshd, key, f"h{number}") for number in range(count)]

    theirs_ms = statistics.median(await otto.measure("tick_cpu", 20)()) * 1000
    one = await _watch(hosts(1), 0.1, 10)
    ten = await _watch(hosts(10), 0.25, 10)
    many = await _watch(hosts(50), 1.0, _LONG_S)
    here_ms, ten_ms = 1000 * one.cpu_s / one.ticks, 1000 * ten.cpu_s / ten.ticks * 10
    return [
        Row("tick of one host, processor here", here_ms, "otto, its commands", theirs_ms, 1.5, absolute=True),
        *(Row(f"tick of one host, processor there, {shell}", _there(shell), "", None, 2, absolute=True) for shell in _SHELLS),
        Row("tick of ten hosts, processor here", ten_ms, "", None, 15, absolute=True),
        Row("50 hosts at 1 s for 60 s: processor here in a second", 1000 * many.cpu_s / _LONG_S, "", None, 250, absolute=True),
        Row(
            "50 hosts at 1 s for 60 s: missed ticks, and those that did not come",
            _lost(many),
            "",
            None,
            0,
            absolute=True,
            unit="ticks",
        ),
        Row("storing a sample", _storing(), "", None, 0.05, absolute=True),
    ]


def _lost(cost: Cost) -> float:
    return cost.missed + max(0, 50 * (_LONG_S - 1) - cost.ticks)


def _host(sshd: Sshd, key: Path, name: str) -> Host:
    facts = HostFacts(name, address=sshd.address, port=sshd.port, user=sshd.user, identity_file=str(key), host_key="ignore")
    return Host(name, (name,), lambda: facts, None, lambda record: None)


async def _watch(hosts: Sequence[Host], interval_s: float, seconds: float) -> Cost:
    """Return what so many seconds cost once every host answers, with a recording."""
    with tempfile.TemporaryDirectory() as folder:
        monitor, request = Monitor(interval_s), await watch_request(hosts, _METRICS, interval_s)
        watching = Watching(monitor)
        monitor.admit(request, {host.name: WatchedHost(host.path) for host in hosts})
        monitor.store = open_store(Path(folder) / "metrics.db", "benchmark", {}, interval_s)
        await monitor.start()
        await watching.begin(request, {host.name: host for host in hosts})
        try:
            while not all("cpu_percent" in monitor.known(host.name) for host in hosts):  # noqa: ASYNC110 - nothing tells when it is there
                await asyncio.sleep(0.05)
            began, cpu, missed = time.time(), time.process_time(), watching.missed
            await asyncio.sleep(seconds)
            cpu = time.process_time() - cpu
            came = [len((await monitor.readings(host.name, "cpu_percent", began))[0]) for host in hosts]
            return Cost(cpu, sum(came), watching.missed - missed)
        finally:
            await watching.stop()
            await monitor.stop()
            await asyncio.gather(*(host.close() for host in hosts))


def _there(shell: str) -> float:
    """Return the processor time of a tick in a shell, its children included, in milliseconds."""
    script = script_of(list(make_metrics(_METRICS, {}).values()), "end") + LOOP
    with subprocess.Popen([*_SHELLS[shell], "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        question = f"- {' '.join(map(str, range(len(_METRICS))))}\n".encode()
        spent = []
        for _ in range(_TICKS):
            process.stdin.write(question)
            process.stdin.flush()
            while process.stdout.readline() != b".end\n":
                pass
            spent.append(int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]))
        process.stdin.close()
    return (spent[-1] - spent[_TICKS // 10]) / (_TICKS - _TICKS // 10 - 1) / 1e6


def _storing() -> float:
    """Return what a sample costs, taken and written, in milliseconds: 50 hosts, 30 series, a minute."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "metrics.db", "benchmark", {}, 1.0)
        names = [f"series_{number}_percent" for number in range(30)]
        began = time.perf_counter()
        for second in range(60):
            for host in range(50):
                store.add(Tick(f"h{host}", 1000.0 + second, second, {name: second + at / 7 for at, name in enumerate(names)}))
            store.flush()
        took = time.perf_counter() - began
        store.close()
    return took / (60 * 50 * 30) * 1000


# -- in a run

_SUITE = "*** Settings ***\nLibrary    OttoLibrary    lab=lab.json\n*** Test Cases ***\n"
_LOGGING = """
import random
from robot.api import logger
from OttoLibrary.report.charts import ChartLine, charts
NAMES = ("cpu_percent", "memory_used_percent", "network_bytes_per_s", "load_1min")
class Charts:
    ROBOT_LISTENER_API_VERSION = 3
    count = 0
    def end_test(self, data, result):
        Charts.count += 1
        times = [1000.0 + second for second in range(300)]
        lines = [
            ChartLine(host, name, times, [random.uniform(5, 95) for _ in times])
            for host in ("dut1", "dut22") for name in NAMES
        ]
        logger.info(charts(lines, [], 1000, 1300, 1), html=True)
"""


def in_a_run(sshd: Sshd, key: Path) -> list[Row]:
    """Measure what the listener adds to a test, and how big a log becomes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(key), "host_key": "ignore"}
        (place / "lab.json").write_text(json.dumps({"hosts": {"one": host, "two": host}}))
        watched = ["--listener", f"OttoLibrary.Metrics:lab={place / 'lab.json'}:metrics=cpu,memory,network,load"]
        short = _SUITE + "".join(f"T{number}\n    No Operation\n" for number in range(5 * _TESTS))
        long = _SUITE + "".join(f"T{number}\n    Sleep    0.25\n" for number in range(_TESTS))
        rare = _added(place, short, [*watched[:1], f"{watched[1]}:interval=10min"], 5 * _TESTS)
        often = _added(place, long, [*watched[:1], f"{watched[1]}:interval=100ms"], _TESTS)
        size = _log_size(place)
    return [
        Row("the listener, added to a test without charts", rare, "", None, 3, absolute=True),
        Row("the listener, added to a test with charts", often, "", None, 15, absolute=True),
        Row("log.html of 1000 tests with full charts", size / 1e6, "", None, 7, absolute=True, unit="MB"),
    ]


def _added(place: Path, suite: str, options: list[str], tests: int) -> float:
    """Return the time that options add to a test, in milliseconds, without what they add to a run of one test."""
    single = suite[: suite.index("T1\n")]
    rounds = []
    for _ in range(3):
        plain = _robot(place, suite, []) - _robot(place, single, [])
        rounds.append(_robot(place, suite, options) - _robot(place, single, options) - plain)
    return statistics.median(rounds) / (tests - 1) * 1000


def _log_size(place: Path) -> int:
    (place / "Charts.py").write_text(_LOGGING)
    _robot(
        place,
        "*** Test Cases ***\n" + "".join(f"T{number}\n    No Operation\n" for number in range(1000)),
        ["--listener", "Charts"],
    )
    return (place / "out" / "log.html").stat().st_size


def _robot(place: Path, suite: str, options: list[str]) -> float:
    (place / "suite.robot").write_text(suite)
    command = [sys.executable, "-m", "robot", "--outputdir", "out", "--console", "none", *options, "suite.robot"]
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), str(place)])}
    subprocess.run(command, cwd=place, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
