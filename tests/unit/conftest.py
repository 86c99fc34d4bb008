"""What every unit test finds."""

from __future__ import annotations

import pytest

from OttoLibrary import registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers, or unregisters, is no other test's."""
    monkeypatch.setattr(registry, "_registered", {kind: dict(known) for kind, known in registry._registered.items()})
