"""The monitor of a run: one at a time, shared with others, asked where it lives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

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
        return []


class Notes:
    """What was written down."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.broken: list[Exception] = []

    def warn(self, *sentences: str) -> None:
        self.warnings += sentences

    def monitor(self) -> MonitorNotes:
        return MonitorNotes(lambda text: text.replace("hunter2", "<secret>"), self.warn, self.broken.extend)


def made(notes: Notes, engine: Engine) -> RunMonitor:
    lab = CurrentLab("demo", RunningSuite(read=lambda folder: Settings()), Masker())
    hosts = NoHosts(lab, engine, lambda entry: "", HostNotes(lambda record: None, notes.warn, lambda host: None))
    return RunMonitor(hosts, lab, engine, notes.monitor())


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
    assert (monitor.is_running, monitor.is_shared) == (False, False)
    monitor.end()
    with pytest.raises(NotOpenError, match="No monitor is running"):
        monitor.do(lambda running: running.began)


def test_at_most_one_runs(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor = made(notes, engines[0])
    monitor.start([], [], 1.0, None, "")
    with pytest.raises(UsageError, match="A monitor is running already"):
        monitor.start([], [], 1.0, None, "")
    monitor.end()
    assert not monitor.is_running
    monitor.start([], [], 1.0, None, "")
    assert monitor.is_running
    monitor.end()


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
    assert (other.is_running, other.is_shared, monitor.is_shared) == (True, True, False)
    other.end()
    assert (other.is_running, monitor.is_running) == (False, True)
    monitor.end()


def test_its_own_is_not_replaced_by_a_shared_one(notes: Notes, engines: tuple[Engine, Engine]) -> None:
    monitor, other = made(notes, engines[0]), made(notes, engines[1])
    for each in (monitor, other):
        each.start([], [], 1.0, None, "")
    other.share(monitor)
    assert not other.is_shared
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
