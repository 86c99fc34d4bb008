"""Single values: which are right, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.schema import scalar_types
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.text import Secret


def read(name: str, value: object) -> tuple[Any, list[str]]:
    position = SourcePosition("plan.json", Path("/plans"))
    return getattr(scalar_types, name).read(value, position), position.problems


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("NON_EMPTY", " x ", " x "),
        ("SECRET", "pw", Secret("pw")),
        ("TCP_PORT", 65535, 65535),
        ("COUNT", 1, 1),
        ("SWITCH", False, False),
        ("DURATION", "1 min 30 s", 90.0),
        ("ENCODING", "latin1", "iso8859-1"),
        ("EXPRESSION", "a+", "a+"),
        ("PATH", "keys/id", "/plans/keys/id"),
        ("PATH", "/keys/id", "/keys/id"),
        ("VARIABLE", "A_1", "A_1"),
    ],
)
def test_a_right_value_is_converted(name: str, value: object, wanted: object) -> None:
    assert read(name, value) == (wanted, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NON_EMPTY", "  "),
        ("NON_EMPTY", "a\0b"),
        ("NON_EMPTY", "\ud800"),
        ("SECRET", 5),
        ("TCP_PORT", 0),
        ("TCP_PORT", True),
        ("TCP_PORT", 65536),
        ("COUNT", 1.0),
        ("SWITCH", 1),
        ("SWITCH", "yes"),
        ("DURATION", -1),
        ("DURATION", float("inf")),
        ("ENCODING", "utf-9"),
        ("EXPRESSION", "("),
        ("VARIABLE", "1A"),
        ("VARIABLE", "Ä"),
    ],
)
def test_a_wrong_value_is_one_mistake(name: str, value: object) -> None:
    assert len(read(name, value)[1]) == 1


def test_a_choice_names_all_words_and_the_nearest() -> None:
    position = SourcePosition("plan.json", Path("/plans"))
    scalar_types.choice_of(("once", "always")).read("onse", position)
    assert position.problems == ["plan.json: 'onse' is not one of once, always @ top level (did you mean 'once'?)"]
