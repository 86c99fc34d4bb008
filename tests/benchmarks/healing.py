"""Disturbances that heal: interruptions at random moments, by what they leave, and how long one lasts after ``kill -9``."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks.measure import Row
from tests.peers.interruptions import ROOT, WAYS, interrupted

_INTERRUPTIONS, _KILLS, _AT_ONCE = 40, 50, 4
_LEASE_S = 2
_CONTROLLER = """
import sys, time
from OttoLibrary.run.session import Session
from OttoLibrary.scenario.healing import Healing
session = Session(sys.argv[1])
made = session.disturbances.recipe("service", "box pause " + sys.argv[2])
healing = Healing(session.hosts.use("box"), made.what, made.undo, lease_s=int(sys.argv[3]))
session.engine.call(healing.begin(made.do))
print("paused", flush=True)
time.sleep(600)
"""


def _interruptions() -> Row:
    """Return how many of the interruptions left something disturbed; each is printed."""
    chance = random.Random(14)
    ways = [WAYS[number % len(WAYS)] for number in range(_INTERRUPTIONS)]
    moments = [chance.uniform(0.0, 2.0) for _ in ways]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(_AT_ONCE) as pool:
        folders = [Path(place) / f"i{number}" for number in range(_INTERRUPTIONS)]
        for folder in folders:
            folder.mkdir()
        left = list(pool.map(interrupted, folders, ways, moments))
    for way, moment_s, what in zip(ways, moments, left, strict=True):
        if what:
            print(f"{way} after {moment_s:.3f} s left {what}", file=sys.stderr)
    healed = sum(not what for what in left)
    return Row(
        f"interruptions that left a disturbance ({healed} of {_INTERRUPTIONS} left none)",
        len(left) - healed,
        "",
        None,
        0,
        absolute=True,
        unit="",
    )


def _healed_s(folder: Path, moment_s: float) -> float:
    """Return how long after ``kill -9`` of the controller a paused process went on, in seconds."""
    name = f"k{folder.name}x{os.getpid() % 10**6}"
    (folder / name).symlink_to("/bin/sleep")
    (folder / "lab.json").write_text(
        json.dumps({"hosts": {"box": {"transport": "local", "environment": {"TMPDIR": str(folder)}}}})
    )
    words = [sys.executable, "-c", _CONTROLLER, str(folder / "lab.json"), name, str(_LEASE_S)]
    with subprocess.Popen([folder / name, "900"]) as sleeper:
        try:
            with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as controller:
                assert controller.stdout is not None
                assert controller.stdout.readline().strip() == "paused"
                time.sleep(moment_s)
                controller.kill()
                began = time.monotonic()
            stat = Path(f"/proc/{sleeper.pid}/stat")
            while stat.read_text().rpartition(") ")[2][0] == "T" and time.monotonic() < began + 60:
                time.sleep(0.01)
            return time.monotonic() - began
        finally:
            sleeper.kill()


def _kills() -> list[Row]:
    chance = random.Random(41)
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(_AT_ONCE) as pool:
        folders = [Path(place) / f"{number}" for number in range(_KILLS)]
        for folder in folders:
            folder.mkdir()
        took = list(pool.map(_healed_s, folders, [chance.uniform(0.0, 1.0) for _ in folders]))
    late = sum(one_s > _LEASE_S + 1 for one_s in took)
    what = f"kill -9 that healed later than the lease plus 1 s ({_KILLS - late} of {_KILLS} did not)"
    return [
        Row(what, late, "", None, 0, absolute=True, unit=""),
        Row(f"kill -9 until it is healed, at most, with a lease of {_LEASE_S} s", max(took) * 1000, "", None, None),
    ]


def all_rows() -> list[Row]:
    """Measure all of it."""
    return [_interruptions(), *_kills()]
