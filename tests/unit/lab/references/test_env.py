"""The reference to an environment variable."""

from __future__ import annotations

import pytest

from OttoLibrary.lab.references.env import Env


def test_it_is_the_value_or_a_clear_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")
    assert Env().resolve("TOKEN") == "t"
    with pytest.raises(LookupError, match="environment variable 'NO_TOKEN' is not set"):
        Env().resolve("NO_TOKEN")
