"""``Collect Logs`` keeps what it fetches in the folder of the host, whatever the host lists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.peers.hostile import HostileHost
from tests.robot.running import run

_SUITE = """
*** Settings ***
Library     OttoLibrary    lab=LAB
Resource    OttoLibrary/resources/logs.resource

*** Test Cases ***
Collected
    Collect Logs    box    FILES/*.log
"""


@pytest.mark.parametrize(
    "listed",
    [
        "3\t{files}/../../x.log",
        "3\t/../../x.log",
        "3\t{files}/.bashrc",
        "3\tx.log",
        "3\t/etc/passwd",
        "999" * 2000 + "\t{files}/a.log",
        "-3\t{files}/a.log",
    ],
)
def test_a_listing_that_leads_elsewhere(tmp_path: Path, hostile: Callable[..., HostileHost], listed: str) -> None:
    host = hostile()
    files = host.folder / "files"
    files.mkdir()
    (files / "a.log").write_text("log")
    # The script that lists asks for the length of each file, which goes through tr; this one says more than a length.
    host.tool("tr", f"cat >/dev/null; printf '%s\\n7' '{listed.format(files=files)}'")
    lab = tmp_path / "lab.json"
    lab.write_text(json.dumps({"hosts": {"box": host.lab}}))
    finished = run(tmp_path, _SUITE.replace("LAB", str(lab)).replace("FILES", str(files)))
    assert finished.rc == 1
    assert "which is not what was asked for" in finished.said
    kept = [str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*.log")]
    assert [name for name in kept if "a.log" not in name] == []
    assert not (tmp_path / "x.log").exists()


def test_a_page_is_kept_and_linked_under_a_name_that_no_browser_runs(tmp_path: Path, hostile: Callable[..., HostileHost]) -> None:
    host = hostile()
    files = host.folder / "files"
    files.mkdir()
    for name in ("x.html", "X.SVG", "page", "a.log", "b.log.gz"):
        (files / name).write_text("<script>alert(1)</script>")
    lab = tmp_path / "lab.json"
    lab.write_text(json.dumps({"hosts": {"box": host.lab}}))
    finished = run(tmp_path, _SUITE.replace("LAB", str(lab)).replace("FILES/*.log", f"{files}/*"))
    assert finished.rc == 0, finished.said
    kept = [path for path in (finished.folder / "otto").rglob("*") if path.is_file()]
    assert {path.name for path in kept} == {"x.html.txt", "X.SVG.txt", "page.txt", "a.log", "b.log.gz"}
    links = [unquote(link).rpartition("/")[2] for link in re.findall(r'href="([^"]*)"', finished.html)]
    assert {path.name for path in kept} <= {*links}
