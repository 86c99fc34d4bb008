"""What a run gives to its session."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from OttoLibrary.contracts.transfers import Progress
from OttoLibrary.errors import UsageError
from OttoLibrary.masking import Masker, process_masker

_SHELL_SCOPES = ("suite", "test", "run")


def check_shell_scope(scope: str) -> None:
    """Raise UsageError when there is no such scope of shells."""
    if scope not in _SHELL_SCOPES:
        raise UsageError(f"shell_scope={scope} is not known. Use one of {', '.join(_SHELL_SCOPES)}.")


def environment_variable(name: str) -> str:
    """Return a variable of the environment, or an empty text."""
    return os.environ.get(name, "")


def _always() -> bool:
    return True


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
        shell_scope: How long a shell lasts: as long as the ``suite`` or the ``test`` that opened it, or as the ``run``.
    """

    masker: Masker = field(default_factory=process_masker)
    variable: Callable[[str], str] = environment_variable
    may_interrupt: Callable[[], bool] = _always
    tell: Callable[[str], None] = _ignore_sentence
    progress: Callable[[Progress], None] = _ignore_progress
    suite_folder: Path | None = None
    output_folder: Path | None = None
    shell_scope: str = "run"
