"""Testbed files of pyATS: devices with connections and credentials."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from OttoLibrary.lab.foreign import ssh_words
from OttoLibrary.lab.foreign.conversion import Conversion, OwnReference, entries, environment, port_of, table
from OttoLibrary.schema.field_types import JsonObject

_ENVIRONMENT = re.compile(r"%ENV\{\s*(\w+)\s*(?:,[^}]*)?\}")
_MARKUP = re.compile(r"%(?:[A-Z]+)?\{[^}]*\}?|%ASK\b")
_FIRST = ("cli", "default", "vty", "a", "ssh")
_PROFILES = {
    "ios": "cisco-ios",
    "iosxe": "cisco-ios",
    "iosxr": "cisco-ios",
    "nxos": "cisco-ios",
    "asa": "cisco-ios",
    "linux": "linux",
}
_OF_DEVICE = {"alias", "type", "os", "platform", "model", "series", "role", "chassis_type", "version", "name"}
_OF_CONNECTION = {"protocol", "ip", "host", "port", "credentials", "proxy", "sshtunnel", "class", "via", "ssh_options", "command"}


def convert(content: JsonObject, conversion: Conversion) -> None:
    """Add the devices of a testbed."""
    testbed = table(content.get("testbed"))
    conversion.name = str(testbed.get("name") or conversion.name)
    devices = {str(name): table(device) for name, device in table(content.get("devices")).items()}
    for name in devices:
        conversion.name_of(name)
    hops: list[tuple[str, str]] = []
    for original, device in devices.items():
        hops += _device(conversion.name_of(original), device, testbed, conversion)
    for name, hop in hops:
        conversion.add(name, {"hop": conversion.hop(name, hop) if hop not in devices else conversion.name_of(hop)})
    for key in content:
        if key not in {"devices", "testbed"}:
            conversion.note("", f"{key!r} is not carried over: a lab has hosts, and nothing between them")
    for key in testbed:
        if key not in {"name", "credentials", "tacacs", "passwords"}:
            conversion.note("", f"'testbed.{key}' is not carried over: it has no counterpart")


def _device(name: str, device: JsonObject, testbed: JsonObject, conversion: Conversion) -> Iterator[tuple[str, str]]:
    """Add a device as a host for each of its ways in; yield the hosts and hops that are behind one."""
    ways = {str(key): table(way) for key, way in table(device.get("connections")).items() if key != "defaults"}
    defaults = table(table(device.get("connections")).get("defaults"))
    usable = {key: found for key, way in ways.items() if (found := _way(name, key, way, conversion)) is not None}
    if not usable:
        conversion.note(name, "the device is not carried over: it has no connection by ssh or telnet")
        return
    main = next((key for key in (str(defaults.get("via")), *_FIRST) if key in usable), next(iter(usable)))
    common = {
        "profile": _PROFILES.get(str(device.get("os", "")).lower()),
        "tags": [str(device[key]) for key in ("type", "role") if isinstance(device.get(key), str)],
        "metadata": _metadata(name, device, conversion),
    }
    seen: list[dict[str, Any]] = []
    for key in [main, *(key for key in usable if key != main)]:
        if usable[key] in seen:
            continue
        seen.append(usable[key])
        host = name if key == main else conversion.name_of(f"{name}-{key}")
        login = _login(host, [ways[key], device, testbed], conversion)
        conversion.add(host, {**usable[key], **login, **common})
        if hop := _hop(host, ways[key], conversion):
            yield host, hop
    for key in device:
        if key not in {*_OF_DEVICE, "connections", "credentials", "tacacs", "passwords", "custom"}:
            conversion.note(name, f"{key!r} is not carried over: it has no counterpart")


def _way(name: str, key: str, way: JsonObject, conversion: Conversion) -> dict[str, Any] | None:
    """Return the transport, address and port of a connection; None with a note when it is no way to a console."""
    if "command" in way:
        return _command(name, key, str(way["command"]), conversion)
    protocol = str(way.get("protocol", "")).lower()
    address = way.get("ip") or way.get("host")
    if protocol not in {"ssh", "telnet"} or address is None:
        conversion.note(name, f"connection {key!r} is not carried over: it is not by ssh or telnet to an 'ip'")
        return None
    transport = {"transport": "telnet"} if protocol == "telnet" else {}
    given = {"address": _text(name, "ip", address, conversion), "port": port_of(_text(name, "port", way.get("port"), conversion))}
    for other in way:
        if other not in _OF_CONNECTION:
            conversion.note(name, f"'connections.{key}.{other}' is not carried over: it has no counterpart")
    words = ssh_words.read(str(way.get("ssh_options") or ""))
    for sentence in words.rest:
        conversion.note(name, sentence)
    return {**words.fields, **transport, **{field: value for field, value in given.items() if value is not None}}


def _command(name: str, key: str, command: str, conversion: Conversion) -> dict[str, Any] | None:
    try:
        program, *rest = shlex.split(command) or [""]
    except ValueError:
        program, rest = "", []
    if program == "ssh" and (words := ssh_words.read(shlex.join(rest))).destination and not words.jumps:
        user, at, address = words.destination.rpartition("@")
        return {**words.fields, "address": address, **({"user": user} if at else {})}
    if program == "telnet" and rest:
        return {"transport": "telnet", "address": rest[0], **({"port": port_of(rest[1])} if len(rest) > 1 else {})}
    conversion.note(name, f"connection {key!r} is not carried over: its command is no plain ssh or telnet")
    return None


def _login(host: str, places: list[JsonObject], conversion: Conversion) -> dict[str, Any]:
    """Return user and password, from the nearest place that has them."""
    for place in places:
        credentials = table(place.get("credentials"))
        default = table(credentials.get("default"))
        old_user, old = table(place.get("tacacs")).get("username"), table(place.get("passwords"))
        user = default.get("username") or old_user
        password = default.get("password") or old.get("tacacs") or old.get("linux")
        for name in (*credentials, *old):
            if name not in {"default", "tacacs", "linux"}:
                conversion.note(
                    host, f"credential {name!r} is not carried over: type it with Send To Host, from a variable of Robot"
                )
        if user is None and password is None:
            continue
        shown = _text(host, "username", user, conversion)
        return {"user": shown, "password": _secret(host, str(shown or ""), password, conversion)}
    return {}


def _secret(host: str, user: str, value: object, conversion: Conversion) -> str | None:
    if value is None:
        return None
    found = _ENVIRONMENT.fullmatch(str(value))
    return environment(found[1]) if found else conversion.secret(host, user, value)


def _text(host: str, key: str, value: object, conversion: Conversion) -> object:
    """Return a value with pyATS' ``%ENV{}`` as ours; None with a note for other markup, which only pyATS can fill in."""
    if not isinstance(value, str):
        return value
    filled = _ENVIRONMENT.sub(lambda found: environment(found[1]), value)
    if _MARKUP.search(filled):
        conversion.note(host, f"{key!r} is not carried over: only pyATS can fill in its markup")
        return None
    return OwnReference(filled) if filled != value else value


def _hop(host: str, way: JsonObject, conversion: Conversion) -> str | None:
    proxy = way.get("proxy") or table(way.get("sshtunnel")).get("host")
    if isinstance(proxy, list):
        proxy = next((table(step).get("device") for step in entries(proxy)), None) if len(proxy) == 1 else ""
    if isinstance(proxy, Mapping):
        proxy = proxy.get("device")
    if proxy in {None, ""}:
        if proxy == "":
            conversion.note(host, "its proxies are not carried over: write them as hops of hops")
        return None
    return str(proxy)


def _metadata(name: str, device: JsonObject, conversion: Conversion) -> dict[str, Any]:
    known = {key: device[key] for key in sorted(_OF_DEVICE & device.keys())}
    return conversion.metadata(name, {**known, **table(device.get("custom"))})
