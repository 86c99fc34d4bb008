"""Folders beside the log for the files of tests: one for each test, or suite, that asks for it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from html import escape
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from robot.libraries.BuiltIn import BuiltIn
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.masking import mask

# A file name has at most 255 bytes, and a letter up to four.
_MOST_LETTERS = 50
# Shared by all that runs in this process, for each suite that runs, by what the test or suite is in Robot's result.
_MAKING = threading.Lock()
_FOLDERS: WeakKeyDictionary[Any, dict[str, Path]] = WeakKeyDictionary()


def artifact_folder() -> Path:
    """Return the folder of the test that runs, or outside of a test that of the suite; it exists from now on."""
    context = EXECUTION_CONTEXTS.current
    owner = context.test or context.suite
    with _MAKING:
        folders = _FOLDERS.setdefault(context, {})
        if owner.id not in folders:
            folders[owner.id] = _new(_output_folder() / "otto", _safe(owner.name, owner.id))
        return folders[owner.id]


def output_file_folder() -> Path | None:
    """Return the same folder for files that nobody asked for, from any thread; None when nothing of Robot's runs."""
    return artifact_folder() if EXECUTION_CONTEXTS.current is not None else None


def artifact_link(path: Path, text: str) -> str:
    """Return a link of the log to an artifact, as HTML.

    Args:
        path: The file, or folder, below the output folder.
        text: What the link says.
    """
    from OttoLibrary.report.blocks import log_address

    end = "/" if path.is_dir() else ""
    return f'<a href="{escape(log_address(_output_folder(), path))}{end}">{escape(text)}</a>'


def _output_folder() -> Path:
    return Path(BuiltIn().get_variable_value("${OUTPUT DIR}"))


def _safe(name: str, identity: str) -> str:
    """Return a name for a folder: the letters and digits of a name, and what makes it the only one."""
    letters = re.sub(r"[^\w-]+", "_", mask(name))[:_MOST_LETTERS].strip("_")
    return "-".join(filter(None, [letters, identity]))


def _new(parent: Path, name: str) -> Path:
    """Make a folder that was not there: an earlier run may have left one."""
    parent.mkdir(parents=True, exist_ok=True)
    for path in _names(parent, name):
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError  # there is always another name


def _names(parent: Path, name: str) -> Iterator[Path]:
    yield parent / name
    yield from (parent / f"{name}-{number}" for number in count(2))
