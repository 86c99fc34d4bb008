"""The commands of testbeds that touch no device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OttoLibrary.cli.main import main


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("env.json").write_text('{"environment_def": {"dut": {"image": "b"}}}')
    device = {"name": "dut", "type": "my_box", "image": "a", "password": "pa55-word-1"}
    Path("inv.json").write_text(json.dumps({"bench-1": {"devices": [device]}}))


def test_the_merged_devices_are_a_list(pair: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["environment", "env.json", "inv.json", "--board", "bench-1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == [{"name": "dut", "type": "my_box", "image": "b", "password": "<secret>"}]


def test_a_table_says_who_won(pair: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["environment", "env.json", "inv.json", "--board", "bench-1"]) == 0
    shown = capsys.readouterr().out
    assert ["dut", "image", '"b"', "env.json", '"a"'] in [line.split() for line in shown.splitlines()]
    assert "pa55" not in shown


def test_a_mistake_is_an_exit_status(pair: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["environment", "env.json", "inv.json", "--board", "bench-2"]) == 2
    assert "(did you mean 'bench-1'?)" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--lease", "-5s"], ["--lease=-5s"], ["--keep", "--lease", "-1 h"], ["--lease", "0"]], ids=str)
def test_a_lease_that_is_no_time_is_said_before_anything_is_deployed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "no-environment.json", "no-inventory.json", "--board", "b", *words]) == 2
    said = capsys.readouterr().err
    assert "is not a duration" in said or "is kept for no time" in said
    assert len(said.splitlines()) == 1
