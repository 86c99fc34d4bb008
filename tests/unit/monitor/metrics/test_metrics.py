"""What all built-in metrics promise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary import registry
from OttoLibrary.contracts.metrics import CommandMetric, LocalMetric, NetworkMetric
from OttoLibrary.monitor.metrics.cpu import Cpu
from OttoLibrary.monitor.metrics.disk import Disk
from OttoLibrary.monitor.metrics.disk_io import DiskIo
from OttoLibrary.monitor.metrics.load import Load
from OttoLibrary.monitor.metrics.memory import Memory
from OttoLibrary.monitor.metrics.network import Network
from OttoLibrary.monitor.metrics.pressure import Pressure
from OttoLibrary.monitor.metrics.process import ProcessUsage
from OttoLibrary.monitor.metrics.processes import Processes
from OttoLibrary.monitor.metrics.tcp import Tcp
from OttoLibrary.monitor.metrics.temperature import Temperature
from OttoLibrary.units import unit_of
from tests.unit.monitor.shells import printed, printed_often

ARGUMENTS = {"process": ["sshd"], "snmp": ["1.3.6"]}
SHELL_METRICS: list[Callable[[], Any]] = [Cpu, Memory, Disk, DiskIo, Network, Load, Processes, Tcp, Temperature, Pressure]


@pytest.mark.parametrize("make", SHELL_METRICS, ids=lambda make: make.__name__)
def test_a_shell_and_psutil_know_the_same_series(make: Callable[[], Any], shell: str) -> None:
    metric, here = make(), make()
    both = printed_often(shell, metric, 2)
    metric.values(both[0], 10.0), here.here(10.0)
    if make is Cpu:
        sum(range(2_000_000))  # a hundredth of a second must pass on both sides
        both[1:] = [printed(shell, Cpu())]
        sum(range(2_000_000))
    assert set(metric.values(both[1], 11.0)) == set(here.here(11.0))


@pytest.mark.parametrize("make", SHELL_METRICS, ids=lambda make: make.__name__)
def test_each_series_has_a_unit_or_counts(make: Callable[[], Any]) -> None:
    metric = make()
    metric.here(10.0)
    for series in metric.here(11.0):
        assert unit_of(series) or series.partition("[")[0].endswith(("_count", "min")), series
        assert series.isprintable()


@pytest.mark.parametrize("make", [Cpu, Memory, Disk, DiskIo, Network, Load, Processes, Tcp], ids=lambda make: make.__name__)
@pytest.mark.parametrize("nonsense", ["", "sh: not found", "x: y\n1 2 3\n", "\0\n"])
def test_nonsense_is_an_error(make: Callable[[], Any], nonsense: str) -> None:
    with pytest.raises(ValueError, match=r"/proc|df did"):
        make().values(nonsense, 1.0)


WORDS = [
    "cpu",
    "MemTotal:",
    "MemFree:",
    "eth0:",
    "Tcp:",
    "search",
    "name",
    "uses",
    "io",
    "some",
    "total=9",
    "/",
    "8%",
    "-",
    "(x)",
    "S",
]


@pytest.mark.parametrize("make", [*SHELL_METRICS, lambda: ProcessUsage("x"), lambda: ProcessUsage("x y")])
@given(
    st.lists(
        st.lists(st.sampled_from([*WORDS, "0", "7", "1.5", "2/9"]) | st.text(max_size=5), max_size=16).map(" ".join), max_size=8
    )
)
def test_any_text_is_readings_or_an_error(make: Callable[[], Any], lines: list[str]) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(make().values("\n".join(lines), 1.0), dict)


def test_a_metric_is_known_by_its_main_series_and_asked_as_its_class_says() -> None:
    made = {name: registry.load("metric", name, *ARGUMENTS.get(name, ())) for name in registry.names("metric")}
    assert {name: metric.main for name, metric in made.items()} == {
        "cpu": "cpu_percent",
        "memory": "memory_used_percent",
        "disk": "disk_used_percent",
        "disk_io": "disk_io_bytes_per_s",
        "network": "network_bytes_per_s",
        "load": "load_1min",
        "processes": "processes_count",
        "tcp": "tcp_established_count",
        "temperature": "temperature_celsius",
        "pressure": "pressure_cpu_percent",
        "process": "process_cpu_percent[sshd]",
        "snmp": "snmp_value[1.3.6]",
    }
    assert [name for name, metric in made.items() if isinstance(metric, CommandMetric)] == ["disk"]
    assert [name for name, metric in made.items() if isinstance(metric, NetworkMetric)] == ["snmp"]
    assert all(isinstance(metric, LocalMetric) for name, metric in made.items() if name != "snmp")
