"""Types of values: checked with all mistakes, converted, described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.schema.field_types import (
    TEXT,
    AnyObject,
    ExactlyOneOf,
    Field,
    FieldType,
    ListOf,
    MapOf,
    NameList,
    ObjectOf,
    TextOrObject,
    shown,
)
from OttoLibrary.schema.scalar_types import COUNT, DURATION, LABEL, SECRET, SWITCH
from OttoLibrary.schema.source_position import SourcePosition

STEP = ObjectOf({"run": Field(TEXT, "A command."), "expect": Field(TEXT, "A text."), "every": Field(DURATION, "How often.")})
PLAN = ObjectOf(
    {"name": Field(LABEL, "Its name."), "steps": Field(ListOf(ExactlyOneOf(STEP, ("run", "expect"))), "What is done.")},
    required=("name",),
)


def read(kind: FieldType, value: object, **given: Any) -> tuple[Any, list[str]]:
    position = SourcePosition("plan.json", Path("/plans"), **given)
    return kind.read(value, position), [problem.removeprefix("plan.json: ") for problem in position.problems]


def test_a_right_object_is_converted() -> None:
    plan = {"name": "soak", "steps": [{"run": "./app", "every": "2 min"}, {"expect": "ok", "every": None}]}
    wanted = {"name": "soak", "steps": ({"run": "./app", "every": 120.0}, {"expect": "ok", "every": None})}
    assert read(PLAN, plan) == (wanted, [])


def test_every_mistake_is_noted_where_it_stands() -> None:
    found, problems = read(PLAN, {"nmae": "x", "steps": [{"run": 5, "expect": "x"}, "no", {"every": "soon"}]})
    assert found["steps"][0]["expect"] == "x"
    assert problems == [
        "unknown key 'nmae' @ top level (did you mean 'name'?)",
        "'name' is missing @ top level",
        "exactly one of 'run' and 'expect' is needed @ steps[0]",
        "a number is not text @ steps[0].run",
        "text is not an object @ steps[1]",
        "exactly one of 'run' and 'expect' is needed @ steps[2]",
        "'soon' is not a duration such as 10, '500ms' or '1 min 30 s' @ steps[2].every",
    ]


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (PLAN, [], "a list is not an object"),
        (ListOf(TEXT), {"a": 1}, "an object is not a list"),
        (MapOf(TEXT, TEXT), 1, "a number is not an object"),
        (AnyObject(), True, "true is not an object"),
        (COUNT, None, "null is not a number from 1 on"),
        (SWITCH, "x" * 100, f"{'x' * 100!r}"[:60] + "... is not true or false"),
    ],
)
def test_a_wrong_type_is_named(kind: FieldType, value: object, problem: str) -> None:
    assert read(kind, value) == (None, [f"{problem} @ top level"])


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (COUNT, "22", "'22' is not a number from 1 on; write 22 without quotes"),
        (COUNT, "0", "'0' is not a number from 1 on"),
        (SWITCH, "true", "'true' is not true or false; write true without quotes"),
        (SWITCH, "yes", "'yes' is not true or false"),
        (TEXT, 22, "a number is not text"),
    ],
)
def test_quotes_that_are_too_many_are_named(kind: FieldType, value: object, problem: str) -> None:
    assert read(kind, value)[1] == [f"{problem} @ top level"]


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    assert read(SECRET, 1234) == (None, ["a number is not text @ top level"])


def test_a_reference_becomes_a_value_of_the_right_type() -> None:
    assert read(COUNT, "${env:N}", resolver=lambda kind, argument: "7") == (7, [])
    assert read(COUNT, "${env:N}", resolver=lambda kind, argument: "x")[1] == [
        "the value of '${env:N}' is not a number from 1 on @ top level"
    ]
    assert read(COUNT, "${env:N}") == (None, [])


def test_a_literal_value_is_no_reference() -> None:
    assert "a reference is not allowed here" in read(LABEL, "${env:N}")[1][0]


def test_names_are_a_list_or_text() -> None:
    assert read(NameList(), ["a", "b"])[0] == read(NameList(), "a,b")[0] == "a,b"
    assert read(NameList(), ["a", 1]) == (None, ["a number is not text @ [1]"])


def test_text_may_stand_for_an_object() -> None:
    kind = TextOrObject("run", ExactlyOneOf(STEP, ("run", "expect")))
    assert read(kind, "./app") == ({"run": "./app"}, [])
    assert read(kind, {"expect": "x"}) == ({"expect": "x"}, [])


def test_a_null_removes_an_entry_of_a_map() -> None:
    assert read(MapOf(TEXT, COUNT), {"a": None, "b": 2}) == ({"a": None, "b": 2}, [])


def test_references_in_any_object_are_resolved() -> None:
    found, _ = read(AnyObject(), {"a": ["${env:X}", 1]}, resolver=lambda kind, argument: argument.lower())
    assert found == {"a": ["x", 1]}


def test_the_schema_says_what_is_checked() -> None:
    schema = PLAN.schema()
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    step = schema["properties"]["steps"]["anyOf"][0]["items"]
    assert step["oneOf"] == [{"required": ["run"]}, {"required": ["expect"]}]
    assert COUNT.schema()["anyOf"][1]["pattern"].startswith(r"\$\{")


@pytest.mark.parametrize(("value", "text"), [(None, "null"), (False, "false"), ({}, "an object"), ([], "a list"), ("a", "'a'")])
def test_a_value_is_shown_short(value: object, text: str) -> None:
    assert shown(value) == text
