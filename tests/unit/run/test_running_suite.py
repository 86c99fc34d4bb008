"""The suite that is running: settings are its own, and those of the suite around it count again when it ends."""

from __future__ import annotations

from pathlib import Path

from OttoLibrary.lab.settings import Repository, Settings
from OttoLibrary.run.run_monitor import RECORDING, monitor_option, recording_path
from OttoLibrary.run.running_suite import RunningSuite


class Reader:
    """Settings that say which folder they were read for."""

    def __init__(self, **monitor: str) -> None:
        self.read: list[Path | None] = []
        self._monitor = monitor

    def __call__(self, folder: Path | None) -> Settings:
        self.read.append(folder)
        return Settings((Repository(Path("settings.toml"), str(folder), "1.0.0", monitor=self._monitor),))


def name_of(suite: RunningSuite) -> str:
    return suite.settings.repositories[0].name


def test_settings_are_those_of_the_suite_that_runs() -> None:
    suite = RunningSuite(Path("first"), read=Reader())
    assert name_of(suite) == "first"
    suite.begin(Path("second"), None)
    assert name_of(suite) == "second"
    suite.end()
    assert name_of(suite) == "first"


def test_settings_of_a_folder_are_read_once_and_only_when_asked_for() -> None:
    reader = Reader()
    suite = RunningSuite(read=reader)
    suite.begin(Path("a"), None)
    assert reader.read == []
    for _ in range(3):
        assert name_of(suite) == "a"
    suite.end()
    suite.begin(Path("a"), None)
    assert name_of(suite) == "a"
    assert reader.read == [Path("a")]


def test_a_suite_without_a_folder_is_in_that_of_the_suite_around_it() -> None:
    suite = RunningSuite(Path("a"), read=Reader())
    suite.begin(None, None)
    assert suite.folder == Path("a")


def test_outside_of_any_suite_nothing_can_be_left() -> None:
    suite = RunningSuite(Path("a"), Path("out"), read=Reader())
    suite.end()
    assert (suite.folder, suite.output_folder) == (Path("a"), Path("out"))


def test_a_recording_is_beside_the_log() -> None:
    suite = RunningSuite(None, Path("out"), read=Reader())
    assert recording_path(suite, "") == Path("out") / RECORDING
    assert recording_path(suite, "own.db") == Path("out/own.db")
    assert recording_path(suite, "/elsewhere/own.db") == Path("/elsewhere/own.db")
    assert recording_path(suite, "None") is None


def test_without_a_log_only_a_given_path_is_recorded() -> None:
    suite = RunningSuite(None, None, read=Reader())
    assert recording_path(suite, "") is None
    assert recording_path(suite, "own.db") == Path("own.db")


def test_what_is_given_comes_before_the_settings_and_those_before_the_fallback() -> None:
    suite = RunningSuite(None, Path("out"), read=Reader(hosts="tag:dut", store="set.db"))
    assert monitor_option(suite, "hosts", "dut1", "*") == "dut1"
    assert monitor_option(suite, "hosts", "", "*") == "tag:dut"
    assert monitor_option(suite, "interval", None, 2.0) == 2.0
    assert recording_path(suite, "") == Path("out/set.db")
