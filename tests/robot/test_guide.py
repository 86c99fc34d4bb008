"""The pages of the guide are suites, so that no example can rot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.robot.running import run_files

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "guide").glob("*.robot.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name.partition(".")[0])
def test_a_page_runs_green(page: Path, tmp_path: Path) -> None:
    run = run_files(tmp_path, str(page))
    assert run.rc == 0, run.said
    blocks = re.findall(r"^```robotframework\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    promised = [
        name for block in blocks for name in re.findall(r"^(?!\*)\S.*$", block.partition("*** Test Cases ***")[2], re.MULTILINE)
    ]
    assert promised
    for name in promised:
        assert run.tests[name].passed


def test_a_page_begins_with_an_example() -> None:
    assert len(PAGES) >= 5
    for page in PAGES:
        assert "```robotframework" in "\n".join(page.read_text().splitlines()[:12]), page.name
