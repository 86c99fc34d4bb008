"""The registry: what it names is there."""

from __future__ import annotations

import importlib

import pytest

from OttoLibrary import registry

TARGETS = [(kind, name, target) for kind, table in registry._BUILT_IN.items() for name, target in table.items()]


@pytest.mark.parametrize(("kind", "name", "target"), TARGETS, ids=str)
def test_every_built_in_name_has_what_keeps_its_contract(kind: str, name: str, target: str) -> None:
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert all(callable(getattr(found, method, None)) for method in registry._METHODS[kind])
