"""What one settings file may say, and how it is read: loaded only where there is such a file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from OttoLibrary.lab.fields import HOST
from OttoLibrary.lab.plain_file import read_plain_file
from OttoLibrary.lab.trust import distrust
from OttoLibrary.schema.field_types import AnyObject, Field, ListOf, NameList, ObjectOf, Scalar
from OttoLibrary.schema.scalar_types import DURATION, LABEL, SIZE
from OttoLibrary.schema.source_position import SourcePosition, shown_path

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


def top_of(file: Path, problems: list[str]) -> SourcePosition:
    """Return the top of a settings file; mistakes go to ``problems``."""
    return SourcePosition(shown_path(file), file.parents[1], problems)


def read_file(file: Path, is_named: bool, problems: list[str]) -> dict[str, Any] | None:
    """Return what a settings file says, by the names of ``settings.Repository``; note mistakes, and return None then.

    Args:
        file: The file.
        is_named: Whether a user named it; what is only found has to be trusted first.
        problems: Mistakes go here.
    """
    distrusted = None if is_named else distrust(file)
    if distrusted:
        problems.append(distrusted)
        return None
    position, before = top_of(file, problems), len(problems)
    written = _with_folder(_parse(file, position), str(file.parents[1]))
    if len(problems) > before:
        return None
    values = {key: value for key, value in _SETTINGS.read(written, position).items() if value is not None}
    if len(problems) > before:
        return None
    return values | {"defaults": written.get("defaults", {}), "is_named": is_named}


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
