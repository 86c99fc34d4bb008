"""A folder of each test's own, as the current one, and lab files in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.lab.lab import Lab
from OttoLibrary.lab.loading import load_lab
from tests.unit.lab.benches import Write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTTO_LABS", raising=False)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    def write_file(content: Any, name: str = "labs/bench.json") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def lab(write: Write) -> Lab:
    tags = {"gw": [], "dut1": ["dut", "arm"], "dut2": ["dut", "x86"], "rig": ["rig", "arm"]}
    hops = {"dut1": "gw", "rig": "dut1"}
    write({"hosts": {name: {"address": name, "tags": of, "hop": hops.get(name)} for name, of in tags.items()}})
    return load_lab("bench")
