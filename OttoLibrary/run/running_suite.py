"""The suite that is running: its folder, its settings, and where its run keeps files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from OttoLibrary.lab.settings import Settings


def _read(folder: Path | None) -> Settings:
    from OttoLibrary.lab.settings import read

    return read(folder)


class RunningSuite:
    """The innermost of the suites that have begun and not ended.

    Args:
        folder: Counts outside of any suite; the current folder when it is None.
        output_folder: The same, for files beside the log.
        read: Reads the settings around a folder.
    """

    def __init__(
        self,
        folder: Path | None = None,
        output_folder: Path | None = None,
        read: Callable[[Path | None], Settings] = _read,
    ) -> None:
        self._suites: list[tuple[Path | None, Path | None]] = [(folder, output_folder)]
        self._settings: dict[Path | None, Settings] = {}
        self._read = read

    @property
    def folder(self) -> Path | None:
        """The folder of the suite; None for the current folder."""
        return self._suites[-1][0]

    @property
    def output_folder(self) -> Path | None:
        """Where files beside the log go, in a folder ``otto``; None keeps none."""
        return self._suites[-1][1]

    @property
    def settings(self) -> Settings:
        """What the settings files around the suite say; they are read once for each folder. Raises SettingsError."""
        if self.folder not in self._settings:
            self._settings[self.folder] = self._read(self.folder)
        return self._settings[self.folder]

    @property
    def settings_files(self) -> tuple[Path, ...]:
        """The settings files around the suite, the nearest first. Raises SettingsError."""
        return tuple(repository.file for repository in self.settings.repositories)

    def begin(self, folder: Path | None, output_folder: Path | None) -> None:
        """Enter a suite; one without a folder of its own is in that of the suite around it."""
        self._suites.append((folder or self.folder, output_folder))

    def end(self) -> None:
        """Leave the suite; the one around it counts again."""
        if len(self._suites) > 1:
            self._suites.pop()
