"""``Check``: where it stands, and what the test says at its end."""

from __future__ import annotations

from pathlib import Path

from tests.robot.running import run

_SUITE = """*** Settings ***
Library         OttoLibrary    lab=demo
Resource        shared.resource

*** Test Cases ***
Holds
    ${held}=    Check    1 < 2
    Should Be Equal    ${held}    ${True}

Goes On
    VAR    ${depth}    ${3}
    ${held}=    Check    $depth == 0    the queue is not empty
    Should Be Equal    ${held}    ${False}
    Check    ${{ [] }}    nothing
    Check Twice
    FOR    ${number}    IN    1    2
        Check    ${number} < 2
    END
    IF    ${True}    Check    False    in a branch
    Run Keyword    Check    ${None}    run by another
    Log    the end
    [Teardown]    Check    False    in the teardown

Fails Anyway
    Check    False    a < b
    Fail    *HTML* <i>my own words</i>

Skipped
    Check    False    seen before
    Skip    not today

Not An Expression
    Check    no such thing
    Log    never

Shows No Secret
    VAR    ${sent}    hunter2hunter2
    Check    $sent == ''    it is there

Is Clean Again
    No Operation
"""
_SHARED = """*** Settings ***
Documentation    Checks that are shared.

*** Keywords ***
Check Twice
    Check    1 > 2    first
    Check    1 > 3    second
"""
_GOES_ON = """8 checks failed:
  suite.robot:12: the queue is not empty: $depth == 0 ($depth is 3)
  suite.robot:14: nothing: ${{ [] }} is []
  shared.resource:6: first: 1 > 2
  shared.resource:7: second: 1 > 3
  suite.robot:17: It does not hold: 2 < 2
  suite.robot:19: in a branch: False
  suite.robot:20: run by another: ${None} is None
  suite.robot:22: in the teardown: False"""
_MESSAGES = {
    "Holds": ("PASS", ""),
    "Goes On": ("FAIL", _GOES_ON),
    "Fails Anyway": ("FAIL", "*HTML* <i>my own words</i>\n\n1 check failed:\n  suite.robot:25: a &lt; b: False"),
    "Skipped": ("SKIP", "not today\n\n1 check failed:\n  suite.robot:29: seen before: False"),
    "Not An Expression": (
        "FAIL",
        "Evaluating expression 'no such thing' failed: SyntaxError: invalid syntax (<string>, line 1)",
    ),
    "Shows No Secret": ("FAIL", "1 check failed:\n  suite.robot:38: it is there: $sent == '' ($sent is '<secret>')"),
    "Is Clean Again": ("PASS", ""),
}


def test_all_failed_checks_are_in_the_message_of_their_test(tmp_path: Path) -> None:
    (tmp_path / "shared.resource").write_text(_SHARED)
    done = run(tmp_path, _SUITE, "--variable", "PIN: Secret:hunter2hunter2")
    assert {name: (test.status, test.message) for name, test in done.tests.items()} == _MESSAGES, done.said
    goes_on = done.tests["Goes On"]
    assert all(item.status == "PASS" for item in goes_on.body), "the test did not go on"
    said = goes_on.body[1].body[0]
    assert (said.level, said.message) == ("FAIL", "the queue is not empty: $depth == 0 ($depth is 3)")


_IN_SUITES = """*** Settings ***
Library             OttoLibrary    lab=demo
Suite {}    Look Around

*** Test Cases ***
One
    Log    x

*** Keywords ***
Look Around
    Check    1 > 2    no lab
    Log    the end
"""


def test_checks_in_the_set_up_of_a_suite_fail_it_when_it_is_over(tmp_path: Path) -> None:
    done = run(tmp_path, _IN_SUITES.format("Setup"))
    said = "1 check failed:\n  suite.robot:11: no lab: 1 > 2"
    assert done.tests["One"].message == f"Parent suite setup failed:\n{said}"
    assert not done.tests["One"].body
    assert [step.status for step in done.suite.setup.body] == ["PASS", "PASS"]


def test_checks_in_the_teardown_of_a_suite_fail_it_too(tmp_path: Path) -> None:
    done = run(tmp_path, _IN_SUITES.format("Teardown"))
    assert done.rc == 1
    assert done.tests["One"].message == "Parent suite teardown failed:\n1 check failed:\n  suite.robot:11: no lab: 1 > 2"
