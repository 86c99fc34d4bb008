"""What a host floods us with in the middle of a transfer does not fill our memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.errors import HostError, UsageError
from tests.peers.hostile import HostileHost

_LIMIT_KB = 100_000


def status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


FLOODS = {
    "a reply of scp without a line end": ("scp", "scp", "exec cat /dev/zero"),
    "an endless help of nc": ("nc", "nc", "exec yes usage"),
    "an endless complaint of nc": ("nc", "cat", "exec yes >&2"),
    "an endless complaint of tar": ("folder", "tar", "exec yes >&2"),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood(what: str, tmp_path: Path, hostile: Callable[..., HostileHost], open_lab: Any) -> None:
    via, tool, script = FLOODS[what]
    host = hostile("sshd")
    session = open_lab(box=host.lab | {"timeout": 5})
    there = host.folder / "files"
    there.mkdir()
    (there / "a.bin").write_bytes(b"data")
    files, folders = session.files.on("box"), session.files.folders_on("box")
    session.engine.call(files.get(str(there / "a.bin"), f"{tmp_path}/first.bin", TransferOptions(via="console")))
    host.tool(tool, script)
    Path("/proc/self/clear_refs").write_text("5")
    idle_kb = status("VmRSS")
    if via == "folder":
        work = folders.get(str(there), f"{tmp_path}/copy", TransferOptions(links="keep"))
    else:
        work = files.get(str(there / "a.bin"), f"{tmp_path}/b.bin", TransferOptions(via=via))
    with pytest.raises((HostError, UsageError)):
        session.engine.call(work)
    assert status("VmHWM") - idle_kb < _LIMIT_KB
