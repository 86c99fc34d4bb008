"""YAML as plain data: nothing is constructed but what JSON has, with bounds on what aliases can grow to."""

from __future__ import annotations

import sys
from typing import Any

from OttoLibrary.errors import LabError, PluginError
from OttoLibrary.lab.foreign.conversion import Tagged

_MOST_VALUES = 500_000
_MOST_KEYS = 50_000
_DEEPEST = 40


def parse(text: str) -> Any:
    """Return the first document of a YAML text; text behind a tag of its own becomes ``Tagged``.

    Raises:
        LabError: It is no YAML, or it grows beyond the bounds.
        PluginError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise PluginError(
            "Reading YAML needs the package 'PyYAML'. Install it with: "
            f"{sys.executable} -m pip install 'robotframework-ottolibrary[yaml]'"
        ) from None
    try:
        return _plain(yaml.load(text, _loader(yaml)), [_MOST_VALUES], _DEEPEST)  # noqa: S506 - made from the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise LabError([f"The file is no YAML{where}: {getattr(error, 'problem', None) or 'it cannot be read'}."]) from None
    except (ValueError, RecursionError, TypeError) as error:
        raise LabError([f"The file cannot be read as YAML: {error}."]) from None


def _loader(yaml: Any) -> Any:
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST_KEYS:
                raise ValueError(f"merged keys make an object of more than {_MOST_KEYS} entries")

    def tagged(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return Tagged.made(f"!{suffix}", str(loader.construct_scalar(node)))
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_mapping(node, deep=True)

    Loader.add_multi_constructor("!", tagged)
    # A date stays as it is written: JSON has none.
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    return Loader


def _plain(value: Any, left: list[int], levels: int) -> Any:
    """Return a copy of what JSON can hold; raise ValueError when aliases make more of it than a lab can need."""
    left[0] -= 1
    if left[0] < 0 or levels == 0:
        raise ValueError(f"it holds more than {_MOST_VALUES} values, or more than {_DEEPEST} levels")
    if isinstance(value, dict):
        return {str(key): _plain(entry, left, levels - 1) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry, left, levels - 1) for entry in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, str | int | float) else str(value)
