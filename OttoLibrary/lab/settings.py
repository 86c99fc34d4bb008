"""The settings of the software under test: ``.otto/settings.toml`` in its repository.

Format: TOML 1.0. ``${sutDir}`` in any text is the folder that holds ``.otto``; relative paths start there.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from OttoLibrary.errors import PluginError, SettingsError
from OttoLibrary.lab.fields import HOST
from OttoLibrary.lab.plain_file import is_file, read_plain_file
from OttoLibrary.lab.trust import distrust
from OttoLibrary.schema.field_types import AnyObject, Field, JsonObject, ListOf, NameList, ObjectOf, Scalar
from OttoLibrary.schema.scalar_types import DURATION, LABEL, SIZE
from OttoLibrary.schema.source_position import SourcePosition, shown_path

FILE = Path(".otto", "settings.toml")
_SUT_FOLDER = "${sutDir}"
_LARGEST_BYTES = 1 << 20


def _folder(value: object, position: SourcePosition) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    folder = Path(os.path.normpath(position.folder / Path(value).expanduser()))
    if not folder.is_dir():
        position.wrong(f"there is no folder '{folder}'")
    return folder


def _version(value: object, _: SourcePosition) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise ValueError
    return value


def _module(value: object, _: SourcePosition) -> str:
    if not isinstance(value, str) or not all(part.isidentifier() for part in value.split(".")):
        raise ValueError
    return value


_FOLDER = Scalar("a folder", _folder, {"type": "string"}, literal=True)
_VERSION = Scalar("a version such as '1.2.3'", _version, {"type": "string"}, literal=True)
_MODULE = Scalar("the name of a Python module, such as 'my_sut.init'", _module, {"type": "string"}, literal=True)

_PRIVATE_LABEL = replace(LABEL, secret=True)

_LAB = ObjectOf({
    "backend": Field(LABEL, "Where labs come from: json (default), ssh_config, command or one of a plug-in."),
    "default": Field(NameList(), "The lab to use when none is given."),
    "preferences": Field(AnyObject(), "Passed to the backend unchanged."),
})  # fmt: skip

_RESERVATIONS = ObjectOf({
    "backend": Field(LABEL, "Who decides: file (default), redis, json, pabot, none or one of a plug-in."),
    "url": Field(_PRIVATE_LABEL, "Where the backend is, such as redis://host:6379/0."),
    "path": Field(LABEL, "The file or folder of the backend."),
})  # fmt: skip

_MONITOR = ObjectOf({
    "interval": Field(DURATION, "Time between two readings."),
    "metrics": Field(NameList(), "What to read."),
    "hosts": Field(LABEL, "Which hosts the listener watches, a selection."),
    "store": Field(LABEL, "The recording, below the output folder; none for none."),
})  # fmt: skip

_OUTPUT = ObjectOf({
    "limit": Field(SIZE, "How much of each stream of a command is kept in memory: the first and the last half of it."),
    "file_limit": Field(SIZE, "How much of a longer stream is kept in a file beside the log; 0 for no file."),
})  # fmt: skip

_SETTINGS = ObjectOf({
    "name": Field(LABEL, "Name of the software under test."),
    "version": Field(_VERSION, "Its version."),
    "labs": Field(ListOf(_FOLDER), "Folders with lab files."),
    "libs": Field(ListOf(_FOLDER), "Folders with Python modules."),
    "tests": Field(ListOf(_FOLDER), "Folders with suites."),
    "init": Field(ListOf(_MODULE), "Modules to import with the library."),
    "lab": Field(_LAB, "Labs."),
    "reservations": Field(_RESERVATIONS, "Reservations."),
    "monitor": Field(_MONITOR, "How hosts are monitored."),
    "output": Field(_OUTPUT, "How much is kept of what commands write."),
    "defaults": Field(HOST, "Fields for every host of every lab, beneath the lab's own defaults."),
}, required=("name", "version"))  # fmt: skip


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
        return _top(self.file, [])


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
    parts = module.split(".")
    for folder in folders:
        for count in range(1, len(parts) + 1):
            path = folder.joinpath(*parts[:count])
            for source in filter(is_file, (path / "__init__.py", path.with_suffix(".py"))):
                problem = distrust(source)
                if problem:
                    raise PluginError(f"{shown_path(file)}: module '{module}' is not imported. {problem}")


def _top(file: Path, problems: list[str]) -> SourcePosition:
    return SourcePosition(shown_path(file), file.parents[1], problems)


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
    distrusted = None if is_named else distrust(file)
    if distrusted:
        problems.append(distrusted)
        return None
    position, before = _top(file, problems), len(problems)
    written = _with_folder(_parse(file, position), str(file.parents[1]))
    if len(problems) > before:
        return None
    values = {key: value for key, value in _SETTINGS.read(written, position).items() if value is not None}
    if len(problems) > before:
        return None
    return Repository(file, **values | {"defaults": written.get("defaults", {}), "is_named": is_named})


def _parse(file: Path, position: SourcePosition) -> Any:
    import tomllib

    try:
        return tomllib.loads(read_plain_file(file, _LARGEST_BYTES).decode("utf-8"))
    except OSError as error:
        return position.wrong(f"cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        return position.wrong(f"bad TOML: {error}")


def _with_folder(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace(_SUT_FOLDER, folder)
    if isinstance(value, Mapping):
        return {key: _with_folder(entry, folder) for key, entry in value.items()}
    return [_with_folder(entry, folder) for entry in value] if isinstance(value, list) else value


def _import(module: str, file: Path) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if "importlib" in line.filename else f" ({shown_path(Path(line.filename))}, line {line.lineno})"
        raise PluginError(
            f"{shown_path(file)}: module '{module}' cannot be imported: {type(error).__name__}: {error}{where} @ init"
        ) from error
