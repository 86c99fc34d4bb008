"""A robot whose scenario disturbs this machine, interrupted at some moment; and what of the disturbances is left then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.peers import processes

ROOT = Path(__file__).parents[2]
WAYS = ("kill -9", "Ctrl-C", "SIGTERM", "time-out", "failing event")
_SIGNALS = {"kill -9": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}
# The lease, and what a busy machine needs beyond it.
_HEALS_S, _ENDS_S = 45.0, 120.0
_SUITE = """
*** Settings ***
Library    OttoLibrary    lab=lab.json
*** Test Cases ***
Disturbed
    {limit}
    Add Scenario Event    pause    service=box pause {name}    every=500 ms    for=300 ms
    Add Scenario Event    fill    fill=box disk 1 MiB path={folder}    for=1 h
    Add Scenario Event    busy    fill=box cpu 1    every=1 s    for=400 ms
    {fails}
    Run Scenario    duration=1 h
"""


def interrupted(folder: Path, way: str, moment_s: float) -> str:
    """Begin a robot in a folder, interrupt it, and return what is left of what it disturbed; empty for nothing.

    Args:
        folder: An empty folder.
        way: One of ``WAYS``.
        moment_s: How long after the first disturbance a signal comes, or after its start what ends it by itself.
    """
    name = f"slp{abs(hash(folder.name)) % 10**6}x{os.getpid() % 10**5}"
    (folder / name).symlink_to("/bin/sleep")
    box = {"transport": "local", "environment": {"TMPDIR": str(folder)}}
    (folder / "lab.json").write_text(json.dumps({"hosts": {"box": box}}))
    limit = f"[Timeout]    {1 + moment_s:.3f} s" if way == "time-out" else "No Operation"
    fails = f"Add Scenario Event    Fail    start_after={moment_s:.3f} s    on_error=stop" if way == "failing event" else ""
    suite = _SUITE.format(limit=limit, name=name, folder=folder, fails=fails)
    (folder / "suite.robot").write_text(suite)
    command = [sys.executable, "-m", "robot", "--outputdir", "out", "--console", "none", "suite.robot"]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with subprocess.Popen([folder / name, "900"]) as sleeper:
        try:
            with subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}) as robot:
                try:
                    if way in _SIGNALS:
                        processes.wait_until(lambda: list(folder.glob(".otto-fill-*")), "a disturbance begins", _ENDS_S)
                        time.sleep(moment_s)
                        robot.send_signal(_SIGNALS[way])
                    robot.wait(_ENDS_S)
                finally:
                    robot.kill()
            return _left(folder, sleeper.pid, _HEALS_S if way == "kill -9" else 0.0)
        finally:
            sleeper.kill()


def _left(folder: Path, sleeper: int, patience_s: float) -> str:
    end = time.monotonic() + patience_s
    while left := _disturbed(folder, sleeper):
        if time.monotonic() > end:
            return left
        time.sleep(0.1)
    return ""


def _disturbed(folder: Path, sleeper: int) -> str:
    files = [path.name for pattern in (".otto-fill-*", ".otto-heal-*") for path in folder.glob(pattern)]
    is_paused = Path(f"/proc/{sleeper}/stat").read_text().rpartition(") ")[2][0] == "T"
    return " ".join([*files, *(["a paused process"] if is_paused else [])])
