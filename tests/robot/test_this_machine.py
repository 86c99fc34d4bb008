"""A machine that is short of something, or set up oddly: a result, or one sentence that says what is in the way here."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.disk import small_disk
from tests.robot.running import begin, run, surroundings

_MIB = 1 << 20
_EVERY_DAY = """*** Settings ***
Library    OttoLibrary    lab=lab.json

*** Test Cases ***
Command
    ${result}=    Run On Host    box1    printf 'gr\\\\303\\\\274n %s' "$LC_ALL"
    Should Start With    ${result.stdout}    grün
    Should Be Empty    ${result.stderr}

File
    Write Host File    box1    ${CURDIR}/plain.txt    grün
    ${text}=    Read Host File    box1    ${CURDIR}/plain.txt
    Should Be Equal    ${text}    grün
    Get File From Host    box1    ${CURDIR}/plain.txt    ${CURDIR}/got.txt

Name
    Write Host File    box1    ${CURDIR}/grün.txt    yes
    ${text}=    Read Host File    box1    ${CURDIR}/grün.txt
    Should Be Equal    ${text}    yes

Console
    Send To Host    box1    echo h''i\\n
    Expect From Host    box1    hi
    Run On Hosts    *    echo hello

Monitor
    Start Monitor    box1    metrics=cpu    interval=100 ms
    Wait Until Keyword Succeeds    10 s    50 ms    Get Metric    box1    cpu    last
    Stop Monitor
"""


@pytest.fixture(autouse=True)
def lab(tmp_path: Path) -> None:
    hosts = {f"box{number}": {"transport": "local"} for number in range(1, 13)}
    (tmp_path / "lab.json").write_text(json.dumps({"hosts": hosts}))


@pytest.mark.parametrize(
    "surroundings_here",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "xx_YY.nowhere", "LC_ALL": "xx_YY.nowhere"},
        {"HOME": "/sys"},
        {"HOME": "/dev/null/none"},
    ],
    ids=["plain C", "unknown locale", "home that cannot be written", "no home"],
)
def test_every_day_work_needs_no_locale_and_no_home(tmp_path: Path, surroundings_here: dict[str, str]) -> None:
    done = run(tmp_path, _EVERY_DAY, **surroundings_here)
    assert done.rc == 0, done.said


def test_a_locale_that_cannot_write_a_name_is_said_to_be_in_the_way(tmp_path: Path) -> None:
    done = run(tmp_path, _EVERY_DAY, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="utf-8")
    failed = {name: test.message for name, test in done.tests.items() if not test.passed}
    assert list(failed) == ["Name"], done.said
    assert "in the locale of this run, so set LC_ALL=C.UTF-8" in failed["Name"]


def test_few_descriptors_are_said_to_be_in_the_way(tmp_path: Path) -> None:
    suite = """*** Settings ***
Library    OttoLibrary    lab=lab.json

*** Test Cases ***
All At Once
    Run On Host    box1    echo first
    &{all}=    Run On Hosts    *    echo hello    limit=12    on_error=return
    FOR    ${outcome}    IN    @{all.values()}
        Log To Console    ${outcome}
    END

The One That Is Open
    Run On Host    box1    echo hello
"""
    done = _run_under(tmp_path, suite, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
    assert "failed: Too many open files in this process, which may have 24 (see 'ulimit -n')." in done
    assert "2 tests, 2 passed, 0 failed" in done


def test_a_full_disk_is_said_to_be_here(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(2 * _MIB))
    with small_disk(512) as disk:
        suite = f"""*** Settings ***
Library    OttoLibrary    lab=lab.json

*** Test Cases ***
Fetch
    Get File From Host    box1    {tmp_path}/large    {disk}/large

Fetch Folder
    Create Host Directory    box1    {tmp_path}/folder
    Run On Host    box1    cp {tmp_path}/large {tmp_path}/folder
    Get Directory From Host    box1    {tmp_path}/folder    {disk}/folder

Long Output
    ${{result}}=    Run On Host    box1    head -c {2 * _MIB} /dev/zero | tr '\\\\0' x
    Length Should Be    ${{result.stdout}}    {2 * _MIB}
"""
        done = run(tmp_path, suite, TMPDIR=str(disk))
        left = [path.name for path in disk.iterdir()]
    told = {name: test.message for name, test in done.tests.items()}
    assert told["Fetch"].endswith("No space left on device on this machine.")
    assert "free on this machine" in told["Fetch Folder"]
    assert done.tests["Long Output"].passed, told
    assert left == []


def test_a_file_that_may_not_grow_is_said_to_be_here(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(2 * _MIB))
    suite = f"""*** Settings ***
Library    OttoLibrary    lab=lab.json

*** Test Cases ***
Fetch
    Get File From Host    box1    {tmp_path}/large    {tmp_path}/copy
"""
    done = _run_under(tmp_path, suite, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_MIB, _MIB)))
    assert "File too large on this machine (see 'ulimit -f')." in done
    assert not (tmp_path / "copy").exists()


def test_a_name_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("small")
    long = "x" * 300
    suite = f"""*** Settings ***
Library    OttoLibrary    lab=lab.json

*** Test Cases ***
File
    Get File From Host    box1    {tmp_path}/small    {tmp_path}/{long}

Folder
    Get Directory From Host    box1    {tmp_path}/results    {tmp_path}/{long}
"""
    done = run(tmp_path, suite)
    for test in done.tests.values():
        assert "File name too long" in test.message
        assert "OSError" not in test.message
        assert "\n" not in test.message


def test_a_reader_that_has_enough_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "suite.robot").write_text(_EVERY_DAY)
    process = begin(tmp_path, "suite.robot")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) == 0
    assert (tmp_path / "results" / "log.html").is_file()


def _run_under(folder: Path, suite: str, limits: Callable[[], None]) -> str:
    """Run a suite in a process with such limits; return what it said."""
    (folder / "suite.robot").write_text(suite)
    done = subprocess.run(
        [sys.executable, "-m", "robot", "--output", "none", "suite.robot"],
        cwd=folder,
        env=surroundings(),
        preexec_fn=limits,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr
