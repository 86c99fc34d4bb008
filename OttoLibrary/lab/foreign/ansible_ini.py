"""Ansible inventories in INI: ``[group]``, ``[group:children]``, ``[group:vars]``, and a host with its variables on each line."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign.ansible import Group, convert_groups
from OttoLibrary.lab.foreign.conversion import Conversion

_SECTION = re.compile(r"\[([^\]:]+)(?::(\w+))?\]\s*(?:#.*)?")
_ASSIGNMENT = re.compile(r"[\w.\"'-]+\s*=")
_KINDS = (None, "children", "vars")
_TEXTS = ("pass", "user", "args", "host")


def is_inventory(text: str) -> bool:
    """Return True for text that names Ansible's variables, has sections of hosts, or hosts with variables.

    Words on lines may be anything, and sections of ``name = value`` are a configuration of something else.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    if any(line.startswith("ansible_") or " ansible_" in line for line in lines):
        return True
    sections = [found for line in lines if (found := _SECTION.fullmatch(line))]
    if sections:
        return any(found[2] for found in sections) or not any(_ASSIGNMENT.match(line) for line in lines)
    return not lines or (any("=" in line for line in lines) and not any(_line(Group(), None, line) for line in lines))


def convert(text: str, conversion: Conversion) -> None:
    """Add the hosts of an inventory; raise LabError with every line that is none of an inventory."""
    groups: dict[str, Group] = {}
    problems: list[str] = []
    name, kind = "ungrouped", None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        section = _SECTION.fullmatch(words)
        if section:
            name, kind = section[1].strip(), section[2]
            if kind not in _KINDS:
                problems.append(f"line {number}: '[{section[1]}:{kind}]' is none of [group], [group:children] and [group:vars].")
            groups.setdefault(name, Group())
            continue
        problem = _line(groups.setdefault(name, Group()), kind, words)
        if problem:
            problems.append(f"line {number}: {problem}")
    if problems:
        raise LabError(problems)
    convert_groups(groups, conversion)


def _line(group: Group, kind: str | None, line: str) -> str:
    """Read a line of a section; return what is wrong with it, or nothing."""
    if kind == "vars":
        name, sign, value = line.partition("=")
        if not sign:
            return "a line of [group:vars] is NAME=VALUE."
        group.variables[name.strip()] = _value(name.strip(), value.strip())
        return ""
    try:
        first, *rest = shlex.split(line, comments=True) or [""]
    except ValueError:
        return "a quote does not end."
    if kind == "children":
        group.children.append(first)
        return "" if not rest else "a line of [group:children] is the name of a group."
    if not all("=" in word for word in rest) or "=" in first:
        return "a line of hosts is a name, followed by NAME=VALUE."
    pairs = [word.partition("=") for word in rest]
    group.hosts.setdefault(first, {}).update({key: _value(key, value) for key, _, value in pairs})
    return ""


def _value(name: str, text: str) -> Any:
    """Return a value as Ansible reads it, by Python's rules where they fit; what is no number stays as it is written."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {"true": True, "false": False}.get(text.lower(), text)
    is_text = any(word in name for word in _TEXTS)
    return value if isinstance(value, str) or not is_text else text
