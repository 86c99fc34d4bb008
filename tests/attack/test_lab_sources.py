"""Lab sources that are given hostile files and programs: nothing runs that should not, and everything ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.loading import load_lab

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(reference: str) -> str:
    with pytest.raises(LabError) as raised:
        load_lab(reference)
    return str(raised.value)


def ssh(text: str) -> str:
    Path("ssh_config").write_text(text)
    return "ssh_config:./ssh_config"


@pytest.mark.parametrize(
    "line",
    [
        "Match exec '{run}'",
        "Match !exec '{run}'",
        "match=exec '{run}'",
        "\"Match\" exec '{run}'",
        "Mat\"ch\" exec '{run}'",
        "M\\atch exec '{run}'",
        "Match exec='{run}'",
        "Match 'exec={run}'",
        "Match =exec '{run}'",
        "Match host * \"exec\" '{run}'",
        "Match host '#' exec '{run}'",
        "Match host=* exec='{run}'",
        "  Match\texec '{run}'",
        "Match all\nMatch EXEC '{run}'",
        "\x0cMatch exec '{run}'",
        "Host *\rMatch exec '{run}'",
    ],
    ids=repr,
)
def test_no_spelling_of_match_exec_runs(own_folder: Path, line: str) -> None:
    line = line.format(run=f"touch {own_folder}/it_ran")
    for text in (f"Host a\n{line}\n", f"{line}\nHost a\n"):
        with contextlib.suppress(LabError):
            load_lab(ssh(text))
        assert not (own_folder / "it_ran").exists()


@pytest.mark.parametrize(
    ("include", "name"),
    [
        ("Include more/*", "more/.hidden"),
        ('"Include" more/x', "more/x"),
        ("Include=more/x", "more/x"),
        ("Include # more/x", "more/x"),
        ("Include {home}/.ssh/m?re/[xy]", "more/x"),
        ("Include more/../more/x", "more/x"),
    ],
)
def test_no_include_hides_a_program(own_folder: Path, own_home: Path, include: str, name: str) -> None:
    file = own_home / ".ssh" / name
    file.parent.mkdir(parents=True)
    file.write_text(f"Match exec 'touch {own_folder}/it_ran'\n")
    assert "'Match exec' is not evaluated by a lab source" in refused(ssh(f"{include.format(home=own_home)}\nHost a\n"))
    assert not (own_folder / "it_ran").exists()


def test_a_pipe_or_device_is_not_read(own_folder: Path) -> None:
    os.mkfifo("pipe")
    assert load_lab(ssh(f"Include {own_folder}/pipe /dev/zero\nHost a\n")).names() == ["a"]
    assert "No OpenSSH configuration named './pipe'" in refused("ssh_config:./pipe")


def test_an_include_of_all_folders_is_a_sentence() -> None:
    assert "'Include /**/config' would look into all folders" in refused(ssh("Include /**/config\n"))


def test_includes_that_multiply_end(own_home: Path) -> None:
    folder = own_home / ".ssh" / "many"
    folder.mkdir(parents=True)
    for level in range(12):
        for number in range(10):
            (folder / f"{level}-{number}").write_text(f"Include many/{level + 1}-*\n")
    assert "Include names more than 1000 files" in refused(ssh("Include many/0-*\nHost a\n"))


def test_a_huge_configuration_is_a_sentence() -> None:
    assert "it has more than 4 MiB" in refused(ssh("# nothing but comments\n" * 300_000))


def test_a_chain_of_five_thousand_jumps_is_a_sentence() -> None:
    assert "'a' is behind more than 16 ProxyJumps" in refused(
        ssh(f"Host a\n  ProxyJump {','.join(f'h{n}' for n in range(5000))}\n")
    )
    chain = "".join(f"Host h{n}\n  ProxyJump h{n + 1}\n" for n in range(300))
    assert "'h0' is behind more than 16 ProxyJumps" in refused(ssh(chain))


def program(text: str) -> str:
    file = Path("inventory.py")
    file.write_text(f"#!{sys.executable}\nimport os, sys, time\n{text}\n")
    file.chmod(0o755)
    return "command:./inventory.py"


@pytest.mark.parametrize("stream", [1, 2])
def test_a_program_with_endless_output_is_ended(stream: int) -> None:
    began = time.monotonic()
    assert "it printed more than 16 MiB" in refused(program(f"while True: os.write({stream}, b'y' * 65536)"))
    assert time.monotonic() - began < 30


def test_what_a_program_says_about_its_failure_is_shown_and_controls_no_terminal() -> None:
    message = refused(
        program("sys.stderr.write('\\x1b]0;owned\\x07no \\x1b[31msuch\\x1b[0m bench\\n' + 'y' * 10_000_000); sys.exit(1)")
    )
    assert "it exited with 1. Its standard error: " in message
    assert "\x1b" not in message
    assert len(message) < 11_000


def test_a_program_that_leaves_others_behind_ends(own_folder: Path) -> None:
    """The one left behind has a session of its own, and keeps the output open."""
    text = "if os.fork() == 0:\n    os.setsid()\n    time.sleep(20)\n    os._exit(0)\nprint('{\"hosts\": {}}', flush=True)"
    (own_folder / ".otto").mkdir()
    (own_folder / ".otto" / "settings.toml").write_text(
        f'name = "x"\nversion = "1.0.0"\n[lab]\nbackend = "command"\n[lab.preferences]\n'
        f'command = "{program(text).removeprefix("command:")}"\ntimeout = "1 s"\n'
    )
    from OttoLibrary.lab import settings

    with pytest.raises(LabError, match="it did not end in 1 seconds"):
        load_lab("bench", settings=settings.read())
