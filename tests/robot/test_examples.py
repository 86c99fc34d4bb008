"""Every example of the keyword documentation and of the library's introduction runs, on the demo lab."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from robot.libdocpkg import LibraryDocumentation

_BLOCK = re.compile(r"```robotframework\n(.*?)```", re.DOTALL)
_NOT_HERE = "# tags: no-run"  # needs another user, a reboot or SSHLibrary: has a test of its own
_HEAD = "*** Settings ***\nLibrary    OperatingSystem\nLibrary    OttoLibrary    lab=demo\n\n*** Test Cases ***\nExample\n"
_KEYWORDS = """
*** Keywords ***
Output Should Say Ready
    [Arguments]    ${job}
    ${stdout}    ${stderr}=    Get Command Output    ${job}
    Should Contain    ${stdout}    ready
"""


def _examples() -> list[tuple[str, str]]:
    library = LibraryDocumentation("OttoLibrary")
    found = [("introduction", block) for block in _BLOCK.findall(library.doc)]
    for keyword in library.keywords:
        found += [(keyword.name, block) for block in _BLOCK.findall(keyword.doc)]
    return [(name, textwrap.dedent(block)) for name, block in found if _NOT_HERE not in block]


def test_every_example_runs(tmp_path: Path) -> None:
    examples = _examples()
    assert len(examples) > 20
    for number, (name, block) in enumerate(examples):
        whole = block if "***" in block else _HEAD + textwrap.indent(block, "    ") + _KEYWORDS
        (tmp_path / f"{number:02}_{re.sub(r'[^a-z]+', '_', name.lower())}.robot").write_text(whole)
    command = [sys.executable, "-m", "robot", "--outputdir", str(tmp_path / "out"), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
