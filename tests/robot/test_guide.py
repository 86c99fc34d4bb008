"""The pages of the guide are suites, so that no example can rot; one run of all of them is looked at from all sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.robot.running import run_files

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(GUIDE.glob("*.robot.md"))
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name.partition(".")[0])


def test_the_guide_runs_green(tmp_path: Path) -> None:
    run = run_files(tmp_path, str(GUIDE))
    assert run.rc == 0, run.said
    assert "[ WARN ]" not in run.said
    assert "[ ERROR ]" not in run.said
    for page in PAGES:
        passed = {test.name for test in run.suite.all_tests if Path(test.source) == page and test.passed}
        promised = {name for block in blocks(page, "robotframework") for name in names_of_tests(block)}
        assert promised, page.name
        assert promised - passed == set(), page.name
    assert "correct horse battery" not in (run.folder / "output.xml").read_text()


@by_name
def test_a_page_begins_with_an_example(page: Path) -> None:
    assert "```robotframework" in "\n".join(page.read_text().splitlines()[:12])


@by_name
def test_python_on_a_page_is_what_runs(page: Path) -> None:
    modules = [path.read_text() for path in (GUIDE / "python").glob("*.py")]
    assert [block for block in blocks(page, "python") if not any(block in module for module in modules)] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert len(PAGES) >= 19
    assert [page.name for page in PAGES if f"guide/{page.name}" not in navigation] == []


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def names_of_tests(block: str) -> list[str]:
    section = re.split(r"^\*\*\* (?!Test Cases)", block.partition("*** Test Cases ***\n")[2], flags=re.MULTILINE)[0]
    return re.findall(r"^\S.*$", section, re.MULTILINE)
