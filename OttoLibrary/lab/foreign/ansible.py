"""Ansible inventories: groups with hosts, children and variables, from YAML, from ``ansible-inventory --list``, or from INI."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign import ssh_words
from OttoLibrary.lab.foreign.conversion import MOST_HOSTS, Conversion, OwnReference, Tagged, entries, environment, port_of, table
from OttoLibrary.schema.field_types import JsonObject

_ALL = "all"
_NO_TAGS = {_ALL, "ungrouped"}
_RANGE = re.compile(r"\[([^\]:]+):([^\]:]+)(?::(\d+))?\]")
# Outside of brackets a colon is in front of the port; an address of IPv6 has several.
_PORT = re.compile(r"(?P<name>(?:\[[^\]]*\]|[^:\[\]])+):(?P<port>\d+)")
_LITERAL = re.compile(r"\[([0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]")
_TEMPLATE = re.compile(r"\{\{\s*(.+?)\s*\}\}")
_ENVIRONMENT = re.compile(r"(?:lookup|query)\(\s*['\"](?:ansible\.builtin\.)?env['\"]\s*,\s*['\"](\w+)['\"].*?\)")
_MOST_ROUNDS = 5
_SSH = {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "libssh", "ansible.netcommon.libssh"}
_LOCAL = {"local", "ansible.builtin.local"}
_NETWORK = {"network_cli", "netconf", "ansible.netcommon.network_cli", "ansible.netcommon.netconf"}
_CISCO = ("ios", "nxos", "iosxr", "asa")
# A variable of Ansible, best name first, and our field.
_FIELDS = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "identity_file": ("ansible_private_key_file", "ansible_ssh_private_key_file"),
    "connect_timeout": ("ansible_timeout", "ansible_ssh_timeout"),
}
_PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
_BECOME_PASSWORDS = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
# What only says how Ansible itself works on the host.
_OF_ANSIBLE = {
    "ansible_python_interpreter", "ansible_connection", "ansible_become", "ansible_become_user", "ansible_become_method",
    "ansible_network_os", "ansible_ssh_pipelining", "ansible_pipelining", "ansible_shell_type", "ansible_ssh_transfer_method",
    "ansible_become_flags", "ansible_become_exe", "ansible_ssh_retries", "ansible_scp_if_ssh", "ansible_group_priority",
}  # fmt: skip
_UNSAID = {
    "ansible_shell_type",
    "ansible_python_interpreter",
    "ansible_ssh_pipelining",
    "ansible_pipelining",
    "ansible_group_priority",
}


@dataclass
class Group:
    """A group of an inventory.

    Attributes:
        hosts: The variables of its hosts, by the name that the file gives them.
        children: The groups that are part of it.
        variables: Variables for its hosts, and for those of its children.
    """

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


def convert(content: JsonObject, conversion: Conversion) -> None:
    """Add the hosts of an inventory in YAML, or of what ``ansible-inventory --list`` prints."""
    groups: dict[str, Group] = {}
    for name, written in content.items():
        if name == "_meta":
            _group(groups, _ALL).hosts |= {
                str(host): dict(table(own)) for host, own in table(table(written).get("hostvars")).items()
            }
        else:
            _read_group(str(name), written, groups, conversion)
    convert_groups(groups, conversion)


def convert_groups(groups: dict[str, Group], conversion: Conversion) -> None:
    """Add the hosts of groups."""
    depths = _depths(groups)
    members = _members(groups)
    own: dict[str, dict[str, Any]] = {}
    for group in groups.values():
        for pattern, variables in group.hosts.items():
            for name, port in _names(pattern):
                own.setdefault(name, {}).update({**({"ansible_port": port} if port else {}), **variables})
            if len(own) > MOST_HOSTS:
                raise LabError([f"The inventory has more than {MOST_HOSTS} hosts. Split it."])
    ordered = sorted(groups, key=lambda name: (depths.get(name, 0), _priority(groups[name]), name))
    names = {name: conversion.name_of(name) for name in own}
    jumps: list[tuple[str, ssh_words.SshWords]] = []
    for original, variables in own.items():
        of_host = [name for name in ordered if name == _ALL or original in members[name]]
        merged: dict[str, Any] = {}
        for name in of_host:
            merged |= groups[name].variables
        merged = {"inventory_hostname": original, **merged, **variables}
        tags = [name for name in of_host if name not in _NO_TAGS]
        if words := _add(names[original], original, _Values(merged, names[original], conversion), tags, conversion):
            jumps.append((names[original], words))
    for name, words in jumps:
        _add_hops(name, words, conversion)


# -- groups


def _group(groups: dict[str, Group], name: str) -> Group:
    return groups.setdefault(name, Group())


def _read_group(name: str, written: object, groups: dict[str, Group], conversion: Conversion) -> None:
    group = _group(groups, name)
    if isinstance(written, list):
        written = {"hosts": written}
    for key, value in table(written).items():
        if key == "hosts":
            hosts = {str(host): {} for host in entries(value)} if isinstance(value, list) else table(value)
            if isinstance(value, str):
                hosts = {value: {}}
            for host, variables in hosts.items():
                group.hosts.setdefault(str(host), {}).update(table(variables))
        elif key == "children":
            children = {str(child): None for child in value} if isinstance(value, list) else table(value)
            for child, inner in children.items():
                group.children.append(str(child))
                _read_group(str(child), inner, groups, conversion)
        elif key == "vars":
            group.variables |= table(value)
        else:
            conversion.note("", f"key {key!r} of group {name!r} is not carried over: a group has hosts, children and vars")


def _priority(group: Group) -> int:
    try:
        return int(group.variables.get("ansible_group_priority", 1))
    except (TypeError, ValueError):
        return 1


def _depths(groups: Mapping[str, Group]) -> dict[str, int]:
    """Return how deep below ``all`` each group is; circles end."""
    depths = {name: 0 if name == _ALL else 1 for name in groups}
    for _ in range(min(len(groups), 50)):
        before = dict(depths)
        for name, group in groups.items():
            for child in group.children:
                if child in depths and child != _ALL:
                    depths[child] = min(max(depths[child], before[name] + 1), len(groups))
        if depths == before:
            break
    return depths


def _members(groups: Mapping[str, Group]) -> dict[str, set[str]]:
    """Return all hosts of each group, those of its children too."""

    def below(name: str, seen: set[str]) -> Iterator[str]:
        if name in seen or name not in groups:
            return
        seen.add(name)
        for pattern in groups[name].hosts:
            yield from (host for host, _ in _names(pattern))
        for child in groups[name].children:
            yield from below(child, seen)

    return {name: set(below(name, set())) for name in groups}


def _names(pattern: str) -> list[tuple[str, int | None]]:
    """Return the hosts that a name with ranges such as ``web[01:20]`` means, with a port behind a colon."""
    found = _PORT.fullmatch(pattern)
    name = found["name"] if found else pattern
    port = int(found["port"]) if found else None
    literal = _LITERAL.fullmatch(name)
    return [(literal[1], port)] if literal else [(each, port) for each in _expanded(name, MOST_HOSTS)]


def _expanded(pattern: str, most: int) -> list[str]:
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    steps = list(_steps(found[1], found[2], int(found[3] or 1)))
    rest = _expanded(pattern[found.end() :], most)
    if not steps or len(steps) * len(rest) > most:
        raise LabError([f"The range in '{pattern}' is not one of 1 to {most} hosts."])
    return [pattern[: found.start()] + step + end for step in steps for end in rest]


def _steps(first: str, last: str, step: int) -> Iterable[str]:
    if first.isdecimal() and last.isdecimal():
        count = min(max(int(last) - int(first), 0) // max(step, 1), MOST_HOSTS) + 1
        return [
            str(int(first) + index * max(step, 1)).zfill(len(first) if first.startswith("0") else 0) for index in range(count)
        ]
    letters = string.ascii_letters
    if first in letters and last in letters:
        return letters[letters.index(first) : letters.index(last) + 1 : max(step, 1)]
    return []


# -- variables


@dataclass
class _Values:
    """The variables of a host, templates filled in where all that they name is in the file."""

    variables: JsonObject
    host: str
    conversion: Conversion

    def first(self, names: Iterable[str], *, secret: bool = False) -> Any:
        """Return the value of the first variable that is there; None when it cannot be known from the file."""
        name = next((name for name in names if self.variables.get(name) is not None), None)
        if name is None:
            return None
        value = self.filled(self.variables[name])
        if not _is_template(value) or secret:
            return value
        self.conversion.note(self.host, f"{name!r} is not carried over: only Ansible can fill in its template")
        return None

    def filled(self, value: object) -> object:
        """Return a value with its templates filled in, as far as the file knows them."""
        if not isinstance(value, str) or isinstance(value, Tagged):
            return value
        text, is_reference = str(value), False
        for _ in range(_MOST_ROUNDS):
            if not _TEMPLATE.search(text) or len(text) > 10_000:
                break
            whole = _ENVIRONMENT.search(text)
            is_reference = is_reference or whole is not None
            filled = _TEMPLATE.sub(self._value_of, text)
            if filled == text:
                break
            text = filled
        return OwnReference(text) if is_reference and not _TEMPLATE.search(text) else text

    def _value_of(self, found: re.Match[str]) -> str:
        looked_up = _ENVIRONMENT.match(found[1])
        if looked_up:
            return environment(looked_up[1])
        value = self.variables.get(found[1])
        is_plain = isinstance(value, str | int | float) and not isinstance(value, Tagged | bool)
        return str(value) if is_plain else found[0]


def _is_template(value: object) -> bool:
    if isinstance(value, Tagged):
        return True
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _add(name: str, original: str, values: _Values, tags: list[str], conversion: Conversion) -> ssh_words.SshWords | None:
    """Add a host, and return what the arguments of its ssh say; None when they say nothing of a hop."""
    connection = str(values.first(("ansible_connection",)) or "ssh")
    if connection in _LOCAL:
        conversion.add(name, {"transport": "local", "tags": tags, "metadata": _metadata(name, values, conversion)})
        return None
    if connection not in _SSH | _NETWORK:
        conversion.note(name, f"the host is not carried over: connection {connection!r} has no counterpart")
        return None
    words = ssh_words.read(" ".join(str(values.first((key,)) or "") for key in _ARGUMENTS))
    given = {key: values.first(names) for key, names in _FIELDS.items()}
    given = {**words.fields, **{key: value for key, value in given.items() if value is not None}}
    given["port"] = port_of(given.get("port"))
    given["connect_timeout"] = port_of(given.get("connect_timeout"))
    given["address"] = given.get("address") or original
    user = str(given.get("user") or "")
    password = values.first(_PASSWORDS, secret=True)
    if password is not None:
        given["password"] = _secret(name, user, password, conversion)
    given["accounts"] = _accounts(name, values, conversion)
    if str(values.variables.get("ansible_network_os", "")).rpartition(".")[2] in _CISCO:
        given["profile"] = "cisco-ios"
    for sentence in words.rest:
        conversion.note(name, sentence)
    conversion.add(name, {**given, "tags": tags, "metadata": _metadata(name, values, conversion)})
    return words if words.jumps else None


def _secret(name: str, user: str, value: object, conversion: Conversion) -> str:
    only_name = _TEMPLATE.fullmatch(value) if isinstance(value, str) else None
    if only_name and re.fullmatch(r"\w+", only_name[1]):
        # The name of a variable that is kept elsewhere, such as in a vault, is the best name.
        conversion.note(
            name, f"its password of {user or 'the login'} is not in the file: set the environment variable {only_name[1].upper()}"
        )
        return environment(only_name[1].upper())
    return conversion.secret(name, user, value)


def _accounts(name: str, values: _Values, conversion: Conversion) -> dict[str, str]:
    if str(values.variables.get("ansible_become_method", "")).rpartition(".")[2] == "enable":
        conversion.note(name, "its password of 'enable' is not carried over: type it with Send To Host, from a variable of Robot")
        return {}
    user = str(values.first(("ansible_become_user",)) or "root")
    password = values.first(_BECOME_PASSWORDS, secret=True)
    if password is None:
        if str(values.variables.get("ansible_become", "")).lower() in {"true", "yes"}:
            conversion.note(name, "'ansible_become' is not carried over: use the keyword Switch User On Host")
        return {}
    return {user: _secret(name, user, password, conversion)}


def _metadata(name: str, values: _Values, conversion: Conversion) -> dict[str, Any]:
    """Return the variables that are not Ansible's own, and note those of Ansible that nothing here stands for."""
    used = {*_PASSWORDS, *_BECOME_PASSWORDS, *_ARGUMENTS, *_OF_ANSIBLE, *(key for keys in _FIELDS.values() for key in keys)}
    own: dict[str, Any] = {}
    for key, written in values.variables.items():
        if key == "inventory_hostname" or key in _UNSAID:
            continue
        if key in {"ansible_host_key_checking", "ansible_ssh_host_key_checking"}:
            conversion.note(name, ssh_words.ACCEPTED.replace("StrictHostKeyChecking=no", f"{key!r}"))
        elif key.startswith("ansible_"):
            if key not in used:
                conversion.note(name, f"{key!r} is not carried over: it has no counterpart")
        elif _is_template(value := values.filled(written)):
            conversion.note(name, f"{key!r} is not carried over: only Ansible can fill in its template")
        else:
            own[key] = value
    return conversion.metadata(name, own)


def _add_hops(name: str, words: ssh_words.SshWords, conversion: Conversion) -> None:
    before: str | None = None
    for index, jump in enumerate(words.jumps):
        given = words.jump_fields if index == len(words.jumps) - 1 else {}
        extra = {"hop": before} if before else {}
        destination = jump
        if "{{" in jump or "{%" in jump:
            conversion.note(name, "its hop is not carried over: only Ansible can fill in its template")
            return
        before = conversion.hop(name, destination, **given, **extra)
        if before is None:
            return
    conversion.add(name, {"hop": before})
