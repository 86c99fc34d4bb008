"""Every ``.robot`` file of the acceptance tests and of the product's suites, as an item of pytest.

A suite runs on the demo lab. One with ``Metadata    Lab    lines`` runs on Telnet and serial peers of the tests, one
with ``network`` on their SSH servers, where it gets ``${ACCOUNT}`` and ``${PEER ACCOUNT}``, two logins of its hosts whose
passwords the lab knows (empty unless the tests run as root).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import consoles
from tests.peers.telnetd import PASSWORD, USER, login_program

ROOT = Path(__file__).parents[2]
SUITES = sorted([*ROOT.glob("tests/acceptance/**/*.robot"), *ROOT.glob("suites/**/*.robot")])
_LAB = re.compile(r"^Metadata(?: {2,}|\t)\s*Lab(?: {2,}|\t)\s*(\w+)\s*$", re.MULTILINE)
_TOO_LONG_S = 600


def _lab_of(suite: Path) -> str:
    found = _LAB.search(suite.read_text())
    return found[1] if found else "demo"


def _name(suite: Path) -> str:
    return str(suite.relative_to(ROOT))


# Those of the product run in one process and, each alone, under pabot.
@pytest.mark.parametrize("suite", [suite for suite in SUITES if ROOT / "suites" not in suite.parents], ids=_name)
def test_suite(suite: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    _run(["robot", "--outputdir", str(tmp_path / "results")], [suite], _variables(_lab_of(suite), request, tmp_path), tmp_path)


# In order they run with each listener, see test_together.py.
@pytest.mark.parametrize("options", [["--randomize", "all"], ["--dryrun"]], ids=["randomized", "dryrun"])
def test_all_suites_in_one_process(options: list[str], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    command = ["robot", *options, "--exclude", "network", "--outputdir", str(tmp_path / "results")]
    _run(command, [ROOT / "suites"], _variables("demo", request, tmp_path), tmp_path)


@pytest.mark.parametrize("lab", sorted({_lab_of(suite) for suite in SUITES}))
def test_suites_under_pabot(lab: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    suites = [suite for suite in SUITES if _lab_of(suite) == lab]
    # With our Python rather than the 'robot' of PATH, and without the server of its locks, whose port another pabot may have.
    plain = ["pabot.pabot", "--command", sys.executable, "-m", "robot", "--end-command"]
    # The many of the demo lab share what was imported.
    pabot = ["OttoLibrary", "pabot"] if lab == "demo" else plain
    command = [*pabot, "--no-pabotlib", "--processes", "4", "--outputdir", str(tmp_path / "results")]
    _run(command, suites, _variables(lab, request, tmp_path), tmp_path)


def _variables(lab: str, request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    if lab == "lines":
        return {"LAB": str(_lines_lab(request, folder))}
    if lab != "network":
        return {"LAB": lab}
    network = request.getfixturevalue("network")
    logins = [network.accounts.test.login, network.accounts.peer.login] if network.accounts else ["", ""]
    return {
        "LAB": str(network.write_lab(folder / "network.json")),
        **dict(zip(("ACCOUNT", "PEER ACCOUNT"), logins, strict=True)),
    }


def _lines_lab(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Write a lab of a Telnet host behind a hop and a board that boots on a serial port."""
    sshd, keys = request.getfixturevalue("sshd"), request.getfixturevalue("keys")
    server = request.getfixturevalue("telnetd")("inetutils", login=login_program(folder, "bash --norc -i"))
    environment = {"OTTO_PASSWORD": "board-word", "OTTO_COUNT_S": "3"}
    board = request.getfixturevalue("serial_console")(consoles.boot, environment, on_open=True)
    rack = {"transport": "telnet", "address": server.address, "port": server.port, "hop": "gateway", "user": USER}
    serial = {"transport": "serial", "port": board.device}
    hosts = {
        "gateway": {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)},
        "rack": rack | {"password": PASSWORD},
        "rack-wrong": rack | {"password": "no-good-word"},
        "board": serial | {"profile": "busybox", "user": "root", "password": "board-word"},
        "loader": serial | {"profile": "uboot"},
    }
    lab = folder / "lines.json"
    lab.write_text(json.dumps({"hosts": hosts}))
    return lab


def _run(command: list[str], suites: list[Path], variables: dict[str, str], folder: Path) -> None:
    """Run suites in a process of their own with a home of its own, and fail with what it said."""
    home = folder / "home"
    home.mkdir()
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    given = [word for name, value in variables.items() for word in ("--variable", f"{name}:{value}")]
    # Pabot writes its list of suites into the current folder.
    done = subprocess.run(
        [sys.executable, "-m", *command, *given, *map(str, suites)],
        env=os.environ | {"HOME": str(home), "PYTHONPATH": paths},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TOO_LONG_S,
        check=False,
    )
    # Python's own complaints, as of a transport that outlived its loop, change no exit status.
    if done.returncode or any(words in done.stdout for words in ("Exception ignored", "Traceback", "that handles pid")):
        pytest.fail(f"{' '.join(done.args)}\n{done.stdout}", pytrace=False)
