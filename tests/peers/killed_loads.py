"""Loads of which one process is killed at a random moment: the HQ, a turret, or a user."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from OttoLibrary.load.hq import RUNNING
from OttoLibrary.load.hq_process import LoadOrder, TurretOrder
from OttoLibrary.load.result_store import COUNTERS, FILE, ResultReader
from OttoLibrary.run.load_target import ROBOT_COMMAND
from tests.peers.hqs import start_hq

VICTIMS = ("hq", "turret", "user")
USERS = 4
_SUITE = "*** Test Cases ***\nNothing\n    Fire\n*** Keywords ***\nFire\n    Sleep    2 ms\n"
_SCRIPT = "import time\ndef fire():\n    time.sleep(0.002)\n"
_PATIENCE_S = 60.0
_LONGEST_S = 1.5


@dataclass(frozen=True)
class KilledLoad:
    """What is known of it afterwards.

    Attributes:
        done: Iterations that became results, by the users' own counts.
        stored: Results that are kept.
        lost: Results that are counted as lost.
        unfinished: Iterations that began and became none.
        state: What the results say of the run.
    """

    done: int
    stored: int
    lost: int
    unfinished: int
    state: str

    @property
    def adds_up(self) -> bool:
        """Whether nothing was lost without being counted."""
        return self.done == self.stored + self.lost > 0 and 0 <= self.unfinished <= 2 * USERS


def killed_load(folder: Path, victim: str) -> KilledLoad:
    """Run a load, kill one of its processes, and return what is known when all of it has ended."""
    process = start_hq(_order(folder, victim))
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while json.loads(process.stdout.readline()).get("state") != RUNNING:
            pass
        # Any moment.
        time.sleep(random.uniform(0.0, _LONGEST_S))
        if victim == "hq":
            process.kill()
        else:
            below = psutil.Process(process.pid).children(recursive=True)
            random.choice([each for each in below if not each.children()]).kill()
            process.stdin.write(b'{"order": "stop"}\n')
            process.stdin.flush()
            process.stdout.read()
        process.wait(_PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    _until_ended(folder)
    results = ResultReader(folder / FILE)
    rows = results.turrets()
    return KilledLoad(
        sum(turret.done for turret in rows),
        results.row_count(),
        sum(turret.lost for turret in rows),
        sum(turret.begun - turret.done for turret in rows),
        str(results.run()["state"]),
    )


def _order(folder: Path, victim: str) -> LoadOrder:
    folder.mkdir(parents=True)
    (folder / "fire.py").write_text(_SCRIPT)
    (folder / "fire.robot").write_text(_SUITE)
    script = {"script": str(folder / "fire.py"), "function": "fire"}
    firing = {"model": "closed", "stages": [(0, USERS), (60, USERS)], "all_users": USERS, "users": USERS, "grace_s": 5.0}
    plan: dict[str, Any] = {"duration_s": 60.0, "turrets": 2, "firing": firing, "script": script, "grace_s": 5.0}
    if victim != "user":
        return LoadOrder(str(folder), plan, [TurretOrder({"name": f"t{number}"}) for number in (1, 2)])
    suite = {"source": str(folder / "fire.robot"), "keyword": "Fire", "arguments": [], "variables": {}}
    users = TurretOrder({"name": "u", "users": USERS, "output_folder": str(folder), **suite}, ROBOT_COMMAND)
    return LoadOrder(str(folder), {**plan, "turrets": USERS, "script": None}, [users])


def _until_ended(folder: Path) -> None:
    """Wait until no turret of a run counts any more."""
    deadline = time.monotonic() + _PATIENCE_S
    before = b""
    while time.monotonic() < deadline:
        now = b"".join(path.read_bytes() for path in sorted((folder / COUNTERS).glob("*.counts")))
        if now == before:
            return
        before = now
        time.sleep(0.5)
    raise AssertionError("Turrets go on without their HQ.")
