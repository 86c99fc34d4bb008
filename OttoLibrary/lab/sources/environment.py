"""Labs from the two files of a testbed: what is needed, and where it is; the name is both files and the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        environment = self.environment(name)
        problems: list[str] = []
        lab = lab_of(environment, problems)
        if problems:
            raise LabError(list(dict.fromkeys(problems)))
        return lab

    def environment(self, name: str) -> Environment:
        """Return the merged devices; raise LabError."""
        words = [word.strip() for word in name.split(",")]
        if len(words) != self.name_parts or not all(words):
            raise LabError(
                [f"'environment:{name}' names no lab. Write environment:ENVIRONMENT,INVENTORY,BOARD, two files and a board."]
            )
        return read_environment(words[0], words[1], words[2], self._folders)

    def list_labs(self) -> list[str]:
        """Return nothing: the files are named, not looked for."""
        return []
