"""Secrets in Robot Framework's results: hidden in place, whatever kind of result it is."""

from __future__ import annotations

from typing import Any

import pytest
from robot import result
from robot.api.types import Secret

from OttoLibrary.masking import Masker
from OttoLibrary.run.robot_results import learn, mask_result, mask_suites_above
from OttoLibrary.text import MASK

SECRET = "hunter2-longer"


@pytest.fixture
def masker() -> Masker:
    made = Masker()
    made.add(SECRET)
    return made


def test_a_test_shows_none(masker: Masker) -> None:
    test = result.TestCase(name=f"a {SECRET}", doc=f"b {SECRET}", tags=[f"c-{SECRET}", "d"], message=f"e {SECRET}")
    mask_result(test, masker)
    assert (test.name, test.doc, list(test.tags), test.message) == (f"a {MASK}", f"b {MASK}", [f"c-{MASK}", "d"], f"e {MASK}")


def test_a_suite_and_those_around_it_show_none(masker: Masker) -> None:
    top = result.TestSuite(name="Top", metadata={"Key": SECRET})
    middle = top.suites.create(name="Middle", doc=SECRET)
    inner = middle.suites.create(name="Inner", metadata={"Other": f"x{SECRET}"})
    mask_result(inner, masker)
    mask_suites_above(inner, masker)
    assert (top.metadata["Key"], middle.doc, inner.metadata["Other"]) == (MASK, MASK, f"x{MASK}")


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (result.Keyword(name=f"Log {SECRET}", args=(SECRET, "plain", 7)), {"name": f"Log {MASK}", "args": (MASK, "plain", 7)}),
        (result.For(assign=("${x}",), values=(SECRET, "b")), {"assign": ("${x}",), "values": (MASK, "b")}),
        (result.ForIteration(assign={"${x}": SECRET}), {"assign": {"${x}": MASK}}),
        (result.While(condition=f"'{SECRET}' == ''"), {"condition": f"'{MASK}' == ''"}),
        (result.While(on_limit_message=SECRET), {"on_limit_message": MASK}),
        (result.Group(name=f"for {SECRET}"), {"name": f"for {MASK}"}),
        (result.IfBranch(condition=SECRET), {"condition": MASK}),
        (result.TryBranch(type="EXCEPT", patterns=(SECRET,)), {"patterns": (MASK,)}),
        (result.Var(name="${x}", value=(SECRET,)), {"name": "${x}", "value": (MASK,)}),
        (result.Return(values=(SECRET,)), {"values": (MASK,)}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_keyword_or_control_structure_shows_none(masker: Masker, made: Any, shown: dict[str, Any]) -> None:
    mask_result(made, masker)
    assert {name: getattr(made, name) for name in shown} == shown


def test_a_value_that_robot_cut_shows_no_piece(masker: Masker) -> None:
    iteration = result.ForIteration(assign={"${x}": "x" * 190 + "hunter..."})
    mask_result(iteration, masker)
    assert iteration.assign["${x}"] == "x" * 190 + MASK + "..."


def test_what_has_no_secret_stays_the_same_object(masker: Masker) -> None:
    made = result.Keyword(name="Log", args=(arguments := ("a", "b")))
    before = made.args
    mask_result(made, masker)
    assert made.args == arguments
    assert made.args is before


def test_secrets_are_learned_wherever_they_are() -> None:
    masker = Masker()
    learn({"a": [Secret("first-one"), ({"b": Secret("second-one")},)], "c": "plain"}, masker)
    assert masker.mask("first-one second-one plain") == f"{MASK} {MASK} plain"
