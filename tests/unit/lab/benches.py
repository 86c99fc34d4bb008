"""Lab files for tests, and what loading them gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.errors import LabError
from OttoLibrary.lab.loading import load_lab

Write = Callable[..., Path]


def bench(**host: Any) -> dict[str, Any]:
    return {"hosts": {"dut1": {"address": "10.0.0.1", **host}}}


def problems(references: str = "bench") -> tuple[str, ...]:
    with pytest.raises(LabError) as raised:
        load_lab(references)
    return raised.value.problems


def facts(**host: Any) -> HostFacts:
    Path("labs").mkdir(exist_ok=True)
    Path("labs/bench.json").write_text(json.dumps(bench(**host)), encoding="utf-8")
    return load_lab("bench").facts("dut1")


def otto(**host: Any) -> dict[str, Any]:
    """Return a host in otto's form."""
    return {"ip": "10.0.0.9", "creds": {"tester": "pw", "root": "toor"}, "ne": "Carrot", **host}
