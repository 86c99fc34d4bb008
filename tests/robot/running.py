"""Runs suites to their end, as a user does, and reads what came of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from robot.api import ExecutionResult

ROOT = Path(__file__).parents[2]
ROBOT = ("robot",)
PABOT = ("pabot.pabot", "--command", sys.executable, "-m", "robot", "--end-command", "--no-pabotlib", "--processes", "2")
_TOO_LONG_S = 120


@dataclass
class Run:
    """A run that is over.

    Attributes:
        rc: Its exit status.
        said: What it wrote on the console.
        folder: Its output folder.
    """

    rc: int
    said: str
    folder: Path

    @property
    def suite(self) -> Any:
        return ExecutionResult(self.folder / "output.xml").suite

    @property
    def tests(self) -> dict[str, Any]:
        """Robot's results of the tests, by name."""
        return {test.name: test for test in self.suite.all_tests}

    @property
    def html(self) -> str:
        """All HTML messages of the log."""
        messages = ElementTree.parse(self.folder / "output.xml").iter("msg")
        return "\n".join(message.text or "" for message in messages if message.get("html") == "true")


def begin(folder: Path, *arguments: str, runner: tuple[str, ...] = ROBOT) -> subprocess.Popen[str]:
    """Start robot, or pabot, in a folder; its output goes to ``results`` there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTTO_LAB", "ROBOT_"))}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", *runner, "--outputdir", "results", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, suite: str, *options: str, runner: tuple[str, ...] = ROBOT) -> Run:
    """Run a suite of this text to its end."""
    (folder / "suite.robot").write_text(suite)
    process = begin(folder, *options, "suite.robot", runner=runner)
    try:
        said, _ = process.communicate(timeout=_TOO_LONG_S)
    finally:
        process.kill()
    return Run(process.returncode, said, folder / "results")
