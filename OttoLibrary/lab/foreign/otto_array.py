"""otto's ``hosts.json``: the array form, which loads as it is, written as a lab file of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign.conversion import Conversion, OwnReference
from OttoLibrary.lab.otto_hosts import read_hosts
from OttoLibrary.schema.source_position import SourcePosition, has_references

_SAID = {"ne", "neId", "board", "slot", "hw_version", "sw_version", "is_virtual"}


def is_array(content: object) -> bool:
    """Return True for an array of otto's hosts."""
    return isinstance(content, list) and bool(content) and all(isinstance(entry, dict) and "creds" in entry for entry in content)


def convert(content: list[object], file: Path, conversion: Conversion) -> None:
    """Add the hosts of the array; raise LabError for what would not load either."""
    position = SourcePosition.in_file(file)
    hosts = read_hosts(content, position)
    if position.problems:
        raise LabError(position.problems)
    seen: set[str] = set()
    for host in hosts:
        if host.name in seen:
            raise LabError([f"Host '{host.name}' is there twice."])
        seen.add(host.name)
        name = conversion.name_of(host.name)
        fields = dict(host.fields)
        user = str(fields.get("user") or "")
        for key in ("address", "user", "identity_file"):
            fields[key] = _text(fields.get(key))
        if "password" in fields:
            fields["password"] = _secret(name, user, fields["password"], conversion)
        fields["accounts"] = {login: _secret(name, login, word, conversion) for login, word in fields.get("accounts", {}).items()}
        for key in fields.get("metadata", {}).keys() - _SAID:
            conversion.note(name, f"{key!r} has no counterpart and is only kept in the metadata")
        fields["metadata"] = conversion.metadata(name, fields.get("metadata", {}))
        fields["ssh"] = {key: value for key, value in fields.get("ssh", {}).items() if value is not None}
        conversion.add(name, {**fields, "tags": list(host.labs)})
    if len({host.labs for host in hosts}) > 1:
        conversion.note("", "hosts of several labs stand in one lab now; the names of their labs are tags")


def _text(value: Any) -> Any:
    """Return text whose references count: the array loads here as it is, and there they do."""
    return OwnReference(value) if isinstance(value, str) and has_references(value) else value


def _secret(name: str, user: str, value: Any, conversion: Conversion) -> str:
    known = _text(value)
    return known if isinstance(known, OwnReference) else conversion.secret(name, user, value)
