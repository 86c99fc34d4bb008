"""Background commands by their handles."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotOpenError, OttoError
from OttoLibrary.run.background_commands import BackgroundCommands
from OttoLibrary.run.scopes import Scopes


class Command:
    """A command that runs until it is stopped."""

    def __init__(self, stopped: list[Command], error: Exception | None = None) -> None:
        self._stopped, self._error = stopped, error
        self.released = False

    async def stop(self) -> None:
        self._stopped.append(self)
        if self._error:
            raise self._error

    def release(self) -> None:
        self.released = True


class Run:
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.scopes = Scopes(Engine(), self.warnings.append)
        self.commands = BackgroundCommands(self.scopes)


def test_each_command_has_a_handle_of_its_own() -> None:
    run, stopped = Run(), list[Any]()
    made: list[Any] = [Command(stopped), Command(stopped)]
    handles = [run.commands.add(command) for command in made]
    assert len(set(handles)) == 2
    assert [run.commands.get(handle) for handle in handles] == made


def test_a_command_ends_with_the_scope_in_which_it_was_started() -> None:
    run, stopped = Run(), list[Any]()
    outer: Any = Command(stopped)
    inner: Any = Command(stopped)
    run.commands.add(outer)
    run.scopes.begin("test")
    handle = run.commands.add(inner)
    run.scopes.end()
    assert stopped == [inner]
    assert run.commands.get(handle) is inner  # what it did can still be asked
    assert (inner.released, outer.released) == (True, False)
    run.scopes.close()
    assert stopped == [inner, outer]


def test_one_that_cannot_be_stopped_does_not_keep_the_others_running() -> None:
    run, stopped = Run(), list[Any]()
    made: list[Any] = [Command(stopped), Command(stopped, OttoError("it hangs"))]
    for command in made:
        run.commands.add(command)
    run.scopes.close()
    assert stopped == made[::-1]
    assert run.warnings == ["A clean-up failed: it hangs"]


@pytest.mark.parametrize("handle", ["", "command-0", "command-2", "COMMAND-1"])
def test_an_unknown_handle_says_which_are_known(handle: str) -> None:
    run = Run()
    with pytest.raises(NotOpenError, match="Known: none"):
        run.commands.get(handle)
    command: Any = Command([])
    run.commands.add(command)
    with pytest.raises(NotOpenError, match=f"^No background command '{handle}'. Known: command-1. "):
        run.commands.get(handle)
    run.scopes.close()
