"""The metric pressure."""

from __future__ import annotations

import pytest

from OttoLibrary.monitor.metrics.pressure import Pressure
from tests.unit.monitor.shells import printed


def psi(cpu_us: int, io_us: int) -> str:
    line = "some avg10=0.06 avg60=3.48 avg300=12.04 total="
    return f"cpu\n{line}{cpu_us}\nmemory\nio\n{line}{io_us}\n"


def test_pressure_is_the_share_of_time_that_some_waited() -> None:
    pressure = Pressure()
    assert pressure.values(psi(1_000_000, 500), 10.0) == {}
    assert pressure.values(psi(1_500_000, 9_000_500), 12.0) == {"pressure_cpu_percent": 25.0, "pressure_io_percent": 100.0}
    assert pressure.values("cpu\nmemory\nio\n", 13.0) == {}


def test_pressure_asks_three_files(shell: str) -> None:
    text = printed(shell, Pressure())
    assert [line for line in text.splitlines() if "=" not in line] == ["cpu", "memory", "io"]
    with pytest.raises(ValueError, match="does not say how long tasks waited: 'x'"):
        Pressure().values("cpu\nx\n", 1.0)
