"""What is added to pabot's arguments."""

from __future__ import annotations

import sys

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.parallel import suite_process
from OttoLibrary.parallel.pabot import with_our_ways

OURS = [sys.executable, "-m", suite_process.__name__]


def test_robot_runs_below_our_process_with_our_python() -> None:
    assert with_our_ways(["--processes", "2", "suites"]) == [
        *("--pabotlibport", "0"),
        *("--command", *OURS, sys.executable, "-m", "robot", "--end-command"),
        *("--processes", "2", "suites"),
    ]


def test_a_command_that_is_given_runs_below_our_process() -> None:
    given = ["--command", "my-robot", "-x", "--end-command", "suites"]
    assert with_our_ways(given)[2:] == ["--command", *OURS, "my-robot", "-x", "--end-command", "suites"]


@pytest.mark.parametrize("given", [["--pabotlibport", "8270"], ["--pabotlibhost", "other"], ["--no-pabotlib"]])
def test_a_server_of_locks_that_is_given_stays(given: list[str]) -> None:
    assert "0" not in with_our_ways([*given, "suites"])


def test_the_given_arguments_are_left_alone() -> None:
    given = ["suites"]
    with_our_ways(given)
    assert given == ["suites"]


def test_a_python_whose_path_has_a_blank_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    with pytest.raises(UsageError, match="has a blank in it: '/opt/my python/bin/python'"):
        with_our_ways(["suites"])
