"""The settings of the software under test: ``.otto/settings.toml`` in its repository.

Format: TOML 1.0. ``${sutDir}`` in any text is the folder that holds ``.otto``; relative paths start there.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.errors import PluginError, SettingsError
from OttoLibrary.lab.plain_file import is_file
from OttoLibrary.lab.trust import distrust

# Every run asks for settings, and most have none: what reads them comes with the first file.
if TYPE_CHECKING:
    from OttoLibrary.schema.field_types import JsonObject
    from OttoLibrary.schema.source_position import SourcePosition

FILE = Path(".otto", "settings.toml")


@dataclass(frozen=True)
class Repository:
    """What one settings file says.

    Attributes:
        file: The settings file.
        name: Name of the software under test.
        version: Its version.
        labs: Folders with lab files.
        libs: Folders with Python modules.
        tests: Folders with suites.
        init: Modules to import with the library.
        lab: The table ``[lab]``.
        reservations: The table ``[reservations]``.
        monitor: The table ``[monitor]``.
        output: The table ``[output]``.
        defaults: The table ``[defaults]``, as written.
        is_named: Whether a user named it, in ``OTTO_SUT_DIRS``; what is only found has to be trusted first.
    """

    file: Path
    name: str
    version: str
    labs: tuple[Path, ...] = ()
    libs: tuple[Path, ...] = ()
    tests: tuple[Path, ...] = ()
    init: tuple[str, ...] = ()
    lab: JsonObject = field(default_factory=dict)
    reservations: JsonObject = field(default_factory=dict)
    monitor: JsonObject = field(default_factory=dict)
    output: JsonObject = field(default_factory=dict)
    defaults: JsonObject = field(default_factory=dict)
    is_named: bool = False

    @property
    def position(self) -> SourcePosition:
        """The top of its file."""
        from OttoLibrary.lab.settings_file import top_of

        return top_of(self.file, [])


@dataclass(frozen=True)
class Settings:
    """What all settings files say together: their lists are joined, and of each table the nearest one counts.

    Attributes:
        repositories: What each of them says, the nearest first.
    """

    repositories: tuple[Repository, ...] = ()

    @property
    def labs(self) -> tuple[Path, ...]:
        """Folders with lab files."""
        return tuple(chain.from_iterable(repository.labs for repository in self.repositories))

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the settings files themselves."""
        return tuple(repository.file.parent for repository in self.repositories)

    @property
    def libs(self) -> tuple[Path, ...]:
        """Folders with Python modules."""
        return tuple(chain.from_iterable(repository.libs for repository in self.repositories))

    @property
    def tests(self) -> tuple[Path, ...]:
        """Folders with suites."""
        return tuple(chain.from_iterable(repository.tests for repository in self.repositories))

    @property
    def init(self) -> tuple[str, ...]:
        """Modules to import with the library."""
        return tuple(chain.from_iterable(repository.init for repository in self.repositories))

    @property
    def lab(self) -> JsonObject:
        """Where labs come from."""
        return self._first("lab")

    @property
    def reservations(self) -> JsonObject:
        """Who decides about reservations."""
        return self._first("reservations")

    @property
    def monitor(self) -> JsonObject:
        """How hosts are monitored."""
        return self._first("monitor")

    @property
    def output(self) -> JsonObject:
        """How much is kept of what commands write."""
        return self._first("output")

    @property
    def defaults(self) -> JsonObject:
        """Fields for every host of every lab."""
        return self._first("defaults")

    def _first(self, table: str) -> JsonObject:
        found: Iterator[JsonObject] = (getattr(repository, table) for repository in self.repositories)
        return next(filter(None, found), {})


def read(start: Path | None = None) -> Settings:
    """Return the settings for a suite.

    Args:
        start: The folder of the suite; by default the current one. The nearest file from there upwards is read, then the one in
            each folder of the environment variable ``OTTO_SUT_DIRS`` (separated by commas or colons).

    Raises:
        SettingsError: With every mistake in every file, and the one that was found but may be another user's.
    """
    problems: list[str] = []
    found, named = _upwards((start or Path.cwd()).absolute()), list(_named(problems))
    repositories = [_read(file, file in named, problems) for file in dict.fromkeys([*found, *named])]
    if problems:
        raise SettingsError(problems)
    return Settings(tuple(repository for repository in repositories if repository is not None))


def import_init(settings: Settings) -> None:
    """Import the init modules, with the folders of ``libs`` at the end of Python's search path; raise PluginError."""
    for folder in map(str, settings.libs):
        if folder not in sys.path:
            sys.path.append(folder)
    for repository in settings.repositories:
        for module in repository.init:
            if not repository.is_named:
                _check_trust(module, settings.libs, repository.file)
            _import(module, repository.file)


def _check_trust(module: str, folders: Iterable[Path], file: Path) -> None:
    """Raise PluginError when another user may have written the module, or a package that it is in."""
    from OttoLibrary.schema.source_position import shown_path

    parts = module.split(".")
    for folder in folders:
        for count in range(1, len(parts) + 1):
            path = folder.joinpath(*parts[:count])
            for source in filter(is_file, (path / "__init__.py", path.with_suffix(".py"))):
                problem = distrust(source)
                if problem:
                    raise PluginError(f"{shown_path(file)}: module '{module}' is not imported. {problem}")


def _upwards(start: Path) -> Iterable[Path]:
    return [file for folder in (start, *start.parents) if is_file(file := folder / FILE)][:1]


def _named(problems: list[str]) -> Iterable[Path]:
    folders = [Path(word.strip()).expanduser() for word in re.split("[,:]", os.environ.get("OTTO_SUT_DIRS", "")) if word.strip()]
    for folder in folders:
        file = folder.absolute() / FILE
        if is_file(file):
            yield file
        else:
            problems.append(f"The environment variable OTTO_SUT_DIRS names '{folder}', where there is no {FILE}.")


def _read(file: Path, is_named: bool, problems: list[str]) -> Repository | None:
    from OttoLibrary.lab.settings_file import read_file

    values = read_file(file, is_named, problems)
    return Repository(file, **values) if values is not None else None


def _import(module: str, file: Path) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        from OttoLibrary.schema.source_position import shown_path

        line = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if "importlib" in line.filename else f" ({shown_path(Path(line.filename))}, line {line.lineno})"
        raise PluginError(
            f"{shown_path(file)}: module '{module}' cannot be imported: {type(error).__name__}: {error}{where} @ init"
        ) from error
