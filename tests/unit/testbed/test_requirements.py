"""Vitro's rules for what a test needs."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.testbed.requirements import matches, mismatch
from tests.unit.testbed.benches import environment


@pytest.mark.parametrize(
    ("request_", "found", "expected"),
    [
        (None, 1, True),
        ({"a": None}, {}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, True),
        ([1, 2], 2, True),
        ([1, 2], 3, False),
        (2, [1, 2], True),
        (3, [1, 2], False),
        ({"a": 1}, [{"a": 2}, {"a": 1}], True),
        ({"a": 1}, [{"a": 2}], False),
        ([1, 2], [2, 1, 3], True),
        ([1, 4], [2, 1, 3], False),
        ([{"a": 1}, {"a": 2}], {"a": 2}, True),
        ([{"a": 1}], {"a": 2}, False),
        ("x", "x", True),
        (1, "1", False),
        (True, 1, False),
        ({"a": 1}, "a", False),
        ([{"contains_exact": "b"}, {"not_contains_exact": "z"}], "abc", True),
        ([{"contains_exact": "b"}, {"not_contains_exact": "a"}], "abc", False),
        ([{"contains_regex": "^a.c$"}, {"not_contains_regex": "^b"}], "abc", True),
        ([{"contains_regex": "^b"}], "abc", False),
    ],
)
def test_rules(request_: object, found: object, expected: bool) -> None:
    assert matches(request_, found) is expected


@pytest.mark.parametrize("request_", [[{"contains": "a"}], [{"contains_exact": 1}], [{"contains_regex": "("}]])
def test_a_word_that_there_is_not_is_an_error(request_: object) -> None:
    with pytest.raises(UsageError):
        matches(request_, "abc")


def test_a_mismatch_is_told_with_what_there_is() -> None:
    found = environment({"name": "dut", "model": "b", "password": "pa55"})
    assert mismatch(found, {"dut": {"model": ["a", "b"]}}) == ""
    assert mismatch(found, {"environment_def": {"dut": {"model": "b"}}}) == ""
    said = mismatch(found, {"dut": {"model": "a"}})
    assert said.startswith("device 'dut' is needed with {'model': 'a'}, and there is {")
    assert "pa55" not in said
    assert mismatch(found, {"srv": {}}) == "device 'srv' is needed with {}, and there is no such device"
    assert mismatch(found, {"srv": None}) == ""


@pytest.mark.parametrize(
    ("requirement", "hint"),
    [
        ({"bxo": {}}, " (Did you mean 'box'?)"),
        ({"box": {"modle": "b"}}, " (Did you mean 'model'?)"),
        ({"box": {"software": {"imgae": "x"}}}, " (Did you mean 'image'?)"),
        ({"box": {"model": "c"}}, ""),
        ({"fridge": {}}, ""),
    ],
)
def test_a_name_that_is_nearly_there_is_named(requirement: dict[str, object], hint: str) -> None:
    why = mismatch(environment({"name": "box", "model": "b", "software": {"image": "x"}}), requirement)
    assert why
    assert why.endswith(hint)
    assert ("Did you mean" in why) is bool(hint)
