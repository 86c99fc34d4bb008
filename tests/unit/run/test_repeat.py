"""Tests that run several times: what is put in the place of their bodies; the runs themselves need Robot."""

from __future__ import annotations

from typing import Any

import pytest
from robot.api import TestSuite
from robot.errors import DataError  # type: ignore[import-untyped]

from OttoLibrary.run.repeat import Iteration, Repeat, is_repeated, retry
from OttoLibrary.run.repetition import repetitions


def suite(*names: str) -> Any:
    made: Any = TestSuite(name="Soak")
    for name in names:
        test = made.tests.create(name=name)
        test.setup.config(name="Log", args=["set-up"])
        test.body.create_keyword(name="Log", args=["x"])
    return made


def test_every_test_of_every_suite_is_repeated_with_its_set_up() -> None:
    top: Any = TestSuite(name="Top")
    top.suites = [suite("A"), suite("B")]
    top.visit(Repeat("iterations=3"))
    for test in top.all_tests:
        assert is_repeated(test)
        assert len(test.body) == 1
        assert not test.has_setup


def test_a_wrong_option_fails_every_test_and_is_reported() -> None:
    top: Any = TestSuite(name="Top")
    top.suites = [suite("A"), suite("B")]
    for child in (top, *top.suites):
        child.setup.config(name="Log", args=["once"])
    with pytest.raises(DataError) as raised:
        top.visit(Repeat("iteration=3"))
    assert [test.error for test in top.all_tests] == [str(raised.value)] * 2
    assert not any(child.has_setup for child in (top, *top.suites))
    assert "Did you mean 'iterations'?" in str(raised.value)


@pytest.mark.parametrize(
    "options", [(), ("iterations=0",), ("iterations=many",), ("threshold=101", "iterations=2"), ("duration=-1",)]
)
def test_numbers_that_mean_nothing_are_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(DataError):
        suite("A").visit(Repeat(*options))


def test_a_test_that_cannot_run_stays_as_it_is() -> None:
    made = suite("Broken", "Empty")
    made.tests[0].error = "no such syntax"
    made.tests[1].body.clear()
    made.visit(Repeat("iterations=3"))
    assert not any(map(is_repeated, made.tests))


def test_a_repeated_test_is_not_repeated_once_more() -> None:
    made = suite("A")
    made.visit(Repeat("iterations=3"))
    runs = made.tests[0].body[0]
    made.visit(Repeat("iterations=9"))
    assert list(made.tests[0].body) == [runs]


class Result:
    """Robot's result of a test that begins."""

    def __init__(self, *tags: str) -> None:
        self.tags = tags


def test_the_tag_for_tries_counts_in_any_case_and_a_wrong_one_fails_the_test() -> None:
    tried, wrong, plain = suite("A", "B", "C").tests
    retry(tried, Result("smoke", "Otto:Retry=2"))
    retry(wrong, Result("otto:retry=often"))
    retry(plain, Result("smoke"))
    assert is_repeated(tried)
    assert (is_repeated(wrong), "otto:retry=often" in wrong.error) == (False, True)
    assert (is_repeated(plain), plain.error) == (False, None)


@pytest.mark.parametrize(("name", "label"), [("Iteration 3 of 100", "iteration-3"), ("Try 1", "try-1"), ("../x", "-x")])
def test_a_run_has_a_label_that_is_a_file_name(name: str, label: str) -> None:
    assert Iteration(name=name).label == label


def test_a_plan_is_made_of_options_in_any_order() -> None:
    assert repetitions(["threshold=95", "iterations=100"]) == repetitions(["iterations=100", "threshold=95"])
