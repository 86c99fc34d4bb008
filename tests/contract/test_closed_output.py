"""Commands whose output nobody reads to its end, such as before ``| head``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("words", ["", "--help", "schema", "hosts lab.json", "hosts --json lab.json", "labs", "check lab.json"])
def test_a_reader_that_has_enough_ends_a_command_quietly(tmp_path: Path, words: str) -> None:
    (tmp_path / "lab.json").write_text('{"hosts": {"box": {"transport": "local"}}}')
    (tmp_path / ".git").mkdir()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "OttoLibrary", *words.split()]
        done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode in {0, 1}
