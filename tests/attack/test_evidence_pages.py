"""Evidence that a host gives is never a page that runs, whatever the host calls it and whatever size it claims."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.run.evidence import Bounds, collect
from tests.contract.conftest import open_lab, own_home  # noqa: F401 - fixtures

PAGE = "<html><script>alert(document.domain)</script></html>"
NAMES = [
    "report.html",
    "REPORT.HTML",
    "a.htm",
    "a.xhtml",
    "a.svg",
    "a.xml",
    "a.mht",
    "a.pdf",
    "a.js",
    "core",
    "a.log.html",
    "a.html.",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_a_host_is_kept_as_text(name: str, open_lab: Any, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / name).write_text(PAGE)
    evidence = [str(tmp_path / name), {"command": f"cat '{tmp_path / name}'", "name": name}]
    session = open_lab(here={"transport": "local", "evidence": evidence})
    pieces = session.engine.call(collect([session.hosts.use("here")], tmp_path / "kept", Bounds(), session.masker.mask))
    kept = [piece.path for piece in pieces if piece.path is not None]
    assert [path.read_text() for path in kept] == [PAGE] * 2
    assert {mimetypes.guess_type(path.name)[0] for path in kept} == {"text/plain"}


def test_logs_and_texts_keep_their_names(open_lab: Any, tmp_path: Path) -> None:  # noqa: F811
    for name in ("app.log", "notes.txt"):
        (tmp_path / name).write_text("x")
    session = open_lab(here={"transport": "local", "evidence": [f"{tmp_path}/*.log", f"{tmp_path}/*.txt"]})
    pieces = session.engine.call(collect([session.hosts.use("here")], tmp_path / "kept", Bounds(), session.masker.mask))
    names = [piece.path.name for piece in pieces if piece.path is not None]
    assert len(names) == 2
    assert names[0].endswith("_app.log")
    assert names[1].endswith("_notes.txt")


@pytest.mark.parametrize("size", ["9" * 5000, "-1", "", "x", "²"])
def test_a_size_that_no_file_has_is_not_believed(
    size: str,
    open_lab: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "wc").write_text(f"#!/bin/sh\necho '{size}'\n")
    (tools / "wc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    (tmp_path / "app.log").write_text("it broke\n")
    session = open_lab(here={"transport": "local", "evidence": [str(tmp_path / "app.log")]})
    [piece] = session.engine.call(collect([session.hosts.use("here")], tmp_path / "kept", Bounds(), session.masker.mask))
    assert piece.path is not None
    assert piece.path.read_text() == "it broke\n"
