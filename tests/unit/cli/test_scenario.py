"""``scenario check|show|schema``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OttoLibrary.cli.main import main


def test_check_tells_all_mistakes_of_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"events": [{"nme": 1}]}')
    assert main(["scenario", "check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("did you mean 'name'?") == 2


def test_show_prints_words_and_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "soak.json"
    file.write_text(json.dumps({"total_hours": 3, "events": [{"name": "play", "interval_min": 5}]}))
    assert main(["scenario", "show", str(file), "--times", "2", "--duration", "10 min"]) == 0
    said = capsys.readouterr().out
    assert "Scenario 'soak': 10 min, 1 event." in said
    assert "(2 times)" in said
    assert said.count("play 1") == said.count("play 2") == 1


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["total_hours"]


def test_what_is_no_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "check", str(tmp_path / "no.json")]) == 2
    assert "There is no description" in capsys.readouterr().err
