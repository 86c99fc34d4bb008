"""The array form of a lab, otto's ``hosts.json``: its fields, and how they translate into ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from OttoLibrary.lab.host_values import HOST_NAME, PORT, TRANSPORT
from OttoLibrary.schema.field_types import AnyObject, Field, JsonObject, ListOf, MapOf, NameList, ObjectOf, Scalar
from OttoLibrary.schema.scalar_types import DURATION, LABEL, NON_EMPTY, PATH, SECRET, SWITCH
from OttoLibrary.schema.source_position import SourcePosition

_TRANSFERS = ("scp", "sftp", "ftp", "nc")


@dataclass(frozen=True)
class OttoHost:
    """Scalar host of the array.

    Attributes:
        name: Its ``name``, or the id that otto makes.
        labs: The labs that it is part of.
        fields: Its fields in our form.
        position: Where it stands in the array.
    """

    name: str
    labs: tuple[str, ...]
    fields: dict[str, Any]
    position: SourcePosition


def read_hosts(array: Sequence[object], position: SourcePosition) -> list[OttoHost]:
    """Return the hosts of the array; mistakes are noted, and a host that has one is left out."""
    read = [(_checked(entry, position.at(index)), position.at(index)) for index, entry in enumerate(array)]
    right = [(host, at) for host, at in read if host is not None]
    names = {_id(host): _name(host) for host, _ in right}
    return [OttoHost(_name(host), tuple(_given(host, "labs", ())), _fields(host, names), at) for host, at in right]


class _Paths:
    """A path, a list of paths, or null."""

    def read(self, value: object, position: SourcePosition) -> Any:
        return ListOf(PATH).read(value, position) if isinstance(value, list) else PATH.read(value, position)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [PATH.schema(), ListOf(PATH).schema()]}


class _Anything:
    """Anything that otto accepts; it is kept in the metadata."""

    def read(self, value: object, position: SourcePosition) -> Any:
        return AnyObject().read({"": value}, position)

    def schema(self) -> dict[str, Any]:
        return {}


def _part(value: object, position: SourcePosition) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise ValueError


def _transfer(value: object, _: SourcePosition) -> object:
    if value not in _TRANSFERS:
        raise ValueError
    return value


_PART = Scalar("text or a whole number", _part, {"type": ["string", "integer"]}, literal=True)
_TRANSFER = Scalar("scp, sftp, ftp or nc", _transfer, {"enum": list(_TRANSFERS), "examples": list(_TRANSFERS)})
_KEPT = _Anything()

_SSH_OPTIONS = ObjectOf({
    "port": Field(PORT, "The port."),
    "connect_timeout": Field(DURATION, "Seconds to connect."),
    "keepalive_interval": Field(DURATION, "Seconds between checks of a quiet connection."),
    "known_hosts": Field(NON_EMPTY, "A known_hosts file: the host key is then 'strict'; without one it is our 'accept-new'."),
    "client_keys": Field(_Paths(), "Private keys; the first counts."),
    "agent_forwarding": Field(SWITCH, "Let the host use the SSH agent of this machine."),
    "encryption_algs": Field(NameList(), "Ciphers."),
    "kex_algs": Field(NameList(), "Key exchange algorithms."),
    "mac_algs": Field(NameList(), "Message authentication codes."),
    "server_host_key_algs": Field(NameList(), "Host key algorithms."),
    **{
        key: Field(_KEPT, "Kept in the metadata.")
        for key in ("keepalive_count_max", "client_host_keys", "preferred_auth", "compression_algs", "local_forwards",
                    "remote_forwards", "socks_forwards", "extra")
    },
})  # fmt: skip

_HOST = ObjectOf({
    "ip": Field(NON_EMPTY, "The address."),
    "creds": Field(MapOf(NON_EMPTY, SECRET), "Passwords by login; the first is the default login."),
    "ne": Field(LABEL, "Name of the network element."),
    "user": Field(LABEL, "Which login of creds to use."),
    "name": Field(HOST_NAME, "The name of the host."),
    "neId": Field(_PART, "Number of the network element."),
    "board": Field(_PART, "Part of the id."),
    "slot": Field(_PART, "Part of the id."),
    "term": Field(TRANSPORT, "The transport."),
    "transfer": Field(_TRANSFER, "Kept in the metadata."),
    "hop": Field(LABEL, "Id or name of the hop."),
    "resources": Field(ListOf(LABEL), "What a reservation of the host takes."),
    "labs": Field(ListOf(LABEL), "The labs that it is part of."),
    "is_virtual": Field(SWITCH, "Kept in the metadata."),
    "log": Field(SWITCH, "Kept in the metadata."),
    "log_stdout": Field(SWITCH, "Kept in the metadata."),
    "ssh_options": Field(_SSH_OPTIONS, "Options of SSH."),
    **{
        key: Field(_KEPT, "Kept in the metadata.")
        for key in ("hw_version", "sw_version", "toolchain", "telnet_options", "sftp_options", "scp_options", "ftp_options",
                    "nc_options")
    },
}, required=("ip", "creds", "ne"))  # fmt: skip

_OURS = {"ip", "creds", "user", "name", "term", "hop", "resources", "labs", "ssh_options"}
_RENAMED = {"port": "port", "connect_timeout": "connect_timeout", "keepalive_interval": "keepalive"}
_RENAMED_SSH = {
    "agent_forwarding": "forward_agent",
    "encryption_algs": "ciphers",
    "kex_algs": "kex",
    "mac_algs": "mac",
    "server_host_key_algs": "host_key_algorithms",
}
_OUR_OPTIONS = {*_RENAMED, *_RENAMED_SSH, "client_keys"}


def _checked(entry: object, position: SourcePosition) -> JsonObject | None:
    before = len(position.problems)
    _HOST.read(entry, position)
    if len(position.problems) > before or not isinstance(entry, Mapping):
        return None
    user = entry.get("user")
    if user is not None and user not in entry["creds"]:
        position.at("user").wrong(f"user {user!r} is not in 'creds'", user, entry["creds"])
    HOST_NAME.read(_name(entry), position)
    return entry if len(position.problems) == before else None


def _fields(host: JsonObject, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a host in our form."""
    options: JsonObject = _given(host, "ssh_options", {})
    creds: JsonObject = host["creds"]
    user = host.get("user") or next(iter(creds), None)
    keys = _given(options, "client_keys", [])
    hop = host.get("hop")
    fields = {
        "address": host["ip"],
        "transport": host.get("term"),
        "user": user,
        "password": creds.get(user) if user else None,
        "identity_file": next(iter(keys), None) if isinstance(keys, list) else keys,
        "hop": names.get(hop.lower(), hop) if hop else None,
        "host_key": "strict" if options.get("known_hosts") else None,
        "resources": host.get("resources"),
        "accounts": {login: password for login, password in creds.items() if login != user},
        "metadata": _metadata(host, options),
        "ssh": {ours: options.get(theirs) for theirs, ours in _RENAMED_SSH.items()},
        **{ours: options.get(theirs) for theirs, ours in _RENAMED.items()},
    }
    return {key: value for key, value in fields.items() if value is not None}


def _metadata(host: JsonObject, options: JsonObject) -> dict[str, Any]:
    left = {key: value for key, value in options.items() if key not in _OUR_OPTIONS and value is not None}
    kept = {key: value for key, value in host.items() if key not in _OURS}
    return kept | ({"ssh_options": left} if left else {})


def _given(values: JsonObject, key: str, default: Any) -> Any:
    return default if values.get(key) is None else values[key]


def _name(host: JsonObject) -> str:
    return str(host.get("name") or _id(host))


def _id(host: JsonObject) -> str:
    """Return ``<ne>[neId][_<board><slot>]``; otto itself repeats the name of the NE in place of neId."""
    position = f"{_given(host, 'board', '')}{_given(host, 'slot', '')}"
    return f"{host['ne']}{_given(host, 'neId', '')}{f'_{position}' if position else ''}".lower()
