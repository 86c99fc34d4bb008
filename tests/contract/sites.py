"""Hosts to move files to and from, by every protocol and on every kind of way."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.transfers import TransferOptions
from OttoLibrary.run.session import Session
from tests.peers.consoles import SerialConsole, shell
from tests.peers.ftp import Pyftpdlib
from tests.peers.requirements import require
from tests.peers.telnetd import PASSWORD, USER, Telnetd, login_program

WAYS = [
    ("local", "local"),
    ("local", "console"),
    ("sshd", "sftp"),
    ("sshd", "scp"),
    ("sshd", "console"),
    ("busybox", "sftp"),
    ("two hops", "sftp"),
    ("two hops", "scp"),
    ("two hops", "console"),
    ("sshd", "nc"),
    ("two hops", "nc"),
    ("ftp server", "ftp"),
    ("telnet", "console"),
    ("serial", "console"),
]
_TOOLS = """
base64 cat chmod cp dd df find gzip head ln ls md5sum mkdir mktemp mv readlink rm rmdir sha256sum sh sleep stat stty tail tar
touch tr wc env
"""


@dataclass
class Site:
    """A host whose files the test can see on this machine, since all peers run on it."""

    session: Session
    name: str
    via: str
    there: Path
    here: Path

    def put(self, source: Path, target: str, **options: Any) -> Any:
        return self.session.engine.call(
            self.session.files.on(self.name).put([source], target, TransferOptions(**({"via": self.via} | options)))
        )

    def get(self, source: str, target: str, **options: Any) -> Any:
        return self.session.engine.call(
            self.session.files.on(self.name).get(source, target, TransferOptions(**({"via": self.via} | options)))
        )

    def litter(self) -> list[str]:
        return [
            name
            for folder in (self.there, self.here)
            for _, *names in os.walk(folder)
            for name in chain(*names)
            if name.startswith(".otto-")
        ]


def opened(way: str, via: str, request: pytest.FixtureRequest, open_lab: Any, folder: Path, ending: ExitStack) -> Site:
    """Open a host on a way; what it needs ends with ``ending``."""
    there, here = folder / "there", folder / "here"
    there.mkdir()
    here.mkdir()
    # Where a host makes temporary files, so that a forgotten one is seen.
    environment = {"environment": {"TMPDIR": str(there)}}
    if way == "two hops":
        network = request.getfixturevalue("network")
        lab = network.write_lab(folder / "network.json", dut1=environment)
        return Site(open_lab(lab), "dut1", via, there, here)
    return Site(open_lab(box=_host(way, request, folder, ending) | environment), "box", via, there, here)


def _host(way: str, request: pytest.FixtureRequest, folder: Path, ending: ExitStack) -> dict[str, Any]:
    if way == "local":
        return {"transport": "local"}
    if way == "ftp server":
        server = ending.enter_context(Pyftpdlib("otto", "secret"))
        return {"transport": "local", "ftp": server.lab}
    if way == "telnet":
        require("telnetd")
        server = ending.enter_context(Telnetd("inetutils", login_program(folder, "bash")))
        return {"transport": "telnet", "address": server.address, "port": server.port, "user": USER, "password": PASSWORD}
    if way == "serial":
        require("busybox", "setsid")
        return {"transport": "serial", "port": ending.enter_context(SerialConsole(shell)).device, "profile": "busybox"}
    sshd = request.getfixturevalue("sshd")
    if way == "busybox":
        sshd = request.getfixturevalue("make_sshd")(options={"SetEnv": f"PATH={_busybox(folder)} SHLVL=2"})
    keys = request.getfixturevalue("keys")
    return {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}


def _busybox(folder: Path) -> str:
    """Return a PATH with nothing but busybox."""
    place = folder / "bin"
    place.mkdir()
    busybox = shutil.which("busybox") or "/bin/busybox"
    for name in _TOOLS.split():
        (place / name).symlink_to(busybox)
    return str(place)


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def write(path: Path, data: bytes, mode: int = 0o644, mtime: int = 1_600_000_000) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, (mtime, mtime))
    return path
