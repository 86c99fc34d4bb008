"""Names to adapters: the built-in tables, entry points and registrations at run time."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from OttoLibrary.errors import PluginError, UnknownNameError

_BUILT_IN: dict[str, dict[str, str]] = {
    "transport": {
        "ssh": "OttoLibrary.transport.ssh:Ssh",
        "local": "OttoLibrary.transport.local:Local",
        "telnet": "OttoLibrary.transport.telnet:Telnet",
        "serial": "OttoLibrary.transport.serial:Serial",
        "program": "OttoLibrary.transport.program:Program",
    },
    "profile": {
        "linux": "OttoLibrary.contracts.profiles:linux",
        "bash": "OttoLibrary.contracts.profiles:bash",
        "busybox": "OttoLibrary.contracts.profiles:busybox",
        "uboot": "OttoLibrary.contracts.profiles:uboot",
        "zephyr": "OttoLibrary.contracts.profiles:zephyr",
        "cisco-ios": "OttoLibrary.contracts.profiles:cisco_ios",
        "raw": "OttoLibrary.contracts.profiles:raw",
    },
    "transfer": {
        "sftp": "OttoLibrary.transfer.protocols.sftp:Sftp",
        "scp": "OttoLibrary.transfer.protocols.scp:Scp",
        "ftp": "OttoLibrary.transfer.protocols.ftp:Ftp",
        "nc": "OttoLibrary.transfer.protocols.nc:Nc",
        "console": "OttoLibrary.transfer.protocols.console:ConsoleTransfer",
        "local": "OttoLibrary.transfer.protocols.local:LocalCopy",
    },
    "metric": {
        "cpu": "OttoLibrary.monitor.metrics.cpu:Cpu",
        "memory": "OttoLibrary.monitor.metrics.memory:Memory",
        "disk": "OttoLibrary.monitor.metrics.disk:Disk",
        "disk_io": "OttoLibrary.monitor.metrics.disk_io:DiskIo",
        "network": "OttoLibrary.monitor.metrics.network:Network",
        "load": "OttoLibrary.monitor.metrics.load:Load",
        "processes": "OttoLibrary.monitor.metrics.processes:Processes",
        "process": "OttoLibrary.monitor.metrics.process:ProcessUsage",
        "tcp": "OttoLibrary.monitor.metrics.tcp:Tcp",
        "temperature": "OttoLibrary.monitor.metrics.temperature:Temperature",
        "pressure": "OttoLibrary.monitor.metrics.pressure:Pressure",
        "snmp": "OttoLibrary.monitor.metrics.snmp:Snmp",
    },
    "labsource": {
        "json": "OttoLibrary.lab.sources.json:JsonLabs",
        "ssh_config": "OttoLibrary.lab.sources.ssh_config:SshConfigLabs",
        "command": "OttoLibrary.lab.sources.command:CommandLabs",
        "environment": "OttoLibrary.lab.sources.environment:EnvironmentLabs",
    },
    "reservation": {
        "none": "OttoLibrary.reservation.backends.none:NoReservations",
        "file": "OttoLibrary.reservation.backends.file:FileReservations",
        "json": "OttoLibrary.reservation.backends.json:JsonReservations",
        "pabot": "OttoLibrary.reservation.backends.pabot:PabotReservations",
        "redis": "OttoLibrary.reservation.backends.redis:RedisReservations",
    },
    "device": {
        "linux": "OttoLibrary.testbed.devices.linux:Linux",
        "local": "OttoLibrary.testbed.devices.local:LocalDevice",
    },
    "power": {
        "commands": "OttoLibrary.testbed.power.by_commands:CommandPower",
        "pdudaemon": "OttoLibrary.testbed.power.pdudaemon:PduDaemonPower",
        "snmp": "OttoLibrary.testbed.power.snmp:SnmpPower",
    },
    "reference": {
        "env": "OttoLibrary.lab.references.env:Env",
        "file": "OttoLibrary.lab.references.file:File",
        "keyring": "OttoLibrary.lab.references.keyring:Keyring",
        "demo": "OttoLibrary.lab.references.demo:Demo",
    },
}
_METHODS = {
    "transport": ("connect",),
    "transfer": ("put", "get"),
    "profile": (),
    "metric": (),
    "labsource": ("load_lab", "list_labs"),
    "reservation": ("get_reserved_resources", "who_reserved", "backend_name"),
    "device": ("validate", "skip_boot", "boot", "configure", "contingency_check", "shutdown"),
    "power": ("on", "off", "cycle"),
    "reference": ("resolve", "close"),
}
# A reservation backend has all of these (``Acquiring``) or none. One with a queue of its own is a ``Leasing``.
_ACQUIRING = ("acquire", "renew", "release")
_SPOKEN = {"labsource": "lab source"}
_EXTRAS = {"ftp": "ftp", "keyring": "keyring", "redis": "redis", "serial": "serial", "snmp": "snmp"}
_registered: dict[str, dict[str, tuple[Any, str]]] = {}
_plugins: list[object] = []


def register_transport(name: str, factory: Any) -> None:
    """Make ``transport: name`` mean ``factory()``, a class that satisfies ``contracts.connections.Transport``."""
    register("transport", name, factory)


def register_transfer(name: str, factory: Any) -> None:
    """Make ``transfer: name`` and ``via=name`` mean ``factory()``, a class that satisfies ``contracts.transfers.Transfer``."""
    register("transfer", name, factory)


def register_profile(name: str, factory: Any) -> None:
    """Make ``profile: name`` in lab files mean ``factory()``, a ``contracts.profiles.Profile``."""
    register("profile", name, factory)


def register_reference(name: str, factory: Any) -> None:
    """Make ``${name:...}`` in lab files mean ``factory()``, a class that satisfies ``contracts.labs.Reference``."""
    register("reference", name, factory)


def register_metric(name: str, command: str, parse: Callable[[str], Any], interval_s: float = 0.0) -> None:
    """Make the metric ``name`` mean the output of a command on the host.

    Args:
        name: The metric's name; the names of its series begin with it.
        command: Shell text, run on the host at every tick.
        parse: Returns one number, or numbers by series, from the command's output; raises ValueError.
        interval_s: Run it at most this often, in seconds.
    """

    def metric() -> Any:
        return _import("metric", name, "OttoLibrary.monitor.own_metrics:Command")(name, command, parse, interval_s)

    metric.__module__, metric.__qualname__ = parse.__module__, getattr(parse, "__qualname__", name)
    register("metric", name, metric)


def register_lab_repository(name: str, factory: Any) -> None:
    """Make ``name:LAB`` mean a lab of ``factory()``, a class that satisfies ``contracts.labs.LabRepository``."""
    register("labsource", name, factory)


def register_device(name: str, factory: Any) -> None:
    """Make ``"type": name`` in an environment mean ``factory``, a class that is based on ``OttoLibrary.Device``."""
    register("device", name, factory)


def register_plugin(plugin: object) -> None:
    """Let the hooks of a module or an object take part in each deployment, as those of an entry point ``otto`` do."""
    if plugin not in _plugins:
        _plugins.append(plugin)


def plugins() -> tuple[list[object], Mapping[str, str]]:
    """Return the plug-ins that were registered, and the entry points of those that are installed."""
    return list(_plugins), _group("otto", tuple(sys.path))


def is_installed(group: str) -> bool:
    """Return True when a package that is installed has entry points of a group."""
    return bool(_group(group, tuple(sys.path)))


def register_reservation_backend(name: str, factory: Any) -> None:
    """Make the reservations ``name`` mean ``factory()``, a class with ``contracts.reservations.Reservations``.

    One that reserves, too, satisfies ``Acquiring`` of that module, or ``Leasing`` when it has a queue.
    """
    register("reservation", name, factory)


def register(kind: str, name: str, factory: Any) -> None:
    """Claim ``name``; raise PluginError when it is taken or the contract is not fulfilled."""
    owner = f"{getattr(factory, '__module__', '?')}.{getattr(factory, '__qualname__', factory)}"
    taken = _owners(kind).get(name)
    if taken is not None and taken != owner:
        raise PluginError(f"{_title(kind)} '{name}' is claimed by {owner}, but {taken} already owns it. Rename one.")
    _check(kind, name, factory, owner)
    _registered.setdefault(kind, {})[name] = (factory, owner)


def names(kind: str) -> list[str]:
    """Return the known names of a kind, sorted."""
    return sorted(_owners(kind))


def load(kind: str, name: str, *arguments: Any) -> Any:
    """Return a new adapter, made with these arguments; raise UnknownNameError, or PluginError when it does not import."""
    return find(kind, name)(*arguments)


def find(kind: str, name: str) -> Any:
    """Return what makes an adapter; raise UnknownNameError, or PluginError when it does not import."""
    if name in _registered.get(kind, {}):
        return _registered[kind][name][0]
    target = _BUILT_IN[kind].get(name) or _entry_points(kind).get(name)
    if target is None:
        raise UnknownNameError(_SPOKEN.get(kind, kind), name, names(kind))
    factory = _import(kind, name, target)
    _check(kind, name, factory, target)
    return factory


def _check(kind: str, name: str, factory: Any, owner: str) -> None:
    missing = [method for method in _METHODS[kind] if not callable(getattr(factory, method, None))]
    if missing:
        raise PluginError(f"{_title(kind)} '{name}' ({owner}) does not fulfil its contract: it lacks {', '.join(missing)}().")
    if kind == "reservation":
        _check_acquiring(name, factory, owner)


def _check_acquiring(name: str, factory: Any, owner: str) -> None:
    """Check that a backend without a queue has all methods for reserving, or none."""
    if callable(getattr(factory, "attempt", None)):
        return
    missing = [method for method in _ACQUIRING if not callable(getattr(factory, method, None))]
    if missing and len(missing) < len(_ACQUIRING):
        raise PluginError(
            f"{_title('reservation')} '{name}' ({owner}) does not fulfil its contract: it lacks {', '.join(missing)}(). "
            f"A backend that reserves has all of {', '.join(_ACQUIRING)}."
        )


def _title(kind: str) -> str:
    return _SPOKEN.get(kind, kind).capitalize()


def _owners(kind: str) -> dict[str, str]:
    registered = {name: owner for name, (_, owner) in _registered.get(kind, {}).items()}
    built_in = {name: target.replace(":", ".") for name, target in _BUILT_IN[kind].items()}
    return {**_entry_points(kind), **registered, **built_in}


def _entry_points(kind: str) -> Mapping[str, str]:
    return _group(f"otto.{kind}s", tuple(sys.path))


@lru_cache(maxsize=32)
def _group(name: str, _path: tuple[str, ...]) -> Mapping[str, str]:
    """Return the entry points of a group. To find them, the metadata of all packages on the search path are read."""
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=name)}


def _import(kind: str, name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        extra = _EXTRAS.get(name)
        package = f"robotframework-ottolibrary[{extra}]" if extra else (error.name or name)
        raise PluginError.missing_package(f"{_title(kind)} '{name}'", package, error) from error
