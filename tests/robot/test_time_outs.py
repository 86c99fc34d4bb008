"""Robot's own time-out at any moment of any keyword: robot lives, the host works in the next test."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from robot.api import ExecutionResult

_TRIES = 40
_INTERRUPTED = (
    "Run On Host    dut1    sleep 30",
    "Run On Host    dut1    while :; do echo x; done",
    "Run Once On Host    dut2    sleep 30",
    "Run On Hosts    tag:dut    sleep 30",
    "Expect From Host    dut1    never",
    "Open Host    silent",
    "Run On Host    dut3    read x    answers=${{{'never': 'x'}}}",
    "Fresh Connection",
)
_HEAD = """*** Settings ***
Library     OttoLibrary    lab=demo,silent.json

*** Keywords ***
Fresh Connection
    WHILE    True    limit=NONE
        Close Host    dut2
        Run On Host    dut2    true
    END

*** Test Cases ***
"""


def test_40_of_40_time_outs_leave_robot_running_and_the_host_usable(tmp_path: Path, silent_port: int) -> None:
    (tmp_path / "silent.json").write_text(
        json.dumps({"hosts": {"silent": {"address": "127.0.0.1", "port": silent_port, "connect_timeout": "20 s"}}})
    )
    moments = random.Random(7)
    cases = []
    for number in range(_TRIES):
        keyword = _INTERRUPTED[number % len(_INTERRUPTED)]
        cases.append(f"Interrupted {number}\n    [Timeout]    {moments.randint(1, 250)} ms\n    {keyword}\n")
        cases.append(f"Usable {number}\n    [Timeout]    20 s\n    Run On Hosts    tag:dut    echo fine\n")
    (tmp_path / "time_outs.robot").write_text(_HEAD + "\n".join(cases))
    command = [
        sys.executable,
        "-m",
        "robot",
        "--outputdir",
        str(tmp_path),
        "--console",
        "none",
        str(tmp_path / "time_outs.robot"),
    ]
    done = subprocess.run(command, cwd=tmp_path, timeout=240, capture_output=True, text=True, check=False)
    result = ExecutionResult(tmp_path / "output.xml")
    tests = {test.name: test for test in result.suite.all_tests}
    assert len(tests) == 2 * _TRIES, done.stderr
    wrong = [f"{name}: {test.message}" for name, test in tests.items() if test.passed != name.startswith("Usable")]
    assert not wrong, "\n".join(wrong)
    assert all("timeout" in test.message for name, test in tests.items() if name.startswith("Interrupted"))
