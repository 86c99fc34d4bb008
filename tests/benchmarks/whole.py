"""A whole run: 100 tests of three commands each on ten hosts behind a hop, with charts, against SSHLibrary without charts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.measure import Row
from tests.peers.sshd import Sshd

_TESTS, _HOSTS, _ROUNDS = 100, 10, 3
_PEER = "SSHLibrary"
_OURS = """*** Settings ***
Library    OttoLibrary    lab=lab.json

*** Test Cases ***
"""
_THEIRS = """*** Settings ***
Library    SSHLibrary
Suite Setup    Open All
Suite Teardown    Close All Connections

*** Keywords ***
Open All
    Open Connection    {address}    port={port}    alias=hop
    Login With Public Key    {user}    {key}
    FOR    ${{number}}    IN RANGE    {hosts}
        Open Connection    {address}    port={port}    alias=h${{number}}
        Login With Public Key    {user}    {key}    jumphost_index_or_alias=hop
    END

*** Test Cases ***
"""


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    wall_s: float
    processor_s: float
    memory_mb: float
    log_mb: float


def all_rows(sshd: Sshd, key: Path, peers_python: str) -> list[Row]:
    """Measure wall time, processor, memory and log of both, in turns; the middle of three rounds counts."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ours, theirs = [], []
        charts = ["--listener", "OttoLibrary.Metrics:lab=lab.json:hosts=tag:dut:interval=500ms:metrics=cpu,memory"]
        for _ in range(_ROUNDS):
            ours.append(_run(sys.executable, place, _our_suite(place, sshd, key), charts))
            theirs.append(_run(peers_python, place, _their_suite(sshd, key), []))
    return [
        _row("wall time", ours, theirs, "wall_s", "s"),
        _row("processor", ours, theirs, "processor_s", "s"),
        _row("memory", ours, theirs, "memory_mb", "MB"),
        _row("log.html", ours, theirs, "log_mb", "MB"),
    ]


def _row(what: str, ours: list[Cost], theirs: list[Cost], field: str, unit: str) -> Row:
    mine, other = (median(getattr(cost, field) for cost in costs) for costs in (ours, theirs))
    title = f"a whole run with charts, 100 tests, 10 hosts behind a hop: {what} in {unit}"
    return Row(title, mine, f"{_PEER}, no charts", other, None, unit=unit)


def _our_suite(place: Path, sshd: Sshd, key: Path) -> str:
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(key), "host_key": "ignore"}
    behind = {f"h{number}": host | {"hop": "hop", "tags": ["dut"]} for number in range(_HOSTS)}
    (place / "lab.json").write_text(json.dumps({"hosts": {"hop": host, **behind}}))
    return _OURS + "".join(
        f"T{number}\n" + "".join(f"    Run On Host    h{number % _HOSTS}    {command}\n" for command in _COMMANDS)
        for number in range(_TESTS)
    )


def _their_suite(sshd: Sshd, key: Path) -> str:
    head = _THEIRS.format(address=sshd.address, port=sshd.port, user=sshd.user, key=key, hosts=_HOSTS)
    return head + "".join(
        f"T{number}\n    Switch Connection    h{number % _HOSTS}\n"
        + "".join(f"    Execute Command    {command}    return_rc=True\n" for command in _COMMANDS)
        for number in range(_TESTS)
    )


_COMMANDS = ("uname -a", "cat /proc/uptime", "ls /etc")


def _run(python: str, place: Path, suite: str, options: list[str]) -> Cost:
    (place / "suite.robot").write_text(suite)
    root = str(Path(__file__).parents[2])
    command = [
        python,
        "-m",
        "robot",
        "--outputdir",
        str(place / "out"),
        "--console",
        "none",
        *options,
        str(place / "suite.robot"),
    ]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=place, env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    log_mb = (place / "out" / "log.html").stat().st_size / 1e6
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, log_mb)
