"""What reserving costs, and how fair it is when many want the same."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.reservation.backends.file import FileReservations
from OttoLibrary.reservation.leases import Leases
from tests.benchmarks.measure import Row

_PROCESSES, _HOSTS, _LONG_S, _KILLED = 50, 10, 60, 5
_OURS = (sys.executable, "-m", "OttoLibrary", "pabot")
_SUITES, _LAB_HOSTS, _HOLD_S, _ROUNDS = 8, 4, 2, 3
_ROOT = Path(__file__).parents[2]
_HOLDS = f"""*** Settings ***
Library     OttoLibrary    lab=lab.json

*** Test Cases ***
Holds A Host
    Reserve Hosts    *    count=1    wait=1 min
    Sleep    {_HOLD_S} s
"""
_IDLES = "*** Test Cases ***\nIdles\n    No Operation\n"
_SHORT_SUITES = 20
_SHORT = """*** Settings ***
Library     OttoLibrary    lab=lab.json

*** Test Cases ***
Short
    Run On Host    h0    true
"""


def all_rows() -> list[Row]:
    """Measure one that is alone, and many that fight."""
    with tempfile.TemporaryDirectory() as folder:
        alone = asyncio.run(_alone(f"{folder}/alone"))
        waits, meetings, freed = _fight(Path(folder))
        under_pabot = _under_pabot(Path(folder))
        short = _short_suites(Path(folder))
    share = max(waits) / statistics.median(waits)
    return [
        Row("reserve a host, alone", alone, "", None, 5, absolute=True),
        Row(
            f"{_PROCESSES} processes, {_HOSTS} hosts, 60 s, {len(waits)} leases: held twice",
            meetings,
            "",
            None,
            0,
            True,
            unit="times",
        ),
        Row("the same: longest wait over the median", share, "", None, 3, absolute=True, unit="times"),
        Row("the same: a killed process's hosts free after, at most", freed, "", None, 1000, absolute=True),
        under_pabot,
        short,
    ]


def _under_pabot(folder: Path) -> Row:
    """Measure suites that wait for hosts against the best plan for them, after the start of as many that do nothing."""
    hosts = {f"h{number}": {"transport": "local"} for number in range(_LAB_HOSTS)}
    (folder / "lab.json").write_text(json.dumps({"hosts": hosts}))
    for name, text in (("holds", _HOLDS), ("idles", _IDLES)):
        (folder / name).mkdir()
        for number in range(_SUITES):
            (folder / name / f"suite{number}.robot").write_text(text)
    pairs = [(_pabot(folder, "holds"), _pabot(folder, "idles")) for _ in range(_ROUNDS)]
    wall, start = (statistics.median(times) for times in zip(*pairs, strict=True))
    ideal = _HOLD_S * _SUITES / _LAB_HOSTS
    what = f"pabot, {_SUITES} suites that each hold one of {_LAB_HOSTS} hosts for {_HOLD_S} s"
    return Row(what, wall * 1000, f"{ideal:g} s, and {_SUITES} that do nothing", (ideal + start) * 1000, 1.15)


def _short_suites(folder: Path) -> Row:
    """Measure suites of one short test against plain pabot, in turns."""
    (folder / "short").mkdir()
    for number in range(_SHORT_SUITES):
        (folder / "short" / f"suite{number}.robot").write_text(_SHORT)
    peer = [sys.executable, "-m", "pabot.pabot", "--command", sys.executable, "-m", "robot", "--end-command"]
    pairs = [(_pabot(folder, "short", processes=2), _pabot(folder, "short", peer, processes=2)) for _ in range(_ROUNDS)]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Row(f"pabot, {_SHORT_SUITES} suites of one short test", ours * 1000, "plain pabot", theirs * 1000, 0.45)


def _pabot(folder: Path, suites: str, program: Sequence[str] = _OURS, processes: int = _SUITES) -> float:
    command = [*program, "--processes", str(processes), "--outputdir", "results", suites]
    environment = os.environ | {"PYTHONPATH": str(_ROOT), "OTTO_LEASES": str(folder / "leases")}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


async def _alone(folder: str) -> float:
    leases = Leases(FileReservations(folder), lambda sentence: None, lambda error: None)
    times = []
    for _ in range(50):
        began = time.perf_counter()
        await leases.reserve(Demand({"dut1": ("dut1",)}, 1, "bench"), 0)
        times.append(time.perf_counter() - began)
        await leases.release()
    await leases.close()
    return statistics.median(times) * 1000


def _fight(folder: Path) -> tuple[list[float], int, float]:
    """Return the waits, how often a host was held twice, and how long the hosts of the killed were held at most."""
    log, where = folder / "log", folder / "leases"
    command = [sys.executable, "-m", "tests.peers.rival", "file", str(where), str(log), str(_LONG_S), str(_HOSTS)]
    rivals = [subprocess.Popen(command, cwd=_ROOT) for _ in range(_PROCESSES)]
    freed = []
    for victim in random.sample(rivals, _KILLED):
        time.sleep(_LONG_S / (_KILLED + 2))
        freed.append(_freed_after_kill(victim, where))
    for rival in rivals:
        rival.wait()
    rows = [line.split() for line in log.read_text().splitlines()]
    held: dict[str, list[tuple[float, float]]] = {}
    for _, _, got, back, hosts in rows:
        for host in hosts.split(","):
            held.setdefault(host, []).append((float(got), float(back)))
    meetings = sum(after[0] < before[1] for times in held.values() for before, after in pairwise(sorted(times)))
    # Everybody starts at once, with a process to start as well: the first seconds are not like the rest.
    settled = min(float(asked) for _, asked, *_ in rows) + 5
    return [float(got) - float(asked) for _, asked, got, *_ in rows if float(asked) > settled], meetings, max(freed) * 1000


def _freed_after_kill(victim: subprocess.Popen[bytes], where: Path) -> float:
    """Kill a process in the middle of a lease and return how long others saw it there."""
    looking = FileReservations(str(where))

    def has_some() -> bool:
        return any(holding.user == str(victim.pid) for holding in looking.holdings())

    while not has_some():
        time.sleep(0.002)
    victim.kill()
    began = time.monotonic()
    while has_some():
        time.sleep(0.005)
    return time.monotonic() - began
