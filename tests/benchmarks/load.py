"""Load: what the HQ, a turret and a Robot user take for one result, beside Locust in the same run."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from OttoLibrary.load.hq import RUNNING, Hq, HqPlan
from OttoLibrary.load.hq_process import LoadOrder, TurretOrder
from OttoLibrary.load.load_run import LoadRun
from OttoLibrary.load.plan import shape
from OttoLibrary.load.report_page import write_report
from OttoLibrary.load.result_store import FILE, ResultReader, ResultWriter
from OttoLibrary.load.second import Second
from OttoLibrary.load.sockets import HqSockets
from OttoLibrary.load.turret import oct_messages as wire
from OttoLibrary.load.turret.batches import RESPONSE, IterationTally, Note
from OttoLibrary.run.load_target import ROBOT_COMMAND
from tests.benchmarks.measure import Row
from tests.peers import environments
from tests.peers.killed_loads import VICTIMS, killed_load

_SINGLE, _BATCHED, _A_BATCH = 300_000, 2_000_000, 1000
_ROWS = 1_000_000
_KILLS = 50
_SECONDS = 5.0
_LOCUST = """
from locust import User, task, constant
class Nothing(User):
    wait_time = constant(0)
    @task
    def fire(self):
        for _ in range(100):
            self.environment.events.request.fire(
                request_type="x", name="n", response_time=0, response_length=0, exception=None, context={})
"""
_SUITE = """*** Test Cases ***
Nothing
    No Operation
*** Keywords ***
One Step
    No Operation
"""


def all_rows() -> list[Row]:
    """Return what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        parts = (lambda: _hq(place, "single"), lambda: _hq(place, "batched"), lambda: [_turret(place)], lambda: _robot(place))
        more = (lambda: [_lateness(place)], lambda: [_report(place)])
        rows = []
        for part in (*parts, *more):
            rows += part()
        return rows


def kill_rows() -> list[Row]:
    """Return how often, of many loads with a process that was killed, sent was not stored + counted lost."""
    with tempfile.TemporaryDirectory() as folder:
        found = [killed_load(Path(folder) / str(number), VICTIMS[number % len(VICTIMS)]) for number in range(_KILLS)]
    wrong = [each for each in found if not each.adds_up]
    for each in wrong:
        print(f"Does not add up: {each}", file=sys.stderr)
    return [Row(f"load: of {_KILLS} killed, wrongly counted", len(wrong), "", None, 0.0, absolute=True, unit="runs")]


def _send(kind: str, port: int, own_port: int) -> None:
    """Send results as turrets do, as fast as they are taken."""
    import zmq

    context = zmq.Context()
    if kind == "single":
        push = context.socket(zmq.PUSH)
        push.connect(f"tcp://127.0.0.1:{port}")
        message = wire.result_message(wire.OctResult(1.2345678, float(int(time.time())), 0.0123456, "", {}, ""))
        for _ in range(_SINGLE):
            push.send(message)
        push.close()
        context.term()
        return
    dealer = context.socket(zmq.DEALER)
    dealer.connect(f"tcp://127.0.0.1:{own_port}")
    dealer.send(json.dumps({"uuid": "u", "hello": 1, "name": "n", "status": "ready", "cannons": 1}).encode())
    run = ""
    while not run:
        run = json.loads(dealer.recv()).get("run", "")
    tally = IterationTally(rows=True, is_open=False)
    for number in range(_A_BATCH):
        tally.add(Note(time.time(), number / 1000, 0.001 + number / 1e6, 0.001 + number / 1e6, None, None))
    plain = tally.to_plain()
    for number in range(1, _BATCHED // _A_BATCH + 1):
        dealer.send(json.dumps({"uuid": "u", "run": run, "batch": number, **plain}).encode())
    time.sleep(600)


def _hq(place: Path, kind: str) -> list[Row]:
    """Measure one HQ that does nothing but take results."""
    sockets = HqSockets()
    writer = ResultWriter(place / kind / FILE)
    # Only turrets of OCT may be missing: of ours, the one that sends is waited for.
    hq = Hq(HqPlan(3600.0, turrets=0 if kind == "single" else 1), sockets, writer, place)
    while kind == "single" and hq.state != RUNNING:
        hq.step(0.01)
    sender = multiprocessing.get_context("spawn").Process(
        target=_send, args=(kind, sockets.rc_port, sockets.own_port), daemon=True
    )
    sender.start()
    count = _SINGLE if kind == "single" else _BATCHED
    while not hq.stored:
        hq.step(0.01)
        hq.is_aborted = False
        hq.state = RUNNING if hq.state != "waiting" else hq.state
    first, began, used, memory = hq.stored, time.perf_counter(), time.process_time(), _memory_mb()
    while hq.stored < count:
        _step(hq)
    taken = count - first
    wall_us, cpu_us = (time.perf_counter() - began) / taken * 1e6, (time.process_time() - used) / taken * 1e6
    grown = _memory_mb() - memory
    sender.kill()
    sender.join()
    writer.close()
    sockets.close()
    wall_limit = 25.0 if kind == "single" else 1e6 / 150_000
    return [
        Row(f"HQ, {kind}: one result", wall_us, "OCT's HQ, 4 200 a second", 238.0, wall_limit, absolute=True, unit="us"),
        Row(f"HQ, {kind}: processor for one result", cpu_us, "", None, 12.0, absolute=True, unit="us"),
        Row(f"HQ, {kind}: memory after {count} results", grown, "", None, 30.0, absolute=True, unit="MB more"),
    ]


def _step(hq: Hq) -> None:
    hq.step(0.01)
    # The one who sends is no turret that answers.
    hq.state, hq.is_aborted = RUNNING, False


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _run(order: LoadOrder, look: Any = None) -> ResultReader:
    async def fired() -> ResultReader:
        run = LoadRun(order)
        await run.start()
        await run.until_running()
        if look is not None:
            await asyncio.sleep(_SECONDS / 2)
            look()
        await run.wait(120)
        await run.close()
        return run.results

    return asyncio.run(fired())


def _order(
    place: Path, name: str, script: dict[str, Any] | None, turrets: list[TurretOrder], count: int, **fired: Any
) -> LoadOrder:
    made = shape(**fired)
    plan = {"duration_s": made.duration_s, "turrets": count, "firing": made.firing, "script": script, "phases": made.phases}
    return LoadOrder(str(place / name), {**plan, "most_rows": 0}, turrets)


def _turret(place: Path) -> Row:
    """Measure a no-op in one turret of one user, and the same in Locust."""
    (place / "nothing.py").write_text("def fire():\n    pass\n")
    script = {"script": str(place / "nothing.py"), "function": "fire"}
    order = _order(place, "noop", script, [TurretOrder({"name": "t"})], 1, users=1, duration=_SECONDS)
    ours_us = _SECONDS / (_run(order).run()["stored"]) * 1e6
    return Row("turret: one no-op transaction", ours_us, "Locust", _locust_us(place), 1.0, unit="us")


def _locust_us(place: Path) -> float | None:
    if not environments.is_ready("locust"):
        return None
    (place / "locustfile.py").write_text(_LOCUST)
    command = [
        environments.python_of("locust").parent / "locust",
        "--headless",
        "-u",
        "1",
        "-t",
        f"{_SECONDS:.0f}s",
        "--only-summary",
    ]
    ran = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    counts = [int(found) for found in re.findall(r"Aggregated\s+(\d+)", ran.stdout + ran.stderr)]
    return _SECONDS / max(counts) * 1e6 if counts else None


def _robot(place: Path) -> list[Row]:
    """Measure a user keyword of one step: processor time for one, and memory of a user beside others."""
    suite = place / "suite.robot"
    suite.write_text(_SUITE)
    users, memory = 10, list[float]()
    config = {
        "name": "u",
        "source": str(suite),
        "keyword": "One Step",
        "arguments": [],
        "variables": {},
        "output_folder": str(place),
    }
    plan = {"users": 1, "duration": _SECONDS}
    one = _run(_order(place, "robot", None, [TurretOrder({**config, "users": 1}, ROBOT_COMMAND)], 1, **plan))
    order = _order(
        place,
        "robots",
        None,
        [TurretOrder({**config, "users": users}, ROBOT_COMMAND)],
        users,
        users=users,
        duration=_SECONDS,
        pacing=0.1,
    )
    _run(order, lambda: memory.extend(_users_mb()))
    one_us = _SECONDS / one.run()["stored"] * 1e6
    return [
        Row("Robot user keyword: one iteration", one_us, "", None, 500.0, absolute=True, unit="us"),
        Row("Robot user keyword: memory of a user", sum(memory) / max(1, len(memory)), "", None, 15.0, absolute=True, unit="MB"),
    ]


def _users_mb() -> list[float]:
    """Return the proportional memory of the processes that a process of Robot users has forked."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            arguments = (process / "cmdline").read_bytes()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if b"robot_users" in arguments and b"robot_users" in Path(f"/proc/{parent}/cmdline").read_bytes():
                found.append(int(re.findall(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE)[0]) / 1024)
        except (OSError, ValueError, IndexError):
            continue
    return found


def _lateness(place: Path) -> Row:
    """Measure how late 1 of 100 iterations of an open model of 1 000 a second starts."""
    (place / "short.py").write_text("import time\ndef fire():\n    time.sleep(0.002)\n")
    script = {"script": str(place / "short.py"), "function": "fire"}
    order = _order(place, "open", script, [TurretOrder({"name": "t"})], 1, rate="1000/s", users=20, duration=_SECONDS)
    (turret,) = _run(order).turrets()
    assert turret.late is not None
    return Row("open model, 1 000 a second: p99 of lateness", turret.late.percentile(99) * 1000, "", None, 5.0, absolute=True)


def _report(place: Path) -> Row:
    """Measure the report of a million results of OCT's own file, of which each has to be read."""
    import sqlite3

    path = place / "million" / FILE
    writer = ResultWriter(path)
    second = Second(1_000_000)
    second.histogram(RESPONSE).add(0.1)
    rows = (
        ("", 0.001 + number % 997 / 1e4, number / 1e4, float(1_000_000 + number // 10_000), "{}", "t") for number in range(_ROWS)
    )
    writer.commit(list(rows), [second], (), (), {})
    writer.close()
    with sqlite3.connect(path) as db:
        for table in ("run", "second", "histogram", "error", "turret", "status", "phase"):
            db.execute(f"DROP TABLE otto_{table}")
    began = time.perf_counter()
    write_report(ResultReader(path), place / "report.html")
    return Row("report of 1 000 000 results", time.perf_counter() - began, "", None, 10.0, absolute=True, unit="s")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[2]))
    print(*all_rows(), sep="\n", file=sys.stdout)
