"""What every keyword and every lab of the product has."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.lab.loading import load_lab

ROOT = Path(__file__).parents[2]
OTHERS = [
    *("BuiltIn", "Collections", "DateTime", "Dialogs", "Easter", "OperatingSystem", "Process"),
    *("Screenshot", "String", "Telnet", "XML", "SSHLibrary"),
]
# The keywords that need a fifth word.
LONGER = {
    *("Wait Until Host Is Up", "Host File Should Not Exist"),
    *("New Log Lines Should Contain", "New Log Lines Should Not Match"),
}
RESOURCES = sorted(ROOT.glob("resources/*.resource"))
EXAMPLE = re.compile(r"\bExamples?\b|```\s*robotframework|\*\*\* Test Cases \*\*\*|^\| ", re.MULTILINE)


@cache
def library(name: str) -> Any:
    from robot.libdocpkg import LibraryDocumentation

    return LibraryDocumentation(name)


@cache
def keywords() -> dict[str, Any]:
    return {keyword.name: keyword for keyword in library("OttoLibrary").keywords}


def test_there_are_keywords() -> None:
    assert "Run On Host" in keywords()


def test_every_keyword_has_a_summary_of_one_line() -> None:
    wrong = [name for name, keyword in keywords().items() if not 0 < len(keyword.doc.partition("\n")[0]) <= 79]
    assert not wrong, f"The first line of their documentation is missing or longer than 79 characters: {', '.join(wrong)}"


def test_every_keyword_has_an_example() -> None:
    wrong = [name for name, keyword in keywords().items() if not EXAMPLE.search(keyword.doc)]
    assert not wrong, f"No example: {', '.join(wrong)}"


def test_every_keyword_has_a_tag() -> None:
    wrong = [name for name, keyword in keywords().items() if not list(keyword.tags)]
    assert not wrong, f"No tag: {', '.join(wrong)}"


def test_every_argument_has_a_type() -> None:
    wrong = [
        f"{name}: {argument.name}"
        for name, keyword in keywords().items()
        for argument in keyword.args
        if argument.name and not argument.type
    ]
    assert not wrong, f"No type: {', '.join(wrong)}"


def test_keyword_names_are_title_case_and_short() -> None:
    wrong = [name for name in keywords() if not re.fullmatch(r"[A-Z]\w*( [A-Z]\w*)*", name)]
    wrong += [name for name in keywords() if len(name.split()) > 4 and name not in LONGER]
    assert not wrong, f"Not Title Case, or more than four words: {', '.join(wrong)}"


def test_no_name_is_another_library_s() -> None:
    ours = {_plain(name): name for name in keywords()}
    clashes = []
    for other in OTHERS:
        clashes += [f"{ours[name]} ({other})" for keyword in _keywords_of(other) if (name := _plain(keyword.name)) in ours]
    assert not clashes, f"These names are taken: {', '.join(clashes)}"


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.name)
def test_keywords_of_a_layer_are_as_those_of_the_library(path: Path) -> None:
    layer = library(str(path))
    assert layer.doc, "It has no introduction."
    for keyword in (each for each in layer.keywords if not each.private):
        names = [argument.name for argument in keyword.args]
        assert 0 < len(keyword.doc.partition("\n")[0]) <= 79, f"{keyword.name}: no summary of one line"
        assert EXAMPLE.search(keyword.doc), f"{keyword.name}: no example"
        assert set(keyword.tags) - {"robot:stop-on-failure"}, f"{keyword.name}: no tag"
        assert all(argument.type for argument in keyword.args if argument.name), f"{keyword.name}: an argument without a type"
        untold = [name for name in names if name and f"``{name}``" not in keyword.doc]
        assert not untold, f"{keyword.name}: not told what is {', '.join(untold)}"
        assert re.fullmatch(r"[A-Z]\w*( [A-Z]\w*)*", keyword.name)
        assert len(keyword.name.split()) <= 4 or keyword.name in LONGER, f"{keyword.name}: more than four words"


def test_no_keyword_of_a_layer_is_another_s() -> None:
    taken = {_plain(name): "OttoLibrary" for name in keywords()}
    for other in OTHERS:
        taken |= {_plain(keyword.name): other for keyword in _keywords_of(other)}
    for path in RESOURCES:
        for keyword in library(str(path)).keywords:
            owner = taken.setdefault(_plain(keyword.name), path.name)
            assert owner == path.name, f"{path.name} and {owner} both have '{keyword.name}'"


def test_a_failure_ends_every_keyword_of_a_layer() -> None:
    # In a teardown, Robot goes on after a failure: then the rest would work with what is not there.
    wrong = [
        f"{path.name}: {keyword.name}"
        for path in RESOURCES
        for keyword in library(str(path)).keywords
        if "robot:stop-on-failure" not in keyword.tags
    ]
    assert not wrong, f"They go on after a failure: {', '.join(wrong)}"


def test_layers_are_found_by_one_line_in_a_checkout_and_installed() -> None:
    # The link is what the wheel follows.
    assert (ROOT / "OttoLibrary" / "resources").readlink() == Path("../resources")
    assert RESOURCES


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("labs/*.json")), *sorted(ROOT.glob("OttoLibrary/labs/*.json"))], ids=str)
def test_lab_loads(path: Path) -> None:
    assert load_lab(str(path)).names()


def test_top_folders_are_those_of_the_design() -> None:
    product = {"OttoLibrary", "docs", "labs", "listeners", "resources", "suites", "tests"}
    made = {"build", "dist", "results"}
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert found <= product | made, f"Folders that nobody knows: {', '.join(sorted(found - product - made))}"


def test_run_listeners_are_short_and_import_only_the_library() -> None:
    for path in ROOT.glob("listeners/*.py"):
        source = path.read_text()
        assert len(source.splitlines()) <= 30, path
        imported = re.findall(r"^\s*(?:from|import)\s+(\w+)", source, re.MULTILINE)
        assert set(imported) <= {"OttoLibrary", "__future__"}, path


def _keywords_of(other: str) -> list[Any]:
    if other == "SSHLibrary":
        pytest.importorskip("SSHLibrary")
    try:
        return list(library(other).keywords)
    except Exception as error:
        # Telnet needs a module that Python 3.13 no longer has.
        if "telnetlib" not in str(error):
            raise
        return []


def _plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("_", "")


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = re.findall(r"`((?:tests/[a-z_/]+/)?test_[a-z_]+\.py)`", (ROOT / "docs" / "security.md").read_text())
    assert len(named) > 30
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / "tests" / "attack" / name).exists()]
    assert not missing
