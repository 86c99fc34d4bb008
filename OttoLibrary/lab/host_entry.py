"""Scalar host as its lab writes it: its own fields above the defaults, references unresolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from types import MappingProxyType
from typing import Any

from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.lab import fields
from OttoLibrary.schema.field_types import JsonObject
from OttoLibrary.schema.source_position import SourcePosition

# Fields of a host, and where they stand.
Layer = tuple[JsonObject, SourcePosition]


@dataclass(frozen=True)
class HostEntry:
    """Scalar host as its lab describes it, references unresolved.

    ``address``, ``port`` and ``user`` are as written, so they may hold a ``${kind:argument}``.
    """

    name: str
    labs: tuple[str, ...]
    source: str
    transport: str
    address: str
    port: int | str | None
    user: str | None
    hop: str | None
    tags: tuple[str, ...]
    resources: tuple[str, ...]
    profile: str
    profiles: JsonObject = field(repr=False, compare=False)
    _layers: tuple[Layer, ...] = field(repr=False, compare=False)
    lab_resources: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Everything that a reservation must cover while it is used: what it is reserved as, and the resources of its labs."""
        return (*self.lab_resources, *self.reserved_as)

    @property
    def reserved_as(self) -> tuple[str, ...]:
        """What a reservation of the host reserves: its resources or, when the lab names none, the host itself."""
        return self.resources or (f"{self.labs[0]}/{self.name}",)

    def written(self) -> dict[str, Any]:
        """Return its fields as written, defaults included."""
        return _together(layer for layer, _ in self._layers)

    def values(self, problems: list[str], resolver: Any) -> dict[str, Any]:
        """Return its fields converted, references resolved by ``resolver``."""
        read = [
            fields.HOST.read(layer, replace(position, problems=problems, resolver=resolver)) for layer, position in self._layers
        ]
        return {} if problems else _together(read)

    def console(self, problems: list[str]) -> Profile | None:
        """Return its profile; note a mistake when there is none of that name."""
        return fields.profile_named(self.profile, self.profiles, self.position(problems, "profile"))

    def position(self, problems: list[str], key: str = "") -> SourcePosition:
        """Return where a field is set, or where the host is when no layer sets it; mistakes go to ``problems``."""
        positions = [position.at(key) for layer, position in reversed(self._layers) if key in layer]
        return replace(next(iter(positions), self._layers[-1][1]), problems=problems)


def host_entry(name: str, labs: tuple[str, ...], layers: list[Layer], profiles: JsonObject = MappingProxyType({})) -> HostEntry:
    """Return a host; of each layer of fields, the lowest first, only what no layer above it sets is kept."""
    left: list[Layer] = []
    for index, (layer, position) in enumerate(layers):
        above = [upper for upper, _ in layers[index + 1 :]]
        left.append((reduce(fields.beneath, above, layer), replace(position, problems=[])))
    written = _together(layer for layer, _ in left)
    port = written.get("port")
    return HostEntry(
        name=name,
        labs=labs,
        source=layers[-1][1].source,
        transport=text_of(written, "transport") or "ssh",
        address=text_of(written, "address") or "",
        port=port if isinstance(port, int | str) else None,
        user=text_of(written, "user"),
        hop=text_of(written, "hop"),
        tags=texts_of(written, "tags"),
        resources=texts_of(written, "resources"),
        profile=text_of(written, "profile") or "linux",
        profiles=profiles,
        _layers=tuple(left),
    )


def _together(layers: Iterable[JsonObject]) -> dict[str, Any]:
    """Return the fields of layers that overlap no more, the lowest first, as one; a null is dropped."""
    return reduce(fields.combine, layers, dict[str, Any]())


def text_of(values: JsonObject, key: str) -> str | None:
    """Return a text, or None when there is something else, which the check of the whole lab reports."""
    return value if isinstance(value := values.get(key), str) else None


def texts_of(values: JsonObject, key: str) -> tuple[str, ...]:
    """Return the texts of a list; what else is there the check of the whole lab reports."""
    found = values.get(key)
    return tuple(entry for entry in found if isinstance(entry, str)) if isinstance(found, list) else ()


def nested(values: JsonObject, key: str) -> JsonObject:
    """Return an object, empty when there is something else, which the check of the whole lab reports."""
    return found if isinstance(found := values.get(key), Mapping) else {}
