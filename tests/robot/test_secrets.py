"""Secrets show nowhere: not in log, report, output, console, errors or files, in no common spelling."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

_LAB = "s3cr3t/Pa55&word"
_ENVIRONMENT = "tok-en-78#9"
_ROBOT = "r0bot's own"
_SUITE = """*** Settings ***
Library     OttoLibrary    lab=secret.json

*** Variables ***
${TYPED: Secret}    %{ROBOT_SECRET}

*** Test Cases ***
Said By The Host
    Run On Host    box    echo "$TOKEN"; printf %s '${PLAIN}'; printf %s '${PLAIN}' | base64
    Run Once On Host    box    echo "$TOKEN" >&2
    Run On Host    box    for i in $(seq 2000); do echo "$TOKEN"; done

In An Argument And An Error
    Run On Host    box    ls '/${PLAIN}'

On The Console
    Send To Host    box    stty -echo\\n
    Send To Host    box    ${TYPED}
    Send To Host    box    \\n
    Expect From Host    box    never    timeout=200 ms

In A Fan Out
    Run On Hosts    box    echo "$TOKEN"; false

In Robot's Own Log
    Log    ${PLAIN}    WARN
    Fail    ${PLAIN}

In The Process List
    ${r}=    Run On Host    box    ps -eo args
    Run Once On Host    box    ps -eo args
    Should Contain    ${r.stdout}    bash
    Should Not Contain    ${r.stdout}    ${TOKEN}
"""


def test_no_secret_in_anything_a_run_leaves(tmp_path: Path) -> None:
    host = {
        "transport": "local",
        "accounts": {"root": _LAB},
        "environment": {"TOKEN": "${env:OTTO_TEST_TOKEN}"},
    }
    (tmp_path / "secret.json").write_text(json.dumps({"hosts": {"box": host}}))
    (tmp_path / "secret.robot").write_text(_SUITE)
    command = [sys.executable, "-m", "robot", "--loglevel", "TRACE", "--outputdir", str(tmp_path / "out")]
    # --variable would put the value into output.xml's own command line; a variable file is how people do it.
    (tmp_path / "plain.py").write_text(f"PLAIN = {_LAB!r}\nTOKEN = {_ENVIRONMENT!r}\n")
    command += ["--variablefile", str(tmp_path / "plain.py"), str(tmp_path / "secret.robot")]
    environment = {**os.environ, "OTTO_TEST_TOKEN": _ENVIRONMENT, "ROBOT_SECRET": _ROBOT}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    left = {"console": done.stdout, "stderr": done.stderr}
    left |= {str(path.relative_to(tmp_path)): path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert any(name.startswith("out/otto/") for name in left), "no long output was kept"
    shown = [
        f"{name}: ...{text[max(0, text.index(spelling) - 200) : text.index(spelling) + 60]!r}"
        for name, text in left.items()
        for secret in (_LAB, _ENVIRONMENT, _ROBOT)
        for spelling in (secret, base64.b64encode(secret.encode()).decode())
        if spelling in text
    ]
    assert not shown, "\n".join(shown)
    assert "&lt;secret&gt;" in left["out/output.xml"]
