"""The results of tests whose process died: failed with the reason, together with those that it had already written."""

from __future__ import annotations

import collections
import io
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from robot import run
from robot.api import ExecutionResult, ResultWriter, SuiteVisitor
from robot.conf import RobotSettings  # type: ignore[import-untyped]
from robot.errors import DataError  # type: ignore[import-untyped]
from robot.run import RobotFramework  # type: ignore[import-untyped]
from robot.utils import escape  # type: ignore[import-untyped]

from OttoLibrary.parallel.robot_output import output_is_whole, output_of
from OttoLibrary.text import some

MOST_FAILED, BAD_DATA = 250, 252
# The parts of an output that end with a status.
_STATED = {"suite", "test", "kw", "for", "iter", "while", "if", "branch", "try", "group", "return", "continue", "break", "error"}
# Options for what a run does beside its tests, and for ending it early.
_NOT_KEPT = {"listener", "debugfile", "dryrun", "exitonfailure", "exitonerror", "console", "dotted", "quiet"}


def fail_tests(arguments: Sequence[str], folder: Path, reason: str) -> int:
    """Write a whole output: what a process that died had written, and failed tests in place of those that are missing.

    Args:
        arguments: Robot's.
        folder: Where the output of that process is, or should be.
        reason: Why the tests are failed.

    Returns:
        How many tests are failed in it, as an exit status; 252 when robot selects none, and then nothing is written.
    """
    said = io.StringIO()
    try:
        selected = _selected(arguments, folder, reason, said)
    except DataError as error:
        print(f"{reason} Its tests are unknown too: {error}\n{said.getvalue()}", file=sys.stderr)
        return BAD_DATA
    named = _named(selected.suite)
    cut = output_of(folder)
    result = _mended(cut.read_bytes(), reason) if cut else None
    if result is None:
        result = selected
    else:
        graft(result.suite, selected.suite)
    if not result.suite.statistics.failed:
        # It died after its last test; what should have come then did not.
        result.suite.teardown.config(name=result.suite.teardown.name or "End", status="FAIL", message=reason)
        result.suite.handle_suite_teardown_failures()
    result.errors.messages.create(f"{named}: {reason}", "ERROR", timestamp=datetime.now())  # noqa: DTZ005 - Robot's results are in local time
    fresh = folder / "lost.xml"
    result.save(fresh)
    fresh.replace(cut or folder / "output.xml")
    return min(int(result.suite.statistics.failed), MOST_FAILED)


def graft(suite: Any, other: Any) -> None:
    """Add the tests and suites of another suite that this one does not have."""
    there = collections.Counter(test.name for test in suite.tests)
    for test in list(other.tests):
        if there[test.name]:
            there[test.name] -= 1
        else:
            suite.tests.append(test)
    for child in list(other.suites):
        same = next((mine for mine in suite.suites if mine.name == child.name), None)
        if same is None:
            suite.suites.append(child)
        else:
            graft(same, child)


def complete_report(arguments: Sequence[str], since: float) -> int | None:
    """Add the tests whose process died, together with the one that supervised it, to the report of pabot.

    Args:
        arguments: Pabot's.
        since: When it was started, in seconds since 1970; what is older is of another run.

    Returns:
        How many tests are failed in the report, as an exit status; None when nothing could be added.
    """
    from pabot.arguments import parse_args

    try:
        options, _, ways, _ = parse_args(list(arguments))
    except DataError:
        return None
    place = Path(options.get("outputdir", "."))
    found = sorted((place / "pabot_results").rglob("*_argfile.txt"))
    lost = [file for file in found if file.stat().st_mtime >= since and not output_is_whole(file.parent)]
    reason = "The process that ran this suite was killed, and so was the one that supervised it."
    parts = [file.parent for file in lost if fail_tests(["-A", str(file)], file.parent, reason) != BAD_DATA]
    if not parts or ways["no-rebot"]:
        return None
    results = [ExecutionResult(output_of(part)) for part in parts]
    output = place / options.get("output", "output.xml")
    if output.is_file() and output.stat().st_mtime >= since:
        results.insert(0, ExecutionResult(output))
    whole = _joined(results)
    whole.save(output)
    ResultWriter(whole).write_results(RobotSettings(options).get_rebot_settings())
    print(f"{reason} Its tests are in the report, failed: {whole.suite.stat_message}", file=sys.stderr)
    return min(int(whole.suite.statistics.failed), MOST_FAILED) if len(parts) == len(lost) else BAD_DATA


def _joined(results: Sequence[Any]) -> Any:
    """Return the first result with the tests of the others in it."""
    whole = results[0]
    for part in results[1:]:
        whole.errors.add(part.errors)
        # Those of several argument files have a suite for each above them.
        tops = [whole.suite, *whole.suite.suites]
        same = next((suite for suite in tops if suite.name == part.suite.name), None)
        if same is None:
            whole.suite.suites.append(part.suite)
        else:
            graft(same, part.suite)
    return whole


class _FailAll(SuiteVisitor):  # type: ignore[misc]  # Robot Framework has no type hints for it
    """Replaces suites and tests by a failure."""

    def __init__(self, reason: str) -> None:
        self._reason = escape(reason)

    def start_suite(self, suite: Any) -> None:
        """Import nothing and set up nothing."""
        suite.resource.imports.clear()
        suite.setup.config(name=None)
        suite.teardown.config(name=None)

    def visit_test(self, test: Any) -> None:
        """Fail, and do nothing else."""
        test.setup.config(name=None)
        test.teardown.config(name=None)
        test.template = test.timeout = None
        test.body.clear()
        test.body.create_keyword(name="BuiltIn.Fail", args=[self._reason])


def _selected(arguments: Sequence[str], folder: Path, reason: str, said: io.StringIO) -> Any:
    """Return the result of a run of all tests that robot selects, each of them failed; raise DataError when there are none."""
    options, sources = RobotFramework().parse_arguments(list(arguments))
    kept = {name: value for name, value in options.items() if name not in _NOT_KEPT and value not in (None, [])}
    modifiers = [*kept.pop("prerunmodifier", []), _FailAll(reason)]
    output = folder / "selected.xml"
    kept |= {"output": str(output.absolute()), "timestampoutputs": False, "log": "NONE", "report": "NONE", "xunit": "NONE"}
    try:
        run(*sources, **kept, prerunmodifier=modifiers, console="none", stdout=said, stderr=said)
        return ExecutionResult(output)
    finally:
        output.unlink(missing_ok=True)


def _named(suite: Any) -> str:
    """Return ``Suites.One and 2 more`` for the suites that have tests."""
    return some((test.parent.full_name for test in suite.all_tests), 1)


def _mended(written: bytes, reason: str) -> Any:
    """Return the result in an output that is cut anywhere, or None when there is none in it."""
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    opened: list[ElementTree.Element] = []
    try:
        parser.feed(written)
        for event, element in parser.read_events():
            if event == "start":
                opened.append(element)
            else:
                opened.pop()
    except ElementTree.ParseError:
        return None
    if not opened or opened[0].find("suite") is None:
        return None
    for element in opened:
        if element.tag in _STATED and element.find("status") is None:
            status = ElementTree.SubElement(element, "status", _failed(opened[0], element))
            status.text = None if element.tag == "suite" else reason
    return ExecutionResult(ElementTree.tostring(opened[0]))


def _failed(top: ElementTree.Element, element: ElementTree.Element) -> dict[str, str]:
    """Return the status of a part that never ended; of its times the beginning of the run is all that is known."""
    began = top.get("generated", "")
    if element.tag != "suite" or "T" not in began:
        return {"status": "FAIL"}
    elapsed = datetime.now() - datetime.fromisoformat(began)  # noqa: DTZ005 - as in the output
    return {"status": "FAIL", "start": began, "elapsed": f"{elapsed.total_seconds():.6f}"}
