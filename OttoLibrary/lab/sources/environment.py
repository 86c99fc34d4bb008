"""Labs from the two files of a testbed: what is needed, and where it is; the name is both files and the board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from OttoLibrary.errors import LabError
from OttoLibrary.lab.environment import Environment, read_environment
from OttoLibrary.lab.environment_hosts import lab_of


class EnvironmentLabs:
    """The lab source ``environment``: ``ENVIRONMENT,INVENTORY,BOARD``, paths or http URLs and a name.

    Args:
        suite_folder: The folder of the suite, where files are looked for after the current folder.
        folders: Further folders, searched last.
    """

    name_parts = 3

    def __init__(self, suite_folder: Path | None = None, folders: Sequence[Path] = ()) -> None:
        self._folders = [*([suite_folder] if suite_folder else []), *folders]

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        """Return the devices that have a connection as hosts."""
        if preferences:
            raise LabError([f"The lab source 'environment' takes no preferences, such as '{next(iter(preferences))}'."])
        labs: list[dict[str, Any]] = []
        self.environment(name, lambda environment, problems: labs.append(lab_of(environment, problems)))
        return labs[0]

    def environment(self, name: str, check: Callable[[Environment, list[str]], object] = lab_of) -> Environment:
        """Return the merged devices; raise LabError, also with the mistakes that ``check`` notes."""
        words = [word.strip() for word in name.split(",")]
        if len(words) != self.name_parts or not all(words):
            raise LabError(
                [f"'environment:{name}' names no lab. Write environment:ENVIRONMENT,INVENTORY,BOARD, two files and a board."]
            )
        return read_environment(words[0], words[1], words[2], self._folders, check)

    def list_labs(self) -> list[str]:
        """Return nothing: the files are named, not looked for."""
        return []
