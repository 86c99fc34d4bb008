"""``--prerunmodifier OttoLibrary.EachHost``: a suite for each host, under robot and under pabot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from robot.api import ExecutionResult

ROOT = Path(__file__).parents[2]
_SUITE = """*** Settings ***
Library         OttoLibrary    lab=${LAB}
Suite Setup     Log    setup of ${HOST}

*** Test Cases ***
Answers
    Run On Host    ${HOST}    test "$OTTO_DEMO_HOST" = ${HOST}

Knows Its Name
    Should Start With    ${SUITE NAME}    Suite.Suite on dut
"""
_ROBOT = ("robot",)
_PABOT = ("pabot.pabot", "--command", sys.executable, "-m", "robot", "--end-command", "--no-pabotlib", "--processes", "2")


def run(folder: Path, runner: tuple[str, ...], *options: str) -> tuple[int, str]:
    (folder / "suite.robot").write_text(_SUITE)
    environment = {name: value for name, value in os.environ.items() if name != "OTTO_LAB"}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-m", *runner, "--outputdir", "results", *options, "suite.robot"],
        cwd=folder,
        env=environment | {"PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def suites(folder: Path) -> dict[str, Any]:
    (top,) = [ExecutionResult(folder / "results" / "output.xml").suite]
    return {suite.name: suite for suite in top.suites}


@pytest.mark.parametrize("runner", [_ROBOT, _PABOT], ids=["robot", "pabot"])
def test_each_host_has_a_suite_of_its_own(tmp_path: Path, runner: tuple[str, ...]) -> None:
    code, said = run(tmp_path, runner, "--variable", "LAB:demo", "--prerunmodifier", "OttoLibrary.EachHost:tag:dut NOT dut2")
    assert code == 0, said
    found = suites(tmp_path)
    assert sorted(found) == ["Suite on dut1", "Suite on dut3"]
    for name, suite in found.items():
        host = name.rpartition(" ")[2]
        assert suite.metadata["Host"] == host
        assert {test.name: test.status for test in suite.tests} == {"Answers": "PASS", "Knows Its Name": "PASS"}
        assert all(f"host:{host}" in test.tags for test in suite.tests)
        assert suite.setup.status == "PASS"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("tag:dut", "No lab is named. Give one with '--variable LAB:NAME'"),
        ("tag:nothing:lab=demo", "No host of the lab is selected by 'tag:nothing'."),
        ("dut9:lab=demo", "No host named 'dut9'."),
    ],
)
def test_mistakes_say_what_to_do_and_pass_nothing(tmp_path: Path, options: str, sentence: str) -> None:
    code, said = run(tmp_path, _ROBOT, "--prerunmodifier", f"OttoLibrary.EachHost:{options}")
    assert sentence in said
    assert code != 0
