"""Files on their way when Robot's time is over, when a run is ended, and when secrets are about."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from robot.api import ExecutionResult

from tests.peers import processes

_TRIES = 20
# Ends at once, says the promise; a busy machine may need a moment more.
_AT_ONCE_S = 3.0
_BIG = 3 << 30
_HEAD = """*** Settings ***
Library     OttoLibrary    lab=box.json
Library     OperatingSystem

*** Test Cases ***
"""
_INTERRUPTED = (
    "Put File To Host    box    here/big.bin    ${CURDIR}/there/a.bin",
    "Get File From Host    box    ${CURDIR}/there/big.bin    here/b.bin",
    "Put Directory To Host    box    here/many    ${CURDIR}/there/many",
    "Put File To Host    box    here/big.bin    ${CURDIR}/there/a.bin    via=scp    verify=no",
    "Get Directory From Host    box    ${CURDIR}/here/many    here/many2",
    "Put File To Host    box    here/big.bin    ${CURDIR}/there/a.bin    via=console",
    "Get File From Host    box    ${CURDIR}/there/big.bin    here/b.bin    via=console",
    "Put File To Hosts    box    here/big.bin    ${CURDIR}/there/a.bin",
    "Get File From Host    box    ${CURDIR}/there/big.bin    here/b.bin    via=scp",
    "Copy File Between Hosts    box    ${CURDIR}/there/big.bin    box    ${CURDIR}/there/a.bin",
)
_USABLE = """
    [Timeout]    20 s
    Put File To Host    box    here/small.bin    ${CURDIR}/there/
    Wait Until Keyword Succeeds    3 s    50 ms    Host File Should Not Exist    box    ${CURDIR}/there/.otto-*
    Should Not Exist    here/.otto-*
    ${old}=    Read Host File    box    ${CURDIR}/there/a.bin
    Should Be Equal    ${old}    old
    File Should Not Exist    here/b.bin
    Host File Should Not Exist    box    ${CURDIR}/there/many
    Should Not Exist    here/many2
"""


@pytest.fixture
def folder(sshd: Any, keys: Any, tmp_path: Path) -> Path:
    """A folder with a lab of one host, files to move ``here``, and those of the host ``there``."""
    for name in ("there", "here", "home", "temporary"):
        (tmp_path / name).mkdir()
    host = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}
    (tmp_path / "box.json").write_text(json.dumps({"hosts": {"box": host}}))
    for path in (tmp_path / "here" / "big.bin", tmp_path / "there" / "big.bin"):
        with path.open("wb") as file:
            file.truncate(_BIG)
    (tmp_path / "here" / "many").mkdir()
    for number in range(3):
        os.link(tmp_path / "here" / "big.bin", tmp_path / "here" / "many" / f"{number}.bin")
    (tmp_path / "here" / "small.bin").write_text("small")
    (tmp_path / "there" / "a.bin").write_text("old")
    return tmp_path


@pytest.fixture
def robot(folder: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a robot on a suite: ``robot(text, *options)``."""

    def start(text: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        (folder / "suite.robot").write_text(text)
        command = [sys.executable, "-m", "robot", "--outputdir", "results", *options, "suite.robot"]
        own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
        paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": paths} | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def test_20_of_20_time_outs_end_at_once_and_leave_nothing(robot: Callable[..., subprocess.Popen[str]], folder: Path) -> None:
    moments = random.Random(5)
    bounds = {number: moments.randint(1, 700) for number in range(_TRIES)}
    cases = [
        f"Interrupted {n}\n    [Timeout]    {ms} ms\n    {_INTERRUPTED[n % len(_INTERRUPTED)]}\n" for n, ms in bounds.items()
    ]
    usable = [f"Usable {number}{_USABLE}" for number in range(_TRIES)]
    with robot(_HEAD + "\n".join(part for pair in zip(cases, usable, strict=True) for part in pair)) as running:
        said, _ = running.communicate(timeout=110)
    tests = {test.name: test for test in ExecutionResult(folder / "results" / "output.xml").suite.all_tests}
    assert len(tests) == 2 * _TRIES, said
    wrong = [f"{name}: {test.message}" for name, test in tests.items() if test.passed != name.startswith("Usable")]
    wrong += [f"{test.name}: {test.message}" for test in tests.values() if test.failed and "timeout" not in test.message]
    late = {n: tests[f"Interrupted {n}"].elapsed_time.total_seconds() - ms / 1000 for n, ms in bounds.items()}
    wrong += [f"Interrupted {number} took {more_s:.1f} s more" for number, more_s in late.items() if more_s > _AT_ONCE_S]
    assert not wrong, "\n".join([*wrong, said])


@pytest.mark.parametrize("via", ["sftp", "scp", "console"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_nothing_on_the_host(
    robot: Callable[..., subprocess.Popen[str]], folder: Path, via: str, number: signal.Signals
) -> None:
    there = folder / "there"
    put = f"Put\n    Put File To Host    box    here/big.bin    ${{CURDIR}}/there/a.bin    via={via}\n"
    with robot(_HEAD + put) as running:
        processes.wait_until(lambda: any(part.stat().st_size > 1 << 20 for part in there.glob(".otto-*")), "bytes move")
        running.send_signal(number)
        running.communicate(timeout=60)
    processes.wait_until(lambda: not list(there.glob(".otto-*")), "nothing is left")
    assert (there / "a.bin").read_text() == "old"
    assert sorted(path.name for path in there.iterdir()) == ["a.bin", "big.bin"]
    if number == signal.SIGTERM:
        assert not list((folder / "temporary").iterdir())


@pytest.mark.parametrize("via", ["sftp", "scp", "console"])
def test_a_run_that_is_ended_leaves_nothing_here(robot: Callable[..., subprocess.Popen[str]], folder: Path, via: str) -> None:
    here = folder / "here"
    with robot(
        _HEAD + f"Get\n    Get File From Host    box    ${{CURDIR}}/there/big.bin    here/b.bin    via={via}\n"
    ) as running:
        processes.wait_until(lambda: any(part.stat().st_size > 1 << 20 for part in here.glob(".otto-*")), "bytes move")
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    assert not list(here.glob(".otto-*"))
    assert not (here / "b.bin").exists()
    assert not list((folder / "temporary").iterdir())


_SECRET = "s3cr3t-Pa55&word"
_ROBOT_SECRET = "r0bot's own"
_TELLING = """*** Settings ***
Library     OttoLibrary    lab=box.json

*** Variables ***
${TYPED: Secret}    %{ROBOT_SECRET}

*** Test Cases ***
In A Path
    Put File To Host    box    here/small.bin    ${CURDIR}/there/${PLAIN}
    Put File To Hosts    box    here/small.bin    ${CURDIR}/there/${PLAIN}
    Get File From Host    box    ${CURDIR}/there/*${PLAIN}*    here/
    List Host Directory    box    ${CURDIR}/there
    Host File Should Exist    box    ${CURDIR}/there/${PLAIN}

In Content
    Write Host File    box    ${CURDIR}/there/content    one ${PLAIN} two
    ${text}=    Read Host File    box    ${CURDIR}/there/content
    Should Be Equal    ${text}    one ${PLAIN} two

In An Error
    Get File From Host    box    /none/${PLAIN}    here/

In A Fan Out That Fails
    Put File To Hosts    box    here/small.bin    /none/${PLAIN}

In A Time Out
    Put File To Host    box    here/big.bin    ${CURDIR}/there/${PLAIN}    timeout=200 ms
"""


def test_no_secret_in_what_a_run_with_transfers_leaves(robot: Callable[..., subprocess.Popen[str]], folder: Path) -> None:
    lab = json.loads((folder / "box.json").read_text())
    lab["hosts"]["box"]["accounts"] = {"root": _SECRET}
    (folder / "box.json").write_text(json.dumps(lab))
    (folder / "plain.py").write_text(f"PLAIN = {_SECRET!r}\n")
    with robot(_TELLING, "--loglevel", "TRACE", "--variablefile", "plain.py", ROBOT_SECRET=_ROBOT_SECRET) as running:
        said, _ = running.communicate(timeout=60)
    results = folder / "results"
    left = {"console": said} | {path.name: path.read_text() for path in results.rglob("*") if path.is_file()}
    shown = [
        f"{name}: ...{text[max(0, text.index(spelling) - 200) : text.index(spelling) + 60]!r}"
        for name, text in left.items()
        for secret in (_SECRET, _ROBOT_SECRET)
        for spelling in (secret, base64.b64encode(secret.encode()).decode())
        if spelling in text
    ]
    assert not shown, "\n".join(shown)
    tests = {test.name: test for test in ExecutionResult(results / "output.xml").suite.all_tests}
    assert [name for name, test in tests.items() if test.passed] == ["In A Path", "In Content"], said
