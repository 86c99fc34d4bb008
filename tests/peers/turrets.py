"""Turrets for load tests: the real one of OCT, and ours, each as a process with an archive of its own."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.peers.environments import python_of

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os
import socket
import time
from oct_turrets.base import BaseTransaction
from oct_turrets.tools import CustomTimer

class Transaction(BaseTransaction):
    def __init__(self, config, context=None):
        super(Transaction, self).__init__(config, context)
        self.number = 0

    def run(self):
        self.number += 1
        with CustomTimer(self, 'a/b'):
            time.sleep(self.config.get('pause_s', 0.01))
        if self.number % 5 == 0:
            raise ValueError('HTTP status 500')
        with open(self.config['journal'], 'a') as journal:
            journal.write('x')
"""


def packed(folder: Path, name: str, config: dict[str, Any], script: str = SCRIPT) -> Path:
    """Write the archive of a turret.

    The ramp is not 0: the real turret would begin one user a second then, and it dies of a stop before all have begun.
    """
    folder.mkdir(exist_ok=True)
    whole = {
        "name": name,
        "cannons": 3,
        "rampup": 0.1,
        "script": "v_user.py",
        "journal": str(folder / f"{name}.journal"),
        **config,
    }
    path = folder / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file, text in (("config.json", json.dumps(whole)), ("v_user.py", script)):
            info = tarfile.TarInfo(file)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def start_real(archive: Path) -> subprocess.Popen[bytes]:
    """Start the real turret of OCT."""
    program = python_of("oct-turrets").parent / "oct-turrets-start"
    return subprocess.Popen(
        [program, "--tar", archive], env=_environment(archive), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def start_ours(archive: Path, python: str = sys.executable) -> subprocess.Popen[bytes]:
    """Start a turret of ours."""
    command = [python, "-m", "OttoLibrary.load.turret.turret_process", "--tar", archive]
    return subprocess.Popen(command, env=_environment(archive) | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)


def _environment(archive: Path) -> dict[str, str]:
    """Let a turret unpack beside its archive: what one that is killed leaves goes with the test."""
    return {**os.environ, "TMPDIR": str(archive.parent)}


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
