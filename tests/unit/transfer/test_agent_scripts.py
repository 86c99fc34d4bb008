"""The shell text of the steps: every step is text that a POSIX shell reads, and keeps what it is given as data."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from OttoLibrary.transfer import agent_scripts

STEPS = sorted(name for name, value in vars(agent_scripts).items() if name.isupper() and isinstance(value, str))


def run(step: str, **words: object) -> str:
    variables = "".join(f"{name}={shlex.quote(str(word))}\n" for name, word in words.items())
    script = f"{agent_scripts.PLAIN}{agent_scripts.WORDS}K=@1\n{variables}step() {{\n{step}\n}}\nstep\nsay .\n"
    return subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", STEPS)
def test_a_shell_reads_it(name: str) -> None:
    script = f"step() {{\n{getattr(agent_scripts, name)}\n}}\n" if name not in {"HELD", "PLAIN", "WORDS"} else ""
    text = script or getattr(agent_scripts, name)
    assert subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=True).stderr == ""


def test_a_place_with_a_name_that_a_shell_would_read(tmp_path: Path) -> None:
    folder = tmp_path / "a b;$(touch x)'\"\n"
    folder.mkdir()
    said = run(agent_scripts.PLACE, T=f"{folder}/", N="-n *", W=".otto-1.part", P="", TOOLS="", R="", SIZE=3)
    assert f"\n@1:path:{folder}/-n *" in said
    assert [path.name for path in folder.iterdir()] == [".otto-1.part"]


def test_sizes_of_all_that_is_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"x" * 1234)
    (tmp_path / "new\nline").write_bytes(b"x" * 99)
    sizes = run(agent_scripts.SIZES, T=tmp_path, FOLLOW="").partition("sizes:")[2].split()
    assert {"1234", "99"} < set(sizes)
    assert len([size for size in sizes if size.isdigit()]) == 3
