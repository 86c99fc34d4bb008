"""Types of values in a file: each checks a value, notes all mistakes, converts it, and describes itself as a JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from OttoLibrary.masking import mask
from OttoLibrary.schema.source_position import SourcePosition, has_references

_REFERENCE_SCHEMA = {"type": "string", "pattern": r"\$\{[A-Za-z_][\w-]*:[^}]*\}"}
_SHOWN_LIMIT = 60

JsonObject = Mapping[str, Any]
STRING: JsonObject = {"type": "string"}


class FieldType(Protocol):
    """The type of a value in a file."""

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return the converted value, None when it is wrong or not resolved yet; note mistakes at ``position``."""

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""


@dataclass(frozen=True)
class Scalar:
    """A single value.

    Attributes:
        form: What it must be, as the message says it: ``5 is not <form>``.
        convert: Returns the converted value; raises ValueError. It may also note a mistake of its own.
        json_schema: Its JSON Schema.
        from_text: Turns the text of a reference into the value that JSON would hold.
        secret: The value is, or may hold, a secret, so a message never shows it.
        literal: A reference is not allowed, because the value is needed before anything is resolved.
    """

    form: str
    convert: Callable[[Any, SourcePosition], Any]
    json_schema: JsonObject
    from_text: Callable[[str], object] = str
    secret: bool = False
    literal: bool = False

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return the converted value."""
        if not isinstance(value, str) or not has_references(value):
            return self._convert(value, position, self._shown(value))
        if self.literal:
            return position.wrong("a reference is not allowed here, because the value is needed before references are resolved")
        resolved = position.resolve(value)
        return None if resolved is None else self._convert(self.from_text(resolved), position, f"the value of {value!r}")

    def _shown(self, value: object) -> str:
        """Return how a message calls a wrong value; one of the wrong type may be a secret in the wrong place."""
        is_text_wanted = self.json_schema.get("type") == "string"
        if is_text_wanted and not isinstance(value, str):
            return kind_of(value)
        return "the value" if self.secret else shown(value)

    def _convert(self, value: object, position: SourcePosition, shown: str) -> Any:
        try:
            return self.convert(value, position)
        except ValueError:
            name = value if isinstance(value, str) else ""
            advice = self._advice(value, position)
            return position.wrong(f"{shown} is not {self.form}{advice}", name, self.json_schema.get("examples", ()))

    def _advice(self, value: object, position: SourcePosition) -> str:
        """Return what to write for a value that is right but for its quotes."""
        meant = self.from_text(value) if isinstance(value, str) and not self.secret else value
        if isinstance(meant, str) or meant is value:
            return ""
        try:
            self.convert(meant, position)
        except ValueError:
            return ""
        return f"; write {shown(meant)} without quotes"

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema; where text is not allowed, a reference still is."""
        text = self.json_schema.get("type") == "string"
        return dict(self.json_schema) if text else {"anyOf": [dict(self.json_schema), _REFERENCE_SCHEMA]}


@dataclass(frozen=True)
class ListOf:
    """A list of values."""

    item: FieldType

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a tuple."""
        if not isinstance(value, list):
            return position.wrong(f"{kind_of(value)} is not a list")
        return tuple(self.item.read(entry, position.at(index)) for index, entry in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class NameList:
    """NameList joined with commas, or a list of them."""

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return them joined with commas."""
        if not isinstance(value, list):
            return TEXT.read(value, position)
        parts = ListOf(TEXT).read(value, position)
        return None if None in parts else ",".join(parts)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [TEXT.schema(), ListOf(TEXT).schema()]}


@dataclass(frozen=True)
class MapOf:
    """An object whose keys the user chooses; a null removes an entry of the defaults."""

    key: Scalar
    item: FieldType

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a dictionary."""
        if not isinstance(value, Mapping):
            return position.wrong(f"{kind_of(value)} is not an object")
        return {self.key.read(name, position): self._entry(entry, position.at(name)) for name, entry in value.items()}

    def _entry(self, entry: object, position: SourcePosition) -> Any:
        return None if entry is None and isinstance(self.item, Scalar) else self.item.read(entry, position)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        names = {"anyOf": [dict(self.key.json_schema), {"pattern": "^_"}]}
        item = _or_null(self.item.schema()) if isinstance(self.item, Scalar) else self.item.schema()
        return {"type": "object", "propertyNames": names, "patternProperties": {"^_": True}, "additionalProperties": item}


@dataclass(frozen=True)
class AnyObject:
    """An object with any content."""

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a copy with its references resolved."""
        return _walk(value, position) if isinstance(value, Mapping) else position.wrong(f"{kind_of(value)} is not an object")

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "object"}


@dataclass(frozen=True)
class ExactlyOneOf:
    """An object that has exactly one of some of its fields."""

    group: ObjectOf
    choices: tuple[str, ...]

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return what the object returns."""
        if isinstance(value, Mapping) and sum(value.get(key) is not None for key in self.choices) != 1:
            position.wrong(f"exactly one of {' and '.join(map(repr, self.choices))} is needed")
        return self.group.read(value, position)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {**self.group.schema(), "oneOf": [{"required": [key]} for key in self.choices]}


@dataclass(frozen=True)
class TextOrObject:
    """Text, or an object that says more.

    Attributes:
        key: The field of the object that text alone stands for.
        whole: The object.
    """

    key: str
    whole: ExactlyOneOf

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return what the object returns."""
        if isinstance(value, str):
            return {self.key: self.whole.group.fields[self.key].kind.read(value, position)}
        return self.whole.read(value, position)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [self.whole.group.fields[self.key].kind.schema(), self.whole.schema()]}


@dataclass(frozen=True)
class Field:
    """Scalar row of the table: what a value may be and what it means."""

    kind: FieldType
    description: str


@dataclass(frozen=True)
class ObjectOf:
    """An object with known fields; a null means that the field is not set.

    Attributes:
        fields: The fields by key.
        required: The keys that must be present.
        name: Its name among the definitions of the JSON Schema, if it has one.
    """

    fields: Mapping[str, Field]
    required: tuple[str, ...] = ()
    name: str = ""

    def read(self, value: object, position: SourcePosition) -> Any:
        """Return a dictionary of the converted values."""
        if not isinstance(value, Mapping):
            return position.wrong(f"{kind_of(value)} is not an object")
        for key in (key for key in value if key not in self.fields):
            position.wrong(f"unknown key {key!r}", key, self.fields)
        for key in self.required:
            if value.get(key) is None:
                position.wrong(f"{key!r} is missing")
        given = {key: entry for key, entry in value.items() if key in self.fields}
        return {
            key: None if entry is None else self.fields[key].kind.read(entry, position.at(key)) for key, entry in given.items()
        }

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema, by reference when it has a name."""
        return {"$ref": f"#/$defs/{self.name}"} if self.name else self.definition()

    def definition(self) -> dict[str, Any]:
        """Return its JSON Schema in full."""
        properties = {key: {"description": row.description, **_or_null(row.kind.schema())} for key, row in self.fields.items()}
        rules = {"patternProperties": {"^_": True}, "additionalProperties": False, "required": list(self.required)}
        return {"type": "object", "properties": properties, **rules}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def kind_of(value: object) -> str:
    """Return what a value is, without its content."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "an object"
        case list():
            return "a list"
    return "text" if isinstance(value, str) else "a number"


def shown(value: object) -> str:
    """Return a value as a message shows it: short, and without secrets."""
    if value is None or isinstance(value, bool | Mapping | list):
        return kind_of(value)
    text = repr(mask(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_LIMIT else f"{text[:_SHOWN_LIMIT]}..."


def _walk(value: object, position: SourcePosition) -> Any:
    if isinstance(value, Mapping):
        return {key: _walk(entry, position.at(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [_walk(entry, position.at(index)) for index, entry in enumerate(value)]
    return position.resolve(value) if isinstance(value, str) and has_references(value) else value


def text(value: object, _: SourcePosition) -> str:
    """Return text that files and commands can carry; raise ValueError."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()
    return value


TEXT = Scalar("text", text, STRING)
