"""The single values that only a host in a lab has: ports and devices, transports, host keys and the like."""

from __future__ import annotations

import re
from dataclasses import replace

from OttoLibrary import registry
from OttoLibrary.schema.field_types import STRING, Scalar, text
from OttoLibrary.schema.scalar_types import COUNT, NON_EMPTY, TCP_PORT, VARIABLE
from OttoLibrary.schema.source_position import SourcePosition

_HOST_NAME = r"""[^\s,:;=*?\[\]{}$'"<>/\\]+"""
_FORWARD = re.compile(r"(?:[^\s]+:)?\d+:[^\s]+:\d+")
_CERTIFICATE_WORDS = ("verify", "ignore")
_HOST_KEY_WORDS = ("accept-new", "strict", "ignore")
_BYTE_SIZES = (5, 6, 7, 8)
_STOP_BITS = (1, 1.5, 2)


def _port(value: object, position: SourcePosition) -> int | str:
    if isinstance(value, str) and "/" in value:
        device: str = NON_EMPTY.convert(value, position)
        return device
    port: int = TCP_PORT.convert(value, position)
    return port


def _bits(value: object, position: SourcePosition) -> int:
    bits: int = COUNT.convert(value, position)
    if bits not in _BYTE_SIZES:
        raise ValueError
    return bits


def _stop_bits(value: object, _: SourcePosition) -> float:
    if isinstance(value, bool) or value not in _STOP_BITS:
        raise ValueError
    return float(value)


def _host_name(value: object, position: SourcePosition) -> str:
    name = text(value, position)
    if not re.fullmatch(_HOST_NAME, name) or not name.isprintable() or name in {"AND", "OR", "NOT"}:
        raise ValueError
    return name


def _adapter(kind: str) -> Scalar:
    """Return the name of an adapter that the registry knows."""

    def convert(value: object, position: SourcePosition) -> str:
        name: str = NON_EMPTY.convert(value, position)
        known = registry.names(kind)
        if name not in known:
            position.wrong(f"{kind} {name!r} is not available, known are {', '.join(known)}", name, known)
        return name

    return Scalar(f"the name of a {kind}", convert, NON_EMPTY.json_schema)


def _host_key(value: object, position: SourcePosition) -> str:
    policy: str = NON_EMPTY.convert(value, position)
    if policy not in _HOST_KEY_WORDS and not policy.startswith("SHA256:") and " " not in policy.strip():
        raise ValueError
    return policy


def _certificate(value: object, position: SourcePosition) -> str:
    policy: str = NON_EMPTY.convert(value, position)
    if policy not in _CERTIFICATE_WORDS and not re.fullmatch(r"SHA256:[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", policy):
        raise ValueError
    return policy


def _metric(value: object, position: SourcePosition) -> str:
    name: str = VARIABLE.convert(value, position)
    if name in registry.names("metric"):
        position.wrong(f"metric {name!r} is built in; give your own another name")
    return name


def _forward(value: object, position: SourcePosition) -> str:
    if not _FORWARD.fullmatch(text(value, position)):
        raise ValueError
    return text(value, position)


PORT = Scalar(
    "a port from 1 to 65535", _port, {"anyOf": [TCP_PORT.json_schema, {"type": "string", "pattern": "/"}]}, TCP_PORT.from_text
)
BITS = Scalar("5, 6, 7 or 8", _bits, {"type": "integer", "minimum": 5, "maximum": 8}, TCP_PORT.from_text)
STOP_BITS = Scalar("1, 1.5 or 2", _stop_bits, {"type": "number", "enum": [1, 1.5, 2]}, TCP_PORT.from_text)
TRANSPORT = replace(_adapter("transport"), literal=True)
TRANSFER = _adapter("transfer")
HOST_NAME = Scalar(
    "a host name: no spaces, no , : ; = * ? [ ] { } $ ' \" < > / \\ and not AND, OR or NOT",
    _host_name,
    {"type": "string", "pattern": f"^{_HOST_NAME}$"},
    literal=True,
)
HOST_KEY = Scalar(
    "'accept-new', 'strict', 'ignore', a SHA256 fingerprint or a public key",
    _host_key,
    {"type": "string", "examples": list(_HOST_KEY_WORDS)},
)
CERTIFICATE = Scalar(
    "'verify', 'ignore' or SHA256: with the 64 hexadecimal digits of a fingerprint",
    _certificate,
    {"type": "string", "examples": list(_CERTIFICATE_WORDS)},
)
METRIC_NAME = Scalar(
    "the name of a metric: letters, digits and _", _metric, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"}, literal=True
)
FORWARDING = Scalar("[bind_address:]port:address:port", _forward, STRING)
