"""The metric process:NAME: who is found, and what they use."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.metrics.process import ProcessUsage
from tests.unit.monitor.shells import SHELLS, printed, printed_often, ran


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start processes of any name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        (tmp_path / name).symlink_to(shutil.which("sleep") or "sleep")
        started.append(subprocess.Popen([tmp_path / name, "30"], executable=tmp_path / name))
        _wait_for_name(started[-1].pid, name)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def _wait_for_name(pid: int, name: str) -> None:
    while os.fsencode(name) not in Path(f"/proc/{pid}/cmdline").read_bytes() or psutil.Process(pid).status() != "sleeping":
        os.sched_yield()


def series_of(values: dict[str, float]) -> dict[str, float]:
    return {series.partition("[")[0].removeprefix("process_"): value for series, value in values.items()}


@pytest.mark.parametrize(
    "name", ["otto_sleeper", "otto sleeper) R 1", "a_very_long_name_of_a_sleeper", "it's $(odd) *`x`", "ötto_schläfer_ß_ß"]
)
def test_a_process_is_found_by_its_name(name: str, shell: str, sleeper: Callable[[str], subprocess.Popen[bytes]]) -> None:
    real = psutil.Process(sleeper(name).pid)
    metric = ProcessUsage(name)
    first, second = printed_often(shell, metric, 2)
    assert series_of(metric.values(first, 10.0)).keys() == {"count", "rss_bytes", "threads_count", "open_files_count"}
    values = series_of(metric.values(second, 11.0))
    assert values == {
        "count": 1,
        "cpu_percent": pytest.approx(0, abs=2),
        "rss_bytes": real.memory_info().rss,
        "threads_count": 1,
        "open_files_count": real.num_fds(),
    }
    assert "search" in first
    assert "search" not in second
    here = ProcessUsage(name)
    here.here(10.0)
    assert series_of(here.here(11.0)) == values


def test_a_process_is_found_by_its_command_line(shell: str, sleeper: Callable[[str], subprocess.Popen[bytes]]) -> None:
    sleeper("otto_by_line")
    for name, count in {
        "otto_by_line 30": 1,
        "/otto_by_line": 1,
        "otto_by_line  3": 1,
        "otto_by_line 31": 0,
        "by_line /": 0,
    }.items():
        metric = ProcessUsage(name)
        assert metric.values(printed(shell, metric), 10.0)[f"process_count[{name}]"] == count, name
        assert ProcessUsage(name).here(10.0)[f"process_count[{name}]"] == count, name


def test_the_shell_that_looks_does_not_find_itself(shell: str) -> None:
    metric = ProcessUsage("one of a kind/that nobody runs")
    assert series_of(metric.values(printed(shell, metric), 10.0)) == {"count": 0}
    itself = ProcessUsage(SHELLS[shell][0])
    inside = ran(shell, f'O=$( {{ {itself.script()}\n}}; printf %s "$O" )')[0]
    own = {psutil.Process().pid, *(process.pid for process in psutil.process_iter())}
    assert all(int(line.split()[0]) in own for line in inside.splitlines() if line[:1].isdecimal())


def test_a_process_that_ended_is_looked_for_at_once(shell: str, tmp_path: Path) -> None:
    program = tmp_path / "otto_ended"
    program.symlink_to(shutil.which("sleep") or "sleep")
    metric = ProcessUsage(str(program))
    start = f"{shlex.quote(str(program))} 30 >/dev/null 2>&1 &"
    script = f"""{start}
first=$!
{start}
second=$!
part() {{
{metric.script()}
}}
until read -r comm </proc/$first/comm && [ "$comm" = otto_ended ] && read -r comm </proc/$second/comm && [ "$comm" = otto_ended ]
do :; done
part
say '=next'
kill $first
wait $first 2>/dev/null
part
say '=next'
part
say '=next'
kill $second
wait $second 2>/dev/null
"""
    texts = ran(shell, script)[:3]
    assert [metric.values(text, 1.0)[f"process_count[{program}]"] for text in texts] == [2, 1, 1]
    assert ["search" in text for text in texts] == [True, True, False]


def stat(pid: int, comm: str, ticks: int, start: int = 5, size: int = 4 * 65536) -> str:
    """Return what is said of a process with 100 of 4 pages in memory, so to say, and 3 open files."""
    rest = f"1 {pid} {pid} 0 -1 4194560 1 0 0 0 {ticks} 0 0 0 20 0 2 0 {start} {size} 90 18446744073709551615 1 1"
    return f"uses 3 4 100 1 1 0 1 0\n{pid} ({comm}) S {rest}\n"


def test_use_is_of_processes_that_were_there_before() -> None:
    metric = ProcessUsage("a (b) c")
    first = metric.values(f"search\nline 7 a (b) c\n{stat(7, 'a (b) c', 100)}", 10.0)
    assert series_of(first) == {"count": 1, "rss_bytes": 6553600, "threads_count": 2, "open_files_count": 3}
    grown = metric.values(stat(7, "a (b) c", 150, size=4 * 65536 + 9000).replace("uses 3", "uses -"), 11.0)
    assert series_of(grown) == {"count": 1, "cpu_percent": 50.0, "rss_bytes": 6553600, "threads_count": 2}
    restarted = metric.values(f"search\nline 9 a (b) c\n{stat(9, 'a (b) c', 90, start=900)}", 12.0)
    assert "cpu_percent" not in series_of(restarted)
    reused = metric.values(stat(9, "a (b) c", 5000, start=1000), 13.0)
    assert "cpu_percent" not in series_of(reused)


def test_of_processes_that_come_and_go_only_those_that_stay_count() -> None:
    metric = ProcessUsage("x")
    metric.values(f"search\nname 1\nname 2\n{stat(1, 'x', 10)}{stat(2, 'x', 900)}", 10.0)
    values = series_of(metric.values(f"search\nname 1\nname 3\n{stat(1, 'x', 30)}{stat(3, 'x', 500)}", 12.0))
    assert values["cpu_percent"] == 10.0
    assert values["count"] == 2


def test_a_zombie_does_not_run() -> None:
    text = f"search\nname 1\n{stat(1, 'x', 10).replace(' S ', ' Z ')}"
    assert ProcessUsage("x").values(text, 1.0) == {"process_count[x]": 0}


@pytest.mark.parametrize("nonsense", ["sh: not found", "name x", "1 (x) S 2 3"])
def test_nonsense_is_no_process(nonsense: str) -> None:
    with pytest.raises(ValueError, match=r"/proc/PID/stat|A process id is expected"):
        ProcessUsage("x").values(nonsense, 1.0)


@pytest.mark.parametrize("name", ["", "  ", "a\0b"])
def test_a_process_needs_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="needs the name of a process"):
        ProcessUsage(name)
