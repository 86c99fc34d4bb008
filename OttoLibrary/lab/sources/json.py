"""Labs in JSON files: ours, ``NAME.json``, and otto's, a ``hosts.json`` whose hosts say which labs they are part of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from OttoLibrary.errors import LabError, UnknownNameError
from OttoLibrary.lab.plain_file import is_file, kind_of, read_plain_file
from OttoLibrary.lab.trust import distrust
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.source_position import SourcePosition, expanded, is_path, shown_path
from OttoLibrary.text import some

_HOSTS_FILE = "hosts.json"
_LARGEST_BYTES = 16 << 20
_BUILT_IN = Path(__file__).parents[1] / "labs"


class JsonLabs:
    """The lab source ``json``.

    Args:
        suite_folder: The folder of the suite; its ``labs`` and those of its parents are searched first.
        folders: Further folders, searched after ``labs`` of the current folder and before those of ``OTTO_LABS``.
    """

    def __init__(self, suite_folder: Path | None = None, folders: Sequence[Path] = ()) -> None:
        self._suite_folder = suite_folder.absolute() if suite_folder else Path.cwd()
        found = _found_folders(self._suite_folder if suite_folder else None)
        named = [*folders, *_folders_of_variable(), _BUILT_IN]
        self._folders = list(dict.fromkeys([*found, *named]))
        self._unchecked = frozenset(named)

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        """Return what the file holds, all of otto's."""
        file = self.file_of(name)
        position = SourcePosition.in_file(file)
        content = _read(file, position)
        if position.problems:
            raise LabError(position.problems)
        return content

    def list_labs(self) -> list[str]:
        """Return the names that the folders know, those of otto's files too."""
        return sorted(dict.fromkeys(chain.from_iterable(map(self._names_in, self._folders))))

    def file_of(self, name: str) -> Path:
        """Return the file of a lab; ``name`` may be a path, also of a folder with a ``hosts.json``."""
        if not is_path(name):
            for folder in self._folders:
                if is_file(folder / f"{name}.json"):
                    return self._checked(folder / f"{name}.json")
                if name in self._members(folder):
                    return folder / _HOSTS_FILE
        for base in dict.fromkeys([Path.cwd(), self._suite_folder]):
            path = base / expanded(name)
            if (file := next(filter(is_file, (path, path / _HOSTS_FILE)), None)) is not None:
                return Path(os.path.normpath(file))
        raise self._not_found(name)

    def _checked(self, file: Path) -> Path:
        """Return a file that was found by its name; raise LabError when another user may have put it there."""
        problem = self._distrust(file)
        if problem:
            raise LabError([problem])
        return file

    def _distrust(self, file: Path) -> str | None:
        return None if file.parent in self._unchecked else distrust(file)

    def _members(self, folder: Path) -> list[str]:
        """Return the labs that the hosts of an otto file are part of; one that another user may have written is not even read."""
        file = folder / _HOSTS_FILE
        return _memberships(file) if is_file(file) and not self._distrust(file) else []

    def _names_in(self, folder: Path) -> Iterator[str]:
        if folder.is_dir():
            yield from (file.stem for file in folder.glob("*.json") if file.name != _HOSTS_FILE)
            yield from self._members(folder)

    def _not_found(self, name: str) -> LabError | UnknownNameError:
        if is_path(name):
            kind = next(filter(None, (kind_of(base / expanded(name)) for base in (Path.cwd(), self._suite_folder))), "")
            if kind:
                return LabError([f"'{name}' is {kind}, and a lab is a file. Write its content into one."])
            return LabError([f"No lab file '{name}', and no folder of that name with a {_HOSTS_FILE}."])
        searched = some(shown_path(folder) for folder in self._folders)
        unknown = UnknownNameError("lab", name, self.list_labs(), f"Searched: {searched}.")
        broken: list[str] = []
        for file in (folder / _HOSTS_FILE for folder in self._folders):
            if not is_file(file):
                continue
            problem = self._distrust(file)
            if problem:
                broken.append(problem)
            else:
                _read(file, SourcePosition.in_file(file, broken))
        return LabError([str(unknown), *broken]) if broken else unknown


def _found_folders(suite_folder: Path | None) -> list[Path]:
    suite = [suite_folder, *suite_folder.parents] if suite_folder else []
    return [folder / "labs" for folder in [*suite, Path.cwd()]]


def _folders_of_variable() -> list[Path]:
    return [expanded(folder).absolute() for folder in os.environ.get("OTTO_LABS", "").split(os.pathsep) if folder]


def _memberships(file: Path) -> list[str]:
    """Return the labs that the hosts of an otto file are part of."""
    array = _read(file, SourcePosition.in_file(file))
    hosts = [host for host in array if isinstance(host, Mapping)] if isinstance(array, list) else []
    lists = [labs for host in hosts if isinstance(labs := host.get("labs"), list)]
    return [lab for lab in dict.fromkeys(str(lab) for labs in lists for lab in labs) if lab]


def _read(file: Path, position: SourcePosition) -> Any:
    try:
        text = read_plain_file(file, _LARGEST_BYTES)
    except OSError as error:
        return position.wrong(f"cannot be read: {error.strerror}")
    return plain_data.parse(text, position)
