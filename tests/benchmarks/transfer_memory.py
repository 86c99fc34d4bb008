"""Memory: how far this process rises over idle while 300 MB go to a host and come back, by each protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Row
from tests.peers.ftp import Pyftpdlib
from tests.peers.sshd import Sshd

_SIZE = 300_000_000
_LIMIT_MB = 100


def over_every_protocol(sshd: Sshd, key: Path) -> list[Row]:
    """Measure each protocol in a process of its own: what one leaves must not hide what the next takes."""
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(key), "host_key": "ignore"}
    rows = []
    with ExitStack() as ending:
        server = ending.enter_context(Pyftpdlib("otto", "secret"))
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="otto-bench-")))
        (folder / "big.bin").write_bytes(os.urandom(_SIZE))
        ways = {
            "local": {"transport": "local"},
            "sftp": host,
            "scp": host,
            "console": host,
            "ftp": {"transport": "local", "ftp": server.lab},
            **({"nc": host} if shutil.which("nc") else {}),
            "folder": host,
        }
        for via, lab in ways.items():
            (folder / "lab.json").write_text(json.dumps({"hosts": {"box": lab}}))
            words = [sys.executable, "-m", "tests.benchmarks.transfer_memory", str(folder), via]
            said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            rows.append(
                Row(f"300 MB there and back by {via}, peak memory over idle", float(said), "", None, _LIMIT_MB, True, unit="MB")
            )
    return rows


def main(folder: Path, via: str) -> None:
    """Print how many MB this process rose over idle."""
    from OttoLibrary.contracts.transfers import TransferOptions
    from OttoLibrary.run.session import Session

    session = Session(str(folder / "lab.json"))
    for name in ("there", "back"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "small.bin").write_bytes(b"data")

    def move(name: str) -> None:
        options = TransferOptions(via="" if via == "folder" else via)
        files: Any = session.files.on("box")
        if via == "folder":
            folders = session.files.folders_on("box")
            source = folder / f"folder-of-{name}"
            source.mkdir()
            (source / name).hardlink_to(folder / name)
            session.engine.call(folders.put(source, f"{folder}/there/"))
            session.engine.call(folders.get(f"{folder}/there/{source.name}", f"{folder}/back/"))
        else:
            session.engine.call(files.put([folder / name], f"{folder}/there/", options))
            session.engine.call(files.get(f"{folder}/there/{name}", f"{folder}/back/", options))

    move("small.bin")
    Path("/proc/self/clear_refs").write_text("5")
    idle_kb = _status("VmRSS")
    move("big.bin")
    print((_status("VmHWM") - idle_kb) / 1000)
    session.close()


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
