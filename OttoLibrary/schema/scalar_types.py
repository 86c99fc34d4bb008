"""Single values that any checked file may hold: text, numbers, switches, durations, paths, secrets."""

from __future__ import annotations

import codecs
import re

from OttoLibrary import units
from OttoLibrary.errors import ValueFormatError
from OttoLibrary.schema.field_types import STRING, JsonObject, Scalar, shown, text
from OttoLibrary.schema.source_position import SourcePosition, expanded
from OttoLibrary.text import Secret


def _non_empty(value: object, position: SourcePosition) -> str:
    if not text(value, position).strip():
        raise ValueError
    return text(value, position)


def _secret(value: object, position: SourcePosition) -> Secret:
    return Secret(text(value, position))


def _tcp_port(value: object, _: SourcePosition) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError
    return value


def _count(value: object, _: SourcePosition) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError
    return value


def choice_of(words: tuple[str, ...]) -> Scalar:
    """Return what is one of some words."""

    def word(value: object, position: SourcePosition) -> str:
        name = _non_empty(value, position)
        if name not in words:
            position.wrong(f"{name!r} is not one of {', '.join(words)}", name, words)
        return name

    return Scalar(f"one of {', '.join(words)}", word, {"type": "string", "enum": list(words)})


def _expression(value: object, position: SourcePosition) -> str:
    pattern = _non_empty(value, position)
    try:
        re.compile(pattern)
    except re.error as error:
        position.wrong(f"{shown(pattern)} is not a regular expression: {error}")
    return pattern


def _encoding(value: object, position: SourcePosition) -> str:
    try:
        return codecs.lookup(_non_empty(value, position)).name
    except LookupError as error:
        raise ValueError from error


def _switch(value: object, _: SourcePosition) -> bool:
    if value is True or value is False:
        return value
    raise ValueError


def _duration(value: object, _: SourcePosition) -> float:
    try:
        return units.seconds(value)
    except ValueFormatError as error:
        raise ValueError from error


def _size(value: object, position: SourcePosition) -> int:
    try:
        return units.size(value)
    except ValueFormatError as error:
        raise ValueError from error


def _path(value: object, position: SourcePosition) -> str:
    return str(position.folder / expanded(_non_empty(value, position)))


def _variable(value: object, position: SourcePosition) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", text(value, position), re.ASCII):
        raise ValueError
    return text(value, position)


def _number(text: str) -> object:
    return int(text) if re.fullmatch(r"\s*\d{1,10}\s*", text) else text


def _truth(text: str) -> object:
    return {"true": True, "false": False}.get(text.strip().lower(), text)


_FILLED: JsonObject = {"type": "string", "minLength": 1}
# Where a name ends in _LITERAL or is LABEL, no reference may stand: the value is needed before anything is resolved.
NON_EMPTY = Scalar("text with something in it", _non_empty, _FILLED)
LABEL = Scalar("text with something in it", _non_empty, _FILLED, literal=True)
TEXT_LITERAL = Scalar("text", text, STRING, literal=True)
# Text that may hold a secret, such as a command with a password in it: no message shows it.
PRIVATE_TEXT = Scalar("text", text, STRING, secret=True)
PRIVATE_NON_EMPTY = Scalar("text with something in it", _non_empty, _FILLED, secret=True)
SECRET = Scalar("text", _secret, STRING, secret=True)
_TCP_PORT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": 65535}
TCP_PORT = Scalar("a port from 1 to 65535", _tcp_port, _TCP_PORT_SCHEMA, _number)
COUNT = Scalar("a number from 1 on", _count, {"type": "integer", "minimum": 1}, _number)
EXPRESSION = Scalar("a regular expression", _expression, _FILLED, literal=True)
ENCODING = Scalar("the name of an encoding, such as utf-8 or latin-1", _encoding, _FILLED, literal=True)
SWITCH = Scalar("true or false", _switch, {"type": "boolean"}, _truth)
DURATION = Scalar("a duration such as 10, '500ms' or '1 min 30 s'", _duration, {"type": ["number", "string"], "minimum": 0})
SIZE = Scalar("a size such as '8 MiB'", _size, {"type": ["integer", "string"], "minimum": 0})
PATH = Scalar("a path", _path, _FILLED)
VARIABLE = Scalar("the name of a variable", _variable, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"}, literal=True)
