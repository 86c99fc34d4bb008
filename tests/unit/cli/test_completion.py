"""What completions there are; the shells themselves are in tests/robot."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from OttoLibrary.cli.completion import _hosts, _labs
from OttoLibrary.cli.main import main


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --command")])
def test_a_script_for_each_shell(shell: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert word in capsys.readouterr().out


def test_labs_and_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "bench.json").write_text('{"hosts": {"dut1": {"address": "a", "tags": ["arm"]}}}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OTTO_LAB", raising=False)
    assert set(_labs("")) >= {"bench", "demo"}
    assert "demo,bench" in _labs("demo,b")
    assert _hosts("", argparse.Namespace(lab="bench")) == ["dut1", "tag:arm"]


@pytest.mark.parametrize("lab", ["nowhere", "command:touch ran", "", "json:bench,command:touch ran"])
def test_what_cannot_be_known_without_running_a_program_is_not_completed(
    lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTTO_LAB", raising=False)
    assert _hosts("", argparse.Namespace(lab=lab)) == []
    assert not (tmp_path / "ran").exists()
