"""A guard that would guard nothing fails the tests before the first of them begins, and says what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robot.running import PABOT, ROBOT, run

_SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo
Suite Setup    Prepare

*** Variables ***
${LIMIT}    otto:limit=dut1 cpu max < 100.5

*** Test Cases ***
First
    Create File    touched

Guarded
    [Tags]    TAG
    Create File    touched

*** Keywords ***
Prepare
    Set Suite Variable    ${LATER}    otto:limit=tag:dutt cpu p95 < 1

Create File
    [Arguments]    ${name}
    Evaluate    open(r'${EXECDIR}/${name}', 'w').close()
"""
_METRICS = ("--listener", "OttoLibrary.Metrics:lab=demo:interval=100ms:hosts=dut1")
_MISTAKES = [
    ("otto:limit=tag:dutt cpu p95 < 1", "No host of the lab is selected by 'tag:dutt'. Did you mean 'tag:dut'?"),
    ("otto:limit=dut9 cpu p95 < 1", "No host named 'dut9'. Did you mean 'dut"),
    ("otto:limit=dut1 temprature max < 1", "No metric named 'temprature'. Did you mean 'temperature'?"),
    ("otto:limit=dut1 cpu max < 90 MB", "'90 MB' is not a value to compare with. Write a number in %, or one with its unit."),
    ("otto:limits=dut1 cpu p95 < 1", "No tag named 'otto:limits'. Did you mean 'otto:limit'? Known: otto:limit, otto:retry."),
    ("Otto: Limts=dut1 cpu p95 < 1", "No tag named 'Otto: Limts'."),
    ("otto:retries=2", "No tag named 'otto:retries'. Did you mean 'otto:retry'?"),
    ("${LATER}", "No host of the lab is selected by 'tag:dutt'. Did you mean 'tag:dut'?"),
]
_WRONG_VALUES = [
    ("otto:retry=twice", "does not say how often to try again"),
    ("otto:limit", "The tag 'otto:limit' states no limit. Write otto:limit=HOSTS METRIC STATISTIC < VALUE"),
    ("otto:limit=dut1 cpu max => 90", "states no limit."),
    ("otto:limit=dut1 cpu p96 < 90", "No statistic named 'p96'. Did you mean 'p9"),
    ("otto:limit=dut1 cpu max < ninety", "compares with 'ninety', which is no number."),
]


@pytest.mark.parametrize("options", [(), _METRICS], ids=["plain", "listener"])
@pytest.mark.parametrize(("tag", "sentence"), _MISTAKES)
def test_a_wrong_tag_fails_every_test_before_the_first(tmp_path: Path, tag: str, sentence: str, options: tuple[str, ...]) -> None:
    ran = run(tmp_path, _SUITE.replace("TAG", tag), *options)
    assert ran.rc == 2, ran.said
    for test in ran.tests.values():
        assert test.message.startswith("Test 'Guarded': ")
        assert sentence in test.message
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(("tag", "sentence"), [*_MISTAKES[:3], *_WRONG_VALUES[1:]])
def test_a_wrong_tag_of_a_suite_without_the_library_is_found_by_the_listener(tmp_path: Path, tag: str, sentence: str) -> None:
    suite = f"*** Test Cases ***\nGuarded\n    [Tags]    {tag}\n    No Operation\n"
    ran = run(tmp_path, suite, *_METRICS)
    assert ran.rc == 1
    assert sentence in ran.tests["Guarded"].message


@pytest.mark.parametrize(("tag", "sentence"), _WRONG_VALUES)
def test_a_wrong_value_fails_its_test_before_it_begins(tmp_path: Path, tag: str, sentence: str) -> None:
    ran = run(tmp_path, _SUITE.replace("TAG", tag).replace("First\n    Create File    touched", "First\n    No Operation"))
    assert ran.tests["First"].passed
    assert ran.tests["Guarded"].failed
    assert sentence in ran.tests["Guarded"].message
    assert not (tmp_path / "touched").exists()


def test_a_right_one_in_another_spelling_and_in_a_variable_guards(tmp_path: Path) -> None:
    suite = "*** Variables ***\n${HOST}    dut1\n" + "*** Test Cases ***\n"
    for name, tag in (("Good", "OTTO:Limit=${HOST} cpu min < 101 %"), ("Bad", "otto:_limit=dut1 cpu min < -1")):
        suite += f"{name}\n    [Tags]    {tag}\n    Sleep    1 s\n"
    ran = run(tmp_path, suite, *_METRICS)
    assert {name: test.status for name, test in ran.tests.items()} == {"Good": "PASS", "Bad": "FAIL"}
    assert "must be < -1 %" in ran.tests["Bad"].message


def test_a_dry_run_finds_a_wrong_tag(tmp_path: Path) -> None:
    ran = run(tmp_path, _SUITE.replace("TAG", "otto:limits=dut1 cpu p95 < 1"), "--dryrun")
    assert ran.rc == 2
    assert "No tag named 'otto:limits'" in ran.tests["First"].message


def test_a_limit_on_a_metric_that_nobody_reads_fails_its_test(tmp_path: Path) -> None:
    suite = _SUITE.replace("TAG", "otto:limit=dut1 frames max < 1")
    ran = run(tmp_path, suite, *_METRICS)
    told = "The tag 'otto:limit=dut1 frames max < 1' guards nothing: No metric or series named 'frames'."
    assert ran.tests["Guarded"].message.startswith(told)
    ran = run(tmp_path, _SUITE.replace("TAG", "otto:limit=dut1 cpu max < 1"))
    assert "states a limit, and no monitor is running." in ran.tests["Guarded"].message


def test_a_tag_that_the_test_sets_itself_fails_it_at_its_end(tmp_path: Path) -> None:
    ran = run(tmp_path, _SUITE.replace("[Tags]    TAG", "Set Tags    otto:limits=dut1 cpu p95 < 1"))
    assert ran.tests["First"].passed
    assert ran.tests["Guarded"].message.startswith("No tag named 'otto:limits'.")


def test_a_tag_of_a_keyword_guards_nothing(tmp_path: Path) -> None:
    suite = _SUITE.replace("[Tags]    TAG", "Comment")
    suite = suite.replace("    [Arguments]", "    [Tags]    otto:limit=dut1 cpu p95 < 1\n    [Arguments]")
    ran = run(tmp_path, suite)
    assert ran.rc == 2
    assert "which guards tests only. Give it to the test." in ran.tests["First"].message


@pytest.mark.parametrize("runner", [ROBOT, PABOT], ids=["robot", "pabot"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--listener OttoLibrary.Metrics:interval=1s:hostss=tag:dut", "'hostss'. Did you mean 'hosts'?"),
        ("--listener OttoLibrary.Metrics:hosts=tag:dut:intervall=1s", "'intervall'. Did you mean 'interval'?"),
        ("--listener OttoLibrary.Metrics:hosts=tag:dutt", "Did you mean 'tag:dut'?"),
        ("--listener OttoLibrary.Metrics:hosts=dut1:hosts=dut2", "has the option 'hosts' twice"),
        ("--listener OttoLibrary.Evidence:timeot=1s", "'timeot'. Did you mean 'timeout'?"),
        ("--prerunmodifier OttoLibrary.EachHost:tag:dutt", "Did you mean 'tag:dut'?"),
        ("--prerunmodifier OttoLibrary.EachHost:tag:dut:labb=demo", "'labb'. Did you mean 'lab'?"),
        ("--prerunmodifier OttoLibrary.Repeat:iterations=2:threshold=0.9", "Did you mean 'threshold=90'? If not, write '0.9%'."),
    ],
)
def test_a_wrong_option_fails_every_test(tmp_path: Path, options: str, sentence: str, runner: tuple[str, ...]) -> None:
    suite = _SUITE.replace("    [Tags]    TAG\n", "")
    ran = run(tmp_path, suite, "--variable", "LAB:demo", *options.split(" "), runner=runner)
    assert ran.rc == 2, ran.said
    assert {name for name, test in ran.tests.items() if sentence in test.message} == {"First", "Guarded"}
    assert not (tmp_path / "touched").exists()
