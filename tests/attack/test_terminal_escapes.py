"""What a host prints never steers the terminal of the person who runs robot: no title, no clear, no clipboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.robot.running import Run, command, run

# Title, clear, clipboard, an 8-bit sequence, a bell, a line that overwrites itself, text that runs backwards.
TEXT = r"\033]0;owned\007\033[2J\033]52;c;b3duZWQ=\033\\\\\302\2332J\007good\rbad\342\200\256end"
SUITE = f"""*** Settings ***
Library     OttoLibrary    lab=lab.json

*** Variables ***
${{PRINT}}    printf '{TEXT.replace(chr(92), chr(92) * 2)}'

*** Test Cases ***
In An Error
    Run On Host    box    ${{PRINT}} >&2; false

In A Comparison
    ${{result}}=    Run On Host    box    ${{PRINT}}
    Should Be Equal    ${{result.stdout}}    x

In A Warning
    ${{result}}=    Run On Host    box    ${{PRINT}}
    Log    ${{result.stdout}}    WARN
    Log    ${{result.stdout}}    console=yes

In A Check
    ${{result}}=    Run On Host    box    ${{PRINT}}
    Check    $result.stdout == 'x'    it is ${{result.stdout}}

On A Console
    Send To Host    box    ${{PRINT}}\\n
    Expect From Host    box    never    timeout=500 ms

On Many Hosts
    Run On Hosts    box    ${{PRINT}} >&2; false
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("escapes")
    (folder / "lab.json").write_text(json.dumps({"hosts": {"box": {"transport": "local"}}}))
    return run(folder, SUITE, "--consolecolors", "off")


def test_the_attack_takes_place(ran: Run) -> None:
    assert {name: test.status for name, test in ran.tests.items()} == {
        "In An Error": "FAIL",
        "In A Comparison": "FAIL",
        "In A Warning": "PASS",
        "In A Check": "FAIL",
        "On A Console": "FAIL",
        "On Many Hosts": "FAIL",
    }
    assert r"\x1b]0;owned\x07" in ran.said


@pytest.mark.parametrize("control", ["\x1b", "\x07", "\x9b", "\u202e"], ids=ascii)
def test_no_control_character_reaches_the_console(ran: Run, control: str) -> None:
    assert control not in ran.said, [line for line in ran.said.splitlines() if control in line]


def test_the_answer_of_check_is_printable(tmp_path: Path) -> None:
    lab = {"hosts": {"box": {"transport": "local", "user": "nobody-\u202e\x1b]0;owned\x07"}}}
    (tmp_path / "lab.json").write_text(json.dumps(lab))
    _, said = command(tmp_path, "OttoLibrary", "check", "lab.json")
    assert "\x1b" not in said
