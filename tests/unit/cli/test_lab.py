"""Commands for labs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from OttoLibrary.cli.main import main


@pytest.fixture
def lab(tmp_path: Path) -> str:
    hosts = {
        "gateway": {"address": "192.0.2.1"},
        "dut1": {"address": "10.0.0.1", "hop": "gateway", "tags": ["dut"]},
        "here": {"transport": "local"},
    }
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"hosts": hosts}))
    return str(path)


def test_hosts_shows_the_path_to_each(lab: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", lab]) == 0
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["HOST", "TRANSPORT", "ADDRESS", "PATH", "TAGS"],
        ["gateway", "ssh", "192.0.2.1", "gateway"],
        ["dut1", "ssh", "10.0.0.1", "gateway > dut1", "dut"],
        ["here", "local", "-", "here"],
    ]


def test_a_lab_with_a_mistake_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({"hosts": {"dut1": {"adress": "10.0.0.1"}}}))
    assert main(["hosts", str(tmp_path / "bad.json")]) == 2
    assert "unknown key 'adress'" in capsys.readouterr().err


def test_a_lab_without_hosts_is_not_all_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.json").write_text('{"hosts": {}}')
    assert main(["check", str(tmp_path / "empty.json")]) == 2
    assert "has no hosts, so none was asked" in capsys.readouterr().err


def test_a_pipe_is_called_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "lab.json")
    assert main(["check", str(tmp_path / "lab.json")]) == 2
    assert "lab.json' is a named pipe, and a lab is a file." in capsys.readouterr().err
    assert main(["hosts", os.devnull]) == 2
    assert "is a device" in capsys.readouterr().err
