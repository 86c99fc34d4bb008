"""Small recordings for tests of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.monitor.recording_writer import Store

BEGAN = 1_795_271_913.0
EVIL = "<script>alert(1)</script>"


def record(path: Path, *ticks: Tick, events: tuple[Event, ...] = (), hosts: Any = None, label: str = "night", **lab: Any) -> Path:
    store = Store(path)
    store.begin(label, {"hosts": hosts or {}, **lab}, {}, 2.0)
    for tick in ticks:
        store.add(tick)
    for event in events:
        store.mark(event)
    store.close()
    return path


def tick(row: int, host: str = "dut1", **values: float) -> Tick:
    return Tick(host, BEGAN + 2 * row, 100.0 + row, values or {"cpu_percent": float(row)})
