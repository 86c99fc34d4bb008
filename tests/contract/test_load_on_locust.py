"""Real processes of Locust as the users of a load: here, and on hosts behind two hops."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.load.hq_process import LoadOrder
from OttoLibrary.load.plan import shape
from OttoLibrary.load.result_store import FILE, ResultReader
from OttoLibrary.run import load_on_locust
from OttoLibrary.run.load_on_hosts import TurretsOnHosts
from OttoLibrary.run.load_target import LoadTarget
from OttoLibrary.run.session import Session
from tests.peers.environments import require_environment
from tests.peers.hqs import start_hq

_PATIENCE_S = 90.0
# Each request is one byte in a file of its own process, so that what was done is known from elsewhere, too.
LOCUST_FILE = """
import os
import time
from locust import User, task, constant

class Shopper(User):
    wait_time = constant(0.02)

    @task(3)
    def browse(self):
        self.ask("GET", "/books", None)

    @task
    def buy(self):
        self.ask("POST", "/cart", ValueError("sold <b>out</b>"))

    def ask(self, kind, name, error):
        began = time.perf_counter()
        time.sleep(0.01)
        with open(os.path.join(os.path.dirname(__file__), f"{os.getpid()}.journal"), "a") as journal:
            journal.write("x")
        took_ms = (time.perf_counter() - began) * 1000
        self.environment.events.request.fire(
            request_type=kind, name=name, response_time=took_ms, response_length=1, exception=error, context={})
"""


class LocustRun:
    """A load of Locust whose HQ is a process."""

    def __init__(self, folder: Path, target: load_on_locust.LocustTarget, workers: int, **fired: Any) -> None:
        made = shape(**fired)
        self.folder = folder
        orders = target.here(load_on_locust.free_port(), 5.0, workers, workers)
        plan = {"duration_s": made.duration_s, "turrets": workers + 1, "firing": made.firing, "grace_s": 5.0}
        self.process = start_hq(LoadOrder(str(folder / "results"), plan, orders))
        self.stands: dict[str, Any] = {}

    def until(self, true: Any) -> None:
        """Read on until something is true of how the run stands."""
        assert self.process.stdout is not None
        end = time.monotonic() + _PATIENCE_S
        while not (self.stands and true(self.stands)):
            line = self.process.stdout.readline()
            assert line, f"The HQ ended: {self.stands}"
            assert time.monotonic() < end, self.stands
            said = json.loads(line)
            self.stands = said if said["kind"] != "ports" else self.stands

    def order(self, **order: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def worker(self, name: str) -> psutil.Process:
        """Return the process of a worker: what it was told is in the file that the HQ gave it."""
        for each in psutil.Process(self.process.pid).children():
            told = each.cmdline()[-1] if each.cmdline() else ""
            if told.startswith("/dev/fd/") and json.loads(Path(f"/proc/{each.pid}/fd/{told[8:]}").read_text())["name"] == name:
                return each
        raise AssertionError(f"There is no {name}.")

    def fired(self) -> dict[int, int]:
        return {int(path.stem): path.stat().st_size for path in self.folder.glob("*.journal")}

    @property
    def results(self) -> ResultReader:
        return ResultReader(self.folder / "results" / FILE)

    def close(self) -> None:
        below = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        psutil.wait_procs(below, timeout=_PATIENCE_S)


@pytest.fixture
def python() -> str:
    return str(require_environment("locust"))


@pytest.fixture
def runs() -> Iterator[list[LocustRun]]:
    made: list[LocustRun] = []
    yield made
    for run in made:
        run.close()


def test_a_worker_of_locust_that_dies_is_shown_and_what_it_did_is_counted(
    python: str, runs: list[LocustRun], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(LOCUST_FILE)
    target = load_on_locust.of_file("shop.py", tmp_path, False)
    target = load_on_locust.LocustTarget(target.title, target.file, python=python)
    run = LocustRun(tmp_path, target, 2, users=6, ramp=1, duration=600)
    runs.append(run)
    run.until(lambda stands: stands["stored"] > 50 and len(run.fired()) == 2)
    victim = run.worker("worker 2")
    victim.kill()
    killed = time.monotonic()
    run.until(lambda stands: ["worker 2", "lost"] in [each[:2] for each in stands["turrets"]])
    # Four seconds are promised; a busy machine may add to them.
    assert time.monotonic() - killed < 8
    dead = run.fired()[victim.pid]
    before = run.stands["stored"]
    # Locust gives the users of the dead worker to the other one.
    run.until(lambda stands: stands["users"] == 6 and stands["stored"] > before + 50)
    run.order(order="stop")
    run.until(lambda stands: stands["state"] == "over")
    assert not run.stands["aborted"]

    results = run.results
    fired = run.fired()
    (other,) = set(fired) - {victim.pid}
    turrets = {turret.name: turret for turret in results.turrets()}
    assert turrets["worker 1"].stored == turrets["worker 1"].done == fired[other]
    assert turrets["worker 2"].done == turrets["worker 2"].stored + turrets["worker 2"].lost
    # The kill may have come between the journal and the count.
    assert dead - 1 <= turrets["worker 2"].done <= dead
    assert results.row_count() == sum(turret.stored for turret in turrets.values())
    kinds = {kind for second in results.seconds() for kind in second.kinds}
    assert kinds == {"response", "timer:GET /books", "timer:POST /cart"}
    errors = results.errors()
    assert [error.message for error in errors] == ["sold <b>out</b>"]
    assert sum(second.failed for second in results.seconds()) == errors[0].count
    (lost,) = [each for each in results.run()["warnings"] if "is lost" in each]
    assert "What it did from " in lost


def test_users_of_ours_fire_on_the_engine_of_locust(python: str, runs: list[LocustRun], tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(
        """
import time

class Transaction:
    def __init__(self):
        self.custom_timers = {}
        self.number = 0

    def run(self):
        self.number += 1
        time.sleep(0.005)
        self.custom_timers['search'] = 0.25
        if self.number == 3:
            raise ValueError('')
"""
    )
    script = {"script": str(tmp_path / "users.py")}
    target = load_on_locust.of_target(LoadTarget("users.py", script))
    target = load_on_locust.LocustTarget(target.title, what=target.what, python=python)
    run = LocustRun(tmp_path, target, 1, users=3, duration=3, pacing=0.1)
    runs.append(run)
    run.until(lambda stands: stands["state"] == "over")
    assert not run.stands["aborted"], run.stands
    results = run.results
    (worker,) = [turret for turret in results.turrets() if turret.name == "worker 1"]
    assert worker.done == worker.stored == results.row_count()
    # Thirty a second are planned; fewer on a busy machine, never more.
    assert 10 <= worker.done <= 96
    assert [(error.type, error.count) for error in results.errors()] == [("ValueError", 3)]
    assert {kind for second in results.seconds() for kind in second.kinds} == {"response", "timer:search"}


def test_workers_of_locust_fire_from_hosts_behind_two_hops_and_leave_nothing(network: Any, python: str, tmp_path: Path) -> None:
    session = Session(str(network.write_lab(tmp_path / "network.json")))
    try:
        names = ["dut1", "dut2"]
        before = {name: _temporary(session, name) for name in names}
        (tmp_path / "shop.py").write_text(LOCUST_FILE)
        found = load_on_locust.of_file("shop.py", tmp_path, False)
        target = load_on_locust.LocustTarget(found.title, found.file, python=python)
        made, port = shape(users=4, duration=4), load_on_locust.free_port()
        plan = {"duration_s": made.duration_s, "turrets": 3, "firing": made.firing, "grace_s": 10.0, "tokens": ["t"]}
        order = LoadOrder(str(tmp_path / "results"), plan, target.here(port, 10.0, 0, 2))
        program = target.on_hosts(port, 10.0)
        session.load.start_with(
            order,
            lambda run: TurretsOnHosts(session.hosts, session.files, run, "t"),
            lambda turrets: turrets.start(names, program),
        )
        assert session.load.wait(_PATIENCE_S)
        session.load.stop()
        turrets = {turret.name: turret for turret in session.load.results().turrets()}
        assert set(turrets) == {"Locust's master", *names}
        assert all(turrets[name].done == turrets[name].stored > 20 for name in names)
        assert {name: _temporary(session, name) for name in names} == before
        nothing = load_on_locust.LocustTarget("x", found.file, python="/bin/false").on_hosts(port, 1.0)
        order = LoadOrder(str(tmp_path / "second"), plan)
        with pytest.raises(UsageError, match="has no package 'locust' for '/bin/false'"):
            session.load.start_with(
                order,
                lambda run: TurretsOnHosts(session.hosts, session.files, run, "t"),
                lambda turrets: turrets.start(["dut1"], nothing),
            )
    finally:
        session.close()


def _temporary(session: Session, name: str) -> str:
    look = "ls -d /tmp/tmp.* 2>/dev/null; ps -eo args | grep turret.py[z]; true"
    return session.engine.call(session.hosts.use(name).run_once(look)).stdout


def test_a_python_without_locust_is_told_with_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "python"
    empty.write_text("#!/bin/sh\nexit 3\n")
    empty.chmod(0o755)
    with pytest.raises(UsageError, match=f"Install it with: {empty} -m pip install 'locust'"):
        load_on_locust.check_installed(str(empty))
    with pytest.raises(UsageError, match="is no Python that runs Locust"):
        load_on_locust.check_installed(str(tmp_path / "none"))
