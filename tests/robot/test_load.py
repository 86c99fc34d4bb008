"""Load on the command line: projects as OCT has them, exit statuses, reports in which nothing foreign is code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.load.result_store import FILE, ResultReader

ROOT = Path(__file__).parents[2]
SCRIPT = """
import time
from oct_turrets.base import BaseTransaction
from oct_turrets.tools import CustomTimer

class Transaction(BaseTransaction):
    number = 0

    def run(self):
        self.number += 1
        with CustomTimer(self, '</script><script>alert(1)</script>/a'):
            time.sleep(0.005)
        if self.number % 4 == 0:
            raise ValueError('<img src=x onerror=alert(2)> HTTP status 500')
"""


def load(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "OttoLibrary", "load", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


@contextlib.contextmanager
def started(cwd: Path, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command; it has ended afterwards."""
    command = [sys.executable, "-m", "OttoLibrary", "load", *map(str, words)]
    environment, pipe = os.environ | {"PYTHONPATH": str(ROOT)}, subprocess.PIPE
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_stored(folder: Path) -> None:
    """Wait until a run has results."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(UsageError, sqlite3.Error):
            if sum(second.count for second in ResultReader(folder / FILE).seconds()) > 20:
                return
        time.sleep(0.1)
    raise AssertionError("Nothing was stored.")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose ports are free, and whose script fails each fourth time."""
    folder = tmp_path / "project"
    assert load("new-project", folder, cwd=tmp_path).returncode == 0
    (folder / "test_scripts" / "v_user.py").write_text(SCRIPT)
    change(folder, run_time=2, turrets=[{"name": "first", "cannons": 2, "rampup": 0, "script": "test_scripts/v_user.py"}])
    return folder


def change(folder: Path, **values: Any) -> None:
    from OttoLibrary.load.plan import without_comments
    from tests.peers.turrets import free_ports

    path = folder / "config.json"
    ports = dict(zip(("publish_port", "rc_port", "own_port"), free_ports(3), strict=True))
    path.write_text(json.dumps({**json.loads(without_comments(path.read_bytes())), **ports, **values}))


def test_a_new_project_packs_runs_and_reports(project: Path, tmp_path: Path) -> None:
    ran = load("run", project, "--local", "-o", tmp_path / "out", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["count"] > 20
    assert said["errors"] == pytest.approx(said["count"] / 4, abs=3)
    again = load("rebuild-results", tmp_path / "out", project / "config.json", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["count"] == said["count"]
    three = load("rebuild", tmp_path / "out", tmp_path / "out" / "results.sqlite", project / "config.json", cwd=tmp_path)
    assert three.returncode == 0, three.stderr
    written = load("to-csv", tmp_path / "out" / "results.sqlite", tmp_path / "r.csv", "--json", cwd=tmp_path)
    assert written.returncode == 0
    assert json.loads(written.stdout) == {"results": said["count"], "file": str(tmp_path / "r.csv")}
    compared = load("compare", tmp_path / "out", tmp_path / "out", "-o", tmp_path / "both.html", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    page = (tmp_path / "both.html").read_text()
    assert "No difference that is sure" in page
    assert page.count("<svg") >= 4
    assert {name for name in ("old", "new") if f">{name}<" in page} == {"old", "new"}
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[0].startswith("elapsed time;epoch (in seconds);turret name;transaction time;error;")
    assert len(lines) == said["count"] + 1


def test_nothing_that_a_script_says_is_code_in_a_report(project: Path, tmp_path: Path) -> None:
    assert load("run", project, "--local", "-o", tmp_path / "out", cwd=tmp_path).returncode == 0
    for name in ("report.html", "results.html"):
        page = (tmp_path / "out" / name).read_text()
        assert "alert(1)" in page
        assert "<script" not in page
        assert "<img" not in page


def test_a_broken_limit_is_99_and_an_aborted_run_1(project: Path, tmp_path: Path) -> None:
    broken = load("run", project, "--local", "-o", tmp_path / "broken", "--limit", "error_rate<1%", cwd=tmp_path)
    assert broken.returncode == 99, broken.stderr
    assert "FAIL  error_rate<1%: but it was" in broken.stdout
    unknown = load("run", project, "--local", "-o", tmp_path / "unknown", "--limit", "no-such-timer:p(95)<1s", cwd=tmp_path)
    assert unknown.returncode == 99
    change(project, wait=1)
    alone = load("run", project, "-o", tmp_path / "alone", cwd=tmp_path)
    assert alone.returncode == 1, alone.stderr
    assert "0 turrets of 1 came" in alone.stdout


def test_a_run_that_is_interrupted_or_killed_has_a_report_that_says_so(project: Path, tmp_path: Path) -> None:
    change(project, run_time=600)
    with started(tmp_path, "run", project, "--local", "-o", tmp_path / "out") as process:
        until_stored(tmp_path / "out")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
    assert "The run was aborted: it was interrupted." in said
    assert "The run is aborted: it was interrupted." in (tmp_path / "out" / "report.html").read_text()
    with started(tmp_path, "run", project, "--local", "-o", tmp_path / "killed") as process:
        until_stored(tmp_path / "killed")
        process.kill()
        process.communicate(timeout=60)
    again = load("rebuild-results", tmp_path / "killed", project / "config.json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "The run was killed: its HQ was killed" in again.stdout
    assert "The run is killed: its HQ was killed" in (tmp_path / "killed" / "report.html").read_text()


def test_mistakes_are_one_clear_sentence(project: Path, tmp_path: Path) -> None:
    assert "exists already" in load("new", project, cwd=tmp_path).stderr
    assert "is no file of results" in load("to-csv", project / "config.json", tmp_path / "x.csv", cwd=tmp_path).stderr
    change(project, run_tim=3)
    wrong = load("run", project, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "unknown key 'run_tim' @ top level (did you mean 'run_time'?)" in wrong.stderr


def test_a_packed_turret_has_its_files_and_no_two_of_one_name(project: Path, tmp_path: Path) -> None:
    (project / "data.csv").write_text("1")
    turret = {
        "name": "first",
        "cannons": 2,
        "rampup": 0,
        "script": "test_scripts/v_user.py",
        "extra_files": ["data.csv"],
        "my_key": 7,
    }
    change(project, turrets=[turret], extra_turret_config={"url": "u"})
    assert load("pack", project, "--python", cwd=tmp_path).returncode == 0
    with tarfile.open(project / "first.tar.gz") as tar:
        assert set(tar.getnames()) == {"config.json", "setup.py", "test_scripts/v_user.py", "data.csv"}
        config = tar.extractfile("config.json")
        assert config is not None
        packed = json.load(config)
    assert (packed["my_key"], packed["url"], "extra_files" in packed) == (7, "u", False)
    (project / "other").mkdir()
    (project / "other" / "config.json").write_text("{}")
    change(project, turrets=[{**turret, "extra_files": ["other/config.json"]}])
    assert "two of its files would be called 'config.json'" in load("pack", project, cwd=tmp_path).stderr


def test_an_archive_of_a_project_stays_in_its_folder(project: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "good.tar.gz", "w:gz") as tar:
        tar.add(project, "some/prefix")
    assert load("new-project", "made", "-t", "good.tar.gz", cwd=tmp_path).returncode == 0
    assert (tmp_path / "made" / "templates" / "report.html").is_file()
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        tar.add(project, "p")
        link = tarfile.TarInfo("p/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    bad = load("new-project", "evil", "-t", "bad.tar.gz", cwd=tmp_path)
    assert bad.returncode == 2
    assert not (tmp_path / "evil").exists()


def test_a_project_with_keys_fires_and_its_archives_are_for_their_owner(project: Path, tmp_path: Path) -> None:
    change(project, curve="keys")
    assert "load make-keys" in load("run", project, "--local", cwd=tmp_path).stderr
    assert load("make-keys", project / "keys", cwd=tmp_path).returncode == 0
    ran = load("run", project, "--local", "-o", tmp_path / "out", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["count"] > 20
    assert load("pack", project, cwd=tmp_path).returncode == 0
    assert (project / "first.tar.gz").stat().st_mode & 0o777 == 0o600
    secret = json.loads((project / "keys" / "hq.json").read_text())["secret"]
    kept = [*(tmp_path / "out").rglob("*"), project / "first.tar.gz"]
    assert not [path for path in kept if path.is_file() and secret.encode() in path.read_bytes()]
