"""The hooks of a deployment, with pluggy: what plug-ins of the entry-point group ``otto`` may do, and when."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping
from typing import Any

import pluggy

from OttoLibrary import registry
from OttoLibrary.errors import PluginError, did_you_mean

_PROJECT = "otto"
_PREFIX = "otto_"
hookimpl = pluggy.HookimplMarker(_PROJECT)
_hookspec = pluggy.HookspecMarker(_PROJECT)


class HookSpecs:
    """What a plug-in may implement, each method with ``@hookimpl``; it may leave out arguments. In the order of the calls."""

    @_hookspec
    def otto_add_cmdline_args(self, parser: argparse.ArgumentParser) -> None:
        """Add options to the command ``deploy``; their values, or defaults, are in ``options`` of the other hooks."""

    @_hookspec
    def otto_add_devices(self) -> Mapping[str, type]:  # type: ignore[empty-body]
        """Return device types: name -> class that is based on ``OttoLibrary.Device``."""

    @_hookspec(firstresult=True)
    def otto_parse_config(self, options: Any, inventory: Any, environment: Any) -> list[dict[str, Any]] | None:
        """Return the merged devices, as a list of objects, in place of the library's own merge; None leaves it at that."""

    @_hookspec(firstresult=True)
    def otto_reserve_devices(self, options: Any, environment: Any) -> object:
        """Reserve what the environment needs and return something true: then the library reserves nothing itself."""

    @_hookspec
    def otto_setup_env(self, options: Any, devices: Any) -> None:
        """Prepare something before the first device is booted."""

    @_hookspec
    def otto_post_setup_env(self, options: Any, devices: Any) -> None:
        """Do something once all devices are up."""

    @_hookspec
    def otto_shutdown_device(self, devices: Any) -> None:
        """Do something before the devices are shut down; called however the run ended."""

    @_hookspec
    def otto_release_devices(self, options: Any, status: Any, devices: Any) -> None:
        """Give back what ``otto_reserve_devices`` reserved; called last, however the run ended.

        ``status`` is ``{"status": "success"}`` or ``{"status": "failed", "exception": error}``.
        """


_HOOKS = sorted(name for name in vars(HookSpecs) if name.startswith(_PREFIX))


class Hooks:
    """The plug-ins of this process.

    Args:
        others: Further plug-ins.

    Raises:
        PluginError: One has a hook without ``@hookimpl``, or one that there is not: it would never be called.
    """

    def __init__(self, *others: object) -> None:
        self._manager = pluggy.PluginManager(_PROJECT)
        self._manager.add_hookspecs(HookSpecs)
        registered, _ = registry.plugins()
        for plugin in (*registered, *others):
            self._manager.register(plugin)
        self._manager.load_setuptools_entrypoints(_PROJECT)
        for plugin in self._manager.get_plugins():
            _check(plugin)

    def call(self, name: str, **arguments: Any) -> Any:
        """Call a hook of all plug-ins; return their results, or the first one that is not None where only that counts."""
        return getattr(self._manager.hook, name)(**arguments)


def _check(plugin: object) -> None:
    owner = getattr(plugin, "__name__", type(plugin).__name__)
    for name, member in inspect.getmembers(plugin, callable):
        if not name.startswith(_PREFIX):
            continue
        if name not in _HOOKS:
            raise PluginError(
                f"Plug-in '{owner}': there is no hook '{name}'.{did_you_mean(name, _HOOKS)} Known: {', '.join(_HOOKS)}."
            )
        if not hasattr(member, f"{_PROJECT}_impl"):
            raise PluginError(
                f"Plug-in '{owner}': '{name}' would never be called, because it has no @hookimpl. Write 'from OttoLibrary import "
                "hookimpl' and put @hookimpl above it."
            )
