"""The metric memory, in real shells and with files of other kernels."""

from __future__ import annotations

import psutil
import pytest

from OttoLibrary.monitor.metrics.memory import Memory
from tests.unit.monitor.shells import printed, printed_often


def test_memory_is_what_psutil_says(shell: str) -> None:
    values, memory = Memory().values(printed(shell, Memory()), 1.0), psutil.virtual_memory()
    assert values["memory_total_bytes"] == memory.total
    assert values["memory_available_bytes"] == pytest.approx(memory.available, rel=0.05)
    assert values["memory_cached_bytes"] == pytest.approx(memory.cached, rel=0.2)
    assert values["memory_used_percent"] == pytest.approx(memory.percent, abs=5)
    assert values["swap_used_bytes"] == pytest.approx(psutil.swap_memory().used, abs=2**24)


def test_memory_asks_for_the_same_lines_each_time(shell: str) -> None:
    first, second = printed_often(shell, Memory(), 2)
    assert first.splitlines()[-1].startswith("SReclaimable:")
    assert len(first.splitlines()) == len(second.splitlines())


def test_memory_of_a_kernel_that_does_not_say_what_is_available() -> None:
    text = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB\nSwapTotal: 80 kB\nSwapFree: 60 kB\n"
    assert Memory().values(text, 1.0) == {
        "memory_used_percent": 60.0,
        "memory_used_bytes": 600 * 1024,
        "memory_available_bytes": 400 * 1024,
        "memory_cached_bytes": 250 * 1024,
        "memory_total_bytes": 1000 * 1024,
        "swap_used_bytes": 20 * 1024,
    }


def test_memory_of_a_container_that_sees_more_than_it_has() -> None:
    text = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 2000 kB\n"
    assert Memory().values(text, 1.0)["memory_used_percent"] == 0
