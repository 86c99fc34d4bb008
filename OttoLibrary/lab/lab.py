"""A lab: its hosts by name, the way to each, and its facts with references resolved."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from OttoLibrary import registry
from OttoLibrary.contracts.facts import HostFacts, SnmpOptions
from OttoLibrary.contracts.labs import Reference
from OttoLibrary.errors import LabError, OttoError, UnknownNameError
from OttoLibrary.lab import fields
from OttoLibrary.lab.host_entry import HostEntry
from OttoLibrary.lab.selection import meant, select
from OttoLibrary.schema.field_types import JsonObject
from OttoLibrary.schema.source_position import has_references, references_in
from OttoLibrary.text import reveal

MOST_HOPS = 16
# What people have to read in a log. References in any other key of a host may bring secrets.
_NO_SECRETS = {
    *("address", "transport", "port", "user", "identity_file", "hop", "host_key", "profile", "transfer", "tags", "resources"),
    *("cwd", "timeout", "connect_timeout", "keepalive", "serial"),
}
# References that cost nothing and ask nobody.
_AT_HAND = {"env", "file"}


@dataclass(frozen=True, eq=False)
class Lab:
    """One or several labs, checked and merged.

    Attributes:
        name: Their names, joined with commas.
        description: Their descriptions, a line each.
        metadata: Data of the files for suites, as written.
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
        """Return the hosts that any of the expressions selects, in lab order; see ``selection.select``."""
        return select(self.hosts, *expressions)

    def meant(self, expression: str) -> str:
        """Return a question for the tag or lab of a selection that no host has, or an empty string; see ``selection.meant``."""
        return meant(self.hosts, expression)

    def path(self, name: str, hop: str | None = None) -> tuple[str, ...]:
        """Return the path to a host: its hops, the first one first, and the host itself last.

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
            raise LabError([f"Host '{name}' cannot be reached: {UnknownNameError('hop', before, self.hosts)}"])
        way = (*hops_to(self.hosts, before), name)
        if name in way[:-1]:
            raise LabError([f"Host '{name}' cannot be reached through '{before}', which is reached through '{name}' itself."])
        return way

    def facts(self, name: str) -> HostFacts:
        """Return the facts of a host, its references resolved; raise LabError with each one that has no value."""
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
        """Return the secrets of a host: its passwords, and the values of references in every key that may hold a secret."""
        facts = self.facts(name)
        with self._turn:
            referenced = [self._resolve(*reference) for reference in _secret_references(self.entry(name).written())]
        # The usual community is a word of everyday text and no secret.
        community = facts.snmp.community if facts.snmp.community != SnmpOptions().community else None
        hidden = [facts.password, facts.passphrase, facts.ftp.password, community, *facts.accounts.values()]
        return list(dict.fromkeys([reveal(secret) for secret in hidden if secret is not None] + referenced))

    def secrets_at_hand(self) -> list[str]:
        """Return the secrets of all hosts that can be known without starting or asking anything, used or not."""
        found: dict[str, None] = {}
        with self._turn:
            for entry in self.hosts.values():
                written = entry.written()
                found |= dict.fromkeys(_literal_secrets(written))
                for kind, argument in _secret_references(written):
                    if kind in _AT_HAND:
                        # One without a value is a mistake only where its host is used.
                        with contextlib.suppress(LookupError, OttoError):
                            found[self._resolve(kind, argument)] = None
        return list(found)

    def close(self) -> None:
        """Close what the references opened; a later use resolves them again."""
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


def _secret_references(written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in written.items():
        if key not in _NO_SECRETS:
            yield from references_in(value)


def _literal_secrets(written: Mapping[str, Any]) -> Iterator[str]:
    """Yield passwords that are written into the lab itself."""
    accounts, ftp, snmp = (written.get(key) or {} for key in ("accounts", "ftp", "snmp"))
    community = snmp.get("community")
    values = [written.get("password"), written.get("passphrase"), ftp.get("password"), *accounts.values()]
    values += [] if community == reveal(SnmpOptions().community) else [community]
    yield from (value for value in values if isinstance(value, str) and not has_references(value))


def hops_to(hosts: Mapping[str, HostEntry], name: str) -> tuple[str, ...]:
    """Return the hosts on the way to ``name``, itself last; a circle ends where it closes."""
    way = {name: None}
    while (hop := hosts[name].hop) and hop in hosts and hop not in way:
        way[hop] = None
        name = hop
    return tuple(reversed(way))
