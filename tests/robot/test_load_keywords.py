"""The keywords of load as a suite has them: what a load leaves, how one ends, and what is a mistake at once."""

from __future__ import annotations

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
