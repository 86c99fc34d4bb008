"""A disk without room beside the log fails no command that passed: it is a warning."""

from __future__ import annotations

from pathlib import Path

from tests.robot.running import run

SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo

*** Test Cases ***
Long Output
    ${result}=    Run On Host    gateway    seq 9000
    Should Contain    ${result.stdout}    8999

Console
    Send To Host    gateway    echo $((6*7))\\n
    Expect From Host    gateway    ^42

Many Hosts
    Run On Hosts    gateway    seq 9000
"""


def test_no_room_beside_the_log_fails_no_command(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    # In the place of the folder for what is kept: nothing can be written below it, whoever runs this.
    (tmp_path / "results" / "otto").write_text("")
    ran = run(tmp_path, SUITE)
    assert {name: test.status for name, test in ran.tests.items()} == dict.fromkeys(ran.tests, "PASS"), ran.said
    assert "Long output is not kept beside the log: " in ran.said
