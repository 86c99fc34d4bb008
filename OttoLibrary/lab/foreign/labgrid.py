"""Environments of labgrid: targets with resources (ways to a board) and drivers (how to use them)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from OttoLibrary.lab.foreign.conversion import Conversion, Tagged, entries, port_of, table
from OttoLibrary.schema.field_types import JsonObject

_SERIAL = {"RawSerialPort", "NetworkSerialPort"}
_LOADERS = {"UBootDriver": "uboot", "BareboxDriver": "raw"}
_USED = {
    "SSHDriver": {"keyfile", "name", "bindings", "connection_timeout", "username", "su_username", "su_password"},
    "ShellDriver": {"prompt", "login_prompt", "username", "password", "name", "bindings", "keyfile"},
    "SerialDriver": {"name", "bindings"},
    "UBootDriver": {"prompt", "name", "bindings"},
    "BareboxDriver": {"prompt", "name", "bindings"},
}
_KEYS = {
    "NetworkService": {"address", "username", "password", "port", "name"},
    "RawSerialPort": {"port", "speed", "name"},
    "NetworkSerialPort": {"host", "port", "speed", "protocol", "name"},
}


def convert(content: JsonObject, conversion: Conversion) -> None:
    """Add a host for each way to each target."""
    for name, target in table(content.get("targets")).items():
        _target(str(name), table(target), conversion)
    for key in content:
        if key != "targets":
            conversion.note("", f"{key!r} is not carried over: it has no counterpart")


def _target(original: str, target: JsonObject, conversion: Conversion) -> None:
    name = conversion.name_of(original)
    resources, drivers = list(_parts(target.get("resources"))), dict(_parts(target.get("drivers")))
    for kind, _ in resources:
        if kind == "RemotePlace":
            conversion.note(
                name, "its RemotePlace is not carried over: 'labgrid-client show' tells the resources, write them as hosts"
            )
        elif kind not in _KEYS:
            conversion.note(name, f"resource {kind} is not carried over: it has no counterpart")
    for kind, options in drivers.items():
        for key in sorted(options.keys() - _USED.get(kind, options.keys())):
            conversion.note(name, f"'{kind}.{key}' is not carried over: it has no counterpart")
        if kind not in _USED:
            conversion.note(name, f"driver {kind} is not carried over: it has no counterpart")
    for key in target:
        if key not in {"resources", "drivers", "features", "options"}:
            conversion.note(name, f"{key!r} is not carried over: it has no counterpart")
    common = {
        "tags": [str(word) for word in entries(target.get("features"))],
        "metadata": conversion.metadata(name, table(target.get("options"))),
    }
    ways = [*_network(name, resources, drivers, conversion), *_serial(name, resources, drivers, conversion)]
    if not ways:
        conversion.note(name, "the target is not carried over: it has no NetworkService, RawSerialPort or NetworkSerialPort")
    for index, (suffix, fields) in enumerate(ways):
        host = name if index == 0 else conversion.name_of(f"{original}-{suffix}")
        conversion.add(host, {**_resolved(host, fields, conversion), **common})


def _parts(written: object) -> Iterator[tuple[str, JsonObject]]:
    """Yield kind and options of resources or drivers; they are an object, or a list of objects with a ``cls`` or one key."""
    if isinstance(written, list):
        for entry in written:
            if "cls" in table(entry):
                yield str(entry["cls"]), {key: value for key, value in entry.items() if key != "cls"}
            else:
                yield from _parts(entry)
        return
    for kind, options in table(written).items():
        for each in options if isinstance(options, list) else [options]:
            yield str(kind), table(each)


def _network(
    name: str, resources: list[tuple[str, JsonObject]], drivers: dict[str, JsonObject], conversion: Conversion
) -> Iterator[tuple[str, dict[str, Any]]]:
    ssh = drivers.get("SSHDriver", {})
    for kind, options in resources:
        if kind == "NetworkService":
            _note_others(name, kind, options, conversion)
            yield (
                "ssh",
                {
                    "address": options.get("address"),
                    "port": port_of(options.get("port")),
                    "user": ssh.get("username") or options.get("username"),
                    "password": options.get("password"),
                    "identity_file": ssh.get("keyfile") or None,
                    "connect_timeout": ssh.get("connection_timeout"),
                    "accounts": {str(ssh.get("su_username") or "root"): ssh["su_password"]} if ssh.get("su_password") else None,
                },
            )


def _serial(
    name: str, resources: list[tuple[str, JsonObject]], drivers: dict[str, JsonObject], conversion: Conversion
) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, options in resources:
        if kind not in _SERIAL:
            continue
        _note_others(name, kind, options, conversion)
        fields = {"transport": "serial", "port": _line(kind, options), "serial": _speed(options)}
        shell = drivers.get("ShellDriver", {})
        login = {"user": shell.get("username"), "password": shell.get("password")}
        yield "console", {**fields, **login, "profile": _profile(f"{name}-console", "linux", shell, conversion)}
        for driver, base in _LOADERS.items():
            if driver in drivers:
                yield "loader", {**fields, "profile": _profile(f"{name}-loader", base, drivers[driver], conversion)}


def _line(kind: str, options: JsonObject) -> object:
    """Return the device or URL of a serial port."""
    if kind == "RawSerialPort":
        return options.get("port")
    if isinstance(options.get("host"), Tagged):
        return options["host"]
    scheme = "socket" if options.get("protocol") == "raw" else "rfc2217"
    return f"{scheme}://{options.get('host')}:{options.get('port')}"


def _speed(options: JsonObject) -> dict[str, Any]:
    return {"baudrate": port_of(options["speed"])} if options.get("speed") else {}


def _profile(name: str, base: str, driver: JsonObject, conversion: Conversion) -> str:
    """Return the profile of a console, made when the driver says how its prompts look."""
    own = {key: driver.get(key) for key in ("prompt", "login_prompt")}
    own = {key: value for key, value in own.items() if isinstance(value, str) and not isinstance(value, Tagged)}
    if not own:
        return base
    conversion.profiles[name] = {"base": base, **own}
    return name


def _resolved(host: str, fields: JsonObject, conversion: Conversion) -> dict[str, Any]:
    """Return fields with the password as a reference, without what only labgrid can fill in."""
    known: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, Tagged):
            conversion.note(host, f"{key!r} is not carried over: only labgrid can fill in its {value.tag}")
        elif key == "accounts" and value:
            known[key] = {login: conversion.secret(host, login, word) for login, word in value.items()}
        elif key == "password" and value is not None:
            known[key] = conversion.secret(host, str(fields.get("user") or ""), value)
        else:
            known[key] = value
    return known


def _note_others(name: str, kind: str, options: JsonObject, conversion: Conversion) -> None:
    for key in sorted(options.keys() - _KEYS[kind]):
        conversion.note(name, f"'{kind}.{key}' is not carried over: it has no counterpart")
