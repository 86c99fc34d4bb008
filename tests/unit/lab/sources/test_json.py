"""Where lab files are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from OttoLibrary.lab.sources.json import JsonLabs
from tests.unit.lab.benches import Write, bench, problems


def find_lab(name: str, suite_folder: Path | None) -> Path:
    return JsonLabs(suite_folder).file_of(name)


def test_the_nearest_labs_folder_wins(folder: Path, write: Write) -> None:
    near, far = write(bench(), "suites/deep/labs/bench.json"), write(bench())
    assert find_lab("bench", folder / "suites/deep") == near
    assert find_lab("bench", folder / "suites/other") == far
    assert find_lab("bench", None) == far


def test_otto_labs_names_further_folders(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(bench(), "b/rack.json")
    monkeypatch.setenv("OTTO_LABS", os.pathsep.join([str(folder / "a"), str(folder / "b")]))
    assert find_lab("rack", None) == file


def test_a_path_or_a_folder_is_a_lab(folder: Path, write: Write) -> None:
    file, site = write(bench()), write([], "site/hosts.json")
    (folder / "suites").mkdir()
    assert find_lab("labs/bench.json", None) == file
    assert find_lab("site", None) == site
    assert find_lab("../labs/bench.json", folder / "suites") == file


def test_an_unknown_lab_says_what_there_is_and_where_it_looked(write: Write) -> None:
    write(bench())
    (problem,) = problems("bnch")
    assert problem.startswith("No lab named 'bnch'. Did you mean 'bench'? Known: bench, demo. Searched: labs, ")


def test_a_missing_file_is_named() -> None:
    assert problems("labs/none.json") == ("No lab file 'labs/none.json', and no folder of that name with a hosts.json.",)
