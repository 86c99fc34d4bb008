"""Each listener and modifier together with each other one, on suites of the product: all of them stay green.

All suites run with each of them alone where that shows more, and small ones with each pair, so that the whole is over in minutes.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from robot.api import ExecutionResult

ROOT = Path(__file__).parents[2]
_SMALL = [ROOT / "suites/demo/firmware.robot", ROOT / "suites/demo/stability.robot"]
_WATCHES = ROOT / "suites/demo/monitor.robot"
_TOO_LONG_S = 600
_COMPLAINTS = ("Exception ignored", "Traceback", "that handles pid", "[ WARN ]", "[ ERROR ]")
_DATA_DRIVEN = """*** Settings ***
Library             OttoLibrary    lab=${LAB}
Library             DataDriver    file=${CURDIR}/cases.csv    dialect=unix
Test Template       Firmware Should Be

*** Test Cases ***
Firmware Of ${host} Is ${version}    default    0.0

*** Keywords ***
Firmware Should Be
    [Arguments]    ${host}    ${version}
    ${result}=    Run On Host    ${host}    ./fw --version
    Should Contain    ${result.stdout}    ${version}
"""
_CASES = """*** Test Cases ***,${host},${version}
First,dut1,2.1
Second,dut2,2.1
"""
_ONCE = """*** Settings ***
Library     OttoLibrary    lab=${LAB}

*** Variables ***
${WANTED}    fw

*** Test Cases ***
Fails At First
    ${result}=    Run On Host    dut1    ./fw --version
    Should Contain    ${result.stdout}    ${WANTED}

Passes
    Run On Host    dut1    true
"""
# What a run is given for each of them. Those without options are what the folder has beside the suites.
FEATURES = {
    "Metrics": ["--listener", "OttoLibrary.Metrics:interval=200ms"],
    "Evidence": ["--listener", "OttoLibrary.Evidence"],
    "EachHost": ["--prerunmodifier", "OttoLibrary.EachHost:dut1 OR dut2"],
    "Repeat": ["--prerunmodifier", "OttoLibrary.Repeat:iterations=2"],
    "dryrun": ["--dryrun"],
    "randomize": ["--randomize", "all"],
    "rerunfailed": ["--rerunfailed", "before/output.xml"],
    "removekeywords": ["--removekeywords", "wuks"],
    "DataDriver": [],
}


@pytest.mark.parametrize("feature", ["Metrics", "Evidence"])
def test_all_suites_with_a_listener(feature: str, tmp_path: Path) -> None:
    assert _run(tmp_path, [feature], [ROOT / "suites"], "--exclude", "network") > 50


@pytest.mark.parametrize("feature", ["Repeat", "removekeywords"])
def test_the_demo_and_the_layers_with_one(feature: str, tmp_path: Path) -> None:
    assert _run(tmp_path, [feature], [ROOT / "suites/demo", ROOT / "suites/layers/logs.robot"]) > 20


def test_the_demo_on_each_host(tmp_path: Path) -> None:
    hosts, tests = 3, _run(tmp_path, [], [ROOT / "suites/demo"], "--dryrun")
    assert _run(tmp_path, [], [ROOT / "suites/demo"], "--prerunmodifier", "OttoLibrary.EachHost:tag:dut") == hosts * tests


@pytest.mark.parametrize("pair", list(itertools.combinations(FEATURES, 2)), ids="-".join)
def test_each_pair(pair: tuple[str, str], tmp_path: Path) -> None:
    # One folder: of several sources Robot makes a name, which is another one when they are shuffled.
    suites = tmp_path / "suites"
    suites.mkdir()
    for suite in [] if "DataDriver" in pair else [*_SMALL, *([_WATCHES] if "Metrics" in pair else [])]:
        shutil.copy(suite, suites)
    if "DataDriver" in pair:
        (suites / "driven.robot").write_text(_DATA_DRIVEN)
        (suites / "cases.csv").write_text(_CASES)
    if "rerunfailed" in pair:
        (suites / "once.robot").write_text(_ONCE)
        # What fails has the names that it has with the modifiers.
        others = [word for feature in pair if feature not in {"rerunfailed", "dryrun"} for word in FEATURES[feature]]
        before = _robot(tmp_path, [suites], *others, "--variable", "WANTED:nothing of it", "--outputdir", "before")
        assert before.returncode == (2 if "EachHost" in pair else 1), before.stdout
    ran = _run(tmp_path, list(pair), [suites])
    assert ran == (1 + ("EachHost" in pair) if "rerunfailed" in pair else ran)


def _run(folder: Path, features: list[str], suites: list[Path], *options: str) -> int:
    """Run suites; fail unless all passed and nobody complained; return how many tests there were."""
    words = [word for feature in features for word in FEATURES[feature]]
    done = _robot(folder, suites, *words, *options, "--outputdir", "results")
    if done.returncode or any(words in done.stdout for words in _COMPLAINTS):
        pytest.fail(f"{' '.join(done.args)}\n{done.stdout}", pytrace=False)
    statistics = ExecutionResult(folder / "results" / "output.xml", include_keywords=False).statistics.total
    assert statistics.passed == statistics.total > 0
    return int(statistics.total)


def _robot(folder: Path, suites: list[Path], *options: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-m", "robot", "--variable", "LAB:demo", *options, *map(str, suites)],
        env=os.environ | {"HOME": str(home), "PYTHONPATH": paths},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TOO_LONG_S,
        check=False,
    )
