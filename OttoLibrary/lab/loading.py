"""Labs loaded: read from their sources, merged, and checked as a whole before the first host is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from OttoLibrary.errors import LabError
from OttoLibrary.lab import fields, otto_hosts
from OttoLibrary.lab.host_entry import HostEntry, Layer, host_entry, nested, text_of, texts_of
from OttoLibrary.lab.lab import MOST_HOPS, Lab
from OttoLibrary.lab.settings import Settings
from OttoLibrary.lab.source import LabAnswer, ask, split
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.field_types import JsonObject
from OttoLibrary.schema.source_position import SourcePosition, has_references

_HOSTS_FILE = "hosts.json"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a lab file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A lab of OttoLibrary"}
    return {**head, **fields.LAB.definition(), "$defs": {part.name: part.definition() for part in (fields.HOST, fields.PROFILE)}}


def load_lab(references: str, suite_folder: Path | None = None, settings: Settings | None = None) -> Lab:
    """Return the labs named in ``references``, separated by commas, merged into one.

    Args:
        references: Each ``SOURCE:NAME``, the path of a lab file, or a name.
        suite_folder: The folder of the suite; lab files are looked for in its ``labs`` and those of its parents first.
        settings: They may name the source of plain names, folders with lab files, and defaults of hosts.

    Raises:
        LabError: With every mistake in every lab.
    """
    wanted = split(references)
    if not wanted:
        raise LabError(["No lab is given. Give the name of a lab, such as 'demo', or the path of its file."])
    parts: list[_Part | None] = []
    problems: list[str] = []
    given = settings or Settings()
    for reference in dict.fromkeys(wanted):
        answer = ask(reference, suite_folder, given, problems)
        parts.append(_read(answer, _outer(given)) if answer else None)
    return _whole(parts, problems)


def check_lab(content: object, source: str) -> Lab:
    """Return the lab that a source gives as plain data, checked as a file is.

    Args:
        content: What the source gave.
        source: What messages call it.

    Raises:
        LabError: With every mistake.
    """
    position = SourcePosition(source, Path.cwd())
    part = _read(LabAnswer(source, plain_data.plain(content, position), position), None)
    return _whole([part], position.problems)


# -- reading


@dataclass(frozen=True)
class _Part:
    """What one reference gave."""

    name: str
    position: SourcePosition
    description: str
    metadata: JsonObject
    hosts: list[HostEntry]


def _outer(settings: Settings) -> Layer | None:
    """Return the defaults of the settings for every host."""
    repository = next((repository for repository in settings.repositories if repository.defaults), None)
    return (repository.defaults, repository.position.at("defaults")) if repository else None


def _read(answer: LabAnswer, outer: Layer | None) -> _Part | None:
    if isinstance(answer.content, list):
        return _from_array(answer, answer.content, outer)
    if isinstance(answer.content, Mapping):
        return _from_object(answer, answer.content, outer)
    if not answer.position.problems:
        answer.position.wrong("a lab is a JSON object, or an array of hosts in otto's form")
    return None


def _from_object(answer: LabAnswer, content: JsonObject, outer: Layer | None) -> _Part:
    position = answer.position
    fields.LAB.read(content, position)
    name = text_of(content, "name") or _default_name(answer)
    raw = {key: entry for key, entry in nested(content, "hosts").items() if isinstance(entry, Mapping)}
    defaults = (nested(content, "defaults"), position.at("defaults"))
    profiles = nested(content, "profiles")
    for profile in profiles:
        fields.profile_named(profile, profiles, position.at("profiles").at(profile))
    beneath = [layer for layer in (outer, defaults) if layer]
    at = position.at("hosts")
    hosts = [host_entry(host, (name,), [*beneath, (own, at.at(host))], profiles) for host, own in raw.items()]
    hosts = [replace(host, lab_resources=texts_of(content, "resources")) for host in hosts]
    return _Part(name, position, text_of(content, "description") or "", nested(content, "metadata"), hosts)


def _from_array(answer: LabAnswer, content: list[object], outer: Layer | None) -> _Part:
    """Return otto's hosts: those whose ``labs`` name the lab, or all when none does."""
    beneath = [outer] if outer else []
    found = otto_hosts.read_hosts(content, answer.position)
    is_named = any(answer.name in host.labs for host in found)
    hosts: dict[str, HostEntry] = {}
    for host in found:
        if host.name in hosts:
            host.position.wrong(f"host {host.name!r} is defined twice")
        hosts[host.name] = host_entry(host.name, host.labs, [*beneath, (host.fields, host.position)])
    chosen = [host for host in hosts.values() if not is_named or answer.name in host.labs]
    return _Part(answer.name if is_named else _default_name(answer), answer.position, "", {}, chosen)


def _default_name(answer: LabAnswer) -> str:
    if answer.file is None:
        return answer.name
    return answer.file.parent.name if answer.file.name == _HOSTS_FILE else answer.file.stem


# -- merging and checking


def _whole(found: Iterable[_Part | None], problems: list[str]) -> Lab:
    parts = [part for part in found if part]
    hosts = _merged_hosts(parts, problems)
    _check(hosts, problems)
    lab = Lab(
        name=",".join(dict.fromkeys(part.name for part in parts)),
        description="\n".join(dict.fromkeys(part.description for part in parts if part.description)),
        metadata=MappingProxyType(_merged_metadata(parts, problems)),
        hosts=MappingProxyType(hosts),
    )
    if problems:
        raise LabError(list(dict.fromkeys(problems)))
    return lab


def _merged_hosts(parts: Iterable[_Part], problems: list[str]) -> dict[str, HostEntry]:
    hosts: dict[str, HostEntry] = {}
    for entry in chain.from_iterable(part.hosts for part in parts):
        other = hosts.setdefault(entry.name, entry)
        if other.written() != entry.written():
            entry.position(problems).wrong(f"host {entry.name!r} is defined differently in {other.source}")
        labs = tuple(dict.fromkeys([*other.labs, *entry.labs]))
        resources = tuple(dict.fromkeys([*other.lab_resources, *entry.lab_resources]))
        hosts[entry.name] = replace(other, labs=labs, lab_resources=resources)
    return hosts


def _merged_metadata(parts: Iterable[_Part], problems: list[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.metadata.items():
            if merged.setdefault(key, value) != value:
                replace(part.position.at("metadata"), problems=problems).wrong(f"{key!r} is defined differently in another lab")
    return merged


def _check(hosts: Mapping[str, HostEntry], problems: list[str]) -> None:
    """Note the mistakes that show only in a whole host or a whole lab."""
    for entry in hosts.values():
        at = entry.position(problems, "hop")
        if entry.transport not in {"local", "serial"} and not entry.address:
            entry.position(problems).wrong("'address' is missing")
        _check_port(entry, problems)
        if entry.profile not in entry.profiles:
            entry.console(problems)
        if entry.transport == "local" and entry.hop:
            at.wrong(f"host {entry.name!r} is local and cannot have a hop")
        if entry.hop and entry.hop not in hosts:
            at.wrong(f"hop {entry.hop!r} is not a host of the lab", entry.hop, hosts)
        _check_lease_hooks(entry, hosts, problems)
    _check_hops(hosts, problems)


def _check_lease_hooks(entry: HostEntry, hosts: Mapping[str, HostEntry], problems: list[str]) -> None:
    for key in ("before_lease", "after_lease"):
        steps = entry.written().get(key)
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            name = text_of(step, "host") if isinstance(step, Mapping) else None
            if name is not None and name not in hosts:
                at = entry.position(problems, key).at(number).at("host")
                at.wrong(f"host {name!r} is not a host of the lab", name, hosts)


def _check_hops(hosts: Mapping[str, HostEntry], problems: list[str]) -> None:
    """Note circles of hops, and the first host that is behind too many; each host is looked at once."""
    depths: dict[str, int] = {}
    for start in hosts:
        way: dict[str, None] = {}
        name: str | None = start
        while name and name in hosts and name not in depths and name not in way:
            way[name] = None
            name = hosts[name].hop
        if name in way:
            _note_circle(hosts, list(way)[list(way).index(name) :], problems)
        depth = depths.get(name or "", -1)
        for behind in reversed(way):
            depth += 1
            depths[behind] = 0 if name in way else depth
    far = next((name for name, depth in depths.items() if depth > MOST_HOPS), None)
    if far is not None:
        at = hosts[far].position(problems, "hop")
        at.wrong(f"host {far!r} is behind {depths[far]} hops, and {MOST_HOPS} are the most that a host can have")


def _note_circle(hosts: Mapping[str, HostEntry], circle: list[str], problems: list[str]) -> None:
    shown = circle if len(circle) <= MOST_HOPS else [*circle[:MOST_HOPS], f"{len(circle) - MOST_HOPS} more"]
    hosts[circle[0]].position(problems, "hop").wrong(f"the hops run in a circle: {' -> '.join([*shown, circle[0]])}")


def _check_port(entry: HostEntry, problems: list[str]) -> None:
    at, port = entry.position(problems, "port"), entry.port
    if entry.transport != "serial":
        if isinstance(port, str) and "/" in port and not has_references(port):
            at.wrong(f"{port!r} is a serial device, and transport {entry.transport!r} needs a port from 1 to 65535")
        return
    if not isinstance(port, str):
        at.wrong("a serial host needs a device such as '/dev/ttyUSB0', or a URL such as 'rfc2217://address:4001', as its 'port'")
    elif entry.hop and not has_references(port) and not port.startswith(("socket://", "rfc2217://")):
        at.wrong(
            f"{port!r} is a device of this machine, and hop {entry.hop!r} leads elsewhere; use a socket:// or rfc2217:// URL"
        )
