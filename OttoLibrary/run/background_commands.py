"""The background commands of a run, by their handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OttoLibrary.errors import NotOpenError
from OttoLibrary.run.scopes import Scopes

if TYPE_CHECKING:
    from OttoLibrary.host.background import BackgroundCommand


class BackgroundCommands:
    """Commands that were started and keep running; each is ended with the scope in which it was started.

    Args:
        scopes: The scopes of the run.
    """

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._commands: dict[str, BackgroundCommand] = {}

    def add(self, command: BackgroundCommand) -> str:
        """Keep a command, to be ended with the present scope; return its handle."""
        handle = f"command-{len(self._commands) + 1}"
        self._commands[handle] = command

        async def stop() -> None:
            await command.stop()
            command.release()

        self._scopes.on_end(stop)
        return handle

    def get(self, handle: str) -> BackgroundCommand:
        """Return a command; raise NotOpenError for an unknown handle."""
        if handle not in self._commands:
            known = ", ".join(self._commands) or "none"
            raise NotOpenError(f"No background command '{handle}'. Known: {known}. 'Start On Host' returns the handle.")
        return self._commands[handle]
