"""What a run gives to its session."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.errors import UsageError, ValueFormatError
from OttoLibrary.masking import Masker, process_masker
from OttoLibrary.units import size, size_text

if TYPE_CHECKING:
    from OttoLibrary.contracts.transfers import Progress

_SHELL_SCOPES = ("suite", "test", "run")
_LEAST_IN_MEMORY, _MOST_IN_MEMORY = 1 << 20, 1 << 30


def check_shell_scope(scope: str) -> None:
    """Raise UsageError when there is no such scope of shells."""
    if scope not in _SHELL_SCOPES:
        raise UsageError(f"shell_scope={scope} is not known. Use one of {', '.join(_SHELL_SCOPES)}.")


@dataclass(frozen=True)
class OutputBounds:
    """How much is kept of what commands write; None where the settings or the usual bound count.

    Attributes:
        memory_bytes: In memory, of each stream.
        file_bytes: In a file of each longer stream; 0 for no file.
    """

    memory_bytes: int | None = None
    file_bytes: int | None = None

    @classmethod
    def parsed(cls, limit: object, file_limit: object) -> OutputBounds:
        """Return what was given; an empty text or None is nothing given. Raises UsageError."""
        bounds = cls(_size("output_limit", limit), _size("output_file_limit", file_limit))
        memory = bounds.memory_bytes
        if memory is not None and not _LEAST_IN_MEMORY <= memory <= _MOST_IN_MEMORY:
            raise UsageError(
                f"output_limit is {limit!r}, and has to be from {size_text(_LEAST_IN_MEMORY)} to {size_text(_MOST_IN_MEMORY)}. "
                "What is longer goes to a file: see output_file_limit."
            )
        return bounds

    def over(self, other: OutputBounds) -> OutputBounds:
        """Return these bounds, and where there is none the other one."""
        memory = self.memory_bytes if self.memory_bytes is not None else other.memory_bytes
        return OutputBounds(memory, self.file_bytes if self.file_bytes is not None else other.file_bytes)


def _size(name: str, given: object) -> int | None:
    if given is None or given == "":
        return None
    try:
        return size(given)
    except ValueFormatError as error:
        raise UsageError(f"{name}: {error}") from error


def environment_variable(name: str) -> str:
    """Return a variable of the environment, or an empty text."""
    return os.environ.get(name, "")


def _always() -> bool:
    return True


def _no_folder() -> Path | None:
    return None


def _ignore_sentence(sentence: str) -> None:
    """Tell nobody."""


def _ignore_progress(news: Progress) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class RunContext:
    """How the outside of a session looks: by default that of a script, without Robot Framework and without a console.

    Attributes:
        masker: Hides the secrets of the run; by default that of the process.
        variable: Returns a variable of the run, or an empty text.
        may_interrupt: Tells whether a broken limit or a lost lease may end what runs now.
        tell: Called with a sentence for the person who waits.
        progress: Called with news of files on their way.
        suite_folder: The folder of the suite that runs when the session begins; the current folder when it is None.
        output_folder: Where files beside the log go, in a folder ``otto``; None keeps none.
        output: How much is kept of what commands write.
        artifacts: Returns the folder for the files of what runs now, or None.
        shell_scope: How long a shell lasts: as long as the ``suite`` or the ``test`` that opened it, or as the ``run``.
    """

    masker: Masker = field(default_factory=process_masker)
    variable: Callable[[str], str] = environment_variable
    may_interrupt: Callable[[], bool] = _always
    tell: Callable[[str], None] = _ignore_sentence
    progress: Callable[[Progress], None] = _ignore_progress
    suite_folder: Path | None = None
    output_folder: Path | None = None
    output: OutputBounds = OutputBounds()
    artifacts: Callable[[], Path | None] = _no_folder
    shell_scope: str = "run"
