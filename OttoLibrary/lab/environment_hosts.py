"""The hosts of an environment: how a device's merged data say where it is, in the form of a lab."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from OttoLibrary import registry
from OttoLibrary.lab import fields
from OttoLibrary.lab.environment import Environment, EnvironmentDevice
from OttoLibrary.lab.host_values import HOST_NAME
from OttoLibrary.schema.field_types import kind_of
from OttoLibrary.schema.source_position import SourcePosition, expanded, has_references

# What a device may be reached by, and the transport that this is.
CONNECTIONS = {
    "ssh_connection": "ssh",
    "authenticated_ssh": "ssh",
    "local_cmd": "program",
    "serial": "serial",
    "ser2net": "serial",
    "telnet": "telnet",
}
_ADDRESSES = ("address", "ipaddr", "ip_addr")
_RENAMED = {"ipaddr": "address", "ip_addr": "address", "username": "user"}
# What says how a device is reached, and is no further data of it.
_READ = {"name", "connection_type", "transport", "shell_prompt", "conn_command", *_RENAMED}
_LINES = {"program", "serial", "telnet"}
_RFC2217 = "rfc2217"


def lab_of(environment: Environment, problems: list[str]) -> dict[str, Any]:
    """Return an environment as a lab: its devices with a connection are hosts, the rest of their data is metadata."""
    hosts: dict[str, Any] = {}
    profiles: dict[str, Any] = {}
    for device in environment.devices:
        if is_reachable(device):
            host = _Host(device, problems)
            hosts[device.name] = host.fields()
            profiles |= host.profiles
    known = {device.name: device for device in environment.devices}
    for name, host_fields in hosts.items():
        hop = host_fields.get("hop")
        if isinstance(hop, str) and hop not in hosts:
            at = _in(known[name].position("hop"), problems)
            what = "has no connection" if hop in known else "is not a device of the environment"
            at.wrong(f"hop {hop!r} {what}", hop, hosts)
    return {"name": environment.board, "hosts": hosts, "profiles": profiles}


def is_reachable(device: EnvironmentDevice) -> bool:
    """Return True when the device says how it is reached."""
    return any(device.config.get(key) is not None for key in ("connection_type", "transport", "address"))


def _in(position: SourcePosition, problems: list[str]) -> SourcePosition:
    return SourcePosition(position.source, position.folder, problems, position.path)


class _Host:
    """One device as a host; each mistake is noted where its value is written."""

    def __init__(self, device: EnvironmentDevice, problems: list[str]) -> None:
        self._device, self._config, self._problems = device, device.config, problems
        self.profiles: dict[str, Any] = {}

    def fields(self) -> dict[str, Any]:
        """Return the fields of the host."""
        self._check_name()
        transport, kind = self._transport()
        found: dict[str, Any] = {"transport": transport, **self._own()}
        complete: Callable[[dict[str, Any]], None] = {
            "program": self._as_program,
            "serial": self._as_serial,
            _RFC2217: self._as_console_server,
        }.get(_RFC2217 if kind == "ser2net" else transport, self._as_it_is)
        complete(found)
        self._take_prompt(found)
        rest = {key: value for key, value in self._config.items() if key not in fields.HOST.fields and key not in _READ}
        found["metadata"] = {**rest, **(found.get("metadata") or {})}
        return found

    def _at(self, key: str) -> SourcePosition:
        return _in(self._device.position(key), self._problems)

    def _check_name(self) -> None:
        HOST_NAME.read(self._device.name, self._at("name"))

    def _transport(self) -> tuple[str, str]:
        key = "connection_type" if self._config.get("connection_type") is not None else "transport"
        kind = self._config.get(key, "ssh")
        known = {**{name: name for name in registry.names("transport")}, **CONNECTIONS}
        if not isinstance(kind, str) or kind not in known:
            shown = repr(kind) if isinstance(kind, str) else kind_of(kind)
            self._at(key).wrong(f"{shown} is no connection, there are {', '.join(sorted(known))}", str(kind), known)
            return "ssh", ""
        transport = known[kind]
        # Without a program there is nothing to start: the device is this machine.
        is_here = kind == "local_cmd" and self._config.get("conn_command") is None
        return ("local" if is_here else transport), kind

    def _own(self) -> dict[str, Any]:
        """Return the fields that a host of a lab has too, checked."""
        found: dict[str, Any] = {}
        for key, value in self._config.items():
            name = _RENAMED.get(key, key)
            row = fields.HOST.fields.get(name)
            if row is None or key in ("transport", "name") or value is None or name in found:
                continue
            row.kind.read(value, self._at(key))
            found[name] = self._relative(key, value)
        return found

    def _relative(self, key: str, value: Any) -> Any:
        """Return a value with the paths in it starting at the file that says it."""
        folder = self._device.position(key).folder
        if key == "identity_file" and isinstance(value, str) and not has_references(value):
            return str(folder / expanded(value))
        if key == "ssh" and isinstance(value, Mapping) and isinstance(value.get("config_file"), str):
            return {**value, "config_file": str(folder / expanded(value["config_file"]))}
        return value

    # -- what each connection needs

    def _as_it_is(self, found: dict[str, Any]) -> None:
        if found["transport"] != "local" and not found.get("address"):
            near = next((key for key in self._config if difflib.get_close_matches(key, _ADDRESSES)), "")
            self._at(near or "address").wrong(
                f"device {self._device.name!r} needs an address: one of {', '.join(_ADDRESSES)}", near, _ADDRESSES
            )

    def _as_program(self, found: dict[str, Any]) -> None:
        command = self._config.get("conn_command", found.get("address"))
        if not isinstance(command, str) or not command.strip():
            self._at("conn_command").wrong(f"device {self._device.name!r} needs the command that opens its console")
            return
        arguments = self._config.get("args")
        words = [str(word) for word in arguments] if isinstance(arguments, list) else []
        found["address"] = " ".join([command, *map(shlex.quote, words)])

    def _as_serial(self, found: dict[str, Any]) -> None:
        command = self._config.get("conn_command")
        if isinstance(command, str) and not isinstance(found.get("port"), str):
            found |= self._of_terminal_program(command, found)
        found.pop("address", None)
        if not isinstance(found.get("port"), str):
            self._at("port").wrong(
                f"device {self._device.name!r} needs a 'port' such as '/dev/ttyUSB0', or a 'conn_command' of picocom"
            )

    def _of_terminal_program(self, command: str, found: dict[str, Any]) -> dict[str, Any]:
        """Return what a command line of picocom says; any other program runs as it is."""
        try:
            words = shlex.split(command)
        except ValueError as error:
            self._at("conn_command").wrong(f"is not a command line: {error}")
            return {}
        if not words or Path(words[0]).name != "picocom":
            self._at("conn_command").wrong(
                "only a command line of picocom can be read; write connection_type 'local_cmd' to run another program"
            )
            return {}
        device = next((word for word in reversed(words[1:]) if word.startswith("/")), None)
        if device is None:
            self._at("conn_command").wrong("names no device such as /dev/ttyUSB0")
            return {}
        rates = [words[index + 1] for index, word in enumerate(words[:-1]) if word in ("-b", "--baud")]
        rates += [word.partition("=")[2] for word in words if word.startswith("--baud=")]
        speed = {"baudrate": int(rates[-1])} if rates and rates[-1].isdigit() else {}
        return {"port": device, **({"serial": {**speed, **(found.get("serial") or {})}} if speed else {})}

    def _as_console_server(self, found: dict[str, Any]) -> None:
        address, port = found.pop("address", None), found.get("port")
        if isinstance(port, str) and "://" in port:
            return
        if not isinstance(address, str) or not isinstance(port, int):
            self._at("port").wrong(f"device {self._device.name!r} needs the address and the port of its ser2net")
            return
        literal = f"[{address}]" if ":" in address else address
        found["port"] = f"{_RFC2217}://{literal}:{port}"

    def _take_prompt(self, found: dict[str, Any]) -> None:
        """Make a profile of the prompts that a device names, where a prompt is what its console is understood by."""
        prompts = self._config.get("shell_prompt")
        if prompts is None:
            return None
        listed = prompts if isinstance(prompts, list) else [prompts]
        at = self._at("shell_prompt")
        before = len(self._problems)
        for index, prompt in enumerate(listed):
            fields.PROFILE.fields["prompt"].kind.read(prompt, at.at(index) if isinstance(prompts, list) else at)
        if not listed or len(self._problems) > before:
            return None if listed else at.wrong("there is no prompt in it")
        if found["transport"] in _LINES:
            name = f"{self._device.name}-console"
            self.profiles[name] = {"base": found.get("profile", "linux"), "prompt": "|".join(f"(?:{one})" for one in listed)}
            found["profile"] = name
        return None
