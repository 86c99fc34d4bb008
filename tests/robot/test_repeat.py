"""``--prerunmodifier OttoLibrary.Repeat`` and the tag ``otto:retry=``: whole runs, and what is in their logs."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from robot.api import ExecutionResult

from tests.peers import processes
from tests.robot.running import PABOT, begin, run

_COUNTED = """*** Variables ***
${RUN}    ${0}

*** Keywords ***
Count
    VAR    ${RUN}    ${{ $RUN + 1 }}    scope=SUITE
"""
_SUITE = """*** Settings ***
Test Setup          Log    set up
Test Teardown       Say    ${TEST STATUS}

*** Test Cases ***
Flaky
    VAR    ${RUN}    ${{ $RUN + 1 }}    scope=SUITE
    Variable Should Not Exist    ${left}
    Variable Should Not Exist    ${test_left}
    VAR    ${left}    from the run before
    VAR    ${test_left}    from the run before    scope=TEST
    Should Be Equal    ${TEST NAME}    Flaky
    Should Be True    ${RUN} != 2    second run

Slow Now And Then
    [Timeout]    0.5 s
    VAR    ${RUN}    ${{ $RUN + 1 }}    scope=SUITE
    IF    ${RUN} % 2    Sleep    30 s
    Sleep    0.2 s

Skips
    Skip    not here

Set Up Fails
    [Setup]    Fail    no lab
    Log    never

Teardown Fails
    Fail    body
    [Teardown]    Fail    tidy

Template
    [Template]    Should Be Equal
    1    1
    2    3
    4    5

Skipped Template
    [Setup]    Log    set up
    [Template]    Run Keyword
    Skip    one
    Skip    two

Continues
    [Tags]    robot:continue-on-failure
    Fail    one
    Fail    two

Passes Early
    Pass Execution    enough

Ignored
    [Tags]    robot:skip-on-failure
    Fail    known

Empty

*** Variables ***
${RUN}    ${0}

*** Keywords ***
Say
    [Arguments]    ${status}
    Run Keyword If Test Passed    Log    passed
    Run Keyword If Test Failed    Log    failed: ${TEST MESSAGE}
"""
_TWICE = "2 of 4 passed (50 %), threshold 75 %"
_NEVER = "0 of 4 passed (0 %), threshold 75 %\n\nIterations 1, 2, 3, 4: "
_MESSAGES = {
    "Flaky": ("PASS", "3 of 4 passed (75 %), threshold 75 %\n\nIteration 2: second run"),
    "Slow Now And Then": ("FAIL", f"{_TWICE}\n\nIterations 1, 3: Test timeout 500 milliseconds exceeded."),
    "Skips": ("SKIP", "not here"),
    "Set Up Fails": ("FAIL", f"{_NEVER}Setup failed: no lab"),
    "Teardown Fails": ("FAIL", f"{_NEVER}body Also teardown failed: tidy"),
    "Template": ("FAIL", f"{_NEVER}Several failures occurred: 1) 2 != 3 2) 4 != 5"),
    "Skipped Template": ("SKIP", "All iterations skipped."),
    "Continues": ("FAIL", f"{_NEVER}Several failures occurred: 1) one 2) two"),
    "Passes Early": ("PASS", "4 of 4 passed (100 %), threshold 75 %"),
    "Ignored": ("SKIP", f"Failed test skipped using 'robot:skip-on-failure' tag.\n\nOriginal failure:\n{_NEVER}known"),
    "Empty": ("FAIL", "Test cannot be empty."),
}


def runs(test: Any) -> list[tuple[str, str]]:
    """Return name and status of each run in a test's log."""
    return [(block.name, block.status) for block in test.body if block.type == "KEYWORD"]


def test_every_kind_of_test_is_repeated_as_it_is(tmp_path: Path) -> None:
    done = run(tmp_path, _SUITE, "--prerunmodifier", "OttoLibrary.Repeat:iterations=4:threshold=75")
    found = {name: (test.status, test.message) for name, test in done.tests.items()}
    assert found == _MESSAGES, done.said
    assert done.rc == 6
    flaky = done.tests["Flaky"]
    assert runs(flaky) == [
        ("Iteration 1 of 4", "PASS"),
        ("Iteration 2 of 4", "FAIL"),
        ("Iteration 3 of 4", "PASS"),
        ("Iteration 4 of 4", "PASS"),
    ]
    assert not flaky.has_setup
    assert not flaky.has_teardown
    for block in flaky.body:
        assert block.setup.status == "PASS"
        if_passed, if_failed = block.teardown.body
        assert bool(if_passed.body.filter(messages=False)) == (block.status == "PASS")
        assert bool(if_failed.body.filter(messages=False)) == (block.status == "FAIL")


def test_a_skip_later_does_not_count(tmp_path: Path) -> None:
    suite = f"{_COUNTED}\n*** Test Cases ***\nSkips Later\n    Count\n    IF    $RUN == 2    Skip    not now\n"
    done = run(tmp_path, suite, "--prerunmodifier", "OttoLibrary.Repeat:iterations=3")
    assert done.tests["Skips Later"].message == "2 of 2 passed (100 %), threshold 100 %, 1 skipped"
    assert [status for _, status in runs(done.tests["Skips Later"])] == ["PASS", "SKIP", "PASS"]


@pytest.mark.parametrize("options", ["iterations=2", "iterations=2:threshold=101"])
def test_a_dry_run_looks_at_each_test_once(tmp_path: Path, options: str) -> None:
    suite = "*** Test Cases ***\nKnown\n    Log    x\n\nUnknown\n    No Such Keyword\n"
    done = run(tmp_path, suite, "--dryrun", "--prerunmodifier", f"OttoLibrary.Repeat:{options}")
    assert done.tests["Unknown"].failed
    assert done.tests["Known"].passed == (options == "iterations=2")
    assert len(runs(done.tests["Known"])) == (options == "iterations=2")


def test_a_wrong_option_runs_nothing_and_passes_nothing(tmp_path: Path) -> None:
    suite = "*** Settings ***\nSuite Setup    Log    touched\n\n*** Test Cases ***\nOne\n    Log    touched\n"
    done = run(tmp_path, suite, "--prerunmodifier", "OttoLibrary.Repeat:iteration=2")
    sentence = (
        "No option of OttoLibrary.Repeat named 'iteration'. Did you mean 'iterations'? Known: duration, iterations, threshold."
    )
    assert done.tests["One"].message == sentence
    assert done.rc == 1
    assert sentence in done.said
    assert "touched" not in (done.folder / "output.xml").read_text().replace("suite.robot", "")
    assert "Traceback" not in done.said


def test_time_ends_it_too(tmp_path: Path) -> None:
    suite = "*** Test Cases ***\nOne\n    Sleep    0.3 s\n"
    done = run(tmp_path, suite, "--prerunmodifier", "OttoLibrary.Repeat:duration=1 s:iterations=1000")
    test = done.tests["One"]
    assert test.passed
    assert 2 <= len(runs(test)) <= 4
    assert runs(test)[0][0] == "Iteration 1 of 1000"


def test_a_fatal_error_ends_it_at_once(tmp_path: Path) -> None:
    suite = (
        f"{_COUNTED}\n*** Test Cases ***\nFatal\n    Count\n    IF    $RUN == 2    Fatal Error    dead\n\nNext\n    Log    x\n"
    )
    done = run(tmp_path, suite, "--prerunmodifier", "OttoLibrary.Repeat:iterations=5:threshold=1")
    assert [status for _, status in runs(done.tests["Fatal"])] == ["PASS", "FAIL"]
    assert done.tests["Fatal"].failed
    assert done.tests["Fatal"].message.endswith("Ended early: dead")
    assert done.tests["Next"].message == "Test execution stopped due to a fatal error."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    suite = (
        f"*** Settings ***\nLibrary    OperatingSystem\n\n*** Test Cases ***\nLong\n    Touch    {ready}\n    Sleep    0.1 s\n"
    )
    (tmp_path / "suite.robot").write_text(suite)
    process = begin(tmp_path, "--prerunmodifier", "OttoLibrary.Repeat:duration=1 h:threshold=1", "suite.robot")
    try:
        processes.wait_until(ready.exists, "the test runs")
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    [test] = ExecutionResult(tmp_path / "results" / "output.xml").suite.tests
    assert test.failed
    assert test.message.endswith("Ended early: Execution terminated by signal")
    assert process.returncode == 1


_ON_HOSTS = """*** Settings ***
Library         OttoLibrary    lab=demo

*** Test Cases ***
Leaves Things Behind
    [Tags]    otto:retry=3
    Run On Host    ${HOST}    test "$OTTO_DEMO_HOST" = ${HOST}
    Start On Host    ${HOST}    sleep 600
    Start Monitor    ${HOST}    interval=1 s
    ${runs}=    Get Variable Value    ${RUNS}    ${0}
    VAR    ${RUNS}    ${{ $runs + 1 }}    scope=SUITE
    Check    $RUNS != 1    the first one
"""


def test_each_run_is_a_test_of_its_own_to_the_library_on_each_host_under_pabot(tmp_path: Path) -> None:
    modifiers = ("EachHost:dut1 OR dut2:lab=demo", "Repeat:iterations=2:threshold=50")
    options = [word for modifier in modifiers for word in ("--prerunmodifier", f"OttoLibrary.{modifier}")]
    done = run(tmp_path, _ON_HOSTS, *options, runner=PABOT)
    assert done.rc == 0, done.said
    tests = list(done.suite.all_tests)
    assert len(tests) == 2
    for test in tests:
        # A second try would hide what is counted.
        assert [status for _, status in runs(test)] == ["FAIL", "PASS"]
        reason = "Iteration 1: 1 check failed: suite.robot:12: the first one: $RUNS != 1 ($RUNS is 1)"
        assert test.message == f"1 of 2 passed (50 %), threshold 50 %\n\n{reason}"


_RETRIED = f"""*** Settings ***
Library             OttoLibrary    lab=demo
Test Setup          Count
Test Teardown       Log    tidied up

*** Test Cases ***
Third Time
    [Tags]    otto:retry=2
    Should Be True    $RUN == 3    run ${{RUN}}

Never
    [Tags]    OTTO:Retry=1
    Fail    never

At Once
    [Tags]    otto:retry=9
    No Operation

Skips
    [Tags]    otto:retry=9
    Skip    not here

Wrong Tag
    [Tags]    otto:retry=often
    No Operation

Untagged
    Fail    once

{_COUNTED}"""


@pytest.mark.parametrize("output", ["output.xml", "output.json"])
def test_a_test_is_tried_again_and_counts_once(tmp_path: Path, output: str) -> None:
    done = run(tmp_path, _RETRIED, "--output", output)
    tests = {test.name: test for test in ExecutionResult(done.folder / output).suite.all_tests}
    assert {name: (test.status, test.message) for name, test in tests.items()} == {
        "Third Time": ("PASS", "Passed at try 3 of 3.\n\nTry 1: run 1\nTry 2: run 2"),
        "Never": ("FAIL", "Failed 2 of 2 tries. never"),
        "At Once": ("PASS", ""),
        "Skips": ("SKIP", "not here"),
        "Wrong Tag": (
            "FAIL",
            "The tag 'otto:retry=often' does not say how often to try again. Write a number, such as otto:retry=2.",
        ),
        "Untagged": ("FAIL", "once"),
    }
    assert done.rc == 3
    assert runs(tests["Third Time"]) == [("Try 1 of 3", "FAIL"), ("Try 2 of 3", "FAIL"), ("Try 3 of 3", "PASS")]
    assert all(block.setup.name == "Count" and block.teardown.name == "Log" for block in tests["Third Time"].body)
    assert "[ WARN ]" not in done.said


_LIMITED = """*** Settings ***
Library         OttoLibrary    lab=demo

*** Test Cases ***
Broken
    [Tags]    otto:limit=dut1 cpu max < 0
    Get Metric    dut1    cpu

Kept
    [Tags]    otto:limit=dut1 cpu max <= 100
    Get Metric    dut1    cpu
"""


def test_limits_are_judged_for_each_run(tmp_path: Path) -> None:
    metrics = ("--listener", "OttoLibrary.Metrics:interval=100ms:hosts=dut1:lab=demo")
    done = run(tmp_path, _LIMITED, *metrics, "--prerunmodifier", "OttoLibrary.Repeat:iterations=2")
    assert [status for _, status in runs(done.tests["Broken"])] == ["FAIL", "FAIL"], done.said
    assert done.tests["Broken"].message.startswith("0 of 2 passed (0 %), threshold 100 %")
    assert "must be < 0" in done.tests["Broken"].message
    assert done.tests["Kept"].message == "2 of 2 passed (100 %), threshold 100 %"


def test_a_limit_that_nobody_watches_passes_no_run(tmp_path: Path) -> None:
    suite = _LIMITED.replace("Get Metric    dut1    cpu", "No Operation")
    done = run(tmp_path, suite, "--prerunmodifier", "OttoLibrary.Repeat:iterations=2:threshold=1")
    assert [status for test in done.tests.values() for _, status in runs(test)] == ["FAIL"] * 4
    assert "no monitor is running" in done.tests["Kept"].message
