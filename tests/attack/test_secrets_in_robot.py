"""What Robot Framework writes by itself shows no secret: loops, groups, tags, metadata, cut values, consoles."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SECRETS = {
    "LAB_PASSWORD": "l4b-Pa55word/x",
    "TYPED": "vq7-tYxRob9",
    "MADE": "mWd5-kZqVar1",
    "SET": "sEt6-yBnSui3",
    "UNUSED": "uNs3-hGfLab2",
    "IMPORTED": "iMp8-wTzYcs6",
    "METRIC": "qXj8-pLmEnv4",
}
PLAIN = """
LAB_PASSWORD = "l4b-Pa55word/x"
UNUSED = "uNs3-hGfLab2"
METRIC = "qXj8-pLmEnv4"
LONG = "x" * 190 + "l4b-Pa55word/x" + "y" * 300
MANY = "\\n".join(["line"] * 30 + ["z" * 70 + "l4b-Pa55word/x" + "z" * 70] + ["line"] * 30)
"""
SUITE = """*** Settings ***
Library           OttoLibrary    lab=lab.json
Documentation     Suite with ${TYPED.value}
Metadata          Key    ${LAB_PASSWORD}
Suite Setup       Log    the typed one is ${TYPED.value}
Test Tags         tag-${LAB_PASSWORD}

*** Variables ***
${TYPED: Secret}    %{TYPED}

*** Test Cases ***
Learn The Lab
    Get Host    used

A Loop
    FOR    ${item}    IN    ${LAB_PASSWORD}    ${LONG}
        No Operation
    END
    WHILE    '${LAB_PASSWORD}' != ''    limit=1    on_limit=pass    on_limit_message=${LAB_PASSWORD}
        No Operation
    END

A Group
    GROUP    for ${LAB_PASSWORD}
        No Operation
    END

Tags And Documentation
    [Documentation]    About ${LAB_PASSWORD}
    [Tags]    own-${LAB_PASSWORD}
    Set Tags    later-${LAB_PASSWORD}
    Set Test Documentation    Now ${LAB_PASSWORD}
    Set Test Message    It says ${LAB_PASSWORD}
    Set Suite Metadata    Later    ${LAB_PASSWORD}
    Set Suite Metadata    Top    ${LAB_PASSWORD}    top=yes

Cut By Robot
    ${copy}=    Set Variable    ${LONG}
    Set Test Variable    ${other}    ${LONG}
    Run Keyword And Expect Error    *    Fail    ${MANY}

Made By Var
    VAR    ${made: Secret}    %{MADE}
    Set Suite Variable    ${set}    ${{ __import__('robot.api.types').api.types.Secret(os.environ['SET']) }}
    Log    set: ${set.value}
    Log    ${made.value}
    Log    ${made.value}    WARN
    ${again}=    Set Variable    ${made}
    Log    ${again.value}

Of A Host That Nobody Used
    Log    ${UNUSED} and ${METRIC}

A Check
    Run Keyword And Expect Error    *    Checked

Skipped
    Skip    because of ${LAB_PASSWORD}

Failed
    Fail    because of ${LAB_PASSWORD}

On The Page And In The Recording
    Mark Monitor Event    begins with ${LAB_PASSWORD}
    Start Monitor Span    span ${LAB_PASSWORD}
    End Monitor Span    span ${LAB_PASSWORD}
    Log Metrics

Imported
    Import Variables    ${CURDIR}/later.py
    Log    ${IMPORTED.value}

Embedded
    Log In With "${LAB_PASSWORD}"
    Run Keyword If    '${LAB_PASSWORD}' == ''    Fail    ELSE    Log    ${LAB_PASSWORD}
    TRY
        Fail    ${LAB_PASSWORD}
    EXCEPT    ${LAB_PASSWORD}    AS    ${error}
        Log    ${error}
    END
    ${returned}=    Return It

*** Keywords ***
Log In With "${password}"
    [Documentation]    With ${password}.
    [Tags]    kw-${password}
    No Operation

Return It
    RETURN    ${LAB_PASSWORD}

Checked
    Check    ${{$LONG + 'x' == 1}}    ${LONG}
    Fail    over
"""
# Somebody's listener, which hears what Robot Framework writes.
SPY = """
from pathlib import Path

ROBOT_LISTENER_API_VERSION = 3
heard = Path("out/spy.txt").open("w", buffering=1)

def _hear(data, result):
    texts = ("name", "doc", "message", "tags", "args", "assign", "values", "value", "condition", "metadata")
    print(*(getattr(result, text, "") for text in texts), file=heard)

start_suite = end_suite = start_test = end_test = start_body_item = end_body_item = _hear
start_keyword = end_keyword = start_for_iteration = end_for_iteration = _hear

def log_message(message):
    print(message.message, file=heard)

message = log_message
"""
LAB = {
    "hosts": {
        "used": {"transport": "local", "accounts": {"root": "l4b-Pa55word/x"}},
        "unused": {"transport": "ssh", "address": "192.0.2.1", "password": "uNs3-hGfLab2"},
        "watched": {
            "transport": "local",
            "metrics": {"queue": {"command": "echo ${env:METRIC}; echo 1"}},
            "evidence": [{"command": "curl -u ${env:METRIC}"}],
        },
    }
}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run left: its console and its files, by name."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "lab.json").write_text(json.dumps(LAB))
    (folder / "plain.py").write_text(PLAIN)
    (folder / "inner").mkdir()
    (folder / "inner" / "later.py").write_text(
        "import os\nfrom robot.api.types import Secret\nIMPORTED = Secret(os.environ['IMPORTED'])\n"
    )
    (folder / "inner" / "robot.robot").write_text(SUITE)
    (folder / "spy.py").write_text(SPY)
    (folder / "out").mkdir()
    command = [sys.executable, "-m", "robot", "--loglevel", "TRACE", "--outputdir", "out", "--debugfile", "debug.txt"]
    command += ["--listener", "spy.py", "--listener", "OttoLibrary.Metrics:hosts=watched:interval=1s:lab=lab.json"]
    command += ["--variablefile", "plain.py", "--xunit", "x.xml", "--name", "Top", "inner"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **SECRETS}, capture_output=True, text=True, timeout=120, check=False
    )
    assert "13 tests" in done.stdout, done.stdout + done.stderr
    found = [path for path in (folder / "out").rglob("*") if path.is_file()]
    files = {str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "replace") for path in found}
    return {"console": done.stdout, "stderr": done.stderr, **files}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_shows(left: dict[str, str], name: str) -> None:
    secret = SECRETS[name]
    pieces = {secret, *(secret[:length] for length in range(5, len(secret))), secret[5:]}
    shown = [
        f"{file}: ...{text[max(0, text.index(piece) - 150) : text.index(piece) + 60]!r}"
        for file, text in left.items()
        for piece in sorted(pieces)
        if piece in text
    ]
    assert not shown, "\n".join(shown)


def test_what_is_hidden_is_marked(left: dict[str, str]) -> None:
    for sentence in ("own-{}", "for {}", "because of {}", "Now {}", "It says {}", "tag-{}"):
        assert sentence.format("&lt;secret&gt;") in left["out/output.xml"]


def test_listeners_and_recordings_were_looked_at(left: dict[str, str]) -> None:
    assert "for <secret>" in left["out/spy.txt"]
    assert "begins with <secret>" in left["out/otto/metrics.db"]
