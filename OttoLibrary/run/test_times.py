"""The tests of a run as spans on the page of the dashboard, each with its place in the log."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from robot.api import ExecutionResult
from robot.errors import DataError  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError


def test_spans(output: Path, log: str) -> list[dict[str, Any]]:
    """Return the tests of a run as the page's data has them, in the order in which they ran.

    Args:
        output: The ``output.xml`` of the run; after pabot the merged one.
        log: The address of its ``log.html`` as a page links to it, or nothing.

    Raises:
        UsageError: It is not an output of Robot Framework.
    """
    try:
        # Keywords are the most of it, and none is shown.
        result = ExecutionResult(output, include_keywords=False)
    except DataError as error:
        raise UsageError(f"The tests of '{output}' cannot be read: {error}") from error
    spans = [_span(test, log) for test in result.suite.all_tests if test.start_time is not None]
    return sorted(spans, key=lambda span: span["began"])


def _span(test: Any, log: str) -> dict[str, Any]:
    return {
        "name": test.full_name,
        "began": _seconds(test.start_time),
        "ended": _seconds(test.end_time or test.start_time),
        "status": test.status,
        "link": f"{log}#{test.id}" if log else "",
    }


def _seconds(moment: datetime) -> float:
    # Without an offset, which is how Robot Framework writes it, it is the time of this machine.
    return moment.timestamp()
