"""What a conversion collects: hosts in our form, references in place of secrets, and what could not be carried over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from OttoLibrary.errors import LabError
from OttoLibrary.lab import fields
from OttoLibrary.lab.loading import check_lab
from OttoLibrary.schema.field_types import JsonObject
from OttoLibrary.schema.source_position import SourcePosition, has_references
from OttoLibrary.text import printable, some

MOST_HOSTS = 10_000
_SHOWN_HOSTS = 3
_SHORTEST_SECRET = 4
_NO_NAME = re.compile(r"[^\w.@+-]")
_NO_VARIABLE = re.compile(r"[^A-Z0-9]+")
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase|code)?($|_)|password|secret|token|credential|communit|vault|(api|private|access|auth|shared)_?key|^key$|psk",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(r"-----BEGIN|://[^/\s:@]*:[^/\s@]+@|\$ANSIBLE_VAULT")
_DESTINATION = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?:\[(?P<literal>[^\]\s]+)\]|(?P<name>[^:\s\[\]]+))(?::(?P<port>\d+))?/?"
)


class Tagged(str):
    """Text behind a tag of YAML, such as ``!vault``.

    Attributes:
        tag: The tag.
    """

    __slots__ = ("tag",)
    tag: str

    @classmethod
    def made(cls, tag: str, text: str) -> Tagged:
        """Return the text with its tag."""
        tagged = cls(text)
        tagged.tag = tag
        return tagged


class OwnReference(str):
    """Text with a ``${kind:argument}`` that we wrote; one of a foreign file is text, and is never resolved."""

    __slots__ = ()


def environment(name: str) -> OwnReference:
    """Return the reference to an environment variable."""
    return OwnReference(f"${{env:{name}}}")


@dataclass
class Conversion:
    """One file on its way to a lab.

    Attributes:
        name: The name of the lab.
        description: What the lab is, if the file says so.
        hosts: The fields of each host.
        profiles: Profiles of consoles.
    """

    name: str
    description: str = ""
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    _notes: dict[str, list[str]] = field(default_factory=dict)
    _variables: dict[tuple[str, str], str] = field(default_factory=dict)
    _secrets: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)

    # -- what is not carried over

    def note(self, where: str, what: str) -> None:
        """Note what could not be carried over; ``where`` is the host, or empty for the whole file."""
        places = self._notes.setdefault(what, [])
        if where not in places:
            places.append(where)

    def notes(self) -> Iterator[str]:
        """Yield a line for each note; hosts of which the same is to be said share one, and no line shows a secret."""
        for what, places in self._notes.items():
            shown = some(places, _SHOWN_HOSTS)
            yield self._masked(printable(f"{shown}: {what}" if shown else what))

    # -- secrets

    def secret(self, host: str, user: str, value: object, kind: str = "password") -> OwnReference | str:
        """Return what a lab file says in place of a secret: a reference to an environment variable.

        The same secret of the same login is one variable, so that a lab with one login for all hosts needs one.
        """
        if isinstance(value, OwnReference):
            return value
        text = str(value)
        if not text and not isinstance(value, Tagged):
            return ""
        if not isinstance(value, Tagged):
            self._secrets.add(text)
        known = self._variables.get((f"{user} {kind}", text))
        if known is None:
            known = self._variable_name(host, user, kind)
            self._variables[f"{user} {kind}", text] = known
        self.note(host, f"its {kind}{f' of {user}' if user else ''} is not in the lab file: set the environment variable {known}")
        return environment(known)

    def _variable_name(self, host: str, user: str, kind: str) -> str:
        taken = set(self._variables.values())
        short = _variable(self.name, user, kind)
        wanted = short if short not in taken else _variable(self.name, host, user, kind)
        return next(
            name for number in range(len(taken) + 2) if (name := f"{wanted}_{number + 1}" if number else wanted) not in taken
        )

    def _masked(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "<secret>")
        return text

    # -- hosts

    def name_of(self, original: object) -> str:
        """Return the name of the host that the file calls ``original``: the same, or one that a lab file can have."""
        text = str(original)
        if text in self._names:
            return self._names[text]
        name = _NO_NAME.sub("-", text).strip("-") or "host"
        if name in {"AND", "OR", "NOT"}:
            name = f"host-{name}"
        taken = set(self._names.values())
        unique = next(
            each for number in range(len(taken) + 2) if (each := f"{name}-{number + 1}" if number else name) not in taken
        )
        self._names[text] = unique
        if unique != text:
            self.note("", f"{text!r} is called {unique!r}, since a host cannot have that name")
        return unique

    def add(self, name: str, given: JsonObject) -> None:
        """Add a host; what a lab file cannot hold is left out and noted. ``name`` is from ``name_of``."""
        if len(self.hosts) >= MOST_HOSTS:
            raise LabError([f"The file has more than {MOST_HOSTS} hosts. Split it."])
        host = self.hosts.setdefault(name, {})
        for key, value in given.items():
            if value is None or value in ({}, [], ()):
                continue
            problem = self._problem(key, value)
            if problem:
                self.note(name, f"{key!r} is not carried over: {problem}")
            else:
                host[key] = value

    def metadata(self, name: str, given: JsonObject) -> dict[str, Any]:
        """Return what of ``given`` may be metadata: plain values without a secret; the rest is noted."""
        return {str(key): value for key, value in given.items() if value is not None and self._is_harmless(name, str(key), value)}

    def hop(self, behind: str, destination: str, **given: Any) -> str | None:
        """Return the host that ``[user@]host[:port]`` means, made when there is none; None with a note when it is not that."""
        found = _DESTINATION.fullmatch(destination.strip())
        if found is None:
            self.note(behind, "its hop is not carried over: it is not [user@]host[:port]")
            return None
        address = found["literal"] or found["name"]
        said = {"user": found["user"], "port": int(found["port"]) if found["port"] else None, **given}
        said = {key: value for key, value in said.items() if value is not None}
        for name, host in self.hosts.items():
            is_it = address in {name, host.get("address")}
            if is_it and name != behind and all(host.get(key, value) == value for key, value in said.items()):
                return name
        name = self.name_of(destination if address in self._names else address)
        self.add(name, {"address": address, **said, "tags": ["hop"]})
        return name

    def finished(self) -> dict[str, Any]:
        """Return the lab, which loads; raise LabError when it cannot."""
        for name, host in self.hosts.items():
            if host.get("hop") is not None and host["hop"] not in self.hosts:
                self.note(name, f"its hop {host.pop('hop')!r} is not carried over: there is no such host")
        hosts = {name: self._without_secrets(name, host) for name, host in self.hosts.items()}
        content: dict[str, Any] = {"name": self.name}
        if self.description:
            content["description"] = self.description
        content["hosts"] = hosts
        if self.profiles:
            content["profiles"] = self.profiles
        check_lab(content, f"the lab made from '{self.name}'")
        return content

    def _problem(self, key: str, value: object) -> str:
        """Return why a value cannot stand in a lab file, or nothing."""
        if _has_foreign_references(value):
            return "it holds ${...}, which would be a reference in a lab file"
        problems: list[str] = []
        fields.HOST.read({key: value}, SourcePosition("", Path.cwd(), problems))
        return problems[0].removeprefix(": ").partition(" @ ")[0] if problems else ""

    def _is_harmless(self, name: str, key: str, value: object) -> bool:
        if _SECRET_KEY.search(key) or _holds_secret(value):
            self.note(name, f"{key!r} is not carried over: it may hold a secret")
        elif _has_foreign_references(value):
            self.note(name, f"{key!r} is not carried over: it holds ${{...}}, which would be a reference in a lab file")
        else:
            return True
        return False

    def _without_secrets(self, name: str, host: dict[str, Any]) -> dict[str, Any]:
        """Return a host without metadata that repeat one of the secrets that were found."""
        kept = host.get("metadata")
        if not kept:
            return host
        left = {key: value for key, value in kept.items() if self._masked(str(value)) == str(value)}
        for key in kept.keys() - left.keys():
            self.note(name, f"{key!r} is not carried over: it repeats a secret")
        return {key: left if key == "metadata" else value for key, value in host.items() if key != "metadata" or left}


def _variable(*parts: str) -> str:
    name = "_".join(filter(None, (_NO_VARIABLE.sub("_", part.upper()).strip("_") for part in parts)))
    return name if name[:1].isalpha() else f"LAB_{name}"


def _has_foreign_references(value: object) -> bool:
    if isinstance(value, str):
        return not isinstance(value, OwnReference) and has_references(value)
    if isinstance(value, Mapping):
        return any(map(_has_foreign_references, [*value, *value.values()]))
    return isinstance(value, list | tuple) and any(map(_has_foreign_references, value))


def _holds_secret(value: object) -> bool:
    """Return True when a value looks like a secret, or has a key inside that does."""
    if isinstance(value, Tagged):
        return value.tag == "!vault"
    if isinstance(value, str):
        return bool(_SECRET_TEXT.search(value))
    if isinstance(value, Mapping):
        return any(bool(_SECRET_KEY.search(str(key))) or _holds_secret(entry) for key, entry in value.items())
    return isinstance(value, list | tuple) and any(map(_holds_secret, value))


def table(value: object) -> JsonObject:
    """Return an object of foreign data, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> list[Any]:
    """Return a list of foreign data, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def port_of(value: object) -> object:
    """Return a port as a number when it is one in quotes."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10 else value
