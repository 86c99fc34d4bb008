"""The metric load."""

from __future__ import annotations

import psutil
import pytest

from OttoLibrary.monitor.metrics.load import Load
from tests.unit.monitor.shells import printed


def test_load_is_three_numbers(shell: str) -> None:
    values = Load().values(printed(shell, Load()), 1.0)
    assert list(values.values()) == pytest.approx(psutil.getloadavg(), abs=0.5)
    assert Load().values("0.29 1.00 1.18 2/89 30761\n", 1.0) == {"load_1min": 0.29, "load_5min": 1.0, "load_15min": 1.18}
