"""What a newcomer types first: a new project that runs green, and the tab key in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.peers.requirements import require

ROOT = Path(__file__).parents[2]


def ran(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), **variables}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("runner", [["robot"], ["OttoLibrary", "pabot"]], ids=["robot", "pabot"])
def test_a_new_project_runs_green(runner: list[str], tmp_path: Path) -> None:
    assert ran(sys.executable, "-m", "OttoLibrary", "new", "mine", folder=tmp_path).returncode == 0
    done = ran(sys.executable, "-m", *runner, "--outputdir", "results", "suites", folder=tmp_path / "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 0 failed" in done.stdout.replace("2 tests, ", "")


@pytest.fixture
def shell_folder(tmp_path: Path) -> Path:
    """A folder with a lab, and with the command that the shell completes."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "ottolibrary"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m OttoLibrary "$@"\n')
    program.chmod(0o755)
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "bench.json").write_text(
        '{"hosts": {"dut1": {"address": "a"}, "dut2": {"address": "b", "tags": ["arm"]}}}'
    )
    return tmp_path


COMPLETIONS = [
    ("ottolibrary mon", {"monitor"}),
    ("ottolibrary hosts ben", {"bench"}),
    ("ottolibrary monitor bench dut", {"dut1", "dut2"}),
    ("ottolibrary convert --fr", {"--from"}),
]


@pytest.mark.parametrize(("line", "words"), COMPLETIONS)
def test_bash_completes(line: str, words: set[str], shell_folder: Path) -> None:
    script = f"""
    source <(ottolibrary completion bash)
    COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9 COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    function=$(complete -p ottolibrary | grep -o -- '-F [^ ]*' | cut -c4-)
    $function ottolibrary; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = ran("bash", "--norc", "-c", script, folder=shell_folder, PATH=f"{shell_folder}/bin:{os.environ['PATH']}")
    assert {word.strip() for word in done.stdout.split("\n") if word.strip()} == words, done.stderr


def test_zsh_completes_what_is_typed(shell_folder: Path) -> None:
    """One shell, whose ``~/.zshrc`` has nothing but the completion, as the README makes it."""
    if shutil.which("zsh") is None:
        require("zsh")
    path = f"{shell_folder}/bin:{os.environ['PATH']}"
    variables = {"HOME": str(shell_folder), "PATH": path, "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    written = ran("ottolibrary", "completion", "zsh", folder=shell_folder, **variables)
    (shell_folder / ".zshrc").write_text(f"{written.stdout}\nPS1='READY'\"> \"\n")
    shell = pexpect.spawn("zsh", ["-i"], env=variables, cwd=shell_folder, timeout=60, encoding="utf-8")
    try:
        shell.expect_exact("READY> ")
        for line, words in COMPLETIONS:
            # Where several words fit, all are listed below the line.
            shell.send(f"{line}\t")
            rest = [word[len(line.split()[-1]) :] + " " if len(words) == 1 else word for word in sorted(words)]
            shell.expect_exact(rest[0])
            shell.sendcontrol("u")
    finally:
        shell.close(force=True)


@pytest.mark.parametrize(("line", "words"), COMPLETIONS)
def test_fish_completes(line: str, words: set[str], shell_folder: Path) -> None:
    if shutil.which("fish") is None:
        require("fish")
    script = f"ottolibrary completion fish | source; complete -C '{line}'"
    done = ran("fish", "--no-config", "-c", script, folder=shell_folder, PATH=f"{shell_folder}/bin:{os.environ['PATH']}")
    assert {row.partition("\t")[0].strip() for row in done.stdout.splitlines()} == words, done.stderr
