"""YAML with bounds."""

from __future__ import annotations

import contextlib

import pytest

from OttoLibrary.cli.yaml_file import parse
from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign.conversion import Tagged

pytest.importorskip("yaml")


def test_tags_are_marks_and_dates_stay_text() -> None:
    found = parse("a: !vault |\n  text\nb: !template x\nc: 2024-01-02\n1: [!x {k: v}]\n")
    assert (found["a"], found["a"].tag, found["b"].tag) == ("text\n", "!vault", "!template")
    assert isinstance(found["b"], Tagged)
    assert (found["c"], found["1"]) == ("2024-01-02", [{"k": "v"}])


def test_nothing_is_constructed() -> None:
    with pytest.raises(LabError, match="no YAML"):
        parse("a: !!python/object/apply:os.system ['true']\n")


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
        "a: &a [*a]\n",
        "[" * 5000,
        "{{ jinja }}: [",
        "a: b: c",
    ],
    ids=["aliases", "circle", "deep", "template", "bad"],
)
def test_hostile_text_is_one_sentence(text: str) -> None:
    with pytest.raises(LabError):
        parse(text)


def test_merged_keys_do_not_grow_without_a_bound() -> None:
    # Newer versions of PyYAML merge a key once, older ones as often as it is named, which is refused.
    merges = "".join(f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
    found: object = None
    with contextlib.suppress(LabError):
        found = parse(f"a0: &a0 {{k: v}}\n{merges}")["a11"]
    assert found in (None, {"k": "v"})
