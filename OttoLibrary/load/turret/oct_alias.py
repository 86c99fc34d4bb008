"""The names that scripts for OCT import, ``oct_turrets.base`` and ``oct_turrets.tools``, for the process that fires them."""

from __future__ import annotations

import sys
import time
import types
from typing import Any


class BaseTransaction:
    """One iteration of a user: ``setup``, ``run``, ``tear_down``; only ``run`` counts as its time.

    Attributes:
        config: What the turret was configured with.
        context: What the HQ gave along.
        custom_timers: Durations in seconds by name, of the present iteration.
    """

    def __init__(self, config: dict[str, Any], context: dict[str, Any] | None = None) -> None:
        self.config = config
        self.context = context or {}
        self.custom_timers: dict[str, float] = {}

    def setup(self) -> None:
        """Prepare an iteration."""

    def run(self) -> None:
        """Do what is measured."""

    def tear_down(self) -> None:
        """Tidy up after an iteration."""


class CustomTimer:
    """Measures a block, also one that fails: ``with CustomTimer(self, "checkout"): ...``."""

    def __init__(self, transaction: Any, name: str) -> None:
        self._transaction, self._name = transaction, name

    def __enter__(self) -> CustomTimer:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if not hasattr(self._transaction, "custom_timers"):
            self._transaction.custom_timers = {}
        self._transaction.custom_timers[self._name] = time.perf_counter() - self._began


def install() -> None:
    """Make ``import oct_turrets`` mean this, in this process; a real one that is installed is not used."""
    package = types.ModuleType("oct_turrets")
    package.__path__ = []
    for name, content in (("base", {"BaseTransaction": BaseTransaction}), ("tools", {"CustomTimer": CustomTimer})):
        module = types.ModuleType(f"oct_turrets.{name}")
        module.__dict__.update(content)
        setattr(package, name, module)
        sys.modules[module.__name__] = module
    sys.modules["oct_turrets"] = package
