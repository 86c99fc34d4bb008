"""A recording of two hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from OttoLibrary.contracts.metrics import Event
from tests.unit.dashboard.recordings import BEGAN, EVIL, record, tick


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    events = (Event(BEGAN + 1, "load begins", "mark"), Event(BEGAN + 2, "no answer", "gap", "dut1", BEGAN + 4))
    ticks = [tick(row, host) for row in range(5) for host in ("dut1", EVIL)]
    return record(tmp_path / "m.db", *ticks, events=events, hosts={"dut1": ["gateway", "dut1"]}, tags={"dut1": ["dut"]})
