"""The shell scripts of ``resources/``, as hosts with bash, with dash and with nothing but busybox run them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from OttoLibrary.deadline import Deadline
from tests.peers.requirements import require

RESOURCES = Path(__file__).parents[2] / "resources"
Run = Callable[..., list[str]]


@pytest.fixture(params=["bash", "dash", "busybox"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a script with values as ``Run Script On Hosts`` does; return the lines that it said."""
    shell = request.param
    require(shell)
    environment, command = dict(os.environ), [shell]
    if shell == "busybox":
        tools = tmp_path / "busybox"
        tools.mkdir()
        busybox = shutil.which("busybox") or "busybox"
        subprocess.run([busybox, "--install", "-s", str(tools)], check=True)
        environment["PATH"], command = str(tools), [busybox, "sh"]

    def run(script: str, **values: str | Path | int) -> list[str]:
        given = "\n".join(f"{name}={shlex.quote(str(value))}" for name, value in values.items())
        text = f"(\nset +efu; unset IFS\n{given}\n{(RESOURCES / script).read_text()}\n)"
        done = subprocess.run(
            command, input=text, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return run


@pytest.fixture
def step(run: Run, tmp_path: Path) -> Callable[..., str]:
    """Take a step of deploy.sh in a folder with a blank in its name; return how it ended."""

    def step(name: str, release: str = "", **values: str | int) -> str:
        words = {"install": "", "stop": "", "start": "", "check": "", "keep": 3} | values
        said = run("deploy.sh", step=name, to=tmp_path / "my app", release=release, **words)
        return next(line for line in reversed(said) if line.startswith("otto "))

    return step


@pytest.fixture
def deploy(step: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """Deploy a build that is an empty folder."""

    def deploy(release: str, **values: str | int) -> str:
        prepared = step("prepare", release)
        if prepared.startswith("otto ok new"):
            (tmp_path / "my app" / "releases" / release).mkdir()
        return step("activate", release, **values) if prepared.startswith("otto ok") else prepared

    return deploy


def test_builds_come_and_go(deploy: Callable[..., str], step: Callable[..., str], tmp_path: Path) -> None:
    assert deploy("a-1") == "otto ok done 0 "
    assert deploy("b-2") == "otto ok done 0 a-1"
    assert deploy("b-2") == "otto ok same 0 b-2"
    assert step("tell") == "otto ok tell 0 b-2"
    assert step("back") == "otto ok back 0 b-2 a-1"
    assert step("back") == "otto failed first 0 a-1"
    assert (tmp_path / "my app" / "current").readlink() == Path("releases/a-1")
    assert sorted(path.name for path in (tmp_path / "my app" / "releases").iterdir()) == [".history", "a-1"]
    assert step("remove") == "otto ok removed 0 a-1"
    assert not (tmp_path / "my app").exists()
    assert step("back") == "otto failed none"


def test_commands_run_around_the_change(deploy: Callable[..., str], step: Callable[..., str], tmp_path: Path) -> None:
    words = {name: f'echo {name} in "${{PWD##*/}}" >> ../../said' for name in ("install", "stop", "start", "check")}
    deploy("a-1", **words)
    said = tmp_path / "my app" / "said"
    assert [line.split()[0] for line in said.read_text().splitlines()] == ["install", "start", "check"]
    said.unlink()
    assert deploy("b-2", **(words | {"check": "false"})) == "otto failed check 1 a-1"
    assert [line.split()[0] for line in said.read_text().splitlines()] == ["install", "stop", "start", "stop", "start"]
    assert (tmp_path / "my app" / "current").readlink() == Path("releases/a-1")


@pytest.mark.parametrize("word", ["install", "start", "check"])
def test_a_first_deploy_that_fails_leaves_nothing(word: str, deploy: Callable[..., str], tmp_path: Path) -> None:
    assert deploy("a-1", **{word: "exit 5"}) == f"otto failed {word} 5 "
    assert not (tmp_path / "my app").exists()


def test_an_old_build_that_does_not_start_again_is_told(deploy: Callable[..., str]) -> None:
    deploy("a-1")
    assert deploy("b-2", start="false") == "otto failed start 1 a-1 restart"


def test_a_deploy_that_broke_off_is_undone_by_the_next(
    deploy: Callable[..., str], step: Callable[..., str], tmp_path: Path
) -> None:
    deploy("a-1")
    step("prepare", "b-2")
    (tmp_path / "my app" / "releases" / "b-2").mkdir()
    # As a shell that is killed in the check leaves it.
    undo = tmp_path / "my app" / "releases" / ".undo"
    undo.write_text("b-2\na-1\nswitch\nno\n")
    (tmp_path / "my app" / "current").unlink()
    (tmp_path / "my app" / "current").symlink_to("releases/b-2")
    assert deploy("a-1") == "otto ok same 0 a-1"
    assert sorted(path.name for path in (tmp_path / "my app" / "releases").iterdir()) == [".history", "a-1"]


def test_a_build_of_before_is_not_lost_when_it_fails(deploy: Callable[..., str], tmp_path: Path) -> None:
    deploy("a-1")
    deploy("b-2")
    assert deploy("a-1", check="false") == "otto failed check 1 b-2"
    assert (tmp_path / "my app" / "releases" / "a-1").is_dir()


def test_so_many_are_kept(deploy: Callable[..., str], tmp_path: Path) -> None:
    for release in ("a-1", "b-2", "c-3", "a-1", "d-4"):
        deploy(release, keep=2)
    assert (tmp_path / "my app" / "releases" / ".history").read_text() == "a-1\nd-4\n"
    assert sorted(path.name for path in (tmp_path / "my app" / "releases").iterdir()) == [".history", "a-1", "d-4"]


ROTATIONS = {
    "none": "echo new >> log",
    "renamed": "echo ne >> log; mv log log.1; echo w > log",
    "renamed twice": "echo n >> log; mv log log.1; echo e > log; mv log.1 log.2; mv log log.1; echo w > log",
    "dated": "echo ne >> log; mv log log-20260131; echo w > log",
    "copied and cut": "echo ne >> log; cp log log.1; : > log; echo w >> log",
    "packed": "echo ne >> log; gzip log; mv log.gz log.1.gz; echo w > log",
    "emptied after it": "echo new >> log; mv log log.1; : > log",
}


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_new_lines_are_found_after_a_rotation(rotation: str, run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.7").write_text("long ago\n")
    (tmp_path / "log.3.gz").write_text("no gzip\n")
    log.write_text("old\n" * 1000)
    (verdict,) = run("logs.sh", step="mark", file=log)
    inode, size, total = verdict.split("\t")[1].split(" ", 3)[1:]
    subprocess.run(["sh", "-c", ROTATIONS[rotation]], cwd=tmp_path, check=True)
    head, *lines = run("logs.sh", step="new", file=log, most=1000, inode=inode, size=size, sum=total)
    assert head == "otto\tok"
    assert "".join(lines) == "new"


@pytest.mark.parametrize(
    ("change", "verdict"), [("rm log", "gone"), ("rm log; echo new > log", "lost"), (": > log; echo new > log", "lost")]
)
def test_lines_that_are_lost_are_told(change: str, verdict: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("old\n" * 10)
    (said,) = run("logs.sh", step="mark", file=tmp_path / "log")
    inode, size, total = said.split("\t")[1].split(" ", 3)[1:]
    subprocess.run(["sh", "-c", change], cwd=tmp_path, check=True)
    assert (
        run("logs.sh", step="new", file=tmp_path / "log", most=1000, inode=inode, size=size, sum=total)[0] == f"otto\t{verdict}"
    )


def test_health_is_told_to_the_end(run: Run) -> None:
    wishes = {"disk_free": 1, "inodes_free": 0, "folders": "/,/no such", "memory_free": 1, "load": 99_900}
    said = run("health.sh", **wishes, processes="/no such,init", ports="1", services="x", since="", pattern="x")
    rows = [line.split("\t") for line in said]
    assert [row[1] for row in rows] == [
        "clock",
        *("disk /", "disk /no such", "inodes /", "inodes /no such", "memory", "load"),
        *("process /no such", "process init", "port 1", "service x", "end"),
    ]
    assert float(rows[0][2]) > 1.7e9
    assert {row[1] for row in rows[1:-1] if row[4] == "ok"} >= {"disk /", "memory", "load"}
    assert {row[1] for row in rows[1:-1] if row[4] != "ok"} >= {"disk /no such", "process /no such", "port 1", "service x"}


@pytest.mark.parametrize("name", ["grep", "/no such app", "no such app", "cat"])
def test_what_looks_for_a_process_is_not_it(name: str, run: Run) -> None:
    wishes = dict.fromkeys(["disk_free", "inodes_free", "memory_free", "load", "ports", "services", "since"], "")
    said: list[str] = []
    deadline = Deadline(30)
    # Others on this machine may run one for a while; what finds itself finds itself each time.
    while said.count(f"otto\tprocess {name}\tdoes not run\truns\tNOT OK") < 3 and not deadline.expired:
        said.append(run("health.sh", **wishes, folders="/", processes=name, pattern="x")[1])
    assert said.count(f"otto\tprocess {name}\tdoes not run\truns\tNOT OK") == 3, said[-5:]
