"""What a run that was killed left on this machine is removed by the next one, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from tests.peers.hostile import HostileHost

_RUN = """
import sys
from pathlib import Path
from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.run.session import Session
session = Session(sys.argv[1])
what, source, target = sys.argv[2:5]
if what == "file":
    session.engine.call(session.files.on("box").get(source, target, TransferOptions(via="console")))
elif what == "copy":
    files = session.files.on("box")
    session.engine.call(files.copy(source, files, target, TransferOptions(via="console")))
else:
    session.engine.call(session.files.folders_on("box").get(source, target, TransferOptions(links="keep")))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs make their temporary folders."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def ours(*folders: Path) -> list[str]:
    return [path.name for folder in folders for path in folder.iterdir() if path.name.startswith(("otto-", ".otto-"))]


@pytest.mark.parametrize("what", ["file", "copy", "folder"])
def test_a_killed_run_leaves_nothing_for_long(
    what: str, tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any, temporary: Path
) -> None:
    host = hostile()
    there, here = host.folder / "files", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / "a.log").write_text("log")
    # The run hangs in the middle of the transfer, and says when it is there.
    reached = tmp_path / "reached"
    os.mkfifo(reached)
    for tool in ("tail", "tar"):
        host.tool(tool, f"echo here >{reached}; exec sleep 600")
    lab = tmp_path / "lab.json"
    lab.write_text(json.dumps({"hosts": {"box": host.lab}}))
    source = there if what == "folder" else there / "a.log"
    target = f"{there}/b.log" if what == "copy" else f"{here}/"
    run = subprocess.Popen([sys.executable, "-c", _RUN, str(lab), what, str(source), target])
    assert reached.read_text() == "here\n"
    assert ours(here, temporary)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert ours(here, temporary)
    (tmp_path / "b").mkdir()
    session = open_lab(box={"transport": "local"})
    session.engine.call(session.files.on("box").get(str(there / "a.log"), f"{tmp_path}/b/", TransferOptions()))
    assert ours(here, temporary) == []


def notes(home: Path, name: str, *begun: Path, machine: str = socket.gethostname()) -> Path:
    folder = home / ".otto" / "unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [["on", machine], *(["begun", str(path)] for path in begun)]
    (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '["begun", "/cut')
    return folder / name


def test_only_what_is_ours_is_removed(tmp_path: Path, own_home: Path, open_lab: Any, temporary: Path) -> None:
    kept = [
        tmp_path / "precious",
        tmp_path / ".otto-precious.part",
        tmp_path / "otto-copy-x",
        tmp_path / ".otto-ABCDEF012345.part",
    ]
    for path in kept:
        path.write_text("mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    link = tmp_path / ".otto-0123456789ab.part"
    link.symlink_to(outside)
    elsewhere = tmp_path / ".otto-aaaaaaaaaaaa.part"
    elsewhere.write_text("of another machine")
    left = tmp_path / ".otto-bbbbbbbbbbbb.part"
    left.mkdir()
    (left / "link").symlink_to(outside)
    dead = notes(own_home, "dead", *kept, link, left)
    foreign = notes(own_home, "foreign", elsewhere, machine="another")
    (own_home / ".otto" / "unfinished" / "pipe").unlink(missing_ok=True)
    os.mkfifo(own_home / ".otto" / "unfinished" / "pipe")
    session = open_lab(box={"transport": "local"})
    (tmp_path / "a.log").write_text("log")
    (tmp_path / "to").mkdir()
    session.engine.call(session.files.on("box").get(str(tmp_path / "a.log"), f"{tmp_path}/to/", TransferOptions()))
    assert not left.exists()
    assert not dead.exists()
    assert foreign.exists()
    assert all(path.exists() for path in [*kept, elsewhere, link, outside / "file"])
