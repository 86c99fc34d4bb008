"""A mistake in the settings is a sentence in the console of robot, whatever meets it first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUITE = "*** Settings ***\nLibrary    OttoLibrary    lab=demo\n*** Test Cases ***\nA\n    Get Hosts\n"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--dryrun"],
        ["--listener", "OttoLibrary.Metrics"],
        ["--prerunmodifier", "OttoLibrary.EachHost:tag:dut"],
        ["--prerunmodifier", "OttoLibrary.Repeat:iterations=2"],
    ],
    ids=lambda options: " ".join(options) or "library",
)
@pytest.mark.parametrize("mistake", ["labz = []", "init = ['no_such_module']", "version = ", "x = " + "[" * 3000])
def test_a_mistake_is_a_sentence_without_a_traceback(tmp_path: Path, options: list[str], mistake: str) -> None:
    (tmp_path / ".otto").mkdir()
    (tmp_path / ".otto" / "settings.toml").write_text(f'name = "x"\nversion = "1.0.0"\n{mistake}\n')
    (tmp_path / "a.robot").write_text(SUITE)
    command = [sys.executable, "-m", "robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", *options, "a.robot"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode != 0
    assert "settings.toml: " in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
