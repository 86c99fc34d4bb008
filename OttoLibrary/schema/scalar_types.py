"""The single values of lab files and settings: ports, durations, names, keys and the like."""

from __future__ import annotations

import codecs
import re

from OttoLibrary import registry, units
from OttoLibrary.errors import ValueFormatError
from OttoLibrary.schema.field_types import STRING, JsonObject, One, shown, text
from OttoLibrary.schema.source_position import SourcePosition, expanded
from OttoLibrary.text import Secret

_HOST_NAME = r"""[^\s,:;=*?\[\]{}$'"<>/\\]+"""
_FORWARD = re.compile(r"(?:[^\s]+:)?\d+:[^\s]+:\d+")
_CERTIFICATE_WORDS = ("verify", "ignore")
_HOST_KEY_WORDS = ("accept-new", "strict", "ignore")
_BYTE_SIZES = (5, 6, 7, 8)
_STOP_BITS = (1, 1.5, 2)


def _word(value: object, place: SourcePosition) -> str:
    if not text(value, place).strip():
        raise ValueError
    return text(value, place)


def _secret(value: object, place: SourcePosition) -> Secret:
    return Secret(text(value, place))


def _port(value: object, place: SourcePosition) -> int | str:
    if isinstance(value, str) and "/" in value:
        return _word(value, place)
    return _tcp_port(value, place)


def _tcp_port(value: object, _: SourcePosition) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError
    return value


def _count(value: object, _: SourcePosition) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError
    return value


def _bits(value: object, place: SourcePosition) -> int:
    if _count(value, place) not in _BYTE_SIZES:
        raise ValueError
    return _count(value, place)


def _stop_bits(value: object, _: SourcePosition) -> float:
    if isinstance(value, bool) or value not in _STOP_BITS:
        raise ValueError
    return float(value)


def one_of(words: tuple[str, ...]) -> One:
    """Return what is one of some words."""

    def word(value: object, place: SourcePosition) -> str:
        name = _word(value, place)
        if name not in words:
            place.wrong(f"{name!r} is not one of {', '.join(words)}", name, words)
        return name

    return One(f"one of {', '.join(words)}", word, {"type": "string", "enum": list(words)})


def _expression(value: object, place: SourcePosition) -> str:
    pattern = _word(value, place)
    try:
        re.compile(pattern)
    except re.error as error:
        place.wrong(f"{shown(pattern)} is no regular expression: {error}")
    return pattern


def _encoding(value: object, place: SourcePosition) -> str:
    try:
        return codecs.lookup(_word(value, place)).name
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


def _path(value: object, place: SourcePosition) -> str:
    return str(place.folder / expanded(_word(value, place)))


def _host_name(value: object, place: SourcePosition) -> str:
    name = text(value, place)
    if not re.fullmatch(_HOST_NAME, name) or not name.isprintable() or name in {"AND", "OR", "NOT"}:
        raise ValueError
    return name


def _variable(value: object, place: SourcePosition) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", text(value, place), re.ASCII):
        raise ValueError
    return text(value, place)


def _transport(value: object, place: SourcePosition) -> str:
    name, known = _word(value, place), registry.names("transport")
    if name not in known:
        place.wrong(f"transport {name!r} is not available, known are {', '.join(known)}", name, known)
    return name


def _transfer(value: object, place: SourcePosition) -> str:
    name, known = _word(value, place), registry.names("transfer")
    if name not in known:
        place.wrong(f"transfer {name!r} is not available, known are {', '.join(known)}", name, known)
    return name


def _host_key(value: object, place: SourcePosition) -> str:
    policy = _word(value, place)
    if policy not in _HOST_KEY_WORDS and not policy.startswith("SHA256:") and " " not in policy.strip():
        raise ValueError
    return policy


def _certificate(value: object, place: SourcePosition) -> str:
    policy = _word(value, place)
    if policy not in _CERTIFICATE_WORDS and not re.fullmatch(r"SHA256:[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", policy):
        raise ValueError
    return policy


def _metric(value: object, place: SourcePosition) -> str:
    name = _variable(value, place)
    if name in registry.names("metric"):
        place.wrong(f"metric {name!r} is built in; give your own another name")
    return name


def _forward(value: object, place: SourcePosition) -> str:
    if not _FORWARD.fullmatch(text(value, place)):
        raise ValueError
    return text(value, place)


def _number(text: str) -> object:
    return int(text) if re.fullmatch(r"\s*\d{1,10}\s*", text) else text


def _truth(text: str) -> object:
    return {"true": True, "false": False}.get(text.strip().lower(), text)


_FILLED: JsonObject = {"type": "string", "minLength": 1}
WORD = One("text with something in it", _word, _FILLED)
PLAIN_TEXT = One("text", text, STRING, plain=True)
LABEL = One("text with something in it", _word, _FILLED, plain=True)
SECRET = One("text", _secret, STRING, secret=True)
_TCP_PORT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": 65535}
_PORT_SCHEMA = {"anyOf": [_TCP_PORT_SCHEMA, {"type": "string", "pattern": "/"}]}
TCP_PORT = One("a port from 1 to 65535", _tcp_port, _TCP_PORT_SCHEMA, _number)
PORT = One("a port from 1 to 65535", _port, _PORT_SCHEMA, _number)
COUNT = One("a number from 1 on", _count, {"type": "integer", "minimum": 1}, _number)
BITS = One("5, 6, 7 or 8", _bits, {"type": "integer", "minimum": 5, "maximum": 8}, _number)
STOP_BITS = One("1, 1.5 or 2", _stop_bits, {"type": "number", "enum": [1, 1.5, 2]}, _number)
EXPRESSION = One("a regular expression", _expression, _FILLED, plain=True)
ENCODING = One("the name of an encoding, such as utf-8 or latin-1", _encoding, _FILLED, plain=True)
SWITCH = One("true or false", _switch, {"type": "boolean"}, _truth)
DURATION = One("a duration such as 10, '500ms' or '1 min 30 s'", _duration, {"type": ["number", "string"], "minimum": 0})
PATH = One("a path", _path, _FILLED)
TRANSPORT = One("the name of a transport", _transport, _FILLED, plain=True)
TRANSFER = One("the name of a transfer", _transfer, _FILLED)
HOST_NAME = One(
    "a host name: no spaces, no , : ; = * ? [ ] { } $ ' \" < > / \\ and not AND, OR or NOT",
    _host_name,
    {"type": "string", "pattern": f"^{_HOST_NAME}$"},
    plain=True,
)
HOST_KEY = One(
    "'accept-new', 'strict', 'ignore', a SHA256 fingerprint or a public key",
    _host_key,
    {"type": "string", "examples": list(_HOST_KEY_WORDS)},
)
CERTIFICATE = One(
    "'verify', 'ignore' or SHA256: with the 64 hexadecimal digits of a fingerprint",
    _certificate,
    {"type": "string", "examples": list(_CERTIFICATE_WORDS)},
)
VARIABLE = One("the name of a variable", _variable, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"}, plain=True)
METRIC_NAME = One(
    "the name of a metric: letters, digits and _", _metric, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"}, plain=True
)
FORWARDING = One("[bind_address:]port:address:port", _forward, STRING)
