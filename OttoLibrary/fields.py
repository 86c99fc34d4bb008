"""The fields of a lab file: one table that checks them, converts them and describes them as a JSON Schema."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from OttoLibrary import registry, units
from OttoLibrary.contracts import EvidenceSource, FtpOptions, HostFacts, OwnMetric, SerialOptions, SnmpOptions, SshOptions
from OttoLibrary.errors import ValueFormatError
from OttoLibrary.place import Place, expanded, has_references
from OttoLibrary.profiles import POSIX, PROMPT, Profile
from OttoLibrary.text import Secret

_REFERENCE_SCHEMA = {"type": "string", "pattern": r"\$\{[A-Za-z_][\w-]*:[^}]*\}"}
_HOST_NAME = r"""[^\s,:;=*?\[\]{}$'"<>/\\]+"""
_FORWARD = re.compile(r"(?:[^\s]+:)?\d+:[^\s]+:\d+")
_CERTIFICATE_WORDS = ("verify", "ignore")
_HOST_KEY_WORDS = ("accept-new", "strict", "ignore")
_SHOWN_LIMIT = 60
_BYTE_SIZES = (5, 6, 7, 8)
_STOP_BITS = (1, 1.5, 2)

JsonObject = Mapping[str, Any]


# -- kinds of values


class Kind(Protocol):
    """What a value may be."""

    def read(self, value: object, place: Place) -> Any:
        """Return the converted value; note mistakes at ``place``. What cannot be known yet is None."""

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""


@dataclass(frozen=True)
class One:
    """A single value.

    Attributes:
        form: What it is, in the words of the sentence.
        convert: Returns the value; raises ValueError.
        json: Its JSON Schema.
        parse: Makes the text that a reference gives into what JSON would hold.
        secret: Never shown in a message.
        plain: Needed before anything is resolved, so it cannot be a reference.
    """

    form: str
    convert: Callable[[Any, Place], Any]
    json: JsonObject
    parse: Callable[[str], object] = str
    secret: bool = False
    plain: bool = False

    def read(self, value: object, place: Place) -> Any:
        """Return the converted value."""
        if not isinstance(value, str) or not has_references(value):
            return self._convert(value, place, "the value" if self.secret else _shown(value))
        if self.plain:
            return place.wrong("a reference cannot stand here, because this is needed before anything is resolved")
        resolved = place.resolve(value)
        return None if resolved is None else self._convert(self.parse(resolved), place, f"the value of {value!r}")

    def _convert(self, value: object, place: Place, shown: str) -> Any:
        try:
            return self.convert(value, place)
        except ValueError:
            name = value if isinstance(value, str) else ""
            return place.wrong(f"{shown} is not {self.form}", name, self.json.get("examples", ()))

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema; what is no text may still be a reference."""
        text = self.json.get("type") == "string"
        return dict(self.json) if text else {"anyOf": [dict(self.json), _REFERENCE_SCHEMA]}


@dataclass(frozen=True)
class ListOf:
    """A list of values."""

    item: Kind

    def read(self, value: object, place: Place) -> Any:
        """Return a tuple."""
        if not isinstance(value, list):
            return place.wrong(f"{_shown(value)} is not a list")
        return tuple(self.item.read(entry, place.at(index)) for index, entry in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class Names:
    """Names joined with commas, or a list of them."""

    def read(self, value: object, place: Place) -> Any:
        """Return them joined with commas."""
        if not isinstance(value, list):
            return TEXT.read(value, place)
        parts = ListOf(TEXT).read(value, place)
        return None if None in parts else ",".join(parts)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [TEXT.schema(), ListOf(TEXT).schema()]}


@dataclass(frozen=True)
class MapOf:
    """An object with names of the user's choice; a null takes an entry of the defaults back."""

    key: One
    item: Kind

    def read(self, value: object, place: Place) -> Any:
        """Return a dictionary."""
        if not isinstance(value, Mapping):
            return place.wrong(f"{_shown(value)} is not an object")
        return {self.key.read(name, place): self._entry(entry, place.at(name)) for name, entry in value.items()}

    def _entry(self, entry: object, place: Place) -> Any:
        return None if entry is None and isinstance(self.item, One) else self.item.read(entry, place)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        names = {"anyOf": [dict(self.key.json), {"pattern": "^_"}]}
        item = _or_null(self.item.schema()) if isinstance(self.item, One) else self.item.schema()
        return {"type": "object", "propertyNames": names, "patternProperties": {"^_": True}, "additionalProperties": item}


@dataclass(frozen=True)
class Free:
    """An object with anything in it."""

    def read(self, value: object, place: Place) -> Any:
        """Return a copy with its references resolved."""
        return _walk(value, place) if isinstance(value, Mapping) else place.wrong(f"{_shown(value)} is not an object")

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "object"}


@dataclass(frozen=True)
class OneOf:
    """An object with exactly one of some of its fields."""

    group: Group
    choices: tuple[str, ...]

    def read(self, value: object, place: Place) -> Any:
        """Return what the group returns."""
        if isinstance(value, Mapping) and sum(value.get(key) is not None for key in self.choices) != 1:
            place.wrong(f"exactly one of {' and '.join(map(repr, self.choices))} is needed")
        return self.group.read(value, place)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {**self.group.schema(), "oneOf": [{"required": [key]} for key in self.choices]}


@dataclass(frozen=True)
class TextOr:
    """Text, or an object that says more.

    Attributes:
        key: What text alone means.
        whole: The object.
    """

    key: str
    whole: OneOf

    def read(self, value: object, place: Place) -> Any:
        """Return what the object returns."""
        if isinstance(value, str):
            return {self.key: self.whole.group.fields[self.key].kind.read(value, place)}
        return self.whole.read(value, place)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [self.whole.group.fields[self.key].kind.schema(), self.whole.schema()]}


@dataclass(frozen=True)
class Field:
    """One row of the table: what a value may be and what it means."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Group:
    """An object with known fields; a null means that the field is not set.

    Attributes:
        fields: The table.
        required: The fields that must be there.
        name: Its name among the definitions of the JSON Schema, if it has one.
    """

    fields: Mapping[str, Field]
    required: tuple[str, ...] = ()
    name: str = ""

    def read(self, value: object, place: Place) -> Any:
        """Return a dictionary of the converted values."""
        if not isinstance(value, Mapping):
            return place.wrong(f"{_shown(value)} is not an object")
        for key in (key for key in value if key not in self.fields):
            place.wrong(f"unknown key {key!r}", key, self.fields)
        for key in self.required:
            if value.get(key) is None:
                place.wrong(f"{key!r} is missing")
        given = {key: entry for key, entry in value.items() if key in self.fields}
        return {key: None if entry is None else self.fields[key].kind.read(entry, place.at(key)) for key, entry in given.items()}

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema, by reference when it has a name."""
        return {"$ref": f"#/$defs/{self.name}"} if self.name else self.definition()

    def definition(self) -> dict[str, Any]:
        """Return its JSON Schema in full."""
        properties = {key: {"description": row.text, **_or_null(row.kind.schema())} for key, row in self.fields.items()}
        rules = {"patternProperties": {"^_": True}, "additionalProperties": False, "required": list(self.required)}
        return {"type": "object", "properties": properties, **rules}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "an object"
        case list():
            return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN_LIMIT else f"{text[:_SHOWN_LIMIT]}..."


def _walk(value: object, place: Place) -> Any:
    if isinstance(value, Mapping):
        return {key: _walk(entry, place.at(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [_walk(entry, place.at(index)) for index, entry in enumerate(value)]
    return place.resolve(value) if isinstance(value, str) and has_references(value) else value


# -- single values


def _text(value: object, _: Place) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()
    return value


def _word(value: object, place: Place) -> str:
    if not _text(value, place).strip():
        raise ValueError
    return _text(value, place)


def _secret(value: object, place: Place) -> Secret:
    return Secret(_text(value, place))


def _port(value: object, place: Place) -> int | str:
    if isinstance(value, str) and "/" in value:
        return _word(value, place)
    return _tcp_port(value, place)


def _tcp_port(value: object, _: Place) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError
    return value


def _count(value: object, _: Place) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError
    return value


def _bits(value: object, place: Place) -> int:
    if _count(value, place) not in _BYTE_SIZES:
        raise ValueError
    return _count(value, place)


def _stop_bits(value: object, _: Place) -> float:
    if isinstance(value, bool) or value not in _STOP_BITS:
        raise ValueError
    return float(value)


def _one_of(words: tuple[str, ...]) -> One:
    def word(value: object, place: Place) -> str:
        name = _word(value, place)
        if name not in words:
            place.wrong(f"{name!r} is not one of {', '.join(words)}", name, words)
        return name

    return One(f"one of {', '.join(words)}", word, {"type": "string", "enum": list(words)})


def _expression(value: object, place: Place) -> str:
    pattern = _word(value, place)
    try:
        re.compile(pattern)
    except re.error as error:
        place.wrong(f"{_shown(pattern)} is no regular expression: {error}")
    return pattern


def _encoding(value: object, place: Place) -> str:
    try:
        return codecs.lookup(_word(value, place)).name
    except LookupError as error:
        raise ValueError from error


def _switch(value: object, _: Place) -> bool:
    if value is True or value is False:
        return value
    raise ValueError


def _duration(value: object, _: Place) -> float:
    try:
        return units.seconds(value)
    except ValueFormatError as error:
        raise ValueError from error


def _path(value: object, place: Place) -> str:
    return str(place.folder / expanded(_word(value, place)))


def _host_name(value: object, place: Place) -> str:
    name = _text(value, place)
    if not re.fullmatch(_HOST_NAME, name) or not name.isprintable() or name in {"AND", "OR", "NOT"}:
        raise ValueError
    return name


def _variable(value: object, place: Place) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", _text(value, place), re.ASCII):
        raise ValueError
    return _text(value, place)


def _transport(value: object, place: Place) -> str:
    name, known = _word(value, place), registry.names("transport")
    if name not in known:
        place.wrong(f"transport {name!r} is not available, known are {', '.join(known)}", name, known)
    return name


def _transfer(value: object, place: Place) -> str:
    name, known = _word(value, place), registry.names("transfer")
    if name not in known:
        place.wrong(f"transfer {name!r} is not available, known are {', '.join(known)}", name, known)
    return name


def _host_key(value: object, place: Place) -> str:
    policy = _word(value, place)
    if policy not in _HOST_KEY_WORDS and not policy.startswith("SHA256:") and " " not in policy.strip():
        raise ValueError
    return policy


def _certificate(value: object, place: Place) -> str:
    policy = _word(value, place)
    if policy not in _CERTIFICATE_WORDS and not re.fullmatch(r"SHA256:[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", policy):
        raise ValueError
    return policy


def _metric(value: object, place: Place) -> str:
    name = _variable(value, place)
    if name in registry.names("metric"):
        place.wrong(f"metric {name!r} is built in; give your own another name")
    return name


def _forward(value: object, place: Place) -> str:
    if not _FORWARD.fullmatch(_text(value, place)):
        raise ValueError
    return _text(value, place)


def _number(text: str) -> object:
    return int(text) if re.fullmatch(r"\s*\d{1,10}\s*", text) else text


def _truth(text: str) -> object:
    return {"true": True, "false": False}.get(text.strip().lower(), text)


_STRING: JsonObject = {"type": "string"}
_FILLED: JsonObject = {"type": "string", "minLength": 1}
TEXT = One("text", _text, _STRING)
WORD = One("text with something in it", _word, _FILLED)
LABEL = One("text with something in it", _word, _FILLED, plain=True)
SECRET = One("text", _secret, _STRING, secret=True)
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
_VARIABLE = One("the name of a variable", _variable, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"}, plain=True)
_METRIC = One(
    "the name of a metric: letters, digits and _", _metric, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"}, plain=True
)
_FORWARDING = One("[bind_address:]port:address:port", _forward, _STRING)

# -- the table

SSH = Group({
    "config_file": Field(PATH, "An OpenSSH client configuration to read; relative to the lab file."),
    "agent": Field(SWITCH, "Offer the keys of the SSH agent; true by default."),
    "forward_agent": Field(SWITCH, "Let the host use the SSH agent of this machine."),
    "ciphers": Field(Names(), "Ciphers, best first; a leading + adds to the defaults."),
    "kex": Field(Names(), "Key exchange algorithms, best first; a leading + adds to the defaults."),
    "mac": Field(Names(), "Message authentication codes, best first; a leading + adds to the defaults."),
    "host_key_algorithms": Field(Names(), "Host key algorithms, best first; a leading + adds to the defaults."),
    "compression": Field(SWITCH, "Compress the connection."),
    "forwards": Field(ListOf(_FORWARDING), "Local forwards, opened with the connection: [bind_address:]port:address:port."),
})  # fmt: skip

SERIAL = Group({
    "baudrate": Field(COUNT, "Bits a second; 115200 by default."),
    "bytesize": Field(BITS, "Bits of a byte; 8 by default."),
    "parity": Field(_one_of(("none", "even", "odd", "mark", "space")), "none by default."),
    "stopbits": Field(STOP_BITS, "1 (default), 1.5 or 2."),
    "flow_control": Field(_one_of(("none", "rtscts", "dsrdtr", "xonxoff")), "none by default."),
    "character_delay": Field(DURATION, "How long to wait after each typed byte, for a console that loses some; none by default."),
})  # fmt: skip

FTP = Group({
    "port": Field(TCP_PORT, "The port of its FTP server; 21, or 990 with implicit TLS, by default."),
    "user": Field(WORD, "The login; the host's by default."),
    "password": Field(SECRET, "The password of the login; the host's by default."),
    "tls": Field(_one_of(("no", "explicit", "implicit")), "no (default): all goes in clear text; explicit: AUTH TLS; implicit."),
    "certificate": Field(CERTIFICATE, "verify (default), ignore, or the SHA256: fingerprint of the server's certificate."),
    "mode": Field(_one_of(("passive", "active")), "Who opens data connections: passive (default): this side; active: the host."),
})  # fmt: skip

METRIC = Group({
    "command": Field(WORD, "A command whose output is read at every tick."),
    "file": Field(WORD, "A file on the host to follow, such as a log."),
    "pattern": Field(EXPRESSION, "Regular expression whose named groups are readings; the group 'label' tells them apart."),
    "event": Field(EXPRESSION, "Regular expression for lines that are events."),
    "interval": Field(DURATION, "Run the command at most so often; at every tick by default."),
})  # fmt: skip

EVIDENCE = Group({
    "file": Field(WORD, "A file on the host, or a pattern of files such as /var/log/app/*.log."),
    "command": Field(WORD, "A command whose output is kept."),
    "name": Field(LABEL, "What the kept file is called; by default after the file or command."),
})  # fmt: skip

SNMP = Group({
    "port": Field(TCP_PORT, "The UDP port of its SNMP agent; 161 by default."),
    "community": Field(SECRET, "The community that it answers; public by default."),
    "timeout": Field(DURATION, "How long to wait for an answer, before a second try too; 1 second by default."),
})  # fmt: skip

PROFILE = Group({
    "base": Field(LABEL, "The profile that says what this one does not: linux by default."),
    "runs": Field(_one_of((POSIX, PROMPT)), "What is behind the console: a posix shell, or only a prompt."),
    "prompt": Field(EXPRESSION, "Regular expression for the prompt, at the end of what the console said."),
    "newline": Field(One("text", _text, _STRING, plain=True), "What ends a typed line."),
    "login_prompt": Field(EXPRESSION, "Regular expression for what asks for the user."),
    "password_prompt": Field(EXPRESSION, "Regular expression for what asks for the password."),
    "failed_login": Field(EXPRESSION, "Regular expression for what it says to a wrong user or password."),
    "pager_off": Field(ListOf(LABEL), "Lines to type before the first command, so that long output does not stop."),
    "status": Field(LABEL, "A line that makes a prompt print the exit status of the command before."),
    "encoding": Field(ENCODING, "How its text is encoded; utf-8 by default."),
}, name="profile")  # fmt: skip

HOST = Group({
    "address": Field(WORD, "Name or IP address, as the last hop sees it."),
    "transport": Field(TRANSPORT, "How it is reached: ssh (default), telnet, serial, local or the name of a plug-in."),
    "port": Field(PORT, "The port, by default the one of the transport; for serial a device or a URL of pyserial."),
    "user": Field(WORD, "The login."),
    "password": Field(SECRET, "The password of the login, better as a reference such as ${env:NAME}."),
    "identity_file": Field(PATH, "A private key; relative to the lab file."),
    "passphrase": Field(SECRET, "The passphrase of an encrypted identity_file."),
    "hop": Field(HOST_NAME, "The host through which it is reached; that one may have a hop too."),
    "host_key": Field(HOST_KEY, "accept-new (default), strict, ignore, a SHA256: fingerprint or a public key line."),
    "profile": Field(LABEL, "How its console behaves; linux by default."),
    "transfer": Field(TRANSFER, "How files are moved: sftp, scp, ftp, nc, console, local or a plug-in; the best by default."),
    "tags": Field(ListOf(LABEL), "Words to select hosts by, as tag:WORD."),
    "resources": Field(ListOf(LABEL), "What a reservation of the host takes."),
    "metadata": Field(Free(), "Anything a suite wants to know about it."),
    "environment": Field(MapOf(_VARIABLE, TEXT), "Variables for every shell on it."),
    "cwd": Field(WORD, "The folder in which every shell starts."),
    "timeout": Field(DURATION, "How long a command may take; 60 seconds by default."),
    "connect_timeout": Field(DURATION, "How long connecting may take; 15 seconds by default."),
    "keepalive": Field(DURATION, "How often a quiet connection is checked; every 5 seconds by default."),
    "accounts": Field(MapOf(WORD, SECRET), "Passwords by login, for switching user."),
    "ssh": Field(SSH, "What only SSH knows."),
    "serial": Field(SERIAL, "What only a serial port knows."),
    "ftp": Field(FTP, "Its FTP server."),
    "snmp": Field(SNMP, "Its SNMP agent."),
    "evidence": Field(
        ListOf(TextOr("file", OneOf(EVIDENCE, ("file", "command")))), "What to fetch when a test that used the host fails."
    ),
    "metrics": Field(MapOf(_METRIC, OneOf(METRIC, ("command", "file"))), "Metrics of one's own, by name."),
}, name="host")  # fmt: skip

LAB = Group({
    "$schema": Field(LABEL, "The JSON Schema, for editors."),
    "name": Field(LABEL, "Name of the lab; by default the name of the file."),
    "description": Field(LABEL, "What the lab is."),
    "metadata": Field(Free(), "Anything a suite wants to know about the lab."),
    "resources": Field(ListOf(LABEL), "What all of the lab takes: no host is used while somebody else has one of these."),
    "defaults": Field(HOST, "Fields for every host; an object merges with the host's, a host's null takes a default back."),
    "hosts": Field(MapOf(HOST_NAME, HOST), "The hosts by name."),
    "profiles": Field(MapOf(LABEL, PROFILE), "Profiles of consoles by name."),
}, required=("hosts",))  # fmt: skip


def beneath(defaults: JsonObject, own: JsonObject) -> dict[str, Any]:
    """Return what of ``defaults`` still counts under ``own``; objects merge one level deep."""
    merging = {key for key, value in defaults.items() if isinstance(value, Mapping) and isinstance(own.get(key), Mapping)}
    left = {key: value for key, value in defaults.items() if key not in own}
    return left | {key: {name: value for name, value in defaults[key].items() if name not in own[key]} for key in merging}


def combine(lower: JsonObject, upper: JsonObject) -> dict[str, Any]:
    """Return the two together, where ``lower`` is ``beneath`` the other; a null is dropped."""
    both = {key for key in upper if isinstance(upper[key], Mapping) and isinstance(lower.get(key), Mapping)}
    return _without_null({**lower, **upper, **{key: {**lower[key], **upper[key]} for key in both}})


def _without_null(values: JsonObject) -> dict[str, Any]:
    nested = {key: value for key, value in values.items() if value is not None}
    for key in ("ssh", "serial", "ftp", "snmp", "metrics", "environment", "accounts"):
        if isinstance(nested.get(key), Mapping):
            nested[key] = {name: value for name, value in nested[key].items() if value is not None}
    return nested


def host_facts(name: str, labs: tuple[str, ...], values: JsonObject, console: Profile) -> HostFacts:
    """Return the facts of a host from the converted values of its fields and its profile."""
    nested = {"ssh": SshOptions(**values.get("ssh", {})), "serial": SerialOptions(**values.get("serial", {})), "console": console}
    nested["ftp"] = FtpOptions(**values.get("ftp", {}))
    nested["snmp"] = SnmpOptions(**values.get("snmp", {}))
    nested["metrics"] = {key: OwnMetric(**entry) for key, entry in values.get("metrics", {}).items()}
    nested["evidence"] = tuple(EvidenceSource(**_without_null(entry)) for entry in values.get("evidence", ()))
    port = values.get("port")
    place = {"port": None, "device": port} if isinstance(port, str) else {"port": port}
    return HostFacts(name=name, labs=labs, **{**values, **nested, **place})


def profile_named(name: str, own: JsonObject, place: Place, _way: tuple[str, ...] = ()) -> Profile | None:
    """Return a profile; note a mistake and return None when there is none of that name.

    Args:
        name: Its name.
        own: The profiles of the lab as written; they go before those of the registry.
        place: Where the name stands.
    """
    known = sorted({*registry.names("profile"), *own})
    # A profile may go by the name of a built-in one and be based on that.
    built_in = name not in own or (_way[-1:] == (name,) and name in registry.names("profile"))
    if name in _way and not built_in:
        place.wrong(f"the profiles are based on each other in a circle: {' -> '.join([*_way, name])}")
        return None
    if built_in:
        if name not in known:
            place.wrong(f"profile {name!r} is not known, known are {', '.join(known)}", name, known)
            return None
        profile: Profile = registry.load("profile", name)
        return profile
    values: dict[str, Any] = PROFILE.read(own[name], replace(place, problems=[])) or {}
    given = {key: value for key, value in values.items() if value is not None}
    base = profile_named(given.pop("base", "linux"), own, place, (*_way, name))
    return replace(base, name=name, **given) if base is not None else None
