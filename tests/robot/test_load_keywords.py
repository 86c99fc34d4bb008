"""The keywords of load as a suite has them: what a load leaves, how one ends, and what is a mistake at once."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tests.robot.running import Run, run

_SECRET = "S3cretRoot99"
_LATER = "L4terLearnt77"
_HEAD = """*** Settings ***
Library     OttoLibrary    lab=lab.json
Library     users.py
"""
_USERS = """
import time

def hang():
    time.sleep(1000)

def burn_one():
    time.sleep(0.01)

def fail_with(text):
    raise ValueError(text)
"""


def fire(folder: Path, rest: str, *options: str) -> Run:
    host = {"transport": "local", "accounts": {"root": _SECRET}}
    (folder / "lab.json").write_text(json.dumps({"hosts": {"box": host}}))
    (folder / "users.py").write_text(_USERS)
    return run(folder, _HEAD + rest, *options)


def failures(found: Run) -> dict[str, str]:
    return {name: test.message for name, test in found.tests.items() if not test.passed}


def holding(folder: Path, secret: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_no_secret_is_in_what_a_load_leaves(tmp_path: Path) -> None:
    found = fire(
        tmp_path,
        f"""
*** Variables ***
${{KNOWN}}    {_SECRET}

*** Test Cases ***
Of A Command
    Get Hosts
    Start Load    command=echo ${{KNOWN}}; echo ${{KNOWN}} >&2; false    hosts=box    users=1    iterations=2
    Wait For Load

Of An Error
    Start Load    ${{KNOWN}}    keyword=Fail With    users=2    iterations=4
    Wait For Load

Of A User Keyword
    Start Load    keyword=Fail With It    users=1    iterations=2
    Wait For Load

*** Keywords ***
Fail With It
    Fail With    ${{KNOWN}}
""",
    )
    assert failures(found) == {}, found.said
    assert len(list((found.folder / "otto").glob("load-*/results.sqlite"))) == 3
    assert holding(found.folder, _SECRET) == []


def test_what_becomes_a_secret_while_a_load_fires_is_hidden_too(tmp_path: Path) -> None:
    found = fire(
        tmp_path,
        f"""
*** Test Cases ***
Learnt Later
    Start Load    {_LATER}    keyword=Fail With    users=1    duration=10 min    pacing=50 ms
    Wait Until Keyword Succeeds    10 s    100 ms    Get Load Statistic    errors    >    3
    Evaluate    __import__('OttoLibrary.masking').masking.process_masker().add('L4ter' + 'Learnt77')
    Stop Load
""",
    )
    assert failures(found) == {}, found.said
    assert holding(found.folder / "otto", _LATER) == []


def turrets_of(folder: Path) -> list[str]:
    """Return the processes that run in this folder, or whose results are in it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes()
            if (place / "cwd").resolve() == folder.resolve() and (b"turret" in words or b"hq_process" in words):
                found.append(words.replace(b"\0", b" ").decode())
    return found


def test_a_load_that_hangs_is_ended_by_force_with_its_test(tmp_path: Path) -> None:
    found = fire(
        tmp_path,
        """
*** Test Cases ***
Hangs
    Start Load    keyword=Hang    users=2    duration=1 s
    Fail    on purpose

Goes On
    Start Load    keyword=Burn One    users=1    iterations=3
    ${found}=    Wait For Load
    Should Be Equal    ${found.count}    ${3}

Hangs At The End
    Start Load    keyword=Hang    users=1    duration=10 min
    Fail    on purpose
""",
    )
    assert failures(found) == {"Hangs": "on purpose", "Hangs At The End": "on purpose"}, found.said
    assert found.said.count("was ended by force: its users hang in 'Hang'") == 2
    assert turrets_of(tmp_path) == []


def test_a_test_waits_only_for_a_load_of_its_own(tmp_path: Path) -> None:
    load = "Start Load    keyword=Burn One    users=1    iterations=3"
    found = fire(
        tmp_path,
        f"""
*** Test Cases ***
Has One
    {load}
    Wait For Load
    Stop Load

Waits For None
    Wait For Load

Stops None
    Stop Load
""",
    )
    said = "NotOpenError: No load was started in this test; the last one ended with the test or suite that started it."
    assert failures(found).keys() == {"Waits For None", "Stops None"}, found.said
    assert all(said.removeprefix("NotOpenError: ") in message for message in failures(found).values())


def test_a_load_of_the_setup_of_a_suite_serves_its_tests(tmp_path: Path) -> None:
    host = {"transport": "local"}
    (tmp_path / "lab.json").write_text(json.dumps({"hosts": {"box": host}}))
    (tmp_path / "users.py").write_text(_USERS)
    setup = "Suite Setup    Start Load    keyword=Burn One    users=1    duration=10 min\n"
    found = run(tmp_path, f"{_HEAD}{setup}\n*** Test Cases ***\nFirst\n    Get Load Statistic    count\nSecond\n    Stop Load\n")
    assert failures(found) == {}, found.said


def test_a_load_is_an_event_that_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    found = fire(
        tmp_path,
        """
*** Test Cases ***
Again And Again
    Add Scenario Event    load    load=Burn One    params=${{ {"users": "2"} }}    for=1 s    every=3 s
    &{found}=    Run Scenario    duration=5 s
    Should Be Equal    ${found.load.run}    ${2}

Once
    Add Scenario Event    load    load=Burn One    params=${{ {"users": "2"} }}    for=1 s
    Run Scenario    duration=2 s

Cannot Begin
    Add Scenario Event    load    load=Burn One    params=${{ {"users": "0"} }}    for=1 s
    Run Scenario    duration=2 s
""",
    )
    assert failures(found).keys() == {"Cannot Begin"}, found.said
    assert "There cannot be 0 users" in failures(found)["Cannot Begin"]
    assert "could not be undone" not in failures(found)["Cannot Begin"]


def test_mistakes_are_said_before_anything_fires(tmp_path: Path) -> None:
    found = fire(
        tmp_path,
        """
*** Test Cases ***
Too Many Arguments
    Start Load    1    2    keyword=Buy    users=1    iterations=1

Embedded Arguments
    Start Load    keyword=Buy A Book    users=1    iterations=1
    ${found}=    Wait For Load
    Should Be Equal    ${found.errors}    ${0}

Two Mistakes
    Start Load    keyword=Burn One    users=1    iterations=1
    Wait For Load
    Load Should Meet    p95<2s    p(95)<2    err_rate<1%

*** Keywords ***
Buy
    No Operation

Buy A ${thing}
    Should Be Equal    ${thing}    Book
""",
    )
    said = failures(found)
    assert said.keys() == {"Too Many Arguments", "Two Mistakes"}, found.said
    assert "The users cannot run 'Buy': Keyword 'Buy' expected 0 arguments, got 2." in said["Too Many Arguments"]
    assert "2 limits cannot be understood" in said["Two Mistakes"]
    assert "Write 2ms or 2s" in said["Two Mistakes"]
    assert "err_rate" in said["Two Mistakes"]


def test_a_load_that_did_nothing_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1000)\n")
    tests = """*** Test Cases ***
By Keywords
    Start Load    script=${CURDIR}/slow.py    users=1    duration=1 s
    Wait For Load

By An Event
    Add Scenario Event    ld    load=${CURDIR}/slow.py    for=2 s    params=${{dict(users=1)}}
    Run Scenario    duration=4 s
"""
    messages = failures(fire(tmp_path, tests))
    assert messages.keys() == {"By Keywords", "By An Event"}
    assert messages["By Keywords"].startswith("The load did nothing, not once. Turret 'turret 1' is lost")
    assert "The load did nothing, not once." in messages["By An Event"]


def test_what_locust_cannot_do_is_said_before_anything_fires(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    found = fire(
        tmp_path,
        f"""
*** Test Cases ***
No File
    Start Load    locust=none.py    users=1    duration=1 s

No Rate
    Start Load    locust=shop.py    rate=5/s    duration=1 s

No Pause
    Start Load    locust=shop.py    users=1    pacing=1 s    duration=1 s

No Robot
    Start Load    keyword=Buy    engine=locust    users=1    duration=1 s

No Locust
    Start Load    keyword=Burn One    engine=locust    users=1    duration=1 s    locust_python={python}

*** Keywords ***
Buy
    No Operation
""",
    )
    said = failures(found)
    assert said.keys() == {"No File", "No Rate", "No Pause", "No Robot", "No Locust"}, found.said
    assert said["No File"].startswith("There is no locust file")
    assert said["No Rate"].startswith("Locust has no 'rate'")
    assert said["No Pause"].startswith("A locust file says itself")
    assert said["No Robot"].startswith("'Buy' needs Robot Framework, which Locust does not run.")
    assert f"Install it with: {python} -m pip install 'locust'" in said["No Locust"]


def test_a_load_that_nobody_waited_for_has_a_report(tmp_path: Path) -> None:
    found = fire(
        tmp_path,
        """
*** Test Cases ***
Interrupted
    Start Load    keyword=Burn One    users=2    duration=10 min
    Wait Until Keyword Succeeds    10 s    100 ms    Get Load Statistic    count    >    3
    Fatal Error    as Ctrl-C does
""",
    )
    assert failures(found) == {"Interrupted": "as Ctrl-C does"}, found.said
    assert "Distribution" in (found.folder / "otto" / "load-1" / "report.html").read_text()
