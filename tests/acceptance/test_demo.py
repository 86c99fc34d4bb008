"""What ``make demo`` runs and says, in short: three pages, one test that fails on purpose, exit status 0."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path
from types import ModuleType

from robot.api import ExecutionResult

from tests.robot.running import surroundings

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "suites" / "demo" / "make_demo.py"
FAILS = "A Failure Brings Its Evidence"


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), str(folder), *words],
        env=surroundings(HOME=str(folder), BROWSER="true"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / "images" / "make.py")
    assert spec
    assert spec.loader
    module = sys.modules["make"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_says_what_to_look_at(tmp_path: Path) -> None:
    done = demo(tmp_path, "--variable", "SOAK:2 s", "--variable", "BUSY:1 s", "--variable", "LOAD:2 s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"'{FAILS}' failed on purpose" in done.stdout
    pages = [Path(urllib.parse.unquote(uri)) for uri in re.findall(r"^file://(\S+)$", done.stdout, re.MULTILINE)]
    assert [page.name for page in pages] == ["log.html", "dashboard.html", "report.html"]
    assert all(page.stat().st_size > 1000 for page in pages)
    suite = ExecutionResult(tmp_path / "output.xml").suite
    failed = {test.name for test in suite.all_tests if test.failed}
    assert failed == {FAILS}
    output = (tmp_path / "output.xml").read_text()
    assert "selftest.log" in output
    evidence = [path for path in tmp_path.rglob("selftest.log*") if "A_Failure" in str(path) or "Evidence" in str(path)]
    assert evidence
    assert "flash ok" in evidence[0].read_text()
    shown_in_pictures = [picture.url.partition("#") for picture in pictures().pictures(tmp_path)]
    assert {urllib.parse.unquote(url.removeprefix("file://")) for url, _, _ in shown_in_pictures} == set(map(str, pages))
    shown = demo(tmp_path, "--open")
    assert shown.returncode == 0
    assert [line for line in shown.stdout.splitlines() if line.startswith("file:")] == [page.as_uri() for page in pages]


def test_a_demo_without_its_failure_is_none(tmp_path: Path) -> None:
    (tmp_path / "demo.robot").write_text(f"*** Test Cases ***\n{FAILS}\n    No Operation\n")
    words = ["-m", "robot", "--outputdir", str(tmp_path), "--log", "NONE", "--report", "NONE", str(tmp_path / "demo.robot")]
    subprocess.run([sys.executable, *words], capture_output=True, timeout=120, check=True)
    script = f"import sys; sys.path.insert(0, {str(DEMO.parent)!r}); import make_demo, pathlib; "
    script += f"print(make_demo._otherwise_than_planned(pathlib.Path({str(tmp_path)!r}, 'output.xml')))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True).stdout
    assert said == f"'{FAILS}' should have failed\n"


def test_nothing_to_open_is_said(tmp_path: Path) -> None:
    done = demo(tmp_path, "--open")
    assert done.returncode == 1
    assert "Run 'make demo' first" in done.stdout
