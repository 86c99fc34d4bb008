"""``--prerunmodifier OttoLibrary.EachHost``: a suite for each host, under robot and under pabot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robot.running import PABOT, ROBOT, run

_SUITE = """*** Settings ***
Library         OttoLibrary    lab=${LAB}
Suite Setup     Log    setup of ${HOST}

*** Test Cases ***
Answers
    Run On Host    ${HOST}    test "$OTTO_DEMO_HOST" = ${HOST}

Knows Its Name
    Should Start With    ${SUITE NAME}    Suite.Suite on dut
"""


@pytest.mark.parametrize("runner", [ROBOT, PABOT], ids=["robot", "pabot"])
def test_each_host_has_a_suite_of_its_own(tmp_path: Path, runner: tuple[str, ...]) -> None:
    options = ["--variable", "LAB:demo", "--prerunmodifier", "OttoLibrary.EachHost:tag:dut NOT dut2"]
    ran = run(tmp_path, _SUITE, *options, runner=runner)
    assert ran.rc == 0, ran.said
    found = {suite.name: suite for suite in ran.suite.suites}
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
    ran = run(tmp_path, _SUITE, "--prerunmodifier", f"OttoLibrary.EachHost:{options}")
    assert sentence in ran.said
    assert ran.rc != 0
