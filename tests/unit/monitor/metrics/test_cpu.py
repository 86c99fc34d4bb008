"""The metric cpu: shares of the time between two readings."""

from __future__ import annotations

import pytest

from OttoLibrary.monitor.metrics.cpu import Cpu
from tests.unit.monitor.shells import printed_often

#              user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = "cpu  100  0    50     800  50     0   0       0     0     0\ncpu0 100 0 50 800 50 0 0 0 0 0\n"
AFTER = "cpu  130  10   60     840  55     0   0       5     0     0\ncpu0 130 10 60 840 55 0 0 5 0 0\n"


def test_the_first_reading_has_no_share() -> None:
    assert Cpu().values(BEFORE, 1.0) == {}


def test_shares_are_of_the_time_since_the_reading_before() -> None:
    cpu = Cpu()
    cpu.values(BEFORE, 1.0)
    assert cpu.values(AFTER, 2.0) == {
        "cpu_percent": 55.0,
        "cpu_user_percent": 40.0,
        "cpu_system_percent": 10.0,
        "cpu_iowait_percent": 5.0,
        "cpu_steal_percent": 5.0,
        "cpu_percent[0]": 55.0,
    }


def test_counters_that_are_reset_are_no_share() -> None:
    cpu = Cpu()
    cpu.values(AFTER, 1.0)
    assert cpu.values(BEFORE, 2.0) == {}
    assert cpu.values(AFTER, 3.0)["cpu_percent"] == 55.0


def test_idle_that_goes_back_by_a_tick_counts_as_none() -> None:
    cpu = Cpu()
    cpu.values("cpu 100 0 0 800 50 0 0 0\n", 1.0)
    assert cpu.values("cpu 110 0 0 799 50 0 0 0\n", 2.0)["cpu_percent"] == 100.0


def test_no_time_between_two_readings_is_no_share() -> None:
    cpu = Cpu()
    cpu.values(BEFORE, 1.0)
    assert cpu.values(BEFORE, 1.0) == {}


def test_only_lines_of_processors_are_read_each_time(shell: str) -> None:
    for text in printed_often(shell, Cpu(), 2):
        assert all(line.startswith("cpu") for line in text.splitlines()[:1])
        assert not any(line.startswith(("ctxt", "btime", "procs")) for line in text.splitlines())


def test_a_kernel_without_processors_is_an_error() -> None:
    with pytest.raises(ValueError, match="/proc/stat has no line for a processor"):
        Cpu().values("intr 1 2\n", 1.0)
