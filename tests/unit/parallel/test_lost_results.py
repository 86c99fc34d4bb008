"""Results of one process that are put into those of another."""

from __future__ import annotations

from typing import Any

from robot import result

from OttoLibrary.parallel.lost_results import graft


def suite(name: str, *tests: str, children: tuple[Any, ...] = ()) -> Any:
    made = result.TestSuite(name)
    for test in tests:
        made.tests.create(name=test)
    made.suites = list(children)
    return made


def shape(found: Any) -> Any:
    return {found.name: ([test.name for test in found.tests], [shape(child) for child in found.suites])}


def test_tests_that_are_missing_are_added() -> None:
    whole = suite("A", "one")
    graft(whole, suite("A", "one", "two"))
    assert shape(whole) == {"A": (["one", "two"], [])}


def test_of_tests_with_one_name_as_many_are_added_as_are_missing() -> None:
    whole = suite("A", "same")
    graft(whole, suite("A", "same", "same", "same"))
    assert shape(whole) == {"A": (["same", "same", "same"], [])}


def test_suites_are_matched_by_name_and_others_added() -> None:
    whole = suite("Top", children=(suite("A", "one"),))
    graft(whole, suite("Top", children=(suite("A", "two"), suite("B", "three"))))
    assert shape(whole) == {"Top": ([], [{"A": (["one", "two"], [])}, {"B": (["three"], [])}])}
