"""The listener ``OttoLibrary.Evidence`` and ``Get Artifact Directory``: whole runs, and what their logs link to."""

from __future__ import annotations

import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from robot.api import ExecutionResult

from tests.robot.running import PABOT, ROBOT, ROOT, Run, run

_RUNNERS = pytest.mark.parametrize("runner", [ROBOT, PABOT], ids=["robot", "pabot"])


def linked(done: Run) -> list[Path]:
    """Return the files and folders that the log links to, as a browser finds them beside it."""
    return [done.folder / urllib.parse.unquote(address) for address in re.findall(r'href="((?!file:)[^"]+)"', done.html)]


_SUITE = """*** Settings ***
Library         OttoLibrary    lab=lab.json
Library         OperatingSystem

*** Test Cases ***
Fails
    Run On Host    one    echo used
    Run On Host    none    echo used
    Check    False    <b>seen</b>

Passes
    Run On Host    one    echo used

Uses Nothing
    Fail    by itself

Fails Before It Is There
    Run On Host    away    true

Tried
    [Tags]    otto:retry=9
    Run On Host    two    false
"""


def write_lab(folder: Path) -> None:
    token = {"accounts": {"root": "hunter2hunter2"}}
    hosts: dict[str, Any] = {
        "one": {"evidence": [str(folder / "app.log"), {"command": "echo '<script>' hunter2hunter2", "name": "said"}]} | token,
        "two": {"evidence": [{"command": "echo two", "name": "said"}]},
        "none": {"evidence": None},
    }
    hosts = {name: {"transport": "local"} | facts for name, facts in hosts.items()}
    hosts["away"] = {"address": "nowhere.invalid", "user": "x", "evidence": ["/x"]}
    (folder / "lab.json").write_text(json.dumps({"hosts": hosts}))
    (folder / "app.log").write_text("it broke\npassword hunter2hunter2\n")


@_RUNNERS
def test_a_failed_test_keeps_what_its_hosts_have_to_say(tmp_path: Path, runner: tuple[str, ...]) -> None:
    write_lab(tmp_path)
    listener = "OttoLibrary.Evidence" if runner == ROBOT else str(ROOT / "listeners" / "evidence.py")
    done = run(tmp_path, _SUITE, "--listener", f"{listener}:timeout=5 s", runner=runner)
    assert done.rc == 4, done.said
    assert "[ WARN ]" not in done.said
    kept = {path.name: path.read_text() for path in linked(done) if "Fails-s1-t1" in str(path)}
    assert sorted(kept.values()) == ["<script> <secret>\n", "it broke\npassword <secret>\n"]
    tables = {test.name: str(test.to_dict()).count("Evidence<table") for test in done.suite.all_tests}
    assert tables == {"Fails": 1, "Passes": 0, "Uses Nothing": 0, "Fails Before It Is There": 1, "Tried": 3}
    assert "the address 'nowhere.invalid' is unknown" in done.html.replace("&#x27;", "'")
    assert "<script" not in done.html
    assert "hunter2" not in (done.folder / "output.xml").read_text()
    tries = [path for path in linked(done) if "Tried" in str(path)]
    assert [path.parts[-3] for path in tries] == ["try-1", "try-2", "try-3"]
    assert {path.read_text() for path in tries} == {"two\n"}


def test_a_wrong_word_fails_every_test_and_fetches_nothing(tmp_path: Path) -> None:
    write_lab(tmp_path)
    done = run(tmp_path, _SUITE, "--listener", "OttoLibrary.Evidence:max_siez=1 MB")
    assert "OttoLibrary.Evidence: No option of OttoLibrary.Evidence named 'max_siez'. Did you mean 'max_size'?" in done.said
    assert {test.status for test in done.suite.all_tests} == {"FAIL"}
    assert not (done.folder / "otto").exists()


def test_a_file_that_is_too_long_keeps_its_end(tmp_path: Path) -> None:
    write_lab(tmp_path)
    (tmp_path / "app.log").write_text("".join(f"line {number}\n" for number in range(1000)))
    done = run(tmp_path, _SUITE, "--listener", "OttoLibrary.Evidence:max_size=100 B:timeout=5 s", "--test", "Fails")
    [path] = [path for path in linked(done) if path.name.endswith("app.log")]
    assert path.read_text() == "".join(f"line {number}\n" for number in range(989, 1000))
    assert "the last 99 B of 8.7 KiB" in done.html


def test_hundreds_of_failed_runs_keep_the_evidence_of_a_few(tmp_path: Path) -> None:
    write_lab(tmp_path)
    repeat = ("--prerunmodifier", "OttoLibrary.Repeat:iterations=100")
    done = run(tmp_path, _SUITE, "--listener", "OttoLibrary.Evidence:timeout=5 s", *repeat, "--test", "Tried")
    assert [path.parts[-3] for path in linked(done)] == ["iteration-1", "iteration-2", "iteration-3"]
    blocks = done.tests["Tried"].body
    assert len(blocks) == 100
    assert [str(block.to_dict()).count("of the first 3 failed runs only") for block in blocks[:6]] == [0, 0, 0, 1, 0, 0]


# -- the folder


_LONG = "long-" * 60
_FOLDERS = f"""*** Settings ***
Library         OperatingSystem
Library         OttoLibrary    lab=demo
Library         OttoLibrary    AS    Other
Suite Setup     Leave Something    suite
Suite Teardown  Leave Something    suite

*** Test Cases ***
Ask
    Leave Something    one

Slashes / And ../.. Dots
    Leave Something    two

Naïve 日本語 <b> "quoted" & 100 %
    Leave Something    three

{_LONG}
    Leave Something    four

///
    Leave Something    five

Does Not Ask
    No Operation

*** Keywords ***
Leave Something
    [Arguments]    ${{text}}
    ${{folder}}=    OttoLibrary.Get Artifact Directory
    ${{again}}=    Other.Get Artifact Directory
    Should Be Equal    ${{folder}}    ${{again}}
    Append To File    ${{folder}}/note    ${{text}}
"""


@_RUNNERS
def test_each_test_that_asks_has_a_folder_of_its_own(tmp_path: Path, runner: tuple[str, ...]) -> None:
    done = run(tmp_path, _FOLDERS, runner=runner)
    assert done.rc == 0, done.said
    folders = list(dict.fromkeys(linked(done)))
    notes = {(folder / "note").read_text() for folder in folders}
    assert notes == {"suitesuite", "one", "two", "three", "four", "five"}
    assert len(folders) == 6
    ours = [folder for folder in done.folder.rglob("otto/*") if folder.is_dir()]
    assert sorted(ours) == sorted(folders)


def test_two_tests_of_one_name_and_two_runs_share_no_folder(tmp_path: Path) -> None:
    suite = "*** Settings ***\nLibrary    OttoLibrary    lab=demo\n\n*** Test Cases ***\nSame\n    Get Artifact Directory\n\n"
    suite += "same\n    Get Artifact Directory\n"
    seen = [path for _ in range(2) for path in linked(run(tmp_path, suite))]
    assert len(set(seen)) == 4
    assert all(path.is_dir() for path in seen)


def test_a_run_of_a_repeated_test_has_the_folder_of_its_test(tmp_path: Path) -> None:
    suite = "*** Settings ***\nLibrary    OttoLibrary    lab=demo\n\n*** Test Cases ***\nOne\n    Get Artifact Directory\n"
    done = run(tmp_path, suite, "--prerunmodifier", "OttoLibrary.Repeat:iterations=3")
    assert ExecutionResult(done.folder / "output.xml").suite.tests[0].passed
    assert len(linked(done)) == 3
    assert len(set(linked(done))) == 1
