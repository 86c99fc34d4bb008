"""Plug-ins of a deployment: which hooks count, and that none is silently left out."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.errors import PluginError
from OttoLibrary.testbed.hooks import Hooks, hookimpl


@pytest.fixture(autouse=True)
def own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_plugins", [])


def test_a_marked_hook_is_called_with_what_it_asks_for() -> None:
    class Plugin:
        @hookimpl
        def otto_reserve_devices(self, environment: Any) -> str:
            return f"reserved {environment}"

    registry.register_plugin(Plugin())
    assert Hooks().call("otto_reserve_devices", options=None, environment="e") == "reserved e"


def test_a_hook_without_the_marker_is_an_error() -> None:
    class Plugin:
        def otto_setup_env(self) -> None:
            return

    registry.register_plugin(Plugin())
    with pytest.raises(PluginError, match=r"'otto_setup_env' would never be called, because it has no @hookimpl"):
        Hooks()


def test_a_hook_that_there_is_not_is_an_error() -> None:
    class Plugin:
        @hookimpl
        def otto_set_up_env(self) -> None:
            return

    registry.register_plugin(Plugin())
    with pytest.raises(PluginError, match=r"there is no hook 'otto_set_up_env'\. Did you mean 'otto_setup_env'\?"):
        Hooks()


def test_nothing_is_called_without_plug_ins() -> None:
    assert Hooks().call("otto_add_devices") == []
