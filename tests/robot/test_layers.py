"""The keyword layers of ``resources/`` in whole runs: their examples, a serial line, and deploys that are cut off."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from robot.libdocpkg import LibraryDocumentation

from tests.peers import consoles
from tests.peers.processes import wait_until

ROOT = Path(__file__).parents[2]
RESOURCES = sorted(ROOT.glob("resources/*.resource"))
_NOT_HERE = "# tags: no-run"  # needs systemd, or a kernel of its own: suites/layers has tests with stand-ins
_HEAD = "*** Settings ***\nLibrary    OperatingSystem\nLibrary    OttoLibrary    lab=demo\n"


def _examples() -> list[tuple[str, str]]:
    """Return the examples of all keywords: in their documentation, each line begins with a bar."""
    found = []
    for path in RESOURCES:
        for keyword in LibraryDocumentation(str(path)).keywords:
            block = "\n".join(line.removeprefix("|").removeprefix(" ") for line in keyword.doc.splitlines() if line[:1] == "|")
            if block and _NOT_HERE not in block:
                found.append((keyword.name, block))
    return found


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "robot", *map(str, arguments)]


def _environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": paths, "HOME": str(folder)}


def _robot(folder: Path, *arguments: str | Path) -> str:
    done = subprocess.run(
        _command("--outputdir", folder / "results", *arguments),
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
    return done.stdout


def test_every_example_runs(tmp_path: Path) -> None:
    examples = _examples()
    assert len(examples) > 15
    resources = "".join(f"Resource    OttoLibrary/resources/{path.name}\n" for path in RESOURCES)
    tests = [f"{name}\n{textwrap.indent(block, '    ')}\n" for name, block in examples]
    (tmp_path / "examples.robot").write_text(f"{_HEAD}{resources}\n*** Test Cases ***\n{''.join(tests)}")
    _robot(tmp_path, tmp_path / "examples.robot")


def test_layers_work_on_busybox_at_a_serial_port(tmp_path: Path, serial_console: Any) -> None:
    device = serial_console(consoles.shell).device
    lab = tmp_path / "board.json"
    lab.write_text(f'{{"hosts": {{"rack": {{"transport": "serial", "port": "{device}", "profile": "busybox"}}}}}}')
    _robot(tmp_path, "--variable", f"LAB:{lab}", ROOT / "tests" / "acceptance" / "layers_lines.robot")


_DEPLOY = """*** Settings ***
Library     OttoLibrary    lab=demo
Resource    OttoLibrary/resources/deploy.resource

*** Test Cases ***
Deploy
    [Timeout]    {timeout}
    Deploy Build    local    {build}    to={to}    check={check}
"""


class Deploy:
    """Deploys of two builds to this machine; the second one's check takes its time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.to, self.checking = folder, folder / "my fw", folder / "checking"
        for name in ("old", "new"):
            (folder / name).write_text(name)

    def run(self, build: str) -> None:
        self._write(build, "true", "1 min")
        _robot(self.folder, self.folder / "deploy.robot")

    @contextmanager
    def cut(self, timeout: str = "1 min") -> Iterator[subprocess.Popen[bytes]]:
        """Begin to deploy the new build, as far as its check."""
        self._write("new", f"touch {self.checking}; sleep 30", timeout)
        command = _command("--outputdir", self.folder / "cut", self.folder / "deploy.robot")
        with (
            (self.folder / "said").open("wb") as said,
            subprocess.Popen(
                command, cwd=self.folder, env=_environment(self.folder), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            ) as robot,
        ):
            try:
                wait_until(self.checking.exists, "the check begins")
                yield robot
                robot.wait(20)
            finally:
                robot.kill()
                self._kill_host()

    def builds(self) -> list[str]:
        """Return the build in use and those that are there, without their checksums."""
        names = [(self.to / "current").readlink().name, *sorted(path.name for path in (self.to / "releases").glob("*-*"))]
        return [re.sub(r"-\w{12}$", "", name) for name in names]

    def _kill_host(self) -> None:
        """Kill what still works on the host, since nobody is left to end it when robot was killed."""
        for process in psutil.process_iter(["cwd"]):
            if Path(process.info["cwd"] or "/").is_relative_to(self.folder):
                process.kill()

    def _write(self, build: str, check: str, timeout: str) -> None:
        words = {"build": self.folder / build, "to": self.to, "check": check, "timeout": timeout}
        (self.folder / "deploy.robot").write_text(_DEPLOY.format(**words))


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    made = Deploy(tmp_path)
    made.run("old")
    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_undoes_a_deploy(deploy: Deploy, number: signal.Signals) -> None:
    with deploy.cut() as robot:
        assert deploy.builds() == ["new", "new", "old"]
        robot.send_signal(number)
    assert deploy.builds() == ["old", "old"]


def test_a_time_out_of_the_test_undoes_a_deploy(deploy: Deploy) -> None:
    with deploy.cut(timeout="6 s"):
        pass
    assert deploy.builds() == ["old", "old"]


def test_a_deploy_that_was_killed_is_undone_by_the_next(deploy: Deploy) -> None:
    with deploy.cut() as robot:
        robot.kill()
    assert deploy.builds() == ["new", "new", "old"]
    deploy.run("old")
    assert deploy.builds() == ["old", "old"]
