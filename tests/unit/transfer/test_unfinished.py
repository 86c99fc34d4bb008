"""Notes of what is unfinished on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OttoLibrary.transfer.unfinished import noted, temporary_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def notes(home: Path) -> list[list[str]]:
    (file,) = (home / ".otto" / "unfinished").iterdir()
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_what_is_begun_is_noted_until_it_ends(home: Path) -> None:
    with noted(home / "a\nb"):
        assert notes(home)[-1] == ["begun", str(home / "a\nb")]
    assert notes(home)[-1] == ["ended", str(home / "a\nb")]


def test_a_temporary_folder_is_noted_and_gone_afterwards(home: Path) -> None:
    with temporary_folder("copy") as folder:
        assert folder.name.startswith("otto-copy-")
        assert notes(home)[-1] == ["begun", str(folder)]
    assert not folder.exists()


def test_what_a_dead_process_left_is_removed(home: Path) -> None:
    import socket

    (home / ".otto" / "unfinished").mkdir(parents=True)
    left = home / ".otto-0123456789ab.part"
    left.write_text("half")
    lines = [["on", socket.gethostname()], ["begun", str(left)]]
    (home / ".otto" / "unfinished" / "dead").write_text("\n".join(map(json.dumps, lines)))
    with noted(home / "anything"):
        assert not left.exists()


def test_a_home_that_takes_no_notes_fails_nothing(home: Path) -> None:
    (home / ".otto").write_text("in the way")
    with noted(home / "a"):
        pass
