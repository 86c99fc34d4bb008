"""A new folder for tests."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from OttoLibrary.cli.main import main
from OttoLibrary.lab.loading import load_lab

FILES = [
    ".gitignore",
    "labs/bench.json",
    "labs/lab.schema.json",
    "requirements.txt",
    "resources/product.resource",
    "robot.toml",
    "suites/smoke.robot",
]


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("ci", "more"), [("github", [".github/workflows/tests.yml"]), ("gitlab", [".gitlab-ci.yml"]), ("none", [])]
)
def test_what_is_made_is_told(ci: str, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my tests"
    assert main(["new", str(folder), "--ci", ci]) == 0
    assert files_in(folder) == sorted([*FILES, *more])
    printed = capsys.readouterr().out
    assert all(str(folder / name) in printed for name in [*FILES, *more])
    assert f"cd '{folder}' && robot --outputdir results suites" in printed


def test_the_lab_loads_and_an_editor_can_check_it(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "new")]) == 0
    labs = tmp_path / "new" / "labs"
    content = json.loads((labs / "bench.json").read_text())
    jsonschema.validate(content, json.loads((labs / content["$schema"]).read_text()))
    assert load_lab(str(labs / "bench.json")).select("tag:dut") == ["dut1", "dut2"]


def test_nothing_is_ever_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["new", str(tmp_path)]) == 2
    assert main(["new", str(tmp_path / "notes.txt")]) == 2
    assert files_in(tmp_path) == ["notes.txt"]
    assert capsys.readouterr().err.splitlines()[0] == f"'{tmp_path}' is there and not empty. Name a new folder."


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["new", str(tmp_path / "file" / "new")]) == 2
    assert capsys.readouterr().err.endswith("cannot be made: Not a directory. Name a folder that you may write.\n")
