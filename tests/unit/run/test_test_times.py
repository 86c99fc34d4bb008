"""The tests of an output of Robot Framework as spans."""

from __future__ import annotations

from pathlib import Path

import pytest
from robot.result import TestSuite  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError
from OttoLibrary.run import test_times

# Its name begins as a test does.
spans = test_times.test_spans


def output(folder: Path, *tests: tuple[str, str | None, str | None]) -> Path:
    suite = TestSuite(name="Soak")
    for name, began, ended in tests:
        suite.tests.create(name=name, status="PASS", start_time=began, end_time=ended)
    file = folder / "output.xml"
    suite.to_xml(file)
    return file


def test_tests_are_in_the_order_in_which_they_ran(tmp_path: Path) -> None:
    file = output(
        tmp_path,
        ("Late", "2026-03-01T10:00:05", "2026-03-01T10:00:07.5"),
        ("Early", "2026-03-01T10:00:00", "2026-03-01T10:00:01"),
    )
    early, late = spans(file, "log.html")
    assert (early["name"], late["name"]) == ("Soak.Early", "Soak.Late")
    assert late["began"] - early["began"] == 5
    assert late["ended"] - late["began"] == 2.5
    assert (late["status"], late["link"]) == ("PASS", "log.html#s1-t1")


def test_without_a_log_there_is_no_link(tmp_path: Path) -> None:
    (span,) = spans(output(tmp_path, ("A", "2026-03-01T10:00:00", "2026-03-01T10:00:01")), "")
    assert span["link"] == ""


def test_a_test_that_did_not_run_is_left_out(tmp_path: Path) -> None:
    assert spans(output(tmp_path, ("A", None, None)), "log.html") == []


@pytest.mark.parametrize("content", ["", "<html></html>", "{", "\0"])
def test_another_file_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "output.xml"
    file.write_text(content)
    with pytest.raises(UsageError, match=f"^The tests of '{file}' cannot be read: "):
        spans(file, "")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        spans(tmp_path / "none.xml", "")
