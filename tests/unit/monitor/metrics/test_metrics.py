"""The built-in metrics: their scripts in real shells, and what they make of the files of other systems."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.contracts.facts import HostFacts, SnmpOptions
from OttoLibrary.contracts.metrics import Metric, NetworkMetric
from OttoLibrary.errors import LabError, UsageError
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.monitor.metrics.cpu import Cpu
from OttoLibrary.monitor.metrics.disk import Disk
from OttoLibrary.monitor.metrics.disk_io import DiskIo
from OttoLibrary.monitor.metrics.load import Load
from OttoLibrary.monitor.metrics.memory import Memory
from OttoLibrary.monitor.metrics.network import Network
from OttoLibrary.monitor.metrics.own import Command, pattern_parser
from OttoLibrary.monitor.metrics.pressure import Pressure
from OttoLibrary.monitor.metrics.process import ProcessUsage
from OttoLibrary.monitor.metrics.processes import Processes
from OttoLibrary.monitor.metrics.snmp import Snmp
from OttoLibrary.monitor.metrics.tcp import Tcp
from OttoLibrary.monitor.metrics.temperature import Temperature
from OttoLibrary.monitor.watch import script_of
from OttoLibrary.text import Secret
from OttoLibrary.units import unit_of
from tests.peers.requirements import require

SHELLS = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
SHELL_METRICS: list[Callable[[], Any]] = [Cpu, Memory, Disk, DiskIo, Network, Load, Processes, Tcp, Temperature, Pressure]


def ran(shell: str, script: str) -> list[str]:
    """Return what the parts said; the script is given with the command, as a login shell gets it. Nothing else is printed."""
    require(SHELLS[shell][0])
    text = script_of([], "end") + "O=\n" + script + '\nprintf %s "$O"\n'
    done = subprocess.run([*SHELLS[shell], "-c", text], capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    return done.stdout.decode("utf-8", "replace").split("=next\n")


def said(shell: str, metric: Any) -> str:
    return ran(shell, metric.script())[0]


def said_often(shell: str, metric: Any, times: int, between: str = "") -> list[str]:
    """Return what it said each time, asked by one shell, as a monitor does."""
    script = metric.script()
    parts = "".join(f"part\n{between if number == 0 else ''}\nsay '=next'\n" for number in range(times))
    return ran(shell, f"part() {{\n{script}\n}}\n{parts}")[:times]


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- all of them


@pytest.mark.parametrize("make", SHELL_METRICS, ids=lambda make: make.__name__)
def test_a_shell_and_psutil_know_the_same_series(make: Callable[[], Any], shell: str) -> None:
    metric, here = make(), make()
    both = said_often(shell, metric, 2)
    metric.values(both[0], 10.0), here.here(10.0)
    if make is Cpu:
        sum(range(2_000_000))  # a hundredth of a second must pass on both sides
        both[1:] = [said(shell, Cpu())]
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


def test_all_keep_the_contract() -> None:
    metrics: list[Metric] = [Memory(), Disk(), DiskIo(), Network(), Load(), Processes(), Tcp(), Temperature(), Pressure()]
    metrics += [ProcessUsage("sshd"), Command("own", "true", float)]
    network: list[NetworkMetric] = [Snmp("1.3.6")]
    assert [metric.main for metric in [*metrics, *network]] == [
        "memory_used_percent",
        "disk_used_percent",
        "disk_io_bytes_per_s",
        "network_bytes_per_s",
        "load_1min",
        "processes_count",
        "tcp_established_count",
        "temperature_celsius",
        "pressure_cpu_percent",
        "process_cpu_percent[sshd]",
        "own",
        "snmp_value[1.3.6]",
    ]
    assert [metric.main for metric in metrics if metric.forks] == ["disk_used_percent", "own"]


# -- memory


def test_memory_is_what_psutil_says(shell: str) -> None:
    values, memory = Memory().values(said(shell, Memory()), 1.0), psutil.virtual_memory()
    assert values["memory_total_bytes"] == memory.total
    assert values["memory_available_bytes"] == pytest.approx(memory.available, rel=0.05)
    assert values["memory_cached_bytes"] == pytest.approx(memory.cached, rel=0.2)
    assert values["memory_used_percent"] == pytest.approx(memory.percent, abs=5)
    assert values["swap_used_bytes"] == pytest.approx(psutil.swap_memory().used, abs=2**24)


def test_memory_asks_for_the_same_lines_each_time(shell: str) -> None:
    first, second = said_often(shell, Memory(), 2)
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


# -- load


def test_load_is_three_numbers(shell: str) -> None:
    values = Load().values(said(shell, Load()), 1.0)
    assert list(values.values()) == pytest.approx(psutil.getloadavg(), abs=0.5)
    assert Load().values("0.29 1.00 1.18 2/89 30761\n", 1.0) == {"load_1min": 0.29, "load_5min": 1.0, "load_15min": 1.18}


# -- network

NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: {lo}  10    0    0    0     0          0         0 {lo}    10    0    0    0     0       0          0
  eth0:{received}  {packets}    1    2    0     0          0         0  {sent}   {packets}    3    4    0     0       0          0
"""


def test_network_is_rates_and_totals_without_lo() -> None:
    network = Network()
    assert network.values(NET_DEV.format(lo=5, received=1000, sent=200, packets=10), 10.0) == {}
    assert network.values(NET_DEV.format(lo=105, received=3000, sent=600, packets=30), 12.0) == {
        "network_received_bytes_per_s[lo]": 50.0,
        "network_sent_bytes_per_s[lo]": 50.0,
        "network_received_packets_per_s[lo]": 0.0,
        "network_sent_packets_per_s[lo]": 0.0,
        "network_errors_per_s[lo]": 0.0,
        "network_drops_per_s[lo]": 0.0,
        "network_received_bytes_per_s[eth0]": 1000.0,
        "network_sent_bytes_per_s[eth0]": 200.0,
        "network_received_packets_per_s[eth0]": 10.0,
        "network_sent_packets_per_s[eth0]": 10.0,
        "network_errors_per_s[eth0]": 0.0,
        "network_drops_per_s[eth0]": 0.0,
        "network_received_bytes_per_s": 1000.0,
        "network_sent_bytes_per_s": 200.0,
        "network_bytes_per_s": 1200.0,
    }


def test_a_counter_that_begins_anew_is_no_traffic() -> None:
    network = Network()
    network.values(NET_DEV.format(lo=5, received=1000, sent=200, packets=10), 10.0)
    values = network.values(NET_DEV.format(lo=5, received=3, sent=2, packets=1), 11.0)
    assert "network_bytes_per_s" not in values
    assert "network_received_bytes_per_s[eth0]" not in values
    again = network.values(NET_DEV.format(lo=5, received=13, sent=2, packets=1), 12.0)
    assert again["network_bytes_per_s"] == 10


def test_a_host_with_only_lo_has_no_traffic() -> None:
    network = Network()
    line = "    lo: {0}  10    0    0    0     0          0         0 {0}    10    0    0    0     0       0          0"
    network.values(line.format(5), 1.0)
    assert network.values(line.format(9), 2.0)["network_bytes_per_s"] == 0


def test_network_counts_what_psutil_counts(shell: str) -> None:
    network = Network()
    before = psutil.net_io_counters(pernic=True, nowrap=False)
    network.here(10.0)
    now = network.values(said(shell, network), 11.0)
    after = psutil.net_io_counters(pernic=True, nowrap=False)
    for name, count in after.items():
        grown = count.bytes_recv - before[name].bytes_recv
        assert 0 <= now[f"network_received_bytes_per_s[{name}]"] <= grown


# -- disk


def test_disk_shows_root_as_psutil_does(shell: str) -> None:
    values, usage = Disk().values(said(shell, Disk()), 1.0), psutil.disk_usage("/")
    assert values["disk_used_bytes[/]"] == pytest.approx(usage.used, rel=0.01)
    assert values["disk_free_bytes[/]"] == pytest.approx(usage.free, rel=0.01)
    assert values["disk_used_percent[/]"] == pytest.approx(usage.percent, abs=0.5)
    assert values["disk_used_percent"] == max(value for name, value in values.items() if name.startswith("disk_used_percent["))


MOUNTS = """
/proc/mounts
rootfs / rootfs rw 0 0
/dev/root /rom squashfs ro 0 0
tmpfs /tmp tmpfs rw 0 0
overlayfs:/overlay / overlay rw 0 0
/dev/mapper/a_long_name-of-a-volume /mnt/my\\040data ext4 rw 0 0
"""


def test_busybox_without_p_breaks_a_line_after_a_long_device() -> None:
    table = """Filesystem           1K-blocks      Used Available Use% Mounted on
/dev/root                 2560      2560         0 100% /rom
tmpfs                    30000      1000     29000   3% /tmp
overlayfs:/overlay        1000       250       750  25% /
/dev/mapper/a_long_name-of-a-volume
                          4000      3000      1000  75% /mnt/my data
"""
    assert Disk().values(table + MOUNTS, 1.0) == {
        "disk_used_percent": 75.0,
        "disk_used_percent[/]": 25.0,
        "disk_used_bytes[/]": 250 * 1024,
        "disk_free_bytes[/]": 750 * 1024,
        "disk_used_percent[/mnt/my data]": 75.0,
        "disk_used_bytes[/mnt/my data]": 3000 * 1024,
        "disk_free_bytes[/mnt/my data]": 1000 * 1024,
    }


def test_one_file_system_that_is_mounted_twice_counts_once() -> None:
    table = "/dev/sda1 1000 400 600 40% /srv/data\n/dev/sda1 1000 410 590 41% /\n"
    assert set(Disk().values(table, 1.0)) == {
        "disk_used_percent",
        *(f"disk_{kind}[/]" for kind in ("used_percent", "used_bytes", "free_bytes")),
    }


def test_root_in_memory_is_shown_and_one_that_is_more_than_full_is_full() -> None:
    assert Disk().values("tmpfs 1000 1010 -10 101% /\n", 1.0)["disk_used_percent"] == 100
    assert Disk().values("none 0 0 0 - /\n", 1.0) == {}


def test_disk_works_with_a_df_that_lacks_p(shell: str, tmp_path: Path) -> None:
    fake = tmp_path / "df"
    fake.write_text('#!/bin/sh\n[ "$1" = -P ] && { echo "invalid option" >&2; exit 1; }\necho \'/dev/x 10 1 9 10% /\'\n')
    fake.chmod(0o755)
    script = f"PATH={shlex.quote(str(tmp_path))}:$PATH\nunalias df 2>/dev/null\n"
    if shell == "busybox":
        script += f'df() {{ {shlex.quote(str(fake))} "$@"; }}\n'  # busybox takes its own before PATH
    assert Disk().values(ran(shell, script + Disk().script())[0], 1.0)["disk_used_percent"] == 10


# -- disk_io

DISKSTATS = """   7       0 loop0 1 0 8 0 0 0 0 0 0 9 9
   8       0 sda {0} 0 {1} 0 0 0 {2} 0 0 {3} 0
   8       1 sda1 {0} 0 {1} 0 0 0 {2} 0 0 {3} 0
   8       2 sda2 1 2 3 4
 179       0 mmcblk0 0 0 {1} 0 0 0 0 0 0 0 0 0 0 0 0
 179       1 mmcblk0p1 0 0 {1} 0 0 0 0 0 0 0 0 0 0 0 0
 253       0 dm-0 {0} 0 {1} 0 0 0 {2} 0 0 {3} 0 0 0 0 0 1 2
"""


def test_disk_io_counts_whole_disks_once() -> None:
    disks = DiskIo()
    assert disks.values(DISKSTATS.format(1, 100, 100, 1000), 10.0) == {}
    assert disks.values(DISKSTATS.format(5, 104, 102, 2500), 12.0) == {
        "disk_io_bytes_per_s": 2 * 1024 + 512,
        "disk_io_read_bytes_per_s": 2 * 1024,
        "disk_io_write_bytes_per_s": 512,
        "disk_io_read_bytes_per_s[sda]": 1024,
        "disk_io_write_bytes_per_s[sda]": 512,
        "disk_io_busy_percent[sda]": 75.0,
        "disk_io_read_bytes_per_s[mmcblk0]": 1024,
        "disk_io_write_bytes_per_s[mmcblk0]": 0,
        "disk_io_busy_percent[mmcblk0]": 0,
        "disk_io_read_bytes_per_s[dm-0]": 1024,
        "disk_io_write_bytes_per_s[dm-0]": 512,
        "disk_io_busy_percent[dm-0]": 75.0,
    }


def test_a_partition_without_its_disk_is_a_disk() -> None:
    disks = DiskIo()
    line = " 202 1 xvda1 1 0 {} 0 0 0 0 0 0 0 0\n"
    disks.values(line.format(0), 1.0)
    assert disks.values(line.format(2), 2.0)["disk_io_bytes_per_s"] == 1024


def test_disk_io_sees_the_disks_of_sys_block(shell: str) -> None:
    disks = DiskIo()
    first, second = said_often(shell, disks, 2)
    disks.values(first, 10.0)
    shown = {series.partition("[")[2][:-1] for series in disks.values(second, 11.0) if "[" in series}
    assert shown == {disk.name for disk in Path("/sys/block").iterdir() if not disk.name.startswith(("loop", "ram", "zram"))}


# -- processes


def test_processes_are_what_psutil_sees(shell: str) -> None:
    values = Processes().values(said(shell, Processes()), 1.0)
    assert values["processes_count"] == pytest.approx(len(psutil.pids()), abs=20)
    assert values["threads_count"] >= values["processes_running_count"] >= 1
    assert 0 <= values["processes_blocked_count"] <= values["threads_count"]


def test_processes_of_a_kernel_that_does_not_say_who_is_blocked() -> None:
    assert Processes().values("71\n0.29 1.00 1.18 2/89 30761\ncpu  1 2 3\n", 1.0) == {
        "processes_count": 71,
        "processes_running_count": 2,
        "threads_count": 89,
    }


# -- process


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
    first, second = said_often(shell, metric, 2)
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
        assert metric.values(said(shell, metric), 10.0)[f"process_count[{name}]"] == count, name
        assert ProcessUsage(name).here(10.0)[f"process_count[{name}]"] == count, name


def test_the_shell_that_looks_does_not_find_itself(shell: str) -> None:
    metric = ProcessUsage("one of a kind/that nobody runs")
    assert series_of(metric.values(said(shell, metric), 10.0)) == {"count": 0}
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
    with pytest.raises(ValueError, match=r"/proc/PID/stat|number of a process"):
        ProcessUsage("x").values(nonsense, 1.0)


@pytest.mark.parametrize("name", ["", "  ", "a\0b"])
def test_a_process_needs_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="needs the name of a process"):
        ProcessUsage(name)


# -- tcp

SNMP = """Ip: Forwarding DefaultTTL
Ip: 2 64
Icmp: InMsgs
Icmp: 3
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs{names}
Tcp: 1 200 120000 -1 96375 50633 42480 28576 7 38563740 41042532{numbers}
Udp: InDatagrams
Udp: 408
"""


def test_tcp_counts_connections_and_what_was_sent_again() -> None:
    tcp = Tcp()
    assert tcp.values(SNMP.format(names=" RetransSegs", numbers=" 10"), 10.0) == {"tcp_established_count": 7}
    values = tcp.values(SNMP.format(names=" RetransSegs InErrs", numbers=" 30 0"), 12.0)
    assert values == {"tcp_established_count": 7, "tcp_retransmits_per_s": 10.0}
    assert Tcp().values(SNMP.format(names="", numbers=""), 1.0) == {"tcp_established_count": 7}


def test_tcp_counts_what_psutil_counts(shell: str) -> None:
    values = Tcp().values(said(shell, Tcp()), 1.0)
    open_now = [one for one in psutil.net_connections("tcp") if one.status in {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}]
    assert values["tcp_established_count"] == pytest.approx(len(open_now), abs=10)


# -- temperature


def sensors(root: Path, files: dict[str, str]) -> Temperature:
    """Return the metric, and a /sys/class with these files."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n")
    return Temperature()


def test_temperature_names_zones_and_chips(shell: str, tmp_path: Path) -> None:
    metric = sensors(
        tmp_path,
        {
            "thermal/thermal_zone0/type": "cpu-thermal",
            "thermal/thermal_zone0/temp": "51500",
            "thermal/thermal_zone1/type": "acpitz",
            "thermal/thermal_zone1/temp": "-273200",
            "thermal/thermal_zone2/type": "acpitz",
            "thermal/thermal_zone2/temp": "-5000",
            "thermal/thermal_zone10/type": "acpitz",
            "thermal/thermal_zone10/temp": "20000",
            "hwmon/hwmon0/name": "cpu_thermal",
            "hwmon/hwmon0/temp1_input": "51500",
            "hwmon/hwmon1/name": "coretemp",
            "hwmon/hwmon1/temp2_input": "60000",
            "hwmon/hwmon1/temp2_label": "Core 0",
            "hwmon/hwmon2/temp1_input": "30000",
        },
    )
    text = ran(shell, metric.script().replace("/sys/class", str(tmp_path)))[0]
    assert metric.values(text, 1.0) == {
        "temperature_celsius": 60.0,
        "temperature_celsius[cpu-thermal]": 51.5,
        "temperature_celsius[acpitz]": -5.0,
        "temperature_celsius[acpitz 2]": 20.0,
        "temperature_celsius[coretemp Core 0]": 60.0,
        "temperature_celsius[hwmon/hwmon2/temp1_input]": 30.0,
    }


def test_a_host_without_sensors_has_no_temperature(shell: str, tmp_path: Path) -> None:
    assert Temperature().values(ran(shell, Temperature().script().replace("/sys/class", str(tmp_path)))[0], 1.0) == {}


def test_a_sensor_that_says_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="says something that is no number: 'thermal/thermal_zone0/temp warm x'"):
        Temperature().values("thermal/thermal_zone0/temp warm x\n", 1.0)


# -- pressure


def psi(cpu_us: int, io_us: int) -> str:
    line = "some avg10=0.06 avg60=3.48 avg300=12.04 total="
    return f"cpu\n{line}{cpu_us}\nmemory\nio\n{line}{io_us}\n"


def test_pressure_is_the_share_of_time_that_some_waited() -> None:
    pressure = Pressure()
    assert pressure.values(psi(1_000_000, 500), 10.0) == {}
    assert pressure.values(psi(1_500_000, 9_000_500), 12.0) == {"pressure_cpu_percent": 25.0, "pressure_io_percent": 100.0}
    assert pressure.values("cpu\nmemory\nio\n", 13.0) == {}


def test_pressure_asks_three_files(shell: str) -> None:
    text = said(shell, Pressure())
    assert [line for line in text.splitlines() if "=" not in line] == ["cpu", "memory", "io"]
    with pytest.raises(ValueError, match="does not say how long some waited: 'x'"):
        Pressure().values("cpu\nx\n", 1.0)


# -- own


@pytest.mark.parametrize(
    ("command", "first", "status"),
    [
        ("echo one; echo two", "one\ntwo", 0),
        ("false", "", 1),
        ("exit 3", "", 3),
        ("echo wrong >&2; exit 4", "wrong", 4),
        ("echo 'un", None, 2),
        ("set -- $(echo a b); echo $#", "2", 0),
        ("cat; echo end", "end", 0),
        ("echo 1 # and nothing more", "1", 0),
        ("O=; exit 0", "", 0),
    ],
)
def test_a_command_says_its_output_and_how_it_ended(command: str, first: str | None, status: int, shell: str) -> None:
    before, own, after, _ = ran(
        shell, f"say before\nsay '=next'\n{Command('x', command, float).script()}\nsay '=next'\nsay after\nsay '=next'\n"
    )
    assert (before, after) == ("before\n", "after\n")
    output, _, number = own.removesuffix("\n").rpartition("\n")
    assert first is None or output == first
    assert (int(number) == status) if first is not None else int(number) > 0


def test_numbers_get_the_name_in_front() -> None:
    assert Command("queue", "x", float).values("12\n0\n", 1.0) == {"queue": 12.0}
    metric = Command("queue", "x", lambda output: {"length": "3", "queue_age_s": 1, "size_bytes[a]": 2})
    assert metric.main == "queue"
    assert metric.values("\n0\n", 1.0) == {"queue_length": 3.0, "queue_age_s": 1.0, "queue_size_bytes[a]": 2.0}
    assert metric.main == "queue_length"


def test_the_main_series_is_the_one_of_that_name() -> None:
    metric = Command("queue", "x", json.loads)
    metric.values('{"length": 1}\n0\n', 1.0)
    assert metric.main == "queue_length"
    metric.values('{"length": 1, "queue": 2}\n0\n', 1.0)
    assert metric.main == "queue"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("cannot connect\nbye\n2\n", "The command of 'queue' ended with exit status 2: cannot connect"),
        ("\n127\n", "The command of 'queue' ended with exit status 127: no output"),
        ("", "The command of 'queue' did not say how it ended: no output"),
        ("abc\n0\n", "could not convert string to float: 'abc'"),
    ],
)
def test_a_command_that_went_wrong_is_an_error(said: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Command("queue", "x", float).values(said, 1.0)


def test_a_parser_that_breaks_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"The output of 'queue' cannot be parsed: .*It was: a b"):
        Command("queue", "x", lambda output: {"length": output.split()[5]}).values("a b\n0\n", 1.0)


def test_a_pattern_makes_series_of_groups() -> None:
    parse = pattern_parser("queue", r"^(?P<label>\w+): (?P<length>\d+)(?: \((?P<age_s>[\d.]+) s\))?$")
    assert parse("in: 3 (0.5 s)\nnoise\nout: 12\n") == {
        "queue_length[in]": 3.0,
        "queue_age_s[in]": 0.5,
        "queue_length[out]": 12.0,
    }
    assert pattern_parser("queue", r"(?P<length>\d+)")("length 7") == {"queue_length": 7.0}


def test_a_pattern_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the pattern 'a\(\?P<n>x\)' does not match: first"):
        pattern_parser("queue", "a(?P<n>x)")("first\nsecond")
    with pytest.raises(ValueError, match="the group 'n' of metric 'queue' matches 'x', which is no number"):
        pattern_parser("queue", "a(?P<n>x)")("ax")
    with pytest.raises(UsageError, match=r"The pattern '\(' of metric 'queue' is no regular expression"):
        pattern_parser("queue", "(")
    with pytest.raises(UsageError, match="has no named group"):
        pattern_parser("queue", r"(?P<label>\d+)")


# -- snmp

UPTIME = "1.3.6.1.2.1.1.3.0"
OID = "1.3.6.1.2.1.2.2.1.10.1"


@pytest.fixture
def asked() -> Callable[..., list[dict[str, float]]]:
    """Ask a metric several times, with what the agent knows each time."""
    pytest.importorskip("pysnmp", reason="needs: pip install 'pysnmp>=7'")
    from pyasn1.codec.ber import decoder, encoder
    from pysnmp.proto import api

    version = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]

    class Responder(asyncio.DatagramProtocol):
        known: dict[str, Any]
        transport: asyncio.DatagramTransport

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            question, _ = decoder.decode(data, asn1Spec=version.Message())
            if bytes(version.apiMessage.get_community(question)) != b"lab":
                return
            answer = version.apiMessage.get_response(question)
            oids = [oid for oid, _ in version.apiPDU.get_varbinds(version.apiMessage.get_pdu(question))]
            found = [(oid, self.known.get(str(oid), version.NoSuchObject(""))) for oid in oids]
            version.apiPDU.set_varbinds(version.apiMessage.get_pdu(answer), found)
            self.transport.sendto(encoder.encode(answer), address)

    async def all_of(metric: Snmp, rounds: list[dict[str, Any]], community: str) -> list[dict[str, float]]:
        transport, agent = await asyncio.get_running_loop().create_datagram_endpoint(Responder, ("127.0.0.1", 0))
        options = SnmpOptions(transport.get_extra_info("sockname")[1], Secret(community), 0.05)
        facts = HostFacts("switch", address="127.0.0.1", snmp=options)
        try:
            answers = []
            for number, known in enumerate(rounds):
                agent.known = known
                answers.append(await metric.ask(facts, 10.0 + number))
            return answers
        finally:
            transport.close()

    return lambda metric, *rounds, community="lab": asyncio.run(all_of(metric, list(rounds), community))


def test_snmp_counters_wrap_and_begin_anew(asked: Callable[..., list[dict[str, float]]]) -> None:
    from pysnmp.proto.rfc1902 import Counter32, TimeTicks

    rounds = [(2**32 - 10, 100), (2**32 - 5, 200), (5, 300), (9, 400), (3, 50), (4, 150)]
    answers = asked(Snmp(f".{OID}"), *({OID: Counter32(count), UPTIME: TimeTicks(up)} for count, up in rounds))
    assert [answer[f"snmp_value[{OID}]"] for answer in answers] == [count for count, _ in rounds]
    assert [answer.get(f"snmp_per_s[{OID}]") for answer in answers] == [None, 5.0, 10.0, 4.0, None, 1.0]


def test_snmp_reads_other_numbers(asked: Callable[..., list[dict[str, float]]]) -> None:
    from pysnmp.proto.rfc1902 import Counter64, Gauge32, Integer32, OctetString

    values = [Integer32(-5), Gauge32(7), OctetString("0.12"), Counter64(5), Counter64(2**63), Counter64(1)]
    answers = asked(Snmp(OID), *({OID: value} for value in values))
    assert [answer[f"snmp_value[{OID}]"] for answer in answers] == [-5.0, 7.0, 0.12, 5.0, 2.0**63, 1.0]
    assert ["snmp_per_s" in str(answer) for answer in answers] == [False, False, False, False, True, False]


def test_snmp_says_why_there_is_no_number(asked: Callable[..., list[dict[str, float]]]) -> None:
    from pysnmp.proto.rfc1902 import OctetString

    with pytest.raises(ValueError, match=f"{OID} is no number but 'up'"):
        asked(Snmp(OID), {OID: OctetString("up")})
    with pytest.raises(ValueError, match=f"The SNMP agent has no {OID}"):
        asked(Snmp(OID), {})


def test_an_agent_that_does_not_answer_is_an_os_error(asked: Callable[..., list[dict[str, float]]]) -> None:
    with pytest.raises(OSError, match=r"SNMP agent 127\.0\.0\.1 port \d+ does not answer"):
        asked(Snmp(OID), {}, community="wrong")


def test_snmp_goes_through_no_hop() -> None:
    with pytest.raises(ValueError, match="Host 'switch' is behind 'jump': SNMP goes over UDP, which no hop carries"):
        asyncio.run(Snmp(OID).ask(HostFacts("switch", address="192.0.2.1", hop="jump"), 1.0))


def test_an_oid_is_numbers() -> None:
    with pytest.raises(UsageError, match="needs an OID in numbers"):
        Snmp("sysUpTime.0")


def test_a_lab_says_how_an_agent_is_asked(tmp_path: Path) -> None:
    lab = tmp_path / "bench.json"
    lab.write_text(json.dumps({
        "defaults": {"snmp": {"community": "lab"}},
        "hosts": {"switch": {"address": "192.0.2.1", "snmp": {"port": 1161, "timeout": "500ms"}}},
    }))  # fmt: skip
    assert load_lab(str(lab)).facts("switch").snmp == SnmpOptions(1161, Secret("lab"), 0.5)
    lab.write_text(json.dumps({"hosts": {"switch": {"address": "192.0.2.1", "snmp": {"comunity": "x"}}}}))
    with pytest.raises(LabError, match=r"unknown key 'comunity' @ hosts\.switch\.snmp"):
        load_lab(str(lab))
