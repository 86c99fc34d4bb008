"""However a run ends, nothing of it stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.peers import processes

_SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo

*** Test Cases ***
Busy
    Run On Hosts    tag:dut OR local    echo up
    Start On Host    local    {mark} sleep 300
    Start On Host    dut1    {mark} sleep 300
    Send To Host    dut2    {mark} sleep 300\\n
    Run On Host    dut3    {mark} sleep {seconds}
"""


@pytest.mark.parametrize("start", [[], ["nohup"]], ids=["plain", "nohup"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays(tmp_path: Path, number: signal.Signals, start: list[str]) -> None:
    mark = f"OTTO_MARK={time.time_ns()}"
    # After SIGKILL nobody is left to end a command in the foreground; it runs out by itself, and its shell with it.
    seconds = 2 if number == signal.SIGKILL else 300
    (tmp_path / "busy.robot").write_text(_SUITE.format(mark=mark, seconds=seconds))
    command = [*start, sys.executable, "-m", "robot", "--outputdir", str(tmp_path), str(tmp_path / "busy.robot")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as robot:
        processes.wait_until(lambda: len(processes.marked(mark)) >= 4, "all commands run", 60)
        robot.send_signal(number)
        robot.communicate(timeout=60)
    processes.wait_until(lambda: not processes.marked(mark), "nothing is left", 60)
