"""What a value of a file may be: checked with all mistakes noted, converted, and described as a JSON Schema."""

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


class Kind(Protocol):
    """What a value may be."""

    def read(self, value: object, place: SourcePosition) -> Any:
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
    convert: Callable[[Any, SourcePosition], Any]
    json: JsonObject
    parse: Callable[[str], object] = str
    secret: bool = False
    plain: bool = False

    def read(self, value: object, place: SourcePosition) -> Any:
        """Return the converted value."""
        if not isinstance(value, str) or not has_references(value):
            return self._convert(value, place, self._shown(value))
        if self.plain:
            return place.wrong("a reference cannot stand here, because this is needed before anything is resolved")
        resolved = place.resolve(value)
        return None if resolved is None else self._convert(self.parse(resolved), place, f"the value of {value!r}")

    def _shown(self, value: object) -> str:
        """Return how a message calls a wrong value; one of the wrong type may be a secret in the wrong place."""
        if self.secret:
            return "the value"
        is_text_wanted = self.json.get("type") == "string"
        return kind_of(value) if is_text_wanted and not isinstance(value, str) else shown(value)

    def _convert(self, value: object, place: SourcePosition, shown: str) -> Any:
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

    def read(self, value: object, place: SourcePosition) -> Any:
        """Return a tuple."""
        if not isinstance(value, list):
            return place.wrong(f"{kind_of(value)} is not a list")
        return tuple(self.item.read(entry, place.at(index)) for index, entry in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class Names:
    """Names joined with commas, or a list of them."""

    def read(self, value: object, place: SourcePosition) -> Any:
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

    def read(self, value: object, place: SourcePosition) -> Any:
        """Return a dictionary."""
        if not isinstance(value, Mapping):
            return place.wrong(f"{kind_of(value)} is not an object")
        return {self.key.read(name, place): self._entry(entry, place.at(name)) for name, entry in value.items()}

    def _entry(self, entry: object, place: SourcePosition) -> Any:
        return None if entry is None and isinstance(self.item, One) else self.item.read(entry, place)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        names = {"anyOf": [dict(self.key.json), {"pattern": "^_"}]}
        item = _or_null(self.item.schema()) if isinstance(self.item, One) else self.item.schema()
        return {"type": "object", "propertyNames": names, "patternProperties": {"^_": True}, "additionalProperties": item}


@dataclass(frozen=True)
class Free:
    """An object with anything in it."""

    def read(self, value: object, place: SourcePosition) -> Any:
        """Return a copy with its references resolved."""
        return _walk(value, place) if isinstance(value, Mapping) else place.wrong(f"{kind_of(value)} is not an object")

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "object"}


@dataclass(frozen=True)
class OneOf:
    """An object with exactly one of some of its fields."""

    group: Group
    choices: tuple[str, ...]

    def read(self, value: object, place: SourcePosition) -> Any:
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

    def read(self, value: object, place: SourcePosition) -> Any:
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

    def read(self, value: object, place: SourcePosition) -> Any:
        """Return a dictionary of the converted values."""
        if not isinstance(value, Mapping):
            return place.wrong(f"{kind_of(value)} is not an object")
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


def kind_of(value: object) -> str:
    """Return what a value is, without what is in it."""
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
    """Return a value as a message shows it."""
    if value is None or isinstance(value, bool | Mapping | list):
        return kind_of(value)
    text = repr(mask(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_LIMIT else f"{text[:_SHOWN_LIMIT]}..."


def _walk(value: object, place: SourcePosition) -> Any:
    if isinstance(value, Mapping):
        return {key: _walk(entry, place.at(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [_walk(entry, place.at(index)) for index, entry in enumerate(value)]
    return place.resolve(value) if isinstance(value, str) and has_references(value) else value


def text(value: object, _: SourcePosition) -> str:
    """Return text that files and commands can carry; raise ValueError."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()
    return value


TEXT = One("text", text, STRING)
