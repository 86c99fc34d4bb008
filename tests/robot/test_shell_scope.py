"""How long a shell's state lasts: as long as the suite, or the test, that opened the shell, or as the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robot.running import run_files

_SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo{options}

*** Test Cases ***
{name} Begins
    ${{result}}=    Run On Host    local    echo "$PWD $MARK"
    Run On Host    local    cd /usr; MARK={name}
    Set Test Message    ${{result.stdout}}
    Send To Host    local    cd /usr; WORD={name}\\n

{name} Continues
    ${{result}}=    Run On Host    local    echo "$PWD $MARK"
    Send To Host    local    echo "<$WORD>"\\n
    ${{match}}=    Expect From Host    local    \\n<(\\\\w*)>
    Set Test Message    ${{result.stdout}} ${{match.groups}}[0]
"""
_PARENT = """*** Settings ***
Library         OttoLibrary    lab=demo{options}
Suite Setup     Run On Host    local    cd /etc; MARK=parent
"""


def _write(folder: Path, options: str = "", *, parent: bool = False) -> None:
    suites = folder / "suites"
    suites.mkdir()
    for name in ("one", "two"):
        (suites / f"{name}.robot").write_text(_SUITE.format(name=name, options=options))
    if parent:
        (suites / "__init__.robot").write_text(_PARENT.format(options=options))


def _messages(folder: Path) -> dict[str, str]:
    done = run_files(folder, "suites")
    assert done.rc == 0, done.said
    home = next(test.message.split()[0] for test in done.tests.values())
    return {name: " ".join(test.message.split()).replace(home, "~") for name, test in done.tests.items()}


def test_a_shell_ends_with_the_suite_that_opened_it(tmp_path: Path) -> None:
    _write(tmp_path)
    assert _messages(tmp_path) == {
        "one Begins": "~",
        "one Continues": "/usr one one",
        "two Begins": "~",
        "two Continues": "/usr two two",
    }


def test_the_log_says_when_a_shell_is_new(tmp_path: Path) -> None:
    _write(tmp_path)
    assert run_files(tmp_path, "suites").html.count("Its shell ended with the scope that had opened it; this is a new one.") == 1


def test_a_shell_that_the_parent_s_setup_opened_serves_its_suites(tmp_path: Path) -> None:
    _write(tmp_path, parent=True)
    assert _messages(tmp_path) == {
        "one Begins": "~ parent",
        "one Continues": "/usr one one",
        # The shell is the parent's, the console was the first suite's.
        "two Begins": "/usr one",
        "two Continues": "/usr two two",
    }


@pytest.mark.parametrize(
    ("scope", "continues", "begins"), [("test", "~", "~"), ("run", "/usr one one", "/usr one")], ids=["test", "run"]
)
def test_the_scope_is_chosen_at_the_import(tmp_path: Path, scope: str, continues: str, begins: str) -> None:
    _write(tmp_path, f"    shell_scope={scope}")
    messages = _messages(tmp_path)
    assert messages["one Continues"] == continues
    assert messages["two Begins"] == begins


def test_another_scope_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "    shell_scope=sweet")
    said = run_files(tmp_path, "suites").said
    assert "shell_scope=sweet is not known. Use one of suite, test, run." in said
    assert "Traceback" not in said


_GIVEN_UP = """*** Settings ***
Library     OttoLibrary    lab=demo

*** Test Cases ***
Is Given Up
    [Timeout]    1 s
    Run On Host    local    trap '' INT TERM; while :; do :; done

Has A New Shell
    ${result}=    Run On Host    local    echo fine
    Should Be Equal    ${result.stdout}    fine\\n
"""


def test_a_time_out_of_robot_that_ends_the_shell_is_no_lost_connection(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "given_up.robot").write_text(_GIVEN_UP.replace("\\\\n", "\\n"))
    tests = run_files(tmp_path, "suites").tests
    assert "timeout" in tests["Is Given Up"].message
    assert tests["Has A New Shell"].passed, tests["Has A New Shell"].message
