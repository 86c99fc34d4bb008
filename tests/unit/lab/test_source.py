"""Which source a reference means, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.lab.settings import Repository, Settings
from OttoLibrary.lab.source import ask, known, reference_to

CHOSEN = Settings(
    (Repository(Path("/sut/.otto/settings.toml"), "sut", "1.0.0", lab={"backend": "memory", "preferences": {"a": 1}}),)
)


class Memory:
    """A source with one lab, which tells what it was given."""

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        if name != "east":
            raise LookupError(name)
        return {"hosts": {}, "metadata": {"given": dict(preferences or {})}}

    def list_labs(self) -> list[str]:
        return ["east"]


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_lab_repository("memory", Memory)


def content(reference: str, settings: Settings = CHOSEN) -> tuple[Any, list[str]]:
    problems: list[str] = []
    answer = ask(reference, None, settings, problems)
    return answer and answer.content, problems


def test_a_plain_name_is_of_the_source_of_the_settings() -> None:
    assert content("east") == ({"hosts": {}, "metadata": {"given": {"a": 1}}}, [])
    assert content("memory:east", Settings()) == ({"hosts": {}, "metadata": {"given": {}}}, [])


def test_a_path_is_a_file_whatever_the_settings_say() -> None:
    assert content("./none.json")[1] == ["No lab file './none.json', and no folder of that name with a hosts.json."]


def test_an_unknown_name_and_an_unknown_source_are_sentences() -> None:
    assert content("easst")[1][0].startswith("No lab of 'memory' named 'easst'. Did you mean 'east'?")
    assert content("memroy:east")[1][0].startswith("No lab source named 'memroy'. Did you mean 'memory'?")


def test_all_sources_are_listed() -> None:
    assert dict(known(None, CHOSEN))["memory"] == ["east"]
    assert (reference_to("east", "memory", CHOSEN), reference_to("demo", "json", CHOSEN)) == ("east", "json:demo")
