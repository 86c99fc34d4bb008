"""Plays the newcomer: every command that the README shows, in its order, with the time of each.

It begins with a fresh virtual environment and an empty home. The lab, the suite and the build of the README are its files; their
addresses become a real server on loopback. ``python -m tests.acceptance.first_minutes`` installs from the package index;
``--installed`` uses the packages that are here already, as the tests do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.keys import make_keys
from tests.peers.sshd import Sshd

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PACKAGE = "robotframework-ottolibrary"
NOT_PLAYED = {"make test": "it takes as long as all tests", "make demo": "tests/acceptance/test_demo.py plays it"}
_TEN_MINUTES_S = 600


@dataclass(frozen=True)
class Played:
    """A command that was played.

    Attributes:
        command: As the README has it.
        rc: Its exit status.
        took_s: Wall time in seconds.
        said: What it printed.
    """

    command: str
    rc: int
    took_s: float
    said: str


def commands(readme: str) -> list[str]:
    """Return the lines of all console blocks, without comments."""
    blocks = re.findall(r"^```console\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return [" ".join(shlex.split(line, comments=True, posix=False)) for block in blocks for line in block.splitlines()]


class Newcomer:
    """Somebody with an empty home and a fresh virtual environment.

    Args:
        folder: Where all of it is.
        wheel: What ``pip install`` installs in place of the released package.
        server: A server that is every host of the README's lab.
        identity_file: The key that it knows.
        installed: Use the packages that are here already, and no index.
    """

    def __init__(self, folder: Path, wheel: Path, server: Sshd, identity_file: Path, *, installed: bool) -> None:
        self._folder, self._wheel, self._server, self._identity_file = folder, wheel, server, identity_file
        self._home, self._target = folder / "home", folder / "opt"
        self._bin = folder / "venv" / "bin"
        self._at = self._home
        self._home.mkdir()
        without_pip = ["--without-pip"] if installed else []
        subprocess.run([sys.executable, "-m", "venv", *without_pip, str(folder / "venv")], check=True, timeout=300)
        if installed:
            self._see_what_is_installed()
        self._write_files(README.read_text())

    def play(self, command: str) -> Played:
        """Run a command in the folder where the one before ended."""
        script = f"cd {shlex.quote(str(self._at))}\n{self._ours(command)}\nrc=$?; pwd > {self._folder}/at; exit $rc"
        home = {"HOME": str(self._home), "PATH": f"{self._bin}:/usr/local/bin:/usr/bin:/bin", "DUT_ROOT_PASSWORD": "unused"}
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "LC_", "TMP"))}
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            env=kept | home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TEN_MINUTES_S,
            check=False,
        )
        self._at = Path((self._folder / "at").read_text().strip())
        return Played(command, done.returncode, time.monotonic() - began, done.stdout)

    def _ours(self, command: str) -> str:
        """The released package is the wheel of this checkout; where the README's suite begins, its files are there."""
        return re.sub(rf"{PACKAGE}(\[\w+\])?", lambda found: f"{self._wheel}{found[1] or ''}", command)

    def _see_what_is_installed(self) -> None:
        here = next((self._folder / "venv" / "lib").glob("python*")) / "site-packages"
        (here / "installed.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")) + "\n")
        programs = {
            "pip": "pip --disable-pip-version-check $1 --quiet --no-index --no-deps --ignore-installed ${@:2}",
            "robot": "robot $@",
        }
        for name, words in programs.items():
            program = self._bin / name
            arguments = words.replace("$@", '"$@"').replace("${@:2}", '"${@:2}"')
            program.write_text(f"#!/bin/bash\nexec {self._bin}/python -m {arguments}\n")
            program.chmod(0o755)

    def _write_files(self, readme: str) -> None:
        """Write the lab and the suite of the README where its commands look for them: beside the new project's files."""
        lab = json.loads(re.findall(r"^```json\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[0])
        lab["defaults"] |= {"user": self._server.user, "identity_file": str(self._identity_file)}
        for host in lab["hosts"].values():
            host |= {"address": self._server.address, "port": self._server.port}
        suite = re.findall(r"^```robotframework\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[0]
        self.files = {
            "labs/bench.json": json.dumps(lab),
            "firmware.robot": suite.replace("/opt/fw/", f"{self._target}/"),
            "build/fw.bin": "firmware\n",
        }

    def put_files(self) -> None:
        """Write the files of the README's own suite into the folder where the newcomer is."""
        for name, text in self.files.items():
            path = self._at / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def play_all(newcomer: Newcomer, lines: Sequence[str]) -> list[Played]:
    """Play every command but those in ``NOT_PLAYED``; stop at the first that fails."""
    played: list[Played] = []
    for line in lines:
        if line in NOT_PLAYED:
            continue
        if "check bench" in line:
            newcomer.put_files()
        played.append(newcomer.play(line))
        if played[-1].rc:
            break
    return played


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


def main() -> int:
    """Play it and print the table; the exit status is 0 when all went well within ten minutes."""
    parser = argparse.ArgumentParser(description="Plays every command of the README, with the time of each.")
    parser.add_argument("--installed", action="store_true", help="use the packages that are here already, and no index")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="otto-newcomer-") as name:
        folder = Path(name)
        for part in ("dist", "keys"):
            (folder / part).mkdir()
        wheel, keys = build_wheel(folder / "dist"), make_keys(folder / "keys", [os.environ.get("USER", "root")])
        with Sshd(keys) as server:
            newcomer = Newcomer(folder, wheel, server, keys.identity_file, installed=given.installed)
            played = play_all(newcomer, commands(README.read_text()))
    for each in played:
        print(f"{each.took_s:7.1f} s  {each.command}")
    for command, reason in NOT_PLAYED.items():
        print(f"        -  {command}: not played, {reason}")
    total_s = sum(each.took_s for each in played)
    print(f"{total_s:7.1f} s  of {_TEN_MINUTES_S}")
    if played[-1].rc:
        print(f"\n'{played[-1].command}' exited with {played[-1].rc}:\n{played[-1].said}")
    return 1 if played[-1].rc or total_s > _TEN_MINUTES_S else 0


if __name__ == "__main__":
    sys.exit(main())
