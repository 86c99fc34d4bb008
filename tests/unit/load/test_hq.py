"""The HQ step by step: whom it waits for, what it counts, and when a run is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.load.hq import RUNNING, STOPPING, WAITING, Hq, HqPlan
from OttoLibrary.load.known_turret import LOST
from OttoLibrary.load.load_limits import LoadLimit
from OttoLibrary.load.result_store import FILE, ResultReader, ResultWriter
from OttoLibrary.load.turret.batches import IterationTally, Note
from OttoLibrary.masking import Masker


class FakeSockets:
    """What ``HqSockets`` is to an HQ, with nobody at the other end."""

    def __init__(self) -> None:
        self.reports: list[list[bytes]] = []
        self.own: list[list[bytes]] = []
        self.published: list[bytes] = []
        self.refusals: list[str] = []
        self.told: list[tuple[bytes, dict[str, Any]]] = []

    def wait(self, timeout_s: float) -> None:
        pass

    def publish(self, message: bytes) -> None:
        self.published.append(message)

    def publish_result(self, topic: bytes, message: bytes) -> None:
        pass

    def take_refusals(self) -> list[str]:
        found, self.refusals = self.refusals, []
        return found

    def take_reports(self, most: int) -> list[list[bytes]]:
        found, self.reports = self.reports[:most], self.reports[most:]
        return found

    def take_own(self, most: int) -> list[list[bytes]]:
        found, self.own = self.own[:most], self.own[most:]
        return found

    def tell(self, who: bytes, message: bytes) -> None:
        self.told.append((who, json.loads(message)))


class Site:
    """An HQ on a clock that the test sets."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        self.sockets, self.now_s, self.folder = FakeSockets(), 0.0, folder
        self.writer = ResultWriter(folder / FILE)
        values: dict[str, Any] = {"duration_s": 100.0, "grace_s": 5.0} | plan
        self.masker = Masker()
        self.hq = Hq(
            HqPlan(**values),
            self.sockets,  # type: ignore[arg-type]
            self.writer,
            folder,
            mask=self.masker.mask,
            clock=lambda: self.now_s,
        )

    def at(self, now_s: float) -> Hq:
        """Let the clock go there, a quarter of a second at a time."""
        while self.now_s < now_s:
            self.now_s = min(now_s, self.now_s + 0.25)
            self.hq.step(0)
        return self.hq

    def status(self, word: str = "ready", uuid: str = "oct") -> None:
        said = {"turret": uuid, "status": word, "uuid": uuid, "rampup": 0, "script": "s", "cannons": 2}
        self.sockets.reports.append([json.dumps(said).encode()])

    def result(self, error: str = "", took: float = 0.1) -> None:
        said = {"elapsed": 1.0, "epoch": self.hq.now(), "scriptrun_time": took, "error": error, "custom_timers": {}}
        self.sockets.reports.append([json.dumps(said).encode()])

    def say(self, who: str, **said: Any) -> None:
        self.sockets.own.append([who.encode(), json.dumps({"uuid": who, "run": self.hq.run_id, **said}).encode()])

    def batch(self, who: str, number: int, count: int) -> None:
        tally = IterationTally(rows=True, is_open=False)
        for _ in range(count):
            tally.add(Note(self.hq.now(), 1.0, 0.1, 0.1, None, None))
        self.say(who, batch=number, **tally.to_plain())

    def orders(self, name: str) -> int:
        return sum(json.loads(message)["command"] == name for message in self.sockets.published)

    def told(self, order: str) -> list[dict[str, Any]]:
        return [said for _, said in self.sockets.told if said["order"] == order]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.writer.close()


def begin(site: Site) -> None:
    site.status()
    assert site.at(0.25).state == RUNNING


def test_it_begins_when_its_turrets_are_ready(site: Site) -> None:
    assert site.at(2).state == WAITING
    site.status()
    assert site.at(2.25).state == RUNNING
    assert (site.orders("set_transaction_context"), site.orders("start")) == (1, 1)


def test_a_turret_that_fires_for_another_hq_is_stopped_first(site: Site) -> None:
    site.status("Running")
    assert site.at(2).state == WAITING
    assert site.orders("stop") >= 2
    site.result()
    assert site.at(2.25).strays == 1
    site.status("ready")
    assert site.at(2.5).state == WAITING
    assert site.at(4).state == RUNNING
    assert site.hq.stored == 0


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    site = Site(tmp_path, wait_s=3.0)
    hq = site.at(10)
    assert (hq.is_over, hq.is_aborted, hq.reason) == (True, True, "0 turrets of 1 came in 3 s")
    site.writer.close()


def test_a_silent_turret_is_lost_within_three_seconds(site: Site) -> None:
    begin(site)
    site.status("Running")
    site.at(1)
    site.status("Running")
    hq = site.at(1.25)
    assert hq.turrets["oct"].status == "Running"
    assert site.at(4.25).turrets["oct"].status == LOST
    assert "is lost: it has said nothing for" in hq.warnings[0]
    assert "What it did from " in hq.warnings[0]
    # It may only be busy: the run does not end at once for want of another turret.
    assert not hq.is_aborted
    assert site.at(20).is_aborted
    assert "all turrets are gone" in hq.reason


def test_a_silent_turret_that_speaks_again_is_no_longer_lost(site: Site) -> None:
    begin(site)
    site.status("Running")
    assert site.at(4).turrets["oct"].status == LOST
    site.status("Running")
    assert site.at(5).turrets["oct"].status == "Running"
    assert site.at(6).state == RUNNING


def test_a_run_ends_with_the_turret_that_leads_it(tmp_path: Path) -> None:
    site = Site(tmp_path, turrets=2)
    site.say("m", hello=1, name="master", status="ready", leads=True)
    site.say("w", hello=1, name="worker", status="ready")
    assert site.at(0.5).state == RUNNING
    site.hq.lose("m", "its process ended with -9")
    hq = site.at(1)
    assert (hq.is_aborted, hq.reason) == (True, "turret 'master', which leads the others, is gone")
    site.writer.close()


def test_what_is_confirmed_is_stored_and_what_came_twice_counts_once(site: Site) -> None:
    site.say("me", hello=1, name="n", status="ready", cannons=2)
    site.at(0.5)
    site.batch("me", 1, 10)
    site.batch("me", 1, 10)
    site.batch("me", 2, 5)
    hq = site.at(1.5)
    assert hq.stored == 15
    assert [said["batch"] for said in site.told("confirm")] == [2]
    assert ResultReader(site.folder / FILE).row_count() == 15


def test_results_that_never_came_are_counted(site: Site) -> None:
    site.say("me", hello=1, name="n", status="ready", cannons=2)
    site.at(0.5)
    site.batch("me", 1, 10)
    site.say("me", beat=1, status="Running", users=2, begun=18, done=17)
    site.at(1)
    hq = site.at(10)
    assert hq.turrets["me"].status == LOST
    (turret,) = ResultReader(site.folder / FILE).turrets()
    assert (turret.begun, turret.done, turret.stored, turret.lost) == (18, 17, 10, 7)


def test_results_after_the_stop_are_waited_for(site: Site) -> None:
    begin(site)
    site.status("Running")
    site.at(1)
    site.hq.stop("")
    site.result()
    assert site.at(2).state == STOPPING
    assert site.hq.stored == 1
    site.status("ready")
    assert site.at(3).is_over
    assert not site.hq.is_aborted


def test_the_drain_has_a_deadline(site: Site) -> None:
    begin(site)
    site.status("Running")
    site.at(0.5)
    site.hq.stop("")
    for second in range(1, 14):
        site.status("Running")
        site.at(second)
    assert site.hq.is_over


def test_a_batch_of_another_run_and_a_stranger_are_left_out(tmp_path: Path) -> None:
    site = Site(tmp_path, tokens=("right",))
    site.say("stranger", hello=1, name="n", status="ready", token="wrong")
    site.at(0.25)
    assert not site.hq.turrets
    site.say("me", hello=1, name="n", status="ready", token="right")
    site.at(0.75)
    site.sockets.own.append([b"me", json.dumps({"uuid": "me", "run": "old", "batch": 1}).encode()])
    site.batch("stranger", 1, 10)
    assert site.at(1.5).stored == 0
    assert site.hq.bad_messages >= 2
    site.writer.close()


def test_a_limit_ends_the_run_within_its_window_and_a_second(tmp_path: Path) -> None:
    site = Site(tmp_path, limits=(LoadLimit.parse("error_rate<5% window=10 s"),))
    begin(site)
    first_error = None
    while not site.hq.is_over and site.now_s < 90:
        site.status("Running" if site.hq.state == RUNNING else "ready")
        for _ in range(4):
            bad = site.now_s >= 60
            first_error = first_error or (site.now_s if bad else None)
            site.result("no" if bad else "")
        site.at(site.now_s + 0.25)
    assert site.hq.broken is not None
    assert first_error is not None
    # A breach counts from the whole second in which it begins.
    assert 9 <= site.hq._ending - site.hq._zero_wall - first_error <= 11
    site.writer.close()


def test_phases_end_each_other(site: Site) -> None:
    begin(site)
    site.at(1)
    site.hq.mark_phase("one")
    site.at(3)
    site.hq.mark_phase("two")
    first, second = ResultReader(site.folder / FILE).phases()
    assert (first.name, second.name, second.ended) == ("one", "two", None)
    assert first.ended == second.began


def test_who_is_left_alone_waits_no_longer_for_what_hangs(tmp_path: Path) -> None:
    site = Site(tmp_path, grace_s=30.0)
    site.say("me", hello=1, name="n", status="ready", cannons=2)
    assert site.at(0.5).state == RUNNING
    site.hq.stop("")
    site.hq.leave("nobody waits")
    assert site.at(1.5).state == STOPPING
    assert site.at(3).is_over
    site.writer.close()


def test_what_turrets_say_is_hidden_also_what_becomes_a_secret_later(tmp_path: Path) -> None:
    site = Site(tmp_path, described={"title": "buy first-secret", "users": 2})
    site.masker.add("first-secret")
    site.say("me", hello=1, name="a first-secret", script="run later-secret", status="ready", cannons=2)
    site.at(0.5)
    tally = IterationTally(rows=True, is_open=False)
    tally.add(
        Note(
            site.hq.now(), 1.0, 0.1, 0.1, ("E", "no first-secret, no later-secret"), {"t first-secret": 0.1, "later-secret": 0.2}
        )
    )
    site.say("me", batch=1, **tally.to_plain())
    site.at(1.5)
    site.masker.add("later-secret")
    site.hq.mask_again()
    site.hq.stop("of later-secret")
    site.at(8)
    site.writer.close()
    results = ResultReader(tmp_path / FILE)
    (row,) = results.rows()
    assert (row[0], row[4], row[5]) == ("no <secret>, no <secret>", {"t <secret>": 0.1, "<secret>": 0.2}, "a <secret>")
    assert [(each.message, each.count) for each in results.errors()] == [("no <secret>, no <secret>", 1)]
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"later-secret" not in left
    assert b"first-secret" not in left
