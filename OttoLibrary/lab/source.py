"""Where labs come from: which source a reference means, and what that source gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from OttoLibrary import registry
from OttoLibrary.contracts.labs import LabRepository
from OttoLibrary.errors import LabError, OttoError, UnknownNameError
from OttoLibrary.lab.environment import Environment
from OttoLibrary.lab.settings import Settings
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.source_position import SourcePosition, is_path
from OttoLibrary.text import listed

T = TypeVar("T")
FILES, ENVIRONMENT = "json", "environment"
_SOURCE = re.compile(r"([A-Za-z][\w-]*):(.*)", re.DOTALL)


@dataclass(frozen=True)
class LabAnswer:
    """What a source gives for a lab.

    Attributes:
        name: The name that was asked for.
        content: The lab as plain data; None when that has mistakes.
        position: The top of it; collects mistakes.
        file: The file of the lab, if it is in one.
    """

    name: str
    content: Any
    position: SourcePosition
    file: Path | None = None


def ask(reference: str, suite_folder: Path | None, settings: Settings, problems: list[str]) -> LabAnswer | None:
    """Return what the source of a reference gives; note the mistakes.

    Args:
        reference: ``SOURCE:NAME``, the path of a lab file, or a name that the source of the settings knows.
        suite_folder: The folder of the suite, where lab files are looked for first.
        settings: They may name the source of plain names, its preferences, and folders with lab files.
        problems: Collects the mistakes.
    """
    backend = str(settings.lab.get("backend", FILES))
    source, name = _source_and_name(reference, backend)
    try:
        repository = _opened(source, suite_folder, settings)
        preferences = settings.lab.get("preferences") if source == backend else None
        file = _answered(source, name, repository, lambda: _file_of(repository, name))
        given = _answered(source, name, repository, lambda: repository.load_lab(name, preferences))
    except OttoError as error:
        problems.extend(error.problems if isinstance(error, LabError) else [str(error)])
        return None
    position = SourcePosition.in_file(file, problems) if file else SourcePosition(f"{source}:{name}", Path.cwd(), problems)
    before = len(problems)
    content = plain_data.plain(given, position)
    return LabAnswer(name, content if len(problems) == before else None, position, file)


def split(references: str) -> list[str]:
    """Return the single references of several joined by commas; the name of a lab may itself be several words."""
    words, found = listed(references), list[str]()
    while words:
        count = _words_of(words[0])
        found.append(",".join(words[:count]))
        del words[:count]
    return found


def _words_of(word: str) -> int:
    source = _SOURCE.fullmatch(word)
    try:
        return int(getattr(registry.find("labsource", source[1]), "name_parts", 1)) if source else 1
    except OttoError:
        return 1  # the mistake shows when the source is asked


def environment_of(
    reference: str, suite_folder: Path | None, settings: Settings, *check: Callable[[Environment, list[str]], object]
) -> Environment | None:
    """Return the merged devices that a reference means, or None when it is no environment.

    Raises:
        LabError: With every mistake in both files, and those that ``check`` notes.
    """
    source, name = _source_and_name(reference, str(settings.lab.get("backend", FILES)))
    if source != ENVIRONMENT:
        return None
    repository: Any = _opened(source, suite_folder, settings)
    made: Environment = repository.environment(name, *check)
    return made


def known(suite_folder: Path | None, settings: Settings) -> Iterator[tuple[str, list[str] | OttoError]]:
    """Yield every source with the names of its labs, or with the error that it gave instead."""
    for source in registry.names("labsource"):
        try:
            repository = _opened(source, suite_folder, settings)
            yield source, _names(source, repository)
        except OttoError as error:
            yield source, error


def reference_to(name: str, source: str, settings: Settings) -> str:
    """Return how to refer to a lab: by its name alone when the source is the default one."""
    return name if source == settings.lab.get("backend", FILES) else f"{source}:{name}"


def _source_and_name(reference: str, backend: str) -> tuple[str, str]:
    found = _SOURCE.fullmatch(reference)
    if found:
        return found[1], found[2].strip()
    return (FILES if is_path(reference) else backend), reference


def _opened(source: str, suite_folder: Path | None, settings: Settings) -> LabRepository:
    # Files are where the suite is; other sources are elsewhere and know where.
    folders = {FILES: settings.labs, ENVIRONMENT: settings.folders}
    arguments = (suite_folder, folders[source]) if source in folders else ()
    try:
        repository: LabRepository = registry.load("labsource", source, *arguments)
    except OttoError:
        raise
    except Exception as error:
        raise _failure(source, error) from error
    return repository


def _file_of(repository: LabRepository, name: str) -> Path | None:
    file_of: Callable[[str], Path] | None = getattr(repository, "file_of", None)
    return file_of(name) if file_of else None


def _answered(source: str, name: str, repository: LabRepository, question: Callable[[], T]) -> T:
    """Return the answer of a source; turn any exception into an error of ours."""
    try:
        return question()
    except OttoError:
        raise
    except LookupError as error:
        labs = _names(source, repository) if name else []
        if not name or name in labs:
            raise _failure(source, error) from error
        raise UnknownNameError(f"lab of '{source}'", name, labs, f"Write '{FILES}:NAME' for a lab file.") from error
    except Exception as error:
        raise _failure(source, error) from error


def _names(source: str, repository: LabRepository) -> list[str]:
    names: object = _answered(source, "", repository, repository.list_labs)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LabError([f"The lab source '{source}' failed: list_labs() did not return a list of names."])
    return names


def _failure(source: str, error: Exception) -> LabError:
    return LabError([f"The lab source '{source}' failed: {type(error).__name__}: {error}"])
