"""The loads are as big as they say, the other readers can be read, and all of them end with the test."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from tests.peers import loads
from tests.peers.exporter import Exporter, Snmpd
from tests.peers.processes import alive, children, wait_until
from tests.peers.requirements import require


@pytest.mark.parametrize("kind", ["user", "system"])
def test_a_hog_burns_its_share(kind: str) -> None:
    """Never more, and where it should; less only when the machine is busy."""
    with loads.cpu_hog(0.5, kind) as pid:
        before, began = psutil.Process(pid).cpu_times(), time.monotonic()
        time.sleep(0.6)
        after, elapsed_s = psutil.Process(pid).cpu_times(), time.monotonic() - began
    spent = {"user": after.user - before.user, "system": after.system - before.system}
    assert sum(spent.values()) / elapsed_s < 0.65
    assert spent[kind] > 2 * (sum(spent.values()) - spent[kind])


def test_an_eater_touches_each_page() -> None:
    with loads.memory_eater(64) as pid:
        assert 64 << 20 < psutil.Process(pid).memory_info().rss < 128 << 20


def test_a_crowd_has_threads_and_files() -> None:
    with loads.crowd("otto-some", 7, 9) as pid:
        process = psutil.Process(pid)
        assert (process.name(), process.num_threads()) == ("otto-some", 8)
        assert sum(file.readlink() == Path("/dev/null") for file in Path(f"/proc/{pid}/fd").iterdir()) == 10  # and its input


def test_a_writer_takes_its_time(tmp_path: Path) -> None:
    began = time.monotonic()
    loads.write_to_disk(tmp_path, 4, 0.4)
    assert time.monotonic() - began >= 0.4
    assert (tmp_path / "written").stat().st_size == 4 << 20


def test_all_end_with_the_test_that_fails() -> None:
    require("prometheus-node-exporter", "snmpd")
    pids: list[int] = []

    def fail() -> None:
        with loads.cpu_hog(0.1) as hog, Exporter() as exporter, Snmpd("own") as agent:
            pids.extend([hog, exporter.process.pid, agent.process.pid])
            with loads.running(["sh", "-c", "sleep 60; true"]) as shell:
                wait_until(lambda: children(shell.pid), "Starting sleep")
                pids.extend([shell.pid, *children(shell.pid)])
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(pids) == 5
    # Whose parent is gone is a zombie for a while.
    assert not [pid for pid in pids if alive(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_a_load_that_cannot_start_is_told() -> None:
    with pytest.raises(RuntimeError, match="The load 'cpu no-number user otto-hog' did not start"), loads.cpu_hog("no-number"):  # type: ignore[arg-type]
        pass


def test_the_page_of_node_exporter_is_numbers() -> None:
    with Exporter() as exporter:
        page = exporter.read()
    assert page["node_memory_MemTotal_bytes"] == psutil.virtual_memory().total
    assert 'node_cpu_seconds_total{cpu="0",mode="idle"}' in page
