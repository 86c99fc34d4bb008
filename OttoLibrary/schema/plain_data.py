"""Plain JSON data: parsed from text, or checked and copied from what a plug-in gives; each mistake with its position."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from OttoLibrary.schema.source_position import SourcePosition

_DEEPEST = 40
_TOO_DEEP = f"objects and lists are nested deeper than {_DEEPEST} levels"


def parse(text: bytes, position: SourcePosition, *, comments: bool = True) -> Any:
    """Return what a JSON text holds, or None with the mistake noted.

    Args:
        text: The JSON text.
        position: The top of it.
        comments: Whether a key that begins with ``_`` is a comment, which is left out.
    """
    repeated: list[str] = []

    def made(pairs: list[tuple[str, Any]]) -> _Object:
        one = _object(pairs, comments)
        repeated.extend(one.repeated)
        return one

    try:
        content = json.loads(text.decode("utf-8-sig"), object_pairs_hook=made, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return replace(position, path=f"line {error.lineno}, column {error.colno}").wrong(f"bad JSON: {error.msg}")
    except UnicodeDecodeError:
        return position.wrong("is not UTF-8 text")
    except RecursionError:
        return position.wrong(_TOO_DEEP)
    except ValueError as error:
        return position.wrong(f"bad JSON: {error}")
    if _is_too_deep(content):
        return position.wrong(_TOO_DEEP)
    if repeated:
        for where, key in _repeated(content, position):
            where.wrong(f"duplicate key {key!r}")
    return content


def plain(value: object, position: SourcePosition) -> Any:
    """Return a copy of what a plug-in gave, without comments, or None with everything noted that JSON cannot hold."""
    try:
        return _copied(value, position, _DEEPEST)
    except RecursionError:
        return position.wrong(_TOO_DEEP)


class _Object(dict[str, Any]):
    """A JSON object without its comments; remembers which keys came twice."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]], comments: bool) -> _Object:
    counted = [(key, value) for key, value in pairs if not (comments and key.startswith("_"))]
    made = _Object(counted)
    if len(counted) > len(made):
        made.repeated = tuple(key for key, count in Counter(key for key, _ in counted).items() if count > 1)
    return made


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for parent in level for child in _children(parent).values()]
    return bool(level)


def _children(value: object) -> Mapping[Any, object]:
    if isinstance(value, Mapping):
        return value
    return dict(enumerate(value)) if isinstance(value, list) else {}


def _repeated(value: object, position: SourcePosition) -> Iterator[tuple[SourcePosition, str]]:
    if isinstance(value, _Object):
        yield from ((position, key) for key in value.repeated)
    for key, child in _children(value).items():
        yield from _repeated(child, position.at(key))


def _copied(value: object, position: SourcePosition, levels: int) -> Any:
    if not levels:
        raise RecursionError
    match value:
        case Mapping():
            return {key: _copied(entry, position.at(key), levels - 1) for key, entry in value.items() if _is_key(key, position)}
        case list():
            return [_copied(entry, position.at(index), levels - 1) for index, entry in enumerate(value)]
        case None | str() | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
    return position.wrong(f"a Python {type(value).__name__} is not JSON")


def _is_key(key: object, position: SourcePosition) -> bool:
    if not isinstance(key, str):
        position.wrong(f"the key {key!r} is not text")
        return False
    return not key.startswith("_")
