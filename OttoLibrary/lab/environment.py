"""An environment: what is needed, merged with where it is, into devices; every mistake with both files and paths."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from OttoLibrary.errors import LabError, PluginError
from OttoLibrary.lab.environment_files import ReadFile, read_file
from OttoLibrary.masking import process_masker
from OttoLibrary.schema.field_types import JsonObject, kind_of
from OttoLibrary.schema.source_position import SourcePosition, has_references
from OttoLibrary.text import MASK

# The names of Vitro's files that are special there.
_LAN, _WIFI = ("bf_lan", "debian_lan"), ("bf_wlan", "debian_wifi")
_CLIENTS = {"lan_clients": _LAN, "wifi_clients": _WIFI}
_DUAL = "dual"
_BOARD = "board"
_LOCATIONS = "locations"
_SECRET_KEY = re.compile(r"(?i)pass(word|phrase|wd|code)?$|secret|token|community|credential|api_?key|private_?key")


@dataclass(frozen=True)
class EnvironmentDevice:
    """One device of an environment.

    Attributes:
        name: Its name.
        type: What it is.
        config: Its merged data.
        asked: What the environment says about it.
        found: What the inventory says about it.
        asked_at: Where the environment says it.
        found_at: Where the inventory says it.
    """

    name: str
    type: str
    config: dict[str, Any] = field(repr=False)
    asked: JsonObject = field(repr=False)
    found: JsonObject = field(repr=False)
    asked_at: SourcePosition = field(repr=False)
    found_at: SourcePosition = field(repr=False)

    def position(self, key: str) -> SourcePosition:
        """Return where a key of the merged data comes from, or where it would belong."""
        return (self.asked_at if key in self.asked else self.found_at).at(key)

    def origin_texts(self) -> list[tuple[str, str, str, str]]:
        """Return the path of each value, the value, the file that it comes from, and what it replaced, without secrets."""
        shown, base = without_secrets(self.config), without_secrets(self.found)
        rows = _origins(shown, base, without_secrets(self.asked), "")
        sources = {True: self.asked_at.source, False: self.found_at.source}
        return [(path, _text(value), sources[is_asked], _text(before)) for path, value, is_asked, before in rows]


@dataclass(frozen=True)
class Environment:
    """Two files merged for one board.

    Attributes:
        board: The name of the board, or bench.
        devices: Its devices, in the order of Vitro's result.
        asked: The whole environment file.
        inventory: The board's part of the inventory, with the devices of its location.
        sources: What messages call the two files.
        folder: Where relative paths in the environment file start.
    """

    board: str
    devices: tuple[EnvironmentDevice, ...]
    asked: JsonObject = field(repr=False)
    inventory: JsonObject = field(repr=False)
    sources: tuple[str, str] = ("", "")
    folder: Path = Path()

    def with_devices(self, merged: Sequence[Mapping[str, Any]]) -> Environment:
        """Return it with other merged devices; what is said about a device of the same name stays where it is said."""
        known = {device.name: device for device in self.devices}
        nowhere = SourcePosition("otto_parse_config", self.folder)
        made = []
        for index, config in enumerate(merged):
            name, kind = str(config["name"]), str(config["type"])
            at = nowhere.at(index)
            before = known.get(name) or EnvironmentDevice(name, kind, dict(config), {}, config, at, at)
            made.append(replace(before, type=kind, config=dict(config)))
        return replace(self, devices=tuple(made))

    def merged(self) -> list[dict[str, Any]]:
        """Return the merged devices as Vitro has them."""
        return [device.config for device in self.devices]


def read_environment(
    environment: str,
    inventory: str,
    board: str,
    folders: Sequence[Path] = (),
    check: Callable[[Environment, list[str]], object] = lambda environment, problems: None,
) -> Environment:
    """Return the merged devices of a board.

    Args:
        environment: Path or http URL of the environment file.
        inventory: The same of the inventory.
        board: The name of the board in the inventory.
        folders: Where relative paths are looked for after the current folder.
        check: Notes further mistakes, about the devices that could be merged.

    Raises:
        LabError: With every mistake in both files.
        PluginError: jsonmerge is not installed.
    """
    problems: list[str] = []
    where = [Path.cwd(), *folders]
    asked, found = read_file(environment, where, problems), read_file(inventory, where, problems)
    merger = _Merger(asked, found, board)
    devices = () if problems else merger.devices()
    process_masker().add(*secrets_in([device.config for device in devices]))
    sources = (asked.position.source, found.position.source)
    content = asked.content if isinstance(asked.content, Mapping) else {}
    merged = Environment(board, devices, content, merger.inventory, sources, asked.position.folder)
    check(merged, problems)
    if problems:
        raise LabError(list(dict.fromkeys(problems)))
    return merged


def secrets_in(value: object) -> Iterator[str]:
    """Yield the texts that stand under keys such as ``password`` or ``token``."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            is_secret = isinstance(entry, str) and _SECRET_KEY.search(key) and not has_references(entry)
            yield from [entry] if is_secret and entry else secrets_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from secrets_in(entry)


def without_secrets(value: Any) -> Any:
    """Return plain data with the texts of such keys hidden."""
    if isinstance(value, Mapping):
        return {
            key: MASK if isinstance(entry, str) and entry and _SECRET_KEY.search(key) else without_secrets(entry)
            for key, entry in value.items()
        }
    return [without_secrets(entry) for entry in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class _Entry:
    """A device as the inventory has it."""

    content: dict[str, Any]
    at: SourcePosition

    @property
    def name(self) -> str:
        return str(self.content["name"])

    def is_one_of(self, types: Sequence[str]) -> bool:
        return self.content["type"] in types


class _Merger:
    """Merges two files; mistakes go to their positions."""

    def __init__(self, asked: ReadFile, found: ReadFile, board: str) -> None:
        self._asked, self._found, self._board = asked, found, board
        self.inventory: dict[str, Any] = {}
        self._list_at = found.position.at(board).at("devices")

    def devices(self) -> tuple[EnvironmentDevice, ...]:
        """Return the merged devices; those with a mistake are left out."""
        needed, entries = self._needed(), self._entries()
        if needed is None or entries is None:
            return ()
        self._check_needed(needed, entries)
        merged = [self._merged(entry, needed) for entry in entries if not entry.is_one_of((*_LAN, *_WIFI))]
        merged += self._lan([entry for entry in entries if entry.is_one_of(_LAN)])
        merged += self._wifi([entry for entry in entries if entry.is_one_of(_WIFI)])
        devices = tuple(device for device in merged if device is not None)
        self._check_names(devices)
        return devices

    # -- what is needed

    def _needed(self) -> JsonObject | None:
        at = self._asked.position
        if not isinstance(self._asked.content, Mapping):
            _nothing(at, "an environment is a JSON object")
            return None
        needed = self._asked.content.get("environment_def")
        if needed is None:
            _nothing(at, "'environment_def' is missing", "environment_def", self._asked.content)
            return None
        if not isinstance(needed, Mapping):
            _nothing(at.at("environment_def"), f"{kind_of(needed)} is not an object")
            return None
        return needed

    def _check_needed(self, needed: JsonObject, entries: Sequence[_Entry]) -> None:
        """Note what the environment says and nobody would read."""
        names = {entry.name: entry for entry in entries}
        at = self._asked.position.at("environment_def")
        for name in needed:
            entry = names.get(name)
            if entry is None and name not in _CLIENTS:
                at.at(name).wrong(f"device {name!r} is not among the devices of the board ({_shown(self._list_at)})", name, names)
            elif entry is not None and entry.is_one_of((*_LAN, *_WIFI)):
                kind = "lan_clients" if entry.is_one_of(_LAN) else "wifi_clients"
                at.at(name).wrong(f"device {name!r} gets its settings from '{kind}', not from here ({_shown(entry.at)})")

    # -- where it is

    def _entries(self) -> list[_Entry] | None:
        content, at = self._found.content, self._found.position
        if not isinstance(content, Mapping):
            _nothing(at, "an inventory is a JSON object")
            return None
        boards = [name for name in content if name != _LOCATIONS]
        if self._board not in boards:
            known = ", ".join(boards[:30]) or "none"
            _nothing(at, f"there is no board {self._board!r}, there are {known}", self._board, boards)
            return None
        bench = content[self._board]
        if not isinstance(bench, Mapping):
            _nothing(at.at(self._board), f"{kind_of(bench)} is not an object")
            return None
        own, shared = self._listed(bench, at.at(self._board)), self._at_location(bench)
        entries = [entry for entry in (*own, *shared) if entry is not None]
        self._name_board(entries)
        rest = {key: value for key, value in bench.items() if key != "location"}
        self.inventory = {**rest, "devices": [entry.content for entry in entries]}
        return entries

    def _at_location(self, bench: JsonObject) -> list[_Entry | None]:
        if "location" not in bench:
            return []
        name, at = bench["location"], self._found.position
        locations = self._found.content.get(_LOCATIONS)
        known = list(locations) if isinstance(locations, Mapping) else []
        place = at.at(self._board).at("location")
        if not isinstance(name, str) or name not in known:
            there = ", ".join(known[:30]) or "none"
            shown = repr(name) if isinstance(name, str) else kind_of(name)
            place.wrong(f"there is no location {shown}, there are {there}", name if isinstance(name, str) else "", known)
            return []
        location = locations[name]
        here = at.at(_LOCATIONS).at(name)
        if not isinstance(location, Mapping):
            here.wrong(f"{kind_of(location)} is not an object")
            return []
        return self._listed({"devices": [], **location}, here)

    def _listed(self, owner: JsonObject, at: SourcePosition) -> list[_Entry | None]:
        devices = owner.get("devices")
        if not isinstance(devices, list):
            at.wrong("'devices' is missing" if devices is None else f"'devices' is {kind_of(devices)} and not a list")
            return []
        return [_entry(device, at.at("devices").at(index)) for index, device in enumerate(devices)]

    def _name_board(self, entries: Sequence[_Entry]) -> None:
        board = next((entry for entry in entries if entry.name == _BOARD), None)
        if board is not None:
            board.content["resource_name"] = self._board

    # -- together

    def _merged(self, entry: _Entry, needed: JsonObject) -> EnvironmentDevice | None:
        at = self._asked.position.at("environment_def").at(entry.name)
        if entry.name not in needed:
            return _device(entry.content, {}, entry, at)
        head = needed[entry.name]
        if not isinstance(head, Mapping):
            at.wrong(f"{kind_of(head)} would replace the whole device ({_shown(entry.at)}); write an object")
            return None
        before = len(at.problems)
        _check_kinds(entry.content, head, entry.at, at)
        return _device(_together(entry.content, head), head, entry, at) if len(at.problems) == before else None

    def _lan(self, entries: Sequence[_Entry]) -> list[EnvironmentDevice | None]:
        clients, at = self._clients("lan_clients")
        if len(clients) > len(entries):
            at.wrong(f"{len(clients)} lan clients are asked for, and the board has {len(entries)} ({_shown(self._list_at)})")
            return []
        return [
            _device({**entry.content, **client}, client, entry, at.at(index))
            for index, (entry, client) in enumerate(zip(entries, clients, strict=False))
        ]

    def _wifi(self, entries: Sequence[_Entry]) -> list[EnvironmentDevice | None]:
        clients, at = self._clients("wifi_clients")
        left = sorted(entries, key=lambda entry: str(entry.content.get("band", "")))
        merged = []
        for index, client in sorted(enumerate(clients), key=lambda one: str(one[1].get("band", ""))):
            band = client.get("band")
            entry = next((entry for entry in left if entry.content.get("band") in (band, _DUAL)), None)
            if entry is None:
                at.at(index).wrong(f"no wifi device of band {band!r} is left on the board ({_shown(self._list_at)})")
                continue
            left.remove(entry)
            merged.append(_device({**entry.content, **client}, client, entry, at.at(index)))
        return merged

    def _clients(self, key: str) -> tuple[list[JsonObject], SourcePosition]:
        """Return the first list of that name, at any depth of the environment file."""
        found = _first(key, self._asked.content, self._asked.position)
        if found is None:
            return [], self._asked.position.at(key)
        value, at = found
        if not isinstance(value, list) or not all(isinstance(client, Mapping) for client in value):
            at.wrong(f"'{key}' is a list of objects")
            return [], at
        return value, at

    def _check_names(self, devices: Sequence[EnvironmentDevice]) -> None:
        seen: dict[str, EnvironmentDevice] = {}
        for device in devices:
            other = seen.setdefault(device.name, device)
            if other is not device:
                device.position("name").wrong(f"the name {device.name!r} is there twice ({_shown(other.position('name'))})")


def _nothing(at: SourcePosition, what: str, name: str = "", known: Iterable[str] = ()) -> None:
    at.wrong(what, name, list(known))


def _shown(at: SourcePosition) -> str:
    return f"{at.source} @ {at.path or 'top level'}"


def _entry(device: object, at: SourcePosition) -> _Entry | None:
    if not isinstance(device, Mapping):
        _nothing(at, f"a device is an object, not {kind_of(device)}")
        return None
    for key in ("name", "type"):
        if key not in device:
            at.wrong(f"the device has no '{key}'", key, device)
        elif not isinstance(device[key], str) or not device[key]:
            at.at(key).wrong(f"{kind_of(device[key])} is not text with something in it")
    is_whole = all(isinstance(device.get(key), str) and device[key] for key in ("name", "type"))
    return _Entry(dict(device), at) if is_whole else None


def _device(config: dict[str, Any], head: JsonObject, entry: _Entry, at: SourcePosition) -> EnvironmentDevice | None:
    for key in ("name", "type"):
        if not isinstance(config[key], str) or not config[key]:
            where = _shown(entry.at.at(key))
            at.at(key).wrong(f"{kind_of(config[key])} is not text with something in it, as '{key}' must be ({where})")
            return None
    return EnvironmentDevice(config["name"], config["type"], config, head, entry.content, at, entry.at)


def _check_kinds(base: JsonObject, head: JsonObject, base_at: SourcePosition, at: SourcePosition) -> None:
    """Note where an object stands over something that is none: nobody knows what that means."""
    for key, value in head.items():
        if not isinstance(value, Mapping) or base.get(key) is None:
            continue
        if not isinstance(base[key], Mapping):
            at.at(key).wrong(f"an object cannot be merged into {kind_of(base[key])} ({_shown(base_at.at(key))})")
        else:
            _check_kinds(base[key], value, base_at.at(key), at.at(key))


def _together(base: JsonObject, head: JsonObject) -> dict[str, Any]:
    try:
        import jsonmerge  # type: ignore[import-untyped]
    except ImportError as error:
        raise PluginError(
            f"The lab source 'environment' needs a package that is not installed ({error}). "
            f"Install it with: {sys.executable} -m pip install 'robotframework-ottolibrary[testbed]'"
        ) from error
    merged: dict[str, Any] = jsonmerge.merge(base, head)
    return merged


def _first(key: str, value: JsonObject, at: SourcePosition) -> tuple[Any, SourcePosition] | None:
    for name, entry in value.items():
        if name == key:
            return None if entry is None else (entry, at.at(name))
        found = _first(key, entry, at.at(name)) if isinstance(entry, Mapping) else None
        if found is not None:
            return found
    return None


_NOT_SAID = object()


def _origins(value: object, base: object, head: object, path: str) -> Iterator[tuple[str, object, bool, object]]:
    """Yield path, value, whether the environment says it, and the value of the inventory that it replaces."""
    if isinstance(value, Mapping) and value and (head is _NOT_SAID or isinstance(head, Mapping)):
        for key, entry in value.items():
            below = base.get(key, _NOT_SAID) if isinstance(base, Mapping) else _NOT_SAID
            above = head.get(key, _NOT_SAID) if isinstance(head, Mapping) else _NOT_SAID
            yield from _origins(entry, below, above, f"{path}.{key}" if path else key)
    elif head is _NOT_SAID:
        yield path, value, False, _NOT_SAID
    else:
        yield path, value, True, base if base != value else _NOT_SAID


def _text(value: object) -> str:
    return "" if value is _NOT_SAID else json.dumps(value, ensure_ascii=False)
