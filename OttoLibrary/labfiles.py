"""Lab files: where they are, and what JSON they hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from OttoLibrary.errors import LabError, UnknownNameError
from OttoLibrary.fields import Place, expanded, shown_path

HOSTS_FILE = "hosts.json"
_BUILT_IN = Path(__file__).parent / "labs"
_DEEPEST = 40


def locate(reference: str, suite_folder: Path | None) -> tuple[Path, str | None]:
    """Return the file of a lab, and the lab's name when the file holds it among others; raise LabError."""
    folders = _lab_folders(suite_folder)
    if not _is_path(reference):
        for folder in folders:
            if _is_file(folder / f"{reference}.json"):
                return folder / f"{reference}.json", None
            if reference in _memberships(folder / HOSTS_FILE):
                return folder / HOSTS_FILE, reference
    for base in dict.fromkeys([Path.cwd(), suite_folder.absolute() if suite_folder else Path.cwd()]):
        path = base / expanded(reference)
        if (file := next(filter(_is_file, (path, path / HOSTS_FILE)), None)) is not None:
            return Path(os.path.normpath(file)), None
    raise _not_found(reference, folders)


def _is_path(reference: str) -> bool:
    return reference.endswith(".json") or "/" in reference or os.sep in reference or reference in {".", ".."}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _lab_folders(suite_folder: Path | None) -> list[Path]:
    suite = [suite_folder.absolute(), *suite_folder.absolute().parents] if suite_folder else []
    variable = [expanded(folder).absolute() for folder in os.environ.get("OTTO_LABS", "").split(os.pathsep) if folder]
    return list(dict.fromkeys([*(folder / "labs" for folder in [*suite, Path.cwd()]), *variable, _BUILT_IN]))


def _memberships(file: Path) -> list[str]:
    """Return the labs that the hosts of an otto file are part of."""
    if not _is_file(file):
        return []
    array = parse(Place(file))
    hosts = [host for host in array if isinstance(host, Mapping)] if isinstance(array, list) else []
    lists = [labs for host in hosts if isinstance(labs := host.get("labs"), list)]
    return [lab for lab in dict.fromkeys(str(lab) for labs in lists for lab in labs) if lab]


def _not_found(reference: str, folders: Sequence[Path]) -> LabError:
    if _is_path(reference):
        return LabError([f"No lab file '{reference}', and no folder of that name with a {HOSTS_FILE}."])
    files = [file for folder in folders if folder.is_dir() for file in folder.glob("*.json") if file.name != HOSTS_FILE]
    members = chain.from_iterable(_memberships(folder / HOSTS_FILE) for folder in folders)
    broken: list[str] = []
    for folder in folders:
        if _is_file(folder / HOSTS_FILE):
            parse(Place(folder / HOSTS_FILE, broken))
    known = {*(file.stem for file in files), *members}
    searched = ", ".join(shown_path(folder) for folder in folders)
    return LabError([f"{UnknownNameError('lab', reference, known)} Searched: {searched}.", *broken])


# -- parsing


class _Object(dict[str, Any]):
    """A JSON object without its comments; remembers which keys came twice."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    counted = [key for key, _ in pairs if not key.startswith("_")]
    made = _Object((key, value) for key, value in pairs if not key.startswith("_"))
    made.repeated = tuple(key for key in made if counted.count(key) > 1) if len(counted) > len(made) else ()
    return made


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def parse(place: Place) -> Any:
    """Return the content of a file, or None with the mistake noted."""
    try:
        content = json.loads(place.file.read_text("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return replace(place, path=f"line {error.lineno}, column {error.colno}").wrong(f"bad JSON: {error.msg}")
    except OSError as error:
        return place.wrong(f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return place.wrong("is not UTF-8 text")
    except (ValueError, RecursionError) as error:
        return place.wrong(f"bad JSON: {error}")
    if _is_too_deep(content):
        return place.wrong(f"objects and lists are nested deeper than {_DEEPEST} levels")
    for where, key in _repeated(content, place):
        where.wrong(f"duplicate key {key!r}")
    return content


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for parent in level for child in _children(parent).values()]
    return bool(level)


def _children(value: object) -> Mapping[Any, object]:
    if isinstance(value, Mapping):
        return value
    return dict(enumerate(value)) if isinstance(value, list) else {}


def _repeated(value: object, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, _Object):
        yield from ((place, key) for key in value.repeated)
    for key, child in _children(value).items():
        yield from _repeated(child, place.at(key))
