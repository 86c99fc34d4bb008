"""The HQ with the real turret of OCT and with ours, on one machine; and our turret with an HQ that the test plays."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from OttoLibrary.load.curve_keys import make_keys, read_keys
from OttoLibrary.load.hq import RUNNING, Hq, HqPlan
from OttoLibrary.load.known_turret import LOST
from OttoLibrary.load.result_store import COUNTERS, FILE, ResultReader, ResultWriter
from OttoLibrary.load.sockets import CurveKeys, HqSockets
from tests.peers.environments import require_environment
from tests.peers.killed_loads import VICTIMS, killed_load
from tests.peers.requirements import miss, require
from tests.peers.turrets import ROOT, packed, start_ours, start_real

Start = Callable[..., subprocess.Popen[bytes]]
_PATIENCE_S = 60.0


class Site:
    """An HQ in this process, which a test moves on step by step, and its turrets."""

    def __init__(self, folder: Path, keys: CurveKeys | None = None) -> None:
        self.folder = folder
        self.sockets = HqSockets(keys=keys)
        self.writer = ResultWriter(folder / FILE)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.hq: Hq

    def open(self, **plan: Any) -> Hq:
        values = {"duration_s": 1.5, "turrets": 1, "grace_s": 5.0, "wait_s": _PATIENCE_S} | plan
        self.hq = Hq(HqPlan(**values), self.sockets, self.writer, self.folder / COUNTERS)
        return self.hq

    def ports(self, *, own: bool = False) -> dict[str, Any]:
        ports = {"hq_address": "127.0.0.1", "hq_publisher": self.sockets.publish_port, "hq_rc": self.sockets.rc_port}
        return ports | ({"hq_port": self.sockets.own_port} if own else {})

    def start(self, kind: str, name: str = "turret", **config: Any) -> subprocess.Popen[bytes]:
        if kind == "real":
            require_environment("oct-turrets")
        archive = packed(self.folder / "packed", name, {**self.ports(own=kind == "own"), **config})
        process = start_real(archive) if kind == "real" else start_ours(archive)
        self.processes.append(process)
        return process

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < end, (self.hq.snapshot(), self.hq.reason)
            self.hq.step(0.05)

    def run(self) -> ResultReader:
        self.until(lambda: self.hq.is_over)
        return self.results

    @property
    def results(self) -> ResultReader:
        return ResultReader(self.folder / FILE)

    def fired(self, name: str = "turret") -> int:
        """Return how many iterations ended well, by the turret's own journal."""
        journal = self.folder / "packed" / f"{name}.journal"
        return journal.stat().st_size if journal.exists() else 0

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.writer.close()
        self.sockets.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["real", "oct", "own"])
def test_all_that_a_turret_fired_is_stored(site: Site, kind: str) -> None:
    site.open()
    site.start(kind)
    results = site.run()
    rows = list(results.rows())
    good = [row for row in rows if not row[0]]
    assert len(good) == site.fired() > 50
    assert {row[0] for row in rows} == {"", "HTTP status 500"}
    assert sum(second.count for second in results.seconds()) == results.row_count() == results.run()["stored"] == len(rows)
    assert results.errors()[0].message == "HTTP status 500"
    assert all(list(row[4]) == ["a/b"] for row in rows)


def test_turrets_of_all_kinds_fire_together(site: Site) -> None:
    site.open(turrets=3)
    for kind in ("real", "oct", "own"):
        site.start(kind, kind)
    results = site.run()
    good = sum(not row[0] for row in results.rows())
    assert good == sum(site.fired(kind) for kind in ("real", "oct", "own"))
    assert {turret.name: turret.own for turret in results.turrets()} == {"real": False, "oct": False, "own": True}


def test_a_real_turret_serves_one_run_after_the_other(site: Site, tmp_path: Path) -> None:
    site.open(duration_s=0.5)
    process = site.start("real")
    site.run()
    site.writer.close()
    site.writer = ResultWriter(tmp_path / "second" / FILE)
    site.open(duration_s=0.5)
    site.run()
    assert process.poll() is None
    assert site.hq.stored > 10


@pytest.mark.parametrize("kind", ["real", "own"])
def test_a_turret_that_comes_late_fires(site: Site, kind: str) -> None:
    site.open(duration_s=6.0)
    site.start("own", "first")
    site.until(lambda: site.hq.state == RUNNING)
    site.start(kind, "second")
    site.run()
    assert site.fired("second") > 10


@pytest.mark.parametrize("kind", ["real", "oct", "own"])
def test_a_turret_that_is_killed_is_noticed_and_its_results_are_counted(site: Site, kind: str) -> None:
    counters = site.folder / COUNTERS
    counters.mkdir()
    config = {"uuid": "u1", "counters": str(counters / "u1.counts")} if kind == "own" else {}
    site.open(duration_s=60.0)
    site.start("own", "other")
    victim = site.start(kind, **config)
    site.until(lambda: site.fired() > 30)
    victim.kill()
    killed = time.monotonic()
    site.until(lambda: any(turret.status == LOST for turret in site.hq.turrets.values()))
    # Three seconds are promised; a busy machine may add to them.
    assert time.monotonic() - killed < 6
    assert not site.hq.is_over
    site.hq.stop("")
    results = site.run()
    assert "is lost" in " ".join(results.run()["warnings"])
    if kind == "own":
        turret = next(turret for turret in results.turrets() if turret.uuid == "u1")
        assert turret.done == turret.stored + turret.lost


def test_what_is_no_message_stops_nothing_and_is_counted(site: Site) -> None:
    site.open(turrets=1, duration_s=1.5)
    site.start("own")
    context = zmq.Context()
    push, dealer = context.socket(zmq.PUSH), context.socket(zmq.DEALER)
    push.connect(f"tcp://127.0.0.1:{site.sockets.rc_port}")
    dealer.connect(f"tcp://127.0.0.1:{site.sockets.own_port}")
    site.until(lambda: site.hq.state == RUNNING)
    bad = [b"", b"no json", b"\xff\xfe", b"{}", b"[1]", b'{"status": "ready"}', b'{"scriptrun_time": "x"}', b"{" * 5000]
    for data in bad:
        push.send(data)
        dealer.send(data)
    push.send_multipart([b"a", b"b"])
    for strange in ({"uuid": 5}, {"uuid": "u", "batch": 1}, {"uuid": "u", "hello": 1, "cannons": "x"}):
        dealer.send(json.dumps(strange).encode())
    results = site.run()
    context.destroy(linger=0)
    assert results.run()["bad_messages"] == 2 * len(bad) + 1 + 3
    assert results.row_count() > 50
    assert not site.hq.is_aborted


def test_results_of_an_earlier_run_are_not_counted(site: Site) -> None:
    # A real turret that still fires, since its HQ died.
    first = HqSockets()
    archive_ports = {"hq_publisher": first.publish_port, "hq_rc": first.rc_port}
    site.start("real", **archive_ports)
    deadline = time.monotonic() + _PATIENCE_S
    while site.fired() < 5 and time.monotonic() < deadline:
        first.publish(b' {"command":"start","msg":"open fire"}')
        first.wait(0.2)
        first.take_reports(1000)
    publish_port, rc_port = first.publish_port, first.rc_port
    first.close()
    site.sockets.close()
    site.sockets = HqSockets(publish_port=publish_port, rc_port=rc_port)
    before = site.fired()
    site.open(duration_s=1.0, turrets=1)
    site.until(lambda: site.hq.state == RUNNING)
    at_start = site.fired()
    results = site.run()
    good = sum(not row[0] for row in results.rows())
    assert at_start >= before
    assert good == site.fired() - at_start
    assert good > 0


@pytest.mark.parametrize("victim", VICTIMS)
def test_whoever_is_killed_nothing_is_lost_without_being_counted(victim: str, tmp_path: Path) -> None:
    for attempt in range(2):
        found = killed_load(tmp_path / f"run-{attempt}", victim)
        assert found.adds_up, found
        assert found.state == ("killed" if victim == "hq" else "ended")


# -- our turret and an HQ that the test plays


class ScriptedHq:
    """The sockets of OCT's HQ, without anything behind them."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.orders, self.reports = self.context.socket(zmq.PUB), self.context.socket(zmq.PULL)
        self.orders.linger = 0
        self.ports = {
            "hq_address": "127.0.0.1",
            "hq_publisher": self.orders.bind_to_random_port("tcp://127.0.0.1"),
            "hq_rc": self.reports.bind_to_random_port("tcp://127.0.0.1"),
        }

    def say(self, text: str) -> None:
        self.orders.send_string(text)

    def hear(self, key: str, value: object = None) -> dict[str, Any]:
        """Return the next message that has a key, or that says a value under it."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if self.reports.poll(200):
                said: dict[str, Any] = json.loads(self.reports.recv())
                if key in said and value in (None, said[key]):
                    return said
        raise AssertionError(f"Nobody said {key} {value}.")

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def octs_hq() -> Iterator[ScriptedHq]:
    made = ScriptedHq()
    yield made
    made.close()


def test_our_turret_answers_octs_hq_as_the_real_one_does(octs_hq: ScriptedHq, tmp_path: Path) -> None:
    process = start_ours(packed(tmp_path, "ours", octs_hq.ports))
    try:
        ready = octs_hq.hear("status", "ready")
        assert set(ready) == {"turret", "status", "uuid", "rampup", "script", "cannons"}
        octs_hq.say('other-turret {"command":"kill","msg":null}')
        octs_hq.say(' {"msg":null,"command":"no_such_command"}')
        octs_hq.say(' {"command":"status_request","msg":null}')
        octs_hq.hear("status", "ready")
        octs_hq.say(' {"command":"set_transaction_context","msg":{}}')
        octs_hq.say(' {"command":"start","msg":"open fire"}')
        octs_hq.hear("status", "Running")
        result = octs_hq.hear("scriptrun_time")
        assert set(result) == {"elapsed", "epoch", "scriptrun_time", "error", "custom_timers"}
        octs_hq.say(' {"command":"status_request","msg":null}')
        octs_hq.hear("status", "Running")
        octs_hq.say(' {"command":"stop","msg":"premature stop"}')
        again = octs_hq.hear("status", "ready")
        assert again["uuid"] == ready["uuid"]
        octs_hq.say(f'{ready["uuid"]} {{"command":"kill","msg":null}}')
        octs_hq.hear("status", "Killed")
        assert process.wait(_PATIENCE_S) == 1
    finally:
        process.kill()
        process.wait()


def test_our_turret_stops_when_octs_hq_is_gone(octs_hq: ScriptedHq, tmp_path: Path) -> None:
    process = start_ours(packed(tmp_path, "ours", octs_hq.ports))
    try:
        octs_hq.hear("status", "ready")
        octs_hq.say(' {"command":"start","msg":"open fire"}')
        octs_hq.hear("scriptrun_time")
        octs_hq.close()
        journal = tmp_path / "ours.journal"
        deadline, size = time.monotonic() + _PATIENCE_S, -1
        while (now := journal.stat().st_size) != size:
            assert time.monotonic() < deadline, "It fires for ever."
            size = now
            time.sleep(1.0)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_turret_in_another_language_fires(site: Site, tmp_path: Path) -> None:
    require("node", "npm")
    place = tmp_path / "node"
    shutil.copytree(ROOT / "docs" / "examples" / "node-turret", place)
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline"]
    if subprocess.run(install, cwd=place, capture_output=True, timeout=300, check=False).returncode:
        miss("The package zeromq of npm cannot be installed. Let npm reach a registry.")
    config = {"name": "js", "cannons": 3, "rampup": 0.2, **site.ports()}
    (place / "config.json").write_text(json.dumps(config))
    site.open()
    site.processes.append(subprocess.Popen(["node", "turret.js", "config.json"], cwd=place))
    results = site.run()
    assert results.row_count() > 20
    assert {row[0] for row in results.rows()} == {""}
    assert not results.run()["bad_messages"]


def test_a_turret_that_is_ended_leaves_no_folder(site: Site) -> None:
    site.open(duration_s=60)
    process = site.start("own")
    site.until(lambda: site.fired() > 0)
    assert list((site.folder / "packed").glob("otto-turret-*"))
    process.terminate()
    assert process.wait(timeout=_PATIENCE_S) == 143
    assert not list((site.folder / "packed").glob("otto-turret-*"))


# -- keys


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Site]:
    make_keys(tmp_path / "keys")
    made = Site(tmp_path, read_keys(tmp_path / "keys").hq)
    yield made
    made.close()


def test_with_keys_turrets_of_the_project_fire_and_others_are_told(locked: Site, tmp_path: Path) -> None:
    make_keys(tmp_path / "strange")
    theirs, other = read_keys(tmp_path / "keys").turret, read_keys(tmp_path / "strange").turret
    locked.open(duration_s=1.5)
    strangers = {
        "no-keys": locked.start("own", "no-keys"),
        "other-hq": locked.start("own", "other-hq", curve=other),
        "other-turret": locked.start("own", "other-turret", curve={**other, "server": theirs["server"]}),
    }
    locked.until(lambda: all(process.poll() is not None for process in strangers.values()))
    assert {name: process.returncode for name, process in strangers.items()} == dict.fromkeys(strangers, 2)
    assert not locked.hq.turrets
    locked.start("own", "friend", curve=theirs)
    results = locked.run()
    good = sum(not row[0] for row in results.rows())
    assert good == locked.fired("friend") > 20
    warnings = " ".join(results.run()["warnings"])
    assert "Somebody without the keys of this HQ was not let in at port" in warnings
    assert "Somebody with a key that is not of this project was not let in, from 127.0.0.1" in warnings


def test_a_real_turret_of_oct_does_not_come_in_without_keys(locked: Site) -> None:
    locked.open(duration_s=1.5)
    locked.start("real")
    locked.until(lambda: locked.hq.refused > 0)
    assert not locked.hq.turrets
