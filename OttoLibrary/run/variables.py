"""The variables of a run."""

from __future__ import annotations

import os
from pathlib import Path

from robot.libraries.BuiltIn import BuiltIn, RobotNotRunningError


def variable(name: str) -> str:
    """Return a variable of the run as text, or else of the environment; empty when there is none."""
    value = _value(name)
    return str(value) if value is not None else os.environ.get(name, "")


def suite_folder() -> Path | None:
    """Return the folder of the suite that runs, or None when none does or it has no file."""
    return folder_of(_value("SUITE SOURCE"))


def folder_of(source: object) -> Path | None:
    """Return the folder of a suite with this file or folder as its source, or None for a suite without one."""
    if not source:
        return None
    path = Path(str(source))
    return path if path.is_dir() else path.parent


def _value(name: str) -> object:
    try:
        found: object = BuiltIn().get_variable_value(f"${{{name}}}")
    except RobotNotRunningError:
        return None
    return found
