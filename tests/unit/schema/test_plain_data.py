"""Plain JSON data, parsed or copied, each mistake with its position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.schema import plain_data
from OttoLibrary.schema.source_position import SourcePosition


def parsed(text: bytes) -> tuple[Any, list[str]]:
    position = SourcePosition("plan.json", Path("/"))
    return plain_data.parse(text, position), position.problems


def copied(value: object) -> tuple[Any, list[str]]:
    position = SourcePosition("plan.json", Path("/"))
    return plain_data.plain(value, position), position.problems


def test_comments_are_left_out() -> None:
    assert parsed(b'{"_": "why", "a": {"_b": 1, "c": [1, null]}}') == ({"a": {"c": [1, None]}}, [])
    assert copied({"_": "why", "a": {"_b": 1, "c": [1, None]}}) == ({"a": {"c": [1, None]}}, [])


def test_a_byte_order_mark_is_ignored() -> None:
    assert parsed(b"\xef\xbb\xbf[]") == ([], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a": 1,}', "bad JSON: Expecting property name enclosed in double quotes @ line 1, column 9"),
        (b"\xff", "is not UTF-8 text @ top level"),
        (b"[NaN]", "bad JSON: NaN is not JSON @ top level"),
        (b'{"a": {"b": 1, "b": 2, "_c": 1, "_c": 2}}', "duplicate key 'b' @ a"),
        (b"[" * 41 + b"]" * 41, "objects and lists are nested deeper than 40 levels @ top level"),
        (b"[" * 100_000, "objects and lists are nested deeper than 40 levels @ top level"),
    ],
)
def test_a_mistake_is_named(text: bytes, problem: str) -> None:
    (found,) = parsed(text)[1]
    assert found.startswith(f"plan.json: {problem}")


def test_what_json_cannot_hold_is_named() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert copied({"a": {1: 2}, "b": {3}})[1] == [
        "plan.json: the key 1 is not text @ a",
        "plan.json: a Python set is not JSON @ b",
    ]
    assert copied(circle)[1] == ["plan.json: objects and lists are nested deeper than 40 levels @ top level"]


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=8)
)
def test_a_copy_is_equal_and_the_caller_s_own(value: Any) -> None:
    copy, problems = copied(value)
    assert (copy, problems) == (value, [])
    assert not isinstance(value, list) or copy is not value
