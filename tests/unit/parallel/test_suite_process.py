"""What a suite process reads in the command that it is given."""

from __future__ import annotations

import pytest

from OttoLibrary.parallel.suite_process import robot_arguments, signal_text

FILE = ["-A", "pabot_results/0/robot_argfile.txt"]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (["/usr/bin/python3", "-m", "robot", *FILE], FILE),
        (["robot", "--loglevel", "DEBUG", *FILE], ["--loglevel", "DEBUG", *FILE]),
        (["/opt/venv/bin/robot", *FILE], FILE),
        (["python", "-m", "robot.run", *FILE], FILE),
        (["env", "ROBOT=robot", "python", "-m", "robot", *FILE], FILE),
        (["my-own-runner", "--fast", *FILE], FILE),
    ],
)
def test_robot_s_arguments_in_a_command(command: list[str], arguments: list[str]) -> None:
    assert robot_arguments(command) == arguments


def test_a_signal_has_number_and_name() -> None:
    assert signal_text(9) == "signal 9 (KILL)"
