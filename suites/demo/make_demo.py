"""What ``make demo`` runs: the demo suites side by side, longer than in the tests, and with one test that fails on purpose.

``python suites/demo/make_demo.py [FOLDER]`` does the same; ``--open`` opens what it made before.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import webbrowser
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAILS_ON_PURPOSE = "A Failure Brings Its Evidence"
_LONG = {"SOAK": "15 s", "BUSY": "5 s", "LOAD": "15 s", "FW ANSWER": "flash is worn out", "PACE": "1"}
_TOO_LONG_S = 300


def main() -> int:
    """Run the demo, or open what it made; return an exit status, 0 when only the test failed that is to fail."""
    parser = argparse.ArgumentParser(description="Runs the demo suites and says what to look at.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE.parents[1] / "results" / "demo")
    parser.add_argument("--open", action="store_true", help="open what an earlier run made")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME:VALUE", help="such as SOAK:1 s")
    given = parser.parse_args()
    folder = given.folder.resolve()
    if given.open:
        return _open(folder)
    _run(folder, given.variable)
    wrong = _otherwise_than_planned(folder / "output.xml")
    if wrong:
        print(f"\nThe demo did not go as planned: {wrong}. Log: {folder / 'log.html'}")
        return 1
    print(f"\nAll went as planned. '{FAILS_ON_PURPOSE}' failed on purpose, to show what a failure looks like.\n")
    for path, look in _links(folder):
        print(f"{path.as_uri()}\n    {look}\n")
    print("make demo-open opens all three.")
    return 0


def _run(folder: Path, variables: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("output.xml", "log.html", "dashboard.html"):
        (folder / name).unlink(missing_ok=True)
    chosen = [f"{name}:{value}" for name, value in {"LAB": "demo", **_LONG}.items()] + variables
    words = [word for variable in chosen for word in ("--variable", variable)]
    listeners = ["--listener", "OttoLibrary.Metrics:interval=500ms:hosts=tag:dut", "--listener", "OttoLibrary.Evidence"]
    options = ["--processes", "4", "--outputdir", str(folder), "--console", "quiet", *listeners, *words]
    # In its folder, where pabot writes down which suites took how long.
    _python(["pabot", "--no-pabotlib", *options, str(HERE)], folder)
    _python(["dashboard", str(folder), "--static", str(folder / "dashboard.html")], folder)


def _python(words: list[str], folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "OttoLibrary", *words], cwd=folder, timeout=_TOO_LONG_S, check=False)


def _otherwise_than_planned(output: Path) -> str:
    from robot.api import ExecutionResult

    if not output.exists():
        return "it has no result"
    tests = list(ExecutionResult(output, include_keywords=False).suite.all_tests)
    other = [test.name for test in tests if test.passed == (test.name == FAILS_ON_PURPOSE)]
    if other:
        return f"'{other[0]}' should have {'failed' if other[0] == FAILS_ON_PURPOSE else 'passed'}"
    return "" if FAILS_ON_PURPOSE in {test.name for test in tests} else f"'{FAILS_ON_PURPOSE}' did not run"


def _links(folder: Path) -> list[tuple[Path, str]]:
    """Return the three pages, with what to look at."""
    log = f"Each test ends with charts of its hosts. The red one is '{FAILS_ON_PURPOSE}': its sentence, and the logs of the host."
    dashboard = "All hosts, all tests above them: drag to zoom into the soak, where dut2 burns a core. One file, no server."
    load = "The load: answers each second, percentiles, and whether the limits held."
    report = next(folder.glob("**/load-*/report.html"), None)
    found = [(folder / "log.html", log), (folder / "dashboard.html", dashboard), *([(report, load)] if report else [])]
    return [(path, look) for path, look in found if path.exists()]


def _open(folder: Path) -> int:
    links = _links(folder)
    if not links:
        print(f"Nothing is in {folder}. Run 'make demo' first.")
        return 1
    for path, _ in links:
        print(path.as_uri())
        webbrowser.open(path.as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
