"""A host under the control of an attacker: a real shell whose PATH begins with a folder of tools that the test writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from tests.peers.keys import Keys
from tests.peers.sshd import Sshd

# Reads steps as the shell of a transfer does; a call with arguments is for the real one.
_SHELL = """#!/usr/bin/env python3
import os, re, sys
if len(sys.argv) > 1:
    os.execv("/bin/sh", ["sh", *sys.argv[1:]])
step = ""
for line in sys.stdin:
    step += line
    if "say ." in step:
        mark = re.search("K=(@[0-9a-f]+)", step)[1]
        sys.stdout.write("SAID".replace("{mark}", mark))
        sys.stdout.flush()
        step = ""
"""


class HostileHost:
    """A host whose tools answer what the test wants.

    Attributes:
        folder: Everything of the host: its tools, and the files that a test prepares.
        lab: The keys of the host in a lab, as for ``open_lab(name=host.lab)``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.tools.mkdir(parents=True)
        self.lab: dict[str, Any] = {"transport": "local", "environment": {"PATH": self._path}}

    @property
    def path_setting(self) -> str:
        """The PATH of the host, as ``SetEnv`` of an SSH server takes it; with SHLVL, bash reads no file that sets another."""
        return f"PATH={self._path} SHLVL=2"

    def reached_by(self, sshd: Sshd, keys: Keys) -> None:
        """Reach it through an SSH server, which must have ``path_setting``."""
        self.lab = {
            "address": sshd.address,
            "port": sshd.port,
            "user": sshd.user,
            "identity_file": str(keys.identity_file),
        }

    def tool(self, name: str, script: str) -> Path:
        """Put a tool in place of the real one; ``$REAL`` in its script is the real one.

        The script is POSIX sh, or begins with ``#!`` and is what that says.
        """
        real = shutil.which(name, path=os.defpath + os.pathsep + os.environ["PATH"]) or f"/nowhere/{name}"
        text = script if script.startswith("#!") else f"#!/bin/sh\nREAL={real}\n{script}\n"
        file = self.tools / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def replies(self, *reports: str, end: bool = True) -> None:
        """Let the host reply to each step of a transfer with these reports, each ``key:value`` with Python's escapes.

        Without ``end`` the reply has no end.
        """
        said = "".join(f"\\n{{mark}}:{report}" for report in reports) + ("\\n{mark}:.:\\n" if end else "")
        self.tool("sh", _SHELL.replace("SAID", said))

    def without(self, *names: str) -> None:
        """Take tools away: the host has only the tools of the system whose names are not among these."""
        system = self.folder / "system"
        system.mkdir(exist_ok=True)
        for folder in ("/bin", "/usr/bin"):
            for real in Path(folder).iterdir():
                link = system / real.name
                if real.name not in names and not link.exists() and not link.is_symlink():
                    link.symlink_to(real)
        self.lab["environment"] = {"PATH": f"{self.tools}:{system}"}

    @property
    def _path(self) -> str:
        return f"{self.tools}:{os.environ['PATH']}"
