"""Labs from a program: which command lines and preferences are accepted before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.sources.command import CommandLabs


def problem(name: str, preferences: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(LabError) as raised:
        CommandLabs().load_lab(name, preferences)
    (found,) = raised.value.problems
    return found


@pytest.mark.parametrize("name", ["", "  "])
def test_no_command_is_said_to_be_none(name: str) -> None:
    said = f"Lab 'command:{name}' could not be loaded: there is no command. Write command:PROGRAM and its arguments."
    assert problem(name) == said


def test_an_open_quote_is_no_command_line() -> None:
    assert "'inventory \"a' is not a command line (No closing quotation)." in problem('inventory "a')


@pytest.mark.parametrize("command", ["", 7, ["inventory"], None])
def test_the_command_of_the_preferences_is_a_text(command: object) -> None:
    assert "there is no command" in problem("bench", {"command": command})


def test_an_unknown_preference_is_named_with_the_one_that_was_meant() -> None:
    assert problem("bench", {"comand": "x"}).endswith("it has no preference 'comand'. Did you mean 'command'?")


@pytest.mark.parametrize("timeout", ["soon", "-1 s", [], {}])
def test_a_wrong_timeout_is_refused(timeout: object) -> None:
    assert "its preference 'timeout' is wrong. " in problem("bench", {"command": "none", "timeout": timeout})


def test_a_program_that_is_not_there_is_named() -> None:
    said = problem("bench", {"command": "/nowhere/inventory --json"})
    assert "'/nowhere/inventory' cannot be started: No such file or directory." in said


def test_a_name_with_a_null_byte_starts_nothing() -> None:
    assert "cannot be started" in problem("inventory\0x")


def test_no_name_of_a_lab_is_known() -> None:
    assert CommandLabs().list_labs() == []
