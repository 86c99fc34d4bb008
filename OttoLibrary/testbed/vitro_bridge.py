"""Vitro's own plug-ins and devices: their hooks are called in the order in which Vitro calls them, none is left out."""

from __future__ import annotations

import argparse
import asyncio
import inspect
from collections import ChainMap
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from OttoLibrary.errors import PluginError, did_you_mean
from OttoLibrary.testbed.device import Device, DevicePlace
from OttoLibrary.testbed.hook_call import call
from OttoLibrary.testbed.hooks import hookimpl

_BUILT_IN = ("core", "booting", "no_reservation")
_MARK = "vitro_impl"
_VALIDATE, _SKIP, _SHUTDOWN, _CHECK = (
    "validate_device_requirements",
    "vitro_skip_boot",
    "vitro_shutdown_device",
    "contingency_check",
)
_BOOT = {"server": "vitro_server_boot", "device": "vitro_device_boot", "attached": "vitro_attached_device_boot"}
_CONFIGURE = {role: name.replace("boot", "configure") for role, name in _BOOT.items()}
_TWINS = (_VALIDATE, _SKIP, *_BOOT.values(), *_CONFIGURE.values())
_HOOKS = (*_TWINS, *(f"{name}_async" for name in _TWINS), _SHUTDOWN, _CHECK)
# Each call has a limit of its own; this one only keeps a thread from being waited for without end.
_HOOK_S = 86_400.0


class VitroBridge:
    """A plug-in of ours that runs Vitro's: its devices are ours from ``otto_add_devices`` on."""

    def __init__(self) -> None:
        # Vitro has environments of its own: this file can be imported without it.
        from vitro import main  # type: ignore[import-not-found]
        from vitro.libraries import device_manager, vitro_config  # type: ignore[import-not-found]

        self._main, self._device_manager, self._files = main, device_manager, vitro_config
        self._manager = main.get_plugin_manager()
        self._config: Any = None
        self._args: Any = None
        self._devices: Any = None
        # Vitro runs plain hooks one after the other, and drivers may count on it.
        self.turn: asyncio.Lock | None = None

    @hookimpl
    def otto_add_devices(self) -> Mapping[str, Any]:
        """Return the device types of Vitro's plug-ins."""
        return {name: self._maker(kind) for name, kind in self._types().items() if kind is not None}

    @hookimpl
    def otto_reserve_devices(self, options: Any, environment: Any) -> object:
        """Configure, reserve, merge and register as Vitro does; return True when one of its plug-ins has reserved."""
        types = self._types()
        ours = [device.name for device in environment.devices if device.type not in types]
        if len(ours) == len(environment.devices):
            return None
        parser, hook = argparse.ArgumentParser("vitro"), self._manager.hook
        words = ["--board-name", options.board, "--env-config", options.environment, "--inventory-config", options.inventory]
        words += ["--ignore-devices", ",".join(ours)] if ours else []
        words += ["--skip-boot"] if options.skip_boot else []
        hook.vitro_add_cmdline_args(argparser=parser)
        self._args = hook.vitro_cmdline_parse(argparser=parser, cmdline_args=words)
        hook.vitro_configure(cmdline_args=self._args, plugin_manager=self._manager)
        arguments = {"cmdline_args": self._args, "plugin_manager": self._manager}
        reserved = self._without("no_reservation", "vitro_reserve_devices")(**arguments)
        # Each plug-in is asked once: what Vitro itself answers comes from the inventory.
        inventory = reserved or self._manager.get_plugin("no_reservation").vitro_reserve_devices(self._args)
        asked = self._files.get_json(options.environment)
        self._config = hook.vitro_parse_config(cmdline_args=self._args, inventory_config=inventory, env_config=asked)
        self._devices = hook.vitro_register_devices(config=self._config, **arguments)
        return bool(reserved)

    @hookimpl
    def otto_post_setup_env(self) -> None:
        """Call the same hook of Vitro's plug-ins; its own one opens a menu."""
        if self._devices is not None:
            self._without("booting", "vitro_post_setup_env")(cmdline_args=self._args, device_manager=self._devices)

    @hookimpl
    def otto_release_devices(self, status: Any) -> None:
        """Call the same hook of Vitro's plug-ins but for its own, which shuts devices down; forget what Vitro keeps for good."""
        try:
            if self._config is not None:
                self._without("core", "vitro_release_devices")(
                    config=self._config,
                    cmdline_args=self._args,
                    plugin_manager=self._manager,
                    deployment_status=status,
                    device_manager=self._devices,
                )
        finally:
            self._main._VITRO_PLUGIN_MANAGER = None
            self._device_manager._DEVICE_MANAGER_INSTANCE = None

    def _types(self) -> Mapping[str, Any]:
        return ChainMap(*self._manager.hook.vitro_add_devices())

    def _without(self, plugin: str, hook: str) -> Any:
        found = self._manager.get_plugin(plugin)
        return self._manager.subset_hook_caller(hook, [found] if found is not None else [])

    def _maker(self, kind: Any) -> Any:
        """Return a class of ours for a class of Vitro's."""
        _check(kind)
        bridge = self
        members = {"role": _role(kind), "__module__": kind.__module__, "__doc__": kind.__doc__}

        def make(device: VitroDeviceAdapter, config: Mapping[str, Any], place: DevicePlace) -> None:
            Device.__init__(device, config, place)
            device.vitro, device.bridge = bridge.registered(str(config["name"])), bridge

        return type(kind.__name__, (VitroDeviceAdapter,), {**members, "__init__": make})

    def registered(self, name: str) -> Any:
        """Return a device that Vitro has registered."""
        return self._manager.get_plugin(name)

    def arguments(self) -> dict[str, Any]:
        """Return what hooks of devices may ask for."""
        return {"config": self._config, "cmdline_args": self._args, "device_manager": self._devices}

    def is_async(self, hook: str) -> bool:
        """Return True when the devices with a plain hook are those that have it as a coroutine, as Vitro decides."""
        devices = self._devices.get_devices_by_type(vitro_device()).values()
        plain = {device for device in devices if hasattr(device, hook)}
        return plain == {device for device in devices if hasattr(device, f"{hook}_async")}


class VitroDeviceAdapter(Device):
    """A device of Vitro's, as one of ours.

    Attributes:
        vitro: The device itself.
        bridge: What has made it.
    """

    shut_down_in_order = True
    vitro: Any
    bridge: VitroBridge

    async def validate(self) -> None:
        """Call ``validate_device_requirements``."""
        await self._call(_VALIDATE)

    async def skip_boot(self) -> None:
        """Call ``vitro_skip_boot``."""
        await self._call(_SKIP)

    async def boot(self) -> None:
        """Call the hook for the boot of its role."""
        await self._call(_BOOT[type(self).role])

    async def configure(self) -> None:
        """Call the hook for the configuration of its role."""
        await self._call(_CONFIGURE[type(self).role])

    async def contingency_check(self, requirement: Any = None) -> None:
        """Call ``contingency_check``."""
        await self._call(_CHECK, env_req=requirement)

    async def shutdown(self) -> None:
        """Call ``vitro_shutdown_device``."""
        await self._call(_SHUTDOWN)

    def __getattr__(self, name: str) -> Any:
        if name in ("vitro", "bridge"):
            raise AttributeError(name)
        return getattr(self.vitro, name)

    async def _call(self, hook: str, **more: Any) -> None:
        plain, waiting = getattr(self.vitro, hook, None), getattr(self.vitro, f"{hook}_async", None)
        if waiting is not None and (plain is None or self.bridge.is_async(hook)):
            await waiting(**self._asked(waiting, more))
        elif plain is not None:
            self.bridge.turn = self.bridge.turn or asyncio.Lock()
            async with self.bridge.turn:
                await call(lambda: plain(**self._asked(plain, more)), (), _HOOK_S, self.abandon)

    def _asked(self, function: Any, more: Mapping[str, Any]) -> dict[str, Any]:
        given = {**self.bridge.arguments(), **more}
        return {name: value for name, value in given.items() if name in inspect.signature(function).parameters}


def is_needed() -> bool:
    """Return True when plug-ins of Vitro are installed, beside its own."""
    return any(point.name not in _BUILT_IN for point in entry_points(group="vitro"))


def vitro_device() -> Any:
    """Return the class on which devices of Vitro are based."""
    from vitro.devices.base_devices import VitroDevice  # type: ignore[import-not-found]

    return VitroDevice


def _role(kind: Any) -> str:
    roles = [
        role
        for role in _BOOT
        if any(hasattr(kind, f"{hook}{twin}") for hook in (_BOOT[role], _CONFIGURE[role]) for twin in ("", "_async"))
    ]
    if len(roles) > 1:
        raise PluginError(
            f"The Vitro device {kind.__qualname__} has hooks of {' and '.join(roles)}. Write a class for each role."
        )
    return roles[0] if roles else "device"


def _check(kind: Any) -> None:
    """Raise PluginError for a method that Vitro would never call."""
    for name, member in inspect.getmembers(kind, callable):
        if name in _HOOKS and not hasattr(member, _MARK):
            raise PluginError(
                f"The Vitro device {kind.__qualname__}: '{name}' would never be called, because it has no @hookimpl."
            )
        if name.startswith("vitro_") and name not in _HOOKS and hasattr(member, _MARK):
            known = did_you_mean(name, _HOOKS)
            raise PluginError(f"The Vitro device {kind.__qualname__}: there is no hook '{name}'.{known}")
