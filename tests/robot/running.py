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


def surroundings(**more: str) -> dict[str, str]:
    """Return an environment in which the library is found, and nothing of ours chooses a lab or options."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTTO_LAB", "ROBOT_"))}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return environment | {"PYTHONPATH": paths} | more


def begin(folder: Path, *arguments: str, runner: tuple[str, ...] = ROBOT, **environment: str) -> subprocess.Popen[str]:
    """Start robot, or pabot, in a folder; its output goes to ``results`` there."""
    return start(folder, *runner, "--outputdir", "results", *arguments, **environment)


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """Start ``python -m`` with these words in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=surroundings(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, suite: str, *options: str, runner: tuple[str, ...] = ROBOT, **environment: str) -> Run:
    """Run a suite of this text to its end."""
    (folder / "suite.robot").write_text(suite)
    return run_files(folder, *options, "suite.robot", runner=runner, **environment)


def run_files(folder: Path, *arguments: str, runner: tuple[str, ...] = ROBOT, **environment: str) -> Run:
    """Run suites that are in a folder already to their end."""
    rc, said = _ended(begin(folder, *arguments, runner=runner, **environment))
    return Run(rc, said, folder / "results")


def command(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Run ``python -m`` with these words to its end; return the exit status and what it said."""
    return _ended(start(folder, *words, **environment))


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = process.communicate(timeout=_TOO_LONG_S)
    finally:
        process.kill()
    return process.returncode, said
