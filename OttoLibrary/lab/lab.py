"""Labs: found by name or path, read, checked as a whole, merged, and handed out as frozen facts."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import reduce
from itertools import chain, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from OttoLibrary import registry
from OttoLibrary.contracts.facts import HostFacts, SnmpOptions
from OttoLibrary.contracts.labs import Reference
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.errors import LabError, UnknownNameError, ValueFormatError
from OttoLibrary.lab import fields, otto_hosts
from OttoLibrary.lab.settings import Settings
from OttoLibrary.lab.source import LabAnswer, ask
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.field_types import JsonObject
from OttoLibrary.schema.source_position import SourcePosition, has_references, references_in
from OttoLibrary.text import listed, reveal

_GLOB = re.compile(r"[*?\[]")
_OPERATORS = {"AND", "OR", "NOT"}
_HOSTS_FILE = "hosts.json"
# Fields of a host, and where they stand.
Layer = tuple[JsonObject, SourcePosition]


@dataclass(frozen=True)
class HostEntry:
    """One host as its lab says it, references unresolved.

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
        """What nobody else may have while it is used: what it is reserved as, and the resources of its labs."""
        return (*self.lab_resources, *self.reserved_as)

    @property
    def reserved_as(self) -> tuple[str, ...]:
        """What a reservation of it takes: its resources, or, when the lab names none, itself."""
        return self.resources or (f"{self.labs[0]}/{self.name}",)

    def written(self) -> dict[str, Any]:
        """Return its fields as written, the defaults beneath its own."""
        return _together(layer for layer, _ in self._layers)

    def values(self, problems: list[str], resolver: Any) -> dict[str, Any]:
        """Return its fields converted, references resolved by ``resolver``."""
        read = [fields.HOST.read(layer, replace(place, problems=problems, resolver=resolver)) for layer, place in self._layers]
        return {} if problems else _together(read)

    def console(self, problems: list[str]) -> Profile | None:
        """Return its profile; note a mistake when there is none of that name."""
        return fields.profile_named(self.profile, self.profiles, self.place(problems, "profile"))

    def place(self, problems: list[str], key: str = "") -> SourcePosition:
        """Return where a field stands, or the host itself when nobody says it; mistakes go to ``problems``."""
        places = [place.at(key) for layer, place in reversed(self._layers) if key in layer]
        return replace(next(iter(places), self._layers[-1][1]), problems=problems)


@dataclass(frozen=True, eq=False)
class Lab:
    """One or several labs, checked and merged.

    Attributes:
        name: Their names, joined with commas.
        description: What they are.
        metadata: What the files say for suites, as written.
        hosts: The hosts by name, in the order of the files.
    """

    name: str
    description: str
    metadata: JsonObject
    hosts: Mapping[str, HostEntry]
    _references: dict[str, Reference] = field(default_factory=dict, repr=False)
    _resolved: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _facts: dict[str, HostFacts] = field(default_factory=dict, repr=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def names(self) -> list[str]:
        """Return the names of all hosts."""
        return list(self.hosts)

    def entry(self, name: str) -> HostEntry:
        """Return what the file says about a host; raise UnknownNameError."""
        if name not in self.hosts:
            raise UnknownNameError("host", name, self.hosts)
        return self.hosts[name]

    def select(self, *expressions: str) -> list[str]:
        """Return the hosts that any of the expressions selects, in lab order; without expressions all of them.

        An expression is a name, a glob, ``tag:x`` or ``lab:x``, joined by ``AND``, ``OR`` and ``NOT``. As in Robot's tag
        patterns, AND binds closest and NOT least: ``tag:dut OR tag:rig NOT dut2`` leaves dut2 out of both.

        Raises:
            UnknownNameError: An exact name is no host.
            ValueFormatError: A word stands where none can.
        """
        chosen = set(chain.from_iterable(self._chosen(expression) for expression in expressions)) if expressions else self.hosts
        return [name for name in self.hosts if name in chosen]

    def _chosen(self, expression: str) -> set[str]:
        wanted, *unwanted = _split(_words(expression), "NOT")
        chosen = self._any_of(wanted) if wanted else set(self.hosts)
        return chosen.difference(*map(self._any_of, unwanted))

    def _any_of(self, words: list[str]) -> set[str]:
        return set().union(*(self._all_of(part) for part in _split(words, "OR")))

    def _all_of(self, words: list[str]) -> set[str]:
        return set.intersection(*(self._matching(" ".join(part)) for part in _split(words, "AND")))

    def _matching(self, pattern: str) -> set[str]:
        kind, colon, value = pattern.partition(":")
        if colon and kind in {"tag", "lab"}:
            return {name for name, entry in self.hosts.items() if _any_match(entry.tags if kind == "tag" else entry.labs, value)}
        if _GLOB.search(pattern):
            return {name for name in self.hosts if fnmatchcase(name, pattern)}
        return {self.entry(pattern).name}

    def path(self, name: str, hop: str | None = None) -> tuple[str, ...]:
        """Return the way to a host: its hops from the first on, itself last.

        Args:
            name: The host.
            hop: A hop to use in place of the lab's; empty for none.

        Raises:
            UnknownNameError: No such host.
            LabError: No such hop, or the hop itself is reached through the host.
        """
        before = self.entry(name).hop if hop is None else hop
        if not before:
            return (name,)
        if before not in self.hosts:
            raise LabError([f"Host '{name}' has no way: {UnknownNameError('hop', before, self.hosts)}"])
        way = (*_hops(self.hosts, before), name)
        if name in way[:-1]:
            raise LabError([f"Host '{name}' cannot be reached through '{before}', which is reached through '{name}' itself."])
        return way

    def facts(self, name: str) -> HostFacts:
        """Return all about a host, its references resolved; raise LabError with every one that has no value."""
        with self._turn:
            if name not in self._facts:
                entry, problems = self.entry(name), list[str]()
                values = entry.values(problems, self._resolve)
                console = entry.console(problems)
                if problems or console is None:
                    raise LabError(problems)
                self._facts[name] = fields.host_facts(name, entry.labs, values, console)
            return self._facts[name]

    def secrets(self, name: str) -> list[str]:
        """Return what must be masked of a host: its passwords, and what references bring into environment and metadata."""
        facts = self.facts(name)
        written = self.entry(name).written()
        places = [written.get("environment"), written.get("metadata")]
        with self._turn:
            referenced = [self._resolve(*reference) for place in places for reference in references_in(place)]
        # The usual community is a word of everyday text and no secret.
        community = facts.snmp.community if facts.snmp.community != SnmpOptions().community else None
        hidden = [facts.password, facts.passphrase, facts.ftp.password, community, *facts.accounts.values()]
        return list(dict.fromkeys([reveal(secret) for secret in hidden if secret is not None] + referenced))

    def close(self) -> None:
        """Give back what the references opened; a later use resolves anew."""
        with self._turn, contextlib.ExitStack() as stack:
            for known in (self._references, self._resolved, self._facts):
                stack.callback(known.clear)
            for reference in self._references.values():
                stack.callback(reference.close)

    def _resolve(self, kind: str, argument: str) -> str:
        if (kind, argument) not in self._resolved:
            if kind not in self._references:
                self._references[kind] = registry.load("reference", kind)
            self._resolved[kind, argument] = self._references[kind].resolve(argument)
        return self._resolved[kind, argument]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a lab file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A lab of OttoLibrary"}
    return {**head, **fields.LAB.definition(), "$defs": {part.name: part.definition() for part in (fields.HOST, fields.PROFILE)}}


def load_lab(references: str, suite_folder: Path | None = None, settings: Settings | None = None) -> Lab:
    """Return the labs that ``references`` names, joined with commas, as one.

    Args:
        references: Each ``SOURCE:NAME``, the path of a lab file, or a name.
        suite_folder: The folder of the suite; lab files are looked for in its ``labs`` and those of its parents first.
        settings: They may name the source of plain names, folders with lab files, and defaults of hosts.

    Raises:
        LabError: With every mistake in every lab.
    """
    wanted = listed(references)
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
        source: How messages call it.

    Raises:
        LabError: With every mistake.
    """
    place = SourcePosition(source, Path.cwd())
    part = _read(LabAnswer(source, plain_data.plain(content, place), place), None)
    return _whole([part], place.problems)


# -- reading


@dataclass(frozen=True)
class _Part:
    """What one reference brought."""

    name: str
    place: SourcePosition
    description: str
    metadata: JsonObject
    hosts: list[HostEntry]


def _outer(settings: Settings) -> Layer | None:
    """Return the defaults that the settings have for every host."""
    repository = next((repository for repository in settings.repositories if repository.defaults), None)
    return (repository.defaults, repository.place.at("defaults")) if repository else None


def _read(answer: LabAnswer, outer: Layer | None) -> _Part | None:
    if isinstance(answer.content, list):
        return _from_array(answer, answer.content, outer)
    if isinstance(answer.content, Mapping):
        return _from_object(answer, answer.content, outer)
    if not answer.place.problems:
        answer.place.wrong("a lab is a JSON object, or an array of hosts in otto's form")
    return None


def _from_object(answer: LabAnswer, content: JsonObject, outer: Layer | None) -> _Part:
    place = answer.place
    fields.LAB.read(content, place)
    name = _text(content, "name") or _default_name(answer)
    raw = {key: entry for key, entry in _nested(content, "hosts").items() if isinstance(entry, Mapping)}
    defaults = (_nested(content, "defaults"), place.at("defaults"))
    profiles = _nested(content, "profiles")
    for profile in profiles:
        fields.profile_named(profile, profiles, place.at("profiles").at(profile))
    beneath = [layer for layer in (outer, defaults) if layer]
    at = place.at("hosts")
    hosts = [_entry(host, (name,), [*beneath, (own, at.at(host))], profiles) for host, own in raw.items()]
    hosts = [replace(host, lab_resources=_texts(content, "resources")) for host in hosts]
    return _Part(name, place, _text(content, "description") or "", _nested(content, "metadata"), hosts)


def _from_array(answer: LabAnswer, content: list[object], outer: Layer | None) -> _Part:
    """Return otto's hosts: those that say that they are part of the lab, or all when none says so."""
    beneath = [outer] if outer else []
    found = otto_hosts.read_hosts(content, answer.place)
    is_named = any(answer.name in host.labs for host in found)
    hosts: dict[str, HostEntry] = {}
    for host in found:
        if host.name in hosts:
            host.place.wrong(f"host {host.name!r} is defined twice")
        hosts[host.name] = _entry(host.name, host.labs, [*beneath, (host.fields, host.place)])
    chosen = [host for host in hosts.values() if not is_named or answer.name in host.labs]
    return _Part(answer.name if is_named else _default_name(answer), answer.place, "", {}, chosen)


def _default_name(answer: LabAnswer) -> str:
    if answer.file is None:
        return answer.name
    return answer.file.parent.name if answer.file.name == _HOSTS_FILE else answer.file.stem


def _entry(name: str, labs: tuple[str, ...], layers: list[Layer], profiles: JsonObject = MappingProxyType({})) -> HostEntry:
    """Return a host; each layer of fields, the lowest first, loses what those above it say."""
    left: list[Layer] = []
    for index, (layer, place) in enumerate(layers):
        above = [upper for upper, _ in layers[index + 1 :]]
        left.append((reduce(fields.beneath, above, layer), replace(place, problems=[])))
    written = _together(layer for layer, _ in left)
    port = written.get("port")
    return HostEntry(
        name=name,
        labs=labs,
        source=layers[-1][1].source,
        transport=_text(written, "transport") or "ssh",
        address=_text(written, "address") or "",
        port=port if isinstance(port, int | str) else None,
        user=_text(written, "user"),
        hop=_text(written, "hop"),
        tags=_texts(written, "tags"),
        resources=_texts(written, "resources"),
        profile=_text(written, "profile") or "linux",
        profiles=profiles,
        _layers=tuple(left),
    )


def _together(layers: Iterable[JsonObject]) -> dict[str, Any]:
    """Return what layers say that have nothing of those above them, the lowest first; a null is dropped."""
    return reduce(fields.combine, layers, dict[str, Any]())


def _text(values: JsonObject, key: str) -> str | None:
    return value if isinstance(value := values.get(key), str) else None


def _texts(values: JsonObject, key: str) -> tuple[str, ...]:
    found = values.get(key)
    return tuple(entry for entry in found if isinstance(entry, str)) if isinstance(found, list) else ()


def _nested(values: JsonObject, key: str) -> JsonObject:
    return found if isinstance(found := values.get(key), Mapping) else {}


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
            entry.place(problems).wrong(f"host {entry.name!r} is defined differently in {other.source}")
        labs = tuple(dict.fromkeys([*other.labs, *entry.labs]))
        resources = tuple(dict.fromkeys([*other.lab_resources, *entry.lab_resources]))
        hosts[entry.name] = replace(other, labs=labs, lab_resources=resources)
    return hosts


def _merged_metadata(parts: Iterable[_Part], problems: list[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.metadata.items():
            if merged.setdefault(key, value) != value:
                replace(part.place.at("metadata"), problems=problems).wrong(f"{key!r} is defined differently in another lab")
    return merged


def _check(hosts: Mapping[str, HostEntry], problems: list[str]) -> None:
    """Note what only the whole host, or the whole lab, can tell."""
    circles: set[frozenset[str]] = set()
    for entry in hosts.values():
        at = entry.place(problems, "hop")
        if entry.transport not in {"local", "serial"} and not entry.address:
            entry.place(problems).wrong("'address' is missing")
        _check_port(entry, problems)
        if entry.profile not in entry.profiles:
            entry.console(problems)
        if entry.transport == "local" and entry.hop:
            at.wrong(f"host {entry.name!r} is local and cannot have a hop")
        if entry.hop and entry.hop not in hosts:
            at.wrong(f"hop {entry.hop!r} is not a host of the lab", entry.hop, hosts)
        way = _hops(hosts, entry.name)
        circle = way[: way.index(end) + 1] if (end := hosts[way[0]].hop) in way else ()
        if circle and frozenset(circle) not in circles:
            circles.add(frozenset(circle))
            round_trip = " -> ".join([*reversed(circle), circle[-1]])
            hosts[circle[-1]].place(problems, "hop").wrong(f"the hops run in a circle: {round_trip}")


def _check_port(entry: HostEntry, problems: list[str]) -> None:
    at, port = entry.place(problems, "port"), entry.port
    if entry.transport != "serial":
        if isinstance(port, str) and "/" in port and not has_references(port):
            at.wrong(f"{port!r} is a serial device, and transport {entry.transport!r} wants a port from 1 to 65535")
        return
    if not isinstance(port, str):
        at.wrong("a serial host needs a device such as '/dev/ttyUSB0', or a URL such as 'rfc2217://address:4001', as its 'port'")
    elif entry.hop and not has_references(port) and not port.startswith(("socket://", "rfc2217://")):
        at.wrong(
            f"{port!r} is a device of this machine, and hop {entry.hop!r} leads elsewhere; use a socket:// or rfc2217:// URL"
        )


def _hops(hosts: Mapping[str, HostEntry], name: str) -> tuple[str, ...]:
    """Return the hosts on the way to ``name``, itself last; a circle ends where it closes."""
    way = [name]
    while (hop := hosts[way[0]].hop) and hop in hosts and hop not in way:
        way.insert(0, hop)
    return tuple(way)


# -- selecting


def _any_match(words: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(word, pattern) for word in words)


def _words(expression: str) -> list[str]:
    """Return the words of a selection, checked, with ``AND NOT`` as ``NOT``."""
    words = expression.split()
    words = [word for word, after in pairwise([*words, ""]) if (word, after) != ("AND", "NOT")]
    bounded = [*([] if words[:1] == ["NOT"] else ["AND"]), *words, "AND"]
    if any(_OPERATORS.issuperset(neighbours) for neighbours in pairwise(bounded)):
        form = "a name, a glob, tag:x or lab:x stands on each side of AND, OR and NOT"
        raise ValueFormatError(f"'{expression}' selects no hosts: {form}, and NOT may come first.")
    return words


def _split(words: list[str], operator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == operator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
