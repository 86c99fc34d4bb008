"""The monitor of a run: one at a time, shared with others, asked where it lives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import Event
from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotFreeError, NotOpenError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.lab.settings import Settings
from OttoLibrary.masking import Masker
from OttoLibrary.monitor.monitor import Monitor
from OttoLibrary.monitor.recording_reader import Recording
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.open_hosts import HostNotes, OpenHosts
from OttoLibrary.run.run_monitor import MonitorNotes, RunMonitor
from OttoLibrary.run.running_suite import RunningSuite


class NoHosts(OpenHosts):
    """A run that watches no host, so that nothing is connected."""

    def free(self, names: Sequence[str]) -> list[Host]:
        if "busy" in names:
            raise NotFreeError("Host 'busy' is reserved by somebody else", ["bob"], "Wait.")
        return [Host(name, (name,), lambda name=name: _facts(name), None, lambda record: None) for name in names]


def _facts(name: str) -> HostFacts:
    # A network device that is not there: nothing answers, and nothing is connected before the first beat.
    return HostFacts(name, address="192.0.2.1")


class Notes:
    """What was written down."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.broken: list[Exception] = []

    def warn(self, *sentences: str) -> None:
        self.warnings += sentences

    def monitor(self) -> MonitorNotes:
        return MonitorNotes(lambda text: text.replace("hunter2", "<secret>"), self.warn, self.broken.extend)


def made(notes: Notes, engine: Engine, labs: str = "demo") -> RunMonitor:
    lab = CurrentLab(labs, RunningSuite(read=lambda folder: Settings()), Masker())
    hosts = NoHosts(lab, engine, lambda entry: "", HostNotes(lambda record: None, notes.warn, lambda host: None))
    return RunMonitor(hosts, lab, engine, notes.monitor())


@pytest.fixture
def other_lab(tmp_path: Path) -> str:
    path = tmp_path / "two.json"
    path.write_text('{"name": "two", "hosts": {"far": {"address": "192.0.2.2"}, "dut1": {"address": "192.0.2.3"}}}')
    return str(path)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def engines() -> Iterator[tuple[Engine, Engine]]:
    pair = Engine(), Engine()
    yield pair
    for engine in pair:
        engine.close()


def test_none_runs_before_it_is_started(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor = made(notes, engines[0])
    assert not monitor.is_running
    monitor.end()
    with pytest.raises(NotOpenError, match="No monitor is running"):
        monitor.do(lambda running: running.began)


def test_a_second_start_joins_and_the_last_to_leave_ends_it(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor = made(notes, engines[0])
    monitor.start(["dut1"], ["load"], 1.0, None, "")
    first = monitor.running
    monitor.start(["dut1", "dut2"], ["memory"], 0.5, None, "")
    assert monitor.running is first
    assert monitor.own_hosts == first.watched == ["dut1", "dut2"]
    assert first.interval_s == 0.5
    monitor.stop_last()
    assert (first.watched, first.interval_s) == (["dut1"], 1.0)
    monitor.stop_last()
    assert not monitor.is_running
    with pytest.raises(NotOpenError):
        monitor.stop_last()


def test_two_labs_are_watched_into_one_recording(
    notes: Notes, engines: tuple[Engine, Engine], tmp_path: Path, other_lab: str
) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1], other_lab)
    monitor.start(["dut1"], ["load"], 1.0, tmp_path / "metrics.db", "")
    other.start(["far"], ["load"], 1.0, tmp_path / "metrics.db", "")
    assert other.running is monitor.running
    monitor.end()
    assert other.running.watched == ["far"]
    other.end()
    with closing(Recording(tmp_path / "metrics.db")) as recording:
        (session,) = recording.sessions()
        assert session.lab["hosts"] == {"dut1": ["gateway", "dut1"], "far": ["far"]}
        assert session.lab["labs"] == f"demo,{other_lab}"


def test_another_host_of_the_same_name_is_not_taken_for_it(notes: Notes, engines: tuple[Engine, Engine], other_lab: str) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1], other_lab)
    monitor.start(["dut1"], ["load"], 1.0, None, "")
    other.share(monitor)
    with pytest.raises(UsageError, match="Host 'dut1' is watched already, and is another host than 'dut1' of this lab"):
        other.start(["dut1"], ["load"], 1.0, None, "")
    assert (monitor.running.watched, other.own_hosts) == (["dut1"], [])
    monitor.end()


def test_what_another_session_reads_is_not_read_twice(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1])
    monitor.start(["dut1"], ["load"], 1.0, None, "")
    other.share(monitor)
    joined = other.start(["dut1", "dut2"], ["memory"], 1.0, None, "")
    assert [(reader is monitor, list(part.metrics)) for reader, part in joined.parts] == [(True, ["dut1"]), (False, ["dut2"])]
    other.stop_last()
    assert other.is_running
    assert monitor.running.watched == ["dut1"]
    monitor.close()
    assert not other.is_running


def test_one_that_cannot_start_does_not_run(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor = made(notes, engines[0])
    with pytest.raises(NotFreeError):
        monitor.start(["busy"], [], 1.0, None, "")
    with pytest.raises(UsageError, match="interval"):
        monitor.start([], [], 0.0, None, "")
    assert not monitor.is_running


def test_it_answers_where_it_lives(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1])
    monitor.start([], [], 1.0, None, "")
    other.share(monitor)

    async def began(running: Monitor) -> float:
        return running.began

    assert other.ask(began) == monitor.do(lambda running: running.began)
    assert not engines[1].running
    monitor.end()


def test_a_shared_one_stays_the_other_s(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1])
    other.share(monitor)
    assert not other.is_running
    monitor.start([], [], 1.0, None, "")
    other.share(monitor)
    assert other.running is monitor.running
    other.end()
    assert (other.is_running, monitor.is_running) == (False, True)
    monitor.end()


def test_its_own_is_not_replaced_by_a_shared_one(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1])
    for each in (monitor, other):
        each.start([], [], 1.0, None, "")
    other.share(monitor)
    assert other.running is not monitor.running
    for each in (monitor, other):
        each.end()


def test_its_recording_says_which_lab(notes: Notes, engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    monitor = made(notes, engines[0])
    monitor.start([], [], 1.0, tmp_path / "metrics.db", "nightly")
    monitor.do(lambda running: running.mark(Event(running.began, "the password is hunter2", "mark")))
    monitor.end()
    with closing(Recording(tmp_path / "metrics.db")) as recording:
        (session,) = recording.sessions()
        assert (session.label, session.lab["labs"]) == ("nightly", "demo")
        assert [event.text for event in recording.events()] == ["the password is <secret>"]


def test_what_it_found_is_written_down_when_it_ends(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor = made(notes, engines[0])
    monitor.start([], [], 1.0, None, "")
    monitor.do(lambda running: running.mark(Event(running.began, "hunter2 does not answer", "gap", "dut1")))
    monitor.end()
    assert notes.warnings == ["Monitor, host 'dut1': <secret> does not answer"]
    assert notes.broken == []
