"""The listener ``OttoLibrary.Metrics`` as its user has it: whole runs of robot and pabot, and what is in their logs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from robot.api import ExecutionResult

from OttoLibrary.store import Recording
from tests.peers import processes
from tests.peers.sshd import Sshd

_TOO_LONG_S = 120
# A test that uses this lasts until every host has been read since it began, however slow the machine is.
_LONG_ENOUGH = '''
import contextlib, time
from pathlib import Path
from robot.libraries.BuiltIn import BuiltIn
from OttoLibrary.store import Recording

def last_until_read(*hosts):
    began, path = time.time(), Path(BuiltIn().get_variable_value("${OUTPUT DIR}"), "otto/metrics.db")
    missing = list(hosts)
    while missing:
        if time.time() > began + 30:
            raise AssertionError(f"not read in 30 seconds: {missing}")
        time.sleep(0.05)
        if path.exists():
            with contextlib.closing(Recording(path)) as recording:
                read = {host for host, series in recording.all(since=began) if series == "cpu_percent"}
            missing = [host for host in hosts if host not in read]
'''
_COMPLAINTS = ("Traceback", "Exception ignored", "Task was destroyed", "never awaited", "never retrieved")


@dataclass
class Run:
    """A run that is over."""

    rc: int
    stdout: str
    stderr: str
    output: Path

    @property
    def tests(self) -> dict[str, Any]:
        """Robot's results of the tests, by name."""
        return {test.name: test for test in self.result.suite.all_tests}

    @property
    def result(self) -> Any:
        return ExecutionResult(self.output)

    @property
    def warnings(self) -> list[str]:
        return [message.message for message in self.result.errors if message.level in {"WARN", "ERROR"}]


@pytest.fixture
def robot(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a robot, or another runner, in a folder of its own: ``robot("suite.robot", "--option", ...)``."""
    (tmp_path / "longenough.py").write_text(_LONG_ENOUGH)
    (tmp_path / "temporary").mkdir()

    def start(*arguments: str, runner: tuple[str, ...] = ("robot",)) -> subprocess.Popen[str]:
        paths = [str(tmp_path), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTTO_LAB", "ROBOT_"))}
        # The demo lab hands TMPDIR to its children: it marks all processes of the run.
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TMPDIR": str(tmp_path / "temporary")}
        return subprocess.Popen(
            [sys.executable, "-m", *runner, "--outputdir", "results", *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def run(robot: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> Callable[..., Run]:
    """Run a suite of this text to its end: ``run(text, "interval=100ms", "--option", ...)``; no listener without options."""

    def finish(suite: str, options: str | None = "interval=100ms", *arguments: str, lab: str = "demo") -> Run:
        (tmp_path / "suite.robot").write_text(suite)
        listener = [] if options is None else ["--listener", f"OttoLibrary.Metrics:{options}".removesuffix(":")]
        variables = ["--variable", f"LAB:{lab}"] if lab else []
        with robot(*listener, *variables, *arguments, "suite.robot") as process:
            stdout, stderr = process.communicate(timeout=_TOO_LONG_S)
        quiet(stdout + stderr)
        return Run(process.returncode, stdout, stderr, tmp_path / "results" / "output.xml")

    return finish


def quiet(said: str) -> None:
    """Fail when Python complained: that changes no exit status."""
    assert not [complaint for complaint in _COMPLAINTS if complaint in said], said


def shown(test: Any) -> list[str]:
    """Return the blocks of charts that a test shows outside of its keywords."""
    return [item.message for item in test.body if item.type == "MESSAGE" and "<svg" in item.message]


def check_charts(test: Any, *hosts: str) -> None:
    """Check that a test shows charts and a table of the hosts, once, drawn well, and tells them in its metadata."""
    blocks = shown(test)
    assert len(blocks) == 1, f"{test.name}: {len(blocks)} blocks of charts, {test.message}"
    drawings = re.findall(r"<svg.*?</svg>", blocks[0], re.DOTALL)
    for drawing in drawings:
        ElementTree.fromstring(drawing.replace("&nbsp;", " "))
    assert any(re.search(r'<path stroke="[^"]+"[^>]* d="M[^"]+"', drawing) for drawing in drawings)
    table = blocks[0].rpartition("<table")[2]
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", table, re.DOTALL)]
    for host in hosts:
        assert host in cells, f"{host} is not in the table of {test.name}: {cells}"
        assert re.fullmatch(r"mean \S+ %, max \S+ %", test.metadata[f"cpu {host}"])


_NOTHING_OF_OURS = """*** Settings ***
Library     longenough.py

*** Test Cases ***
Long
    Last Until Read    local    dut1

Short
    No Operation

Fails
    Last Until Read    local    dut1
    Fail    my own words
"""


def test_every_test_that_lasts_shows_what_hosts_did_with_nothing_in_the_suite(run: Callable[..., Run]) -> None:
    done = run(_NOTHING_OF_OURS, "interval=100ms:hosts=local OR dut1")
    assert done.rc == 1
    check_charts(done.tests["Long"], "local", "dut1")
    check_charts(done.tests["Fails"], "local", "dut1")
    assert done.tests["Fails"].message == "my own words"
    assert not shown(done.tests["Short"])
    assert done.warnings == []
    assert done.stderr == ""
    assert re.fullmatch(r"mean \S+ %, max \S+ %", done.result.suite.metadata["cpu dut1"])
    assert "gateway" not in str(dict(done.result.suite.metadata))


def test_the_log_and_the_report_are_pages_that_show_it(run: Callable[..., Run]) -> None:
    done = run(_NOTHING_OF_OURS, "interval=100ms:hosts=local OR dut1")
    assert "cpu dut1" in (done.output.parent / "report.html").read_text()
    log = (done.output.parent / "log.html").read_text()
    assert "cpu dut1" in log


def test_another_store_or_none(run: Callable[..., Run]) -> None:
    suite = "*** Test Cases ***\nLong\n    Sleep    1 s\n"
    done = run(suite, "interval=100ms:hosts=local:store=kept/mine.db")
    with contextlib.closing(Recording(done.output.parent / "kept" / "mine.db")) as recording:
        assert recording.hosts() == ["local"]
        assert recording.sessions()[0].label == "Suite"
        assert recording.sessions()[0].ended is not None
    assert not (done.output.parent / "otto").exists()
    done = run(suite, "interval=100ms:hosts=local:store=none")
    assert not (done.output.parent / "otto").exists()
