"""Devices and virtual machines of NetBox, as its REST or GraphQL interface gives them in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from OttoLibrary.lab.foreign.conversion import Conversion, entries, table
from OttoLibrary.schema.field_types import JsonObject

_ADDRESSES = ("primary_ip", "primary_ip4", "primary_ip6")
_TAGGED = ("role", "device_role", "site", "tenant", "cluster")
_KEPT = ("device_type", "serial", "asset_tag", "rack", "position", "location", "platform", "description", "status")
_CISCO = ("ios", "nxos", "nx-os", "asa")
_UNSAID = {
    "id", "url", "display", "display_url", "name", "tags", "created", "last_updated", "natural_slug", "face", "parent_device",
    "comments", "custom_fields", "airflow", "latitude", "longitude", "virtual_chassis", "vc_position", "vc_priority",
    "owner", "device", "notes_url", "object_type",
}  # fmt: skip


def devices_in(content: object) -> list[Any] | None:
    """Return the devices that an answer of NetBox holds; None when it is no answer of NetBox."""
    lists: list[object] = [content]
    if isinstance(content, Mapping):
        lists = [content.get("results"), *table(content.get("data")).values(), content.get("device_list"), content.get("devices")]
        if content.get("name") and _is_device(content):
            return [content]
    found = [entry for one in lists if isinstance(one, list) for entry in one]
    return found if found and all(map(_is_device, found)) else None


def convert(devices: list[Any], content: object, conversion: Conversion) -> None:
    """Add the devices that have an address."""
    for device in devices:
        _device(device, conversion)
    if table(content).get("next"):
        conversion.note(
            "", f"this is one page: {len(devices)} of {table(content).get('count', 'more')} devices; export with ?limit=0"
        )
    if conversion.hosts:
        conversion.note("", "NetBox knows no logins: give user and password or identity_file in the 'defaults' of the lab")


def _is_device(entry: object) -> bool:
    return isinstance(entry, Mapping) and any(key in entry for key in ("device_type", "vcpus", *_ADDRESSES))


def _device(device: JsonObject, conversion: Conversion) -> None:
    name = conversion.name_of(device.get("name") or device.get("display") or f"device-{device.get('id', '')}")
    address = next((found for key in _ADDRESSES if (found := _address(device.get(key)))), None)
    if address is None:
        conversion.note(name, "the device is not carried over: it has no primary IP address")
        return
    words = [_word(device.get(key)) for key in _TAGGED]
    words += [_word(tag) for tag in entries(device.get("tags"))]
    status = _word(device.get("status"))
    platform = _word(device.get("platform")) or ""
    kept = {key: _word(device.get(key)) for key in _KEPT}
    conversion.add(
        name,
        {
            "address": address,
            "profile": "cisco-ios" if any(part in platform.lower() for part in _CISCO) else None,
            "tags": list(dict.fromkeys(word for word in [*words, status if status != "active" else None] if word)),
            "metadata": conversion.metadata(name, {**kept, **table(device.get("custom_fields"))}),
        },
    )
    for key, value in device.items():
        is_used = key in {*_ADDRESSES, *_TAGGED, *_KEPT, *_UNSAID} or key.endswith("_count")
        if not is_used and value not in (None, "", [], {}):
            conversion.note(name, f"{key!r} is not carried over: it has no counterpart")


def _address(written: object) -> str | None:
    """Return an address without the length of its network."""
    text = written if isinstance(written, str) else table(written).get("address")
    return text.partition("/")[0] if isinstance(text, str) and text else None


def _word(written: object) -> str | None:
    """Return what stands for an object of NetBox: its slug, its name, or the value of a choice."""
    if isinstance(written, Mapping):
        named = next((written[key] for key in ("slug", "value", "model", "name", "display") if written.get(key)), None)
        return str(named) if named is not None else None
    is_plain = isinstance(written, str | int | float) and not isinstance(written, bool) and written != ""
    # GraphQL writes choices in capitals.
    return (str(written).lower() if str(written) == "ACTIVE" else str(written)) if is_plain else None
