"""Turrets on hosts behind two hops: they need Python alone, and leave nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.load.hq_process import LoadOrder
from OttoLibrary.load.plan import shape
from OttoLibrary.run import load_on_hosts
from OttoLibrary.run.load_on_hosts import TurretsOnHosts
from OttoLibrary.run.load_target import of_script
from OttoLibrary.run.session import Session

SCRIPT = "import time\ndef fire():\n    time.sleep(0.01)\n"


def test_turrets_fire_from_hosts_behind_two_hops_and_leave_nothing(network: Any, tmp_path: Path) -> None:
    session = Session(str(network.write_lab(tmp_path / "network.json")))
    try:
        names = ["dut1", "dut2"]
        before = {name: _temporary(session, name) for name in names}
        (tmp_path / "fire.py").write_text(SCRIPT)
        target = of_script("fire.py:fire", tmp_path)
        script, sources = target.for_hosts()
        fired = shape(users=4, duration=3)
        plan = {
            "duration_s": fired.duration_s,
            "turrets": 2,
            "firing": fired.firing,
            "script": script,
            "grace_s": 10.0,
            "tokens": ["t"],
        }
        order = LoadOrder(str(tmp_path / "results"), plan)
        session.load.start_with(
            order,
            lambda run: TurretsOnHosts(session.hosts, session.files, run, "t"),
            lambda turrets: turrets.start(names, load_on_hosts.of_script(script, sources)),
        )
        assert session.load.wait(60)
        session.load.stop()
        results = session.load.results()
        turrets = results.turrets()
        assert {turret.name for turret in turrets} == set(names)
        assert all(turret.done == turret.stored > 20 and not turret.lost for turret in turrets)
        assert {name: _temporary(session, name) for name in names} == before
    finally:
        session.close()


def _temporary(session: Session, name: str) -> str:
    found = session.engine.call(
        session.hosts.use(name).run_once("ls -d /tmp/tmp.* 2>/dev/null; ps -eo args | grep turret.py[z]; true")
    )
    return found.stdout


def test_what_needs_robot_cannot_be_fired_from_hosts(tmp_path: Path) -> None:
    from OttoLibrary.run.load_target import LoadTarget

    with pytest.raises(UsageError, match="needs Robot Framework"):
        LoadTarget("Buy Book", keyword="Buy Book").for_hosts()
