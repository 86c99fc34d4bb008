"""The metric processes."""

from __future__ import annotations

import psutil
import pytest

from OttoLibrary.monitor.metrics.processes import Processes
from tests.unit.monitor.shells import printed


def test_processes_are_what_psutil_sees(shell: str) -> None:
    values = Processes().values(printed(shell, Processes()), 1.0)
    assert values["processes_count"] == pytest.approx(len(psutil.pids()), abs=20)
    assert values["threads_count"] >= values["processes_running_count"] >= 1
    assert 0 <= values["processes_blocked_count"] <= values["threads_count"]


def test_processes_of_a_kernel_that_does_not_say_who_is_blocked() -> None:
    assert Processes().values("71\n0.29 1.00 1.18 2/89 30761\ncpu  1 2 3\n", 1.0) == {
        "processes_count": 71,
        "processes_running_count": 2,
        "threads_count": 89,
    }
