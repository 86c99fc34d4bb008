"""Where something stands in checked data, and references in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.schema.source_position import SourcePosition, expanded, has_references, is_path, references_in, shown_path


def position(**given: object) -> SourcePosition:
    return SourcePosition("plan.json", Path("/plans"), **given)  # type: ignore[arg-type]


def values(kind: str, argument: str) -> str:
    known = {("env", "A"): "1", ("env", "B"): "${env:A}"}
    if (kind, argument) not in known:
        raise LookupError(f"{kind} has no {argument}.")
    return known[kind, argument]


def test_a_mistake_names_file_and_path() -> None:
    top = position()
    top.at("steps").at(2).at("every").wrong("5 is not a duration")
    top.at("odd key").at("x").wrong("is wrong")
    top.wrong("unknown key 'stps'", "stps", ["steps", "name"])
    assert top.problems == [
        "plan.json: 5 is not a duration @ steps[2].every",
        "plan.json: is wrong @ ['odd key'].x",
        "plan.json: unknown key 'stps' @ top level (did you mean 'steps'?)",
    ]


def test_a_file_s_position_starts_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    top = SourcePosition.in_file(tmp_path / "plans" / "soak.json")
    assert (top.source, top.folder) == ("plans/soak.json", tmp_path / "plans")


def test_references_are_replaced_once() -> None:
    assert position(resolver=values).resolve("a${env:A}b${env:B}") == "a1b${env:A}"


def test_an_unresolved_reference_is_no_mistake() -> None:
    top = position()
    assert top.resolve("${env:A}") is None
    assert top.problems == []


def test_every_mistake_in_references_is_noted() -> None:
    top = position(resolver=values)
    assert top.resolve("${env:NO} ${env:NOR}") is None
    assert top.resolve("${nev:A}") is None
    assert top.problems[:2] == ["plan.json: env has no NO @ top level", "plan.json: env has no NOR @ top level"]
    assert top.problems[2].startswith("plan.json: unknown reference kind 'nev' @ top level (did you mean 'env'?)")


def test_references_are_found_at_any_depth() -> None:
    value = {"a": ["x", {"b": "${env:A}${file:/p}"}], "c": 1}
    assert list(references_in(value)) == [("env", "A"), ("file", "/p")]
    assert not has_references({"a": ["$x", "${y}", None]})


@pytest.mark.parametrize(("text", "found"), [("bench", False), ("a.json", True), ("./a", True), ("..", True), ("a b", False)])
def test_a_path_is_no_name(text: str, found: bool) -> None:
    assert is_path(text) is found


def test_a_path_is_shown_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "a" / "b") == "a/b"
    assert shown_path(Path("/etc/passwd")) == "/etc/passwd"


def test_the_home_of_an_unknown_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    assert expanded("~no-such-user/x") == Path("~no-such-user/x")
