"""What a monitor sees, beside what somebody else saw of the same machine in the same time: psutil, node_exporter, iperf3.

Other tests run meanwhile, so no absolute load is expected: two readers of the same time are compared, and the second proves that
there was something to see. This machine is watched four ways at once: by psutil, and over SSH by bash, dash and busybox.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import tempfile
import threading
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.run.session import Session
from tests.peers import loads, processes
from tests.peers.exporter import Exporter, Snmpd
from tests.peers.processes import wait_until
from tests.peers.requirements import find, require
from tests.peers.sshd import Sshd

WAYS = ("local", "bash", "dash", "busybox")
MIB = 1 << 20
_INTERVAL_S = 0.2
_WINDOW_S = 2.0
_PATIENCE_S = 8.0
# The second reader looks at least so often.
_APART_S = 0.3
_SHARE = 0.05
POINTS = 2.0
CORES = os.cpu_count() or 1
# As proc_stat(5) has them; guests count as user already.
CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
ALL_CPU = [f"cpu {mode}" for mode in CPU_MODES]
CPU_FIELDS = {
    "cpu_percent": ("user", "nice", "system", "irq", "softirq", "steal"),
    "cpu_user_percent": ("user", "nice"),
    "cpu_system_percent": ("system", "irq", "softirq"),
}

Values = Mapping[str, float]


# -- the second reader


class Witness:
    """Reads something again and again, and so knows it at any moment of its life. Used as a context manager."""

    def __init__(self, read: Callable[[], Values], interval_s: float = 0.05) -> None:
        self._read, self._interval_s = read, interval_s
        self._times: list[float] = []
        self._seen: list[Values] = []
        self._trouble: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        self.wait(time.time())
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def wait(self, moment: float) -> None:
        """Wait until that moment has been seen."""
        wait_until(lambda: self._trouble or (self._times and self._times[-1] >= moment), "A second reading")
        if self._trouble is not None:
            raise self._trouble

    def at(self, name: str, moment: float) -> float:
        """Return a value at a moment, between two readings what lies between."""
        self.wait(moment)
        after = min(max(bisect(self._times, moment), 1), len(self._times) - 1)
        (early, late), before = self._times[after - 1 : after + 1], self._seen[after - 1][name]
        return before + (self._seen[after][name] - before) * (moment - early) / (late - early)

    def close_to(self, value: float, name: str, moment: float) -> float:
        """Return what is next to a value of all that it was about a moment: what jumps is never read at the same time twice."""
        about = [self.at(name, moment + shift) for shift in (-_APART_S / 2, -_APART_S / 4, 0, _APART_S / 4, _APART_S / 2)]
        return min(max(value, min(about)), max(about))

    def per_second(self, names: Sequence[str], since: float, until: float) -> float:
        """Return how fast counters together grew."""
        return sum(self.at(name, until) - self.at(name, since) for name in names) / (until - since)

    def share(self, names: Sequence[str], of: Sequence[str], since: float, until: float) -> float:
        """Return how much in percent some counters grew of what all of them grew."""
        return 100 * self.per_second(names, since, until) / self.per_second(of, since, until)

    def _look(self) -> None:
        try:
            while not self._over.wait(self._interval_s):
                began = time.time()
                seen = self._read()
                self._seen.append(seen)
                self._times.append((began + time.time()) / 2)
        except Exception as error:  # noqa: BLE001 - the test raises it
            self._trouble = error


def of_psutil() -> dict[str, float]:
    """Return what psutil knows of this machine, by names of our own."""
    cpu, memory, disks = psutil.cpu_times(), psutil.virtual_memory(), psutil.disk_io_counters(perdisk=True)
    found = {f"cpu {field}": getattr(cpu, field) for field in cpu._fields}
    found |= {"memory used": memory.total - memory.available, "memory available": memory.available}
    found |= {f"written {disk}": count.write_bytes for disk, count in disks.items()}
    found |= {f"received {nic}": count.bytes_recv for nic, count in psutil.net_io_counters(pernic=True).items()}
    found |= {f"sent {nic}": count.bytes_sent for nic, count in psutil.net_io_counters(pernic=True).items()}
    return found | {"processes": len(psutil.pids())}


@pytest.fixture
def by_psutil() -> Iterator[Witness]:
    with Witness(of_psutil) as witness:
        yield witness


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    with Exporter() as started:
        yield started


@pytest.fixture
def by_exporter(exporter: Exporter) -> Iterator[Witness]:
    with Witness(lambda: page_of(exporter), 0.1) as witness:
        yield witness


def page_of(exporter: Exporter) -> dict[str, float]:
    """Return its page, and what follows from it."""
    page = exporter.read()
    total, available = page["node_memory_MemTotal_bytes"], page["node_memory_MemAvailable_bytes"]
    return page | {"node memory used": total - available, "node memory available": available}


# -- the hosts


@dataclass
class Seen:
    """Readings of one series of one host."""

    host: str
    name: str
    times: Sequence[float]
    values: Sequence[float]

    @property
    def window(self) -> tuple[float, float]:
        return self.times[0], self.times[-1]

    def before(self, moment: float) -> tuple[float, float]:
        """Return when the last reading was taken that is certainly from before a moment, and its value."""
        at = bisect(self.times, moment - _APART_S) - 1
        assert at >= 0
        return self.times[at], self.values[at]

    @property
    def last(self) -> tuple[float, float]:
        return self.times[-1], self.values[-1]

    @property
    def mean(self) -> float:
        """The mean of rates: each counts for the time since the one before."""
        spans = [late - early for early, late in zip(self.times, self.times[1:], strict=False)]
        return sum(value * span for value, span in zip(self.values[1:], spans, strict=True)) / sum(spans)


class Watched:
    """Hosts that a monitor watches."""

    def __init__(self, session: Session, hosts: Sequence[str], metrics: Sequence[str]) -> None:
        self.session, self.hosts = session, hosts
        self.began = time.time()
        session.monitor.start(hosts, metrics, _INTERVAL_S, None, "truth")

    def seen(self, host: str, name: str, since: float = 0.0, until: float | None = None) -> Seen:
        async def ask(monitor: Any) -> Any:
            return await monitor.readings(host, name, since, until)

        times, values = self.session.monitor.ask(ask)
        return Seen(host, name, times, values)

    def each(self, name: str, since: float = 0.0, until: float | None = None) -> list[Seen]:
        """Return a series of each host, from three readings on."""
        found = [self.seen(host, name, since, until) for host in self.hosts]
        assert all(len(seen.times) > 2 for seen in found), [(seen.host, len(seen.times)) for seen in found]
        return found

    def wait_for(self, name: str, count: int = 1, since: float = 0.0) -> None:
        """Wait until each host has had so many readings of a series."""

        def counts() -> dict[str, int]:
            return {host: len(self.seen(host, name, since).times) for host in self.hosts}

        end = time.monotonic() + _PATIENCE_S
        while min(counts().values()) < count:
            assert time.monotonic() < end, f"{name}: {counts()} readings, not {count}. {self.events()}"
            time.sleep(0.02)

    def look(self, name: str, seconds: float = _WINDOW_S) -> list[Seen]:
        """Look at a series for some time from now on."""
        self.wait_for(name)
        since = time.time()
        time.sleep(seconds)
        return self.each(name, since)

    def events(self) -> list[Event]:
        async def ask(monitor: Any) -> list[Event]:
            return [event for event in monitor.events(0.0) if event.kind in {"error", "gap"}]

        return self.session.monitor.ask(ask)


Watch = Callable[..., Watched]


def host_of(sshd: Sshd, keys: Any) -> dict[str, Any]:
    return {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}


def elsewhere(mounts: Mapping[Path, Path]) -> Callable[[Sequence[str]], list[str]]:
    """Return a launcher of a server that sees this machine with some files or folders in the place of others."""
    script = " && ".join(f"mount --bind {shlex.quote(str(new))} {shlex.quote(str(old))}" for old, new in mounts.items())

    def launcher(command: Sequence[str]) -> list[str]:
        at = command.index(find("sshd") or "sshd")
        return [*command[:at], "unshare", "--mount", "/bin/sh", "-c", f'{script} && exec "$@"', "sh", *command[at:]]

    return launcher


@pytest.fixture(scope="module")
def bare(keys: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sshd]]:
    """Servers without bash on their PATH: what they have is sh, which is dash, and on ``busybox`` busybox, as all else."""
    require("root", "sshd", "unshare", "mount", "busybox", "dash")
    tools = tmp_path_factory.mktemp("tools")
    applets = tmp_path_factory.mktemp("applets")
    for tool in ("sh", "df", "date", "cat", "env", "kill", "ps", "sleep", "tail"):
        (tools / tool).symlink_to(find("dash" if tool == "sh" else tool) or tool)
        (applets / tool).symlink_to(find("busybox") or "busybox")
    shell = Path("/bin/sh").resolve()
    with contextlib.ExitStack() as ending:
        yield {
            name: ending.enter_context(
                Sshd(
                    keys,
                    launcher=elsewhere({shell: Path(find(name) or name).resolve()}),
                    options={"SetEnv": f"PATH={path} SHLVL=2"},
                )
            )
            for name, path in (("dash", tools), ("busybox", applets))
        }


@pytest.fixture
def four_ways(sshd: Sshd, bare: dict[str, Sshd], keys: Any, open_lab: Any) -> Watch:
    """Watch this machine four ways: ``four_ways("cpu", ...)``."""
    servers = {"bash": sshd, **bare}
    hosts = {name: host_of(server, keys) for name, server in servers.items()} | {"local": {"transport": "local"}}

    def watch(*metrics: str) -> Watched:
        return Watched(open_lab(**hosts), WAYS, metrics)

    return watch


def near(seen: Seen, actual: float, expected: float, points: float = 0.0) -> None:
    """Fail unless two readers agree within 5 %, or so many units."""
    told = f"{seen.host} {seen.name}: {actual:g} by the monitor, {expected:g} by the other reader"
    assert abs(actual - expected) <= max(_SHARE * abs(expected), points), told


# -- all of a machine


@pytest.mark.parametrize("way", WAYS[1:])
def test_each_way_has_its_shell(four_ways: Watch, sshd: Sshd, bare: dict[str, Sshd], way: str) -> None:
    """Otherwise the other tests would say nothing of shells."""
    four_ways("load").wait_for("load_1min")
    server = {"bash": sshd, **bare}[way]
    assert {program_of(pid) for pid in processes.descendants(server.pid)} - {""} == {way}


def program_of(pid: int) -> str:
    """Return which program a process runs, whatever its file is called there."""
    with contextlib.suppress(OSError):
        found = Path(f"/proc/{pid}/exe").stat()
        for name in WAYS[1:]:
            if os.path.samestat(found, Path(find(name) or name).stat()):
                return name
    return ""


@pytest.mark.parametrize("kind", ["user", "system"])
def test_cpu_is_what_others_see(four_ways: Watch, by_psutil: Witness, by_exporter: Witness, kind: str) -> None:
    with loads.cpu_hog(0.8, kind) as pid, Witness(lambda: psutil.Process(pid).cpu_times()._asdict()) as hog:
        watched = four_ways("cpu")
        watched.look("cpu_percent")
        for row in watched.each(f"cpu_{kind}_percent"):
            burnt = 100 * hog.per_second([kind], *row.window) / CORES
            assert row.mean > burnt - POINTS
            assert burnt > 2 * POINTS
    for name, fields in CPU_FIELDS.items():
        for row in watched.each(name):
            near(row, row.mean, by_psutil.share([f"cpu {field}" for field in fields], ALL_CPU, *row.window), POINTS)
            near(row, row.mean, by_exporter.share(exported_cpu(fields), exported_cpu(CPU_MODES), *row.window), POINTS)


def cpu_s(process: psutil.Process) -> float:
    return process.cpu_times().user + process.cpu_times().system


def exported_cpu(modes: Sequence[str]) -> list[str]:
    return [f'node_cpu_seconds_total{{cpu="{core}",mode="{mode}"}}' for core in range(CORES) for mode in modes]


def test_each_core_is_seen(four_ways: Watch, by_exporter: Witness) -> None:
    with loads.cpu_hog(0.6):
        watched = four_ways("cpu")
        watched.look("cpu_percent")
    for core in range(CORES):
        counters = {mode: f'node_cpu_seconds_total{{cpu="{core}",mode="{mode}"}}' for mode in CPU_MODES}
        busy = [counters[mode] for mode in CPU_FIELDS["cpu_percent"]]
        for row in watched.each(f"cpu_percent[{core}]"):
            near(row, row.mean, by_exporter.share(busy, list(counters.values()), *row.window), POINTS)


def test_memory_is_what_others_see(four_ways: Watch, by_psutil: Witness, by_exporter: Witness) -> None:
    watched = four_ways("memory")
    watched.wait_for("memory_used_bytes", 4)
    began = time.time()
    with loads.memory_eater(200):
        watched.wait_for("memory_used_bytes", 4, time.time())
        for name, other in (("memory_used_bytes", "memory used"), ("memory_available_bytes", "memory available")):
            for row in watched.each(name):
                (then, first), (now, last) = row.before(began), row.last
                for witness, series in ((by_psutil, other), (by_exporter, f"node {other}")):
                    early, late = witness.close_to(first, series, then), witness.close_to(last, series, now)
                    near(row, last, late)
                    near(row, last - first, late - early, 10 * MIB)
                    assert abs(late - early) > 50 * MIB


def test_disk_io_is_what_others_see(four_ways: Watch, by_psutil: Witness, by_exporter: Witness) -> None:
    with tempfile.TemporaryDirectory(prefix="otto-disk-", dir="/var/tmp") as folder:
        disk = loads.block_device(Path(folder))
        if not disk:
            pytest.skip("/var/tmp is on no disk of this machine.")
        watched = four_ways("disk_io")
        name = f"disk_io_write_bytes_per_s[{disk}]"
        watched.wait_for(name)
        loads.write_to_disk(Path(folder), 50, 1.5)
        watched.wait_for(name, 2, time.time())
    for row in watched.each(name):
        elapsed_s = row.times[-1] - row.times[0]
        near(row, row.mean, by_psutil.per_second([f"written {disk}"], *row.window), MIB / 10)
        near(row, row.mean, by_exporter.per_second([f'node_disk_written_bytes_total{{device="{disk}"}}'], *row.window), MIB / 10)
        assert row.mean * elapsed_s > 0.95 * 50 * MIB
    for row in watched.each(f"disk_io_busy_percent[{disk}]"):
        spent = by_exporter.per_second([f'node_disk_io_time_seconds_total{{device="{disk}"}}'], *row.window)
        near(row, row.mean, 100 * spent, POINTS)


def test_load_is_what_others_see(four_ways: Watch, by_exporter: Witness) -> None:
    watched = four_ways("load")
    watched.look("load_1min", 1.0)
    for name, other in (("load_1min", "node_load1"), ("load_5min", "node_load5"), ("load_15min", "node_load15")):
        for row in watched.each(name):
            # It steps every five seconds; between two steps both say the same.
            assert any(abs(row.values[index] - by_exporter.at(other, row.times[index])) < 0.02 for index in range(len(row.times)))


def test_processes_and_threads_are_counted(four_ways: Watch, by_psutil: Witness, by_exporter: Witness) -> None:
    watched = four_ways("processes")
    watched.wait_for("processes_count", 4)
    began = time.time()
    with contextlib.ExitStack() as ending:
        # More than what other tests may end meanwhile.
        ending.enter_context(loads.running(["sh", "-c", f"{'sleep 60 & ' * 80} wait"]))
        ending.enter_context(loads.crowd("otto-crowd", 40, 0))
        watched.wait_for("processes_count", 3, time.time())
        until = time.time()
        for name, witness, other in (
            ("processes_count", by_psutil, "processes"),
            ("processes_count", by_exporter, "node_processes_pids"),
            ("threads_count", by_exporter, "node_processes_threads"),
        ):
            for row in watched.each(name, 0.0, until):
                (then, first), (now, last) = row.before(began), row.last
                early, late = witness.close_to(first, other, then), witness.close_to(last, other, now)
                near(row, last, late, POINTS)
                near(row, last - first, late - early, 4 * POINTS)
                assert late - early > 10


def test_established_connections_are_counted(four_ways: Watch, by_exporter: Witness) -> None:
    watched = four_ways("tcp")
    watched.wait_for("tcp_established_count", 4)
    began = time.time()
    with contextlib.ExitStack() as ending:
        listener = ending.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        for _ in range(50):
            ending.enter_context(socket.create_connection(listener.getsockname()))
            ending.enter_context(listener.accept()[0])
        watched.wait_for("tcp_established_count", 3, time.time())
        for row in watched.each("tcp_established_count"):
            (then, first), (now, last) = row.before(began), row.last
            early = by_exporter.close_to(first, "node_netstat_Tcp_CurrEstab", then)
            late = by_exporter.close_to(last, "node_netstat_Tcp_CurrEstab", now)
            near(row, last, late, POINTS)
            near(row, last - first, late - early, 4 * POINTS)
            assert late - early >= 30


def test_segments_that_are_sent_again_are_counted(four_ways: Watch, by_exporter: Witness) -> None:
    watched = four_ways("tcp")
    watched.wait_for("tcp_retransmits_per_s")
    with contextlib.ExitStack() as ending:
        listener = ending.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        # Nobody accepts: what does not fit is asked again after a second.
        for _ in range(40):
            asking = ending.enter_context(socket.socket())
            asking.setblocking(False)
            asking.connect_ex(listener.getsockname())
        watched.wait_for("tcp_retransmits_per_s", 9, time.time())
    for row in watched.each("tcp_retransmits_per_s"):
        truth = by_exporter.per_second(["node_netstat_Tcp_RetransSegs"], *row.window)
        # They come in bursts, and the two readers do not look at the same moment.
        near(row, row.mean, truth, 2.0)
        assert truth * (row.times[-1] - row.times[0]) >= 30


def test_disk_is_as_full_as_others_see(four_ways: Watch, exporter: Exporter) -> None:
    watched = four_ways("disk")
    watched.wait_for("disk_used_percent[/]")
    page, usage = exporter.read(), shutil.disk_usage("/")
    label = next(name.partition("{")[2] for name in page if name.startswith("node_filesystem_size") and 'mountpoint="/"' in name)
    used = page[f"node_filesystem_size_bytes{{{label}"] - page[f"node_filesystem_free_bytes{{{label}"]
    free = page[f"node_filesystem_avail_bytes{{{label}"]
    for host in WAYS:
        truths = {
            "disk_used_bytes[/]": (used, usage.used),
            "disk_free_bytes[/]": (free, usage.free),
            "disk_used_percent[/]": (100 * used / (used + free), 100 * usage.used / (usage.used + usage.free)),
        }
        for name, others in truths.items():
            row = watched.seen(host, name)
            for other in others:
                assert abs(row.values[-1] - other) <= 0.01 * other, (row, other)


def test_pressure_is_what_others_see(four_ways: Watch, by_exporter: Witness) -> None:
    if not Path("/proc/pressure/cpu").exists():
        pytest.skip("The kernel of this machine knows no pressure.")
    with contextlib.ExitStack() as ending:
        folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="otto-disk-", dir="/var/tmp"))
        for _ in range(CORES + 1):
            ending.enter_context(loads.cpu_hog(1))
        watched = four_ways("pressure")
        watched.wait_for("pressure_cpu_percent")
        loads.write_to_disk(Path(folder), 30, 1.5)
        watched.wait_for("pressure_io_percent", 2, time.time())
    for kind in ("cpu", "io", "memory"):
        for row in watched.each(f"pressure_{kind}_percent"):
            truth = 100 * by_exporter.per_second([f"node_pressure_{kind}_waiting_seconds_total"], *row.window)
            near(row, row.mean, truth, POINTS)
            assert kind != "cpu" or truth > 20


# -- one process


def test_a_process_is_what_psutil_sees(four_ways: Watch) -> None:
    name = f"otto-{os.getpid()}-h"
    with loads.cpu_hog(0.4, "user", name) as pid, Witness(lambda: {"cpu": 100 * cpu_s(psutil.Process(pid))}) as witness:
        watched = four_ways(f"process:{name}")
        for row in watched.look(f"process_cpu_percent[{name}]"):
            near(row, row.mean, witness.per_second(["cpu"], *row.window), POINTS)
            assert row.mean > 10


def test_what_a_process_holds_is_what_psutil_sees(four_ways: Watch) -> None:
    name = f"otto-{os.getpid()}-c"
    with loads.crowd(name, 23, 31) as pid:
        watched = four_ways(f"process:{name}")
        watched.wait_for(f"process_rss_bytes[{name}]")
        process = psutil.Process(pid)
        truths = {"rss_bytes": process.memory_info().rss, "threads_count": process.num_threads(), "count": 1}
        truths["open_files_count"] = process.num_fds()
        assert truths["threads_count"] > 23
        assert truths["open_files_count"] > 31
        for host in WAYS:
            seen = {kind: watched.seen(host, f"process_{kind}[{name}]").values[-1] for kind in truths}
            assert seen == truths, host


def test_the_memory_of_a_process_by_its_command_line(four_ways: Watch) -> None:
    """The words of the command line are another way to find it."""
    size_mib = 100 + os.getpid() % 97
    with loads.memory_eater(size_mib) as pid:
        words = f"tests.peers.loads memory {size_mib}"
        watched = four_ways(f"process:{words}")
        watched.wait_for(f"process_rss_bytes[{words}]")
        truth = psutil.Process(pid).memory_info().rss
        assert truth > size_mib * MIB
        for host in WAYS:
            row = watched.seen(host, f"process_rss_bytes[{words}]")
            near(row, row.values[-1], truth)
            assert watched.seen(host, f"process_count[{words}]").values[-1] == 1


# -- a network of its own


def test_network_is_what_iperf_and_the_other_end_see(network: Any, open_lab: Any, tmp_path: Path) -> None:
    require("root", "iperf3", "nsenter")
    hop = network["hop1"]
    end = next(nic for nic, rows in psutil.net_if_addrs().items() if any(same_link(row.address, hop.address) for row in rows))
    with Exporter(procfs=f"/proc/{hop.sshd.pid}") as exporter, contextlib.ExitStack() as ending:
        ours, theirs = ending.enter_context(Witness(of_psutil)), ending.enter_context(Witness(exporter.read, 0.1))
        watched = Watched(open_lab(network.write_lab(tmp_path / "network.json")), ["hop1"], ["network"])
        watched.wait_for("network_received_bytes_per_s[up0]")
        since = time.time()
        with loads.iperf(hop.sshd.pid, hop.address, "20M", 2) as stream:
            stream.finish(10)
        watched.wait_for("network_received_bytes_per_s[up0]", 2, time.time())
        (received,) = watched.each("network_received_bytes_per_s[up0]", since - _INTERVAL_S)
        (sent,) = watched.each("network_sent_bytes_per_s[up0]", since - _INTERVAL_S)
        near(received, received.mean, ours.per_second([f"sent {end}"], *received.window))
        near(received, received.mean, theirs.per_second(['node_network_receive_bytes_total{device="up0"}'], *received.window))
        near(sent, sent.mean, ours.per_second([f"received {end}"], *sent.window), 2000)
        near(received, received.mean * (received.times[-1] - received.times[0]), stream.report["bytes"])
        assert 0.9 < stream.report["bits_per_second"] / 20e6 < 1.1


def same_link(address: str, other: str) -> bool:
    """Tell whether two addresses are the ends of one cable: the network has four addresses for each."""
    first, second = address.rpartition("."), other.rpartition(".")
    return first[0] == second[0] and first[2] != second[2] and int(first[2]) // 4 == int(second[2]) // 4


def test_loopback_is_what_psutil_sees(four_ways: Watch, by_psutil: Witness) -> None:
    watched = four_ways("network")
    with chatter():
        rows = watched.look("network_received_bytes_per_s[lo]")
    for row in rows:
        truth = by_psutil.per_second(["received lo"], *row.window)
        near(row, row.mean, truth)
        assert truth > MIB


@contextlib.contextmanager
def chatter() -> Iterator[None]:
    """Send some megabytes a second to nobody on loopback, evenly."""
    over = threading.Event()

    def talk() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as mouth, socket.socket(type=socket.SOCK_DGRAM) as ear:
            ear.bind(("127.0.0.1", 0))
            while not over.wait(0.01):
                mouth.sendto(bytes(50_000), ear.getsockname())

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


# -- sensors


def test_a_machine_without_sensors_has_no_series_and_no_error(four_ways: Watch) -> None:
    if [*Path("/sys/class/thermal").glob("thermal_zone*/temp"), *Path("/sys/class/hwmon").glob("hwmon*/temp*_input")]:
        pytest.skip("This machine has sensors.")
    watched = four_ways("temperature", "load")
    watched.wait_for("load_1min", 3)
    assert not any("temperature" in name for host in WAYS for name in watched.session.monitor.ask(known_of(host)))
    assert watched.events() == []


def test_sensors_are_what_others_see(keys: Any, open_lab: Any, tmp_path: Path) -> None:
    """Sensors that are files: the machine that is watched has them at /sys/class, node_exporter elsewhere."""
    require("root", "sshd", "unshare", "mount")
    sensors = {
        "class/thermal/thermal_zone0": {"type": "x86_pkg_temp", "temp": "47000", "policy": "step_wise"},
        "class/thermal/thermal_zone1": {"type": "acpitz", "temp": "-5500", "policy": "step_wise"},
        "class/hwmon/hwmon0": {"name": "nvme", "temp1_input": "61850", "temp1_label": "Composite"},
    }
    for folder, files in sensors.items():
        (tmp_path / "sys" / folder).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / "sys" / folder / name).write_text(f"{text}\n")
    with Sshd(keys, launcher=elsewhere({Path("/sys/class"): tmp_path / "sys" / "class"})) as server:
        watched = Watched(open_lab(warm=host_of(server, keys)), ["warm"], ["temperature"])
        watched.wait_for("temperature_celsius")
        names = watched.session.monitor.ask(known_of("warm"))
        seen = {name: watched.seen("warm", name).values[-1] for name in names if name.startswith("temperature")}
    with Exporter(sysfs=str(tmp_path / "sys")) as exporter:
        page = exporter.read()
    warmth = {value for name, value in page.items() if name.startswith(("node_thermal_zone_temp{", "node_hwmon_temp_celsius{"))}
    assert len(warmth) == 3
    assert set(seen.values()) == warmth
    assert seen["temperature_celsius"] == max(warmth)
    assert seen["temperature_celsius[x86_pkg_temp]"] == page['node_thermal_zone_temp{type="x86_pkg_temp",zone="0"}']


def known_of(host: str) -> Callable[[Any], Any]:
    async def ask(monitor: Any) -> list[str]:
        return list(monitor.known(host))

    return ask


# -- an SNMP agent

UDP_IN = "1.3.6.1.2.1.11.1.0"  # snmpInPkts, Counter32: what the agent was sent
MEMORY = "1.3.6.1.2.1.25.2.2.0"  # hrMemorySize, in KiB
OWN = "1.3.6.1.4.1.8072.9999.9999.1"  # free for experiments


@pytest.fixture
def make_snmpd() -> Iterator[Callable[..., Snmpd]]:
    with contextlib.ExitStack() as ending:
        yield lambda *arguments: ending.enter_context(Snmpd(*arguments))


SCRIPT = """while read -r word; do case $word in
PING) echo PONG;;
get*) read -r oid; set -- $(grep @WORD@: @FILE@); printf '%s\\n' "$oid" @KIND@ $(($2 % @SIZE@));;
esac; done
"""


def script_of(kind: str, file: str, word: str, size: int) -> str:
    """Return what answers the second word of a line of a file: what the agent has itself is up to 30 seconds old."""
    parts = {"KIND": kind, "FILE": file, "WORD": word, "SIZE": str(size)}
    return re.sub("@([A-Z]+)@", lambda part: parts[part[1]], SCRIPT)


def test_what_an_snmp_agent_says_of_itself(make_snmpd: Any, open_lab: Any) -> None:
    agent = make_snmpd("geheim")
    watched = Watched(open_lab(switch={"address": "127.0.0.1", "snmp": agent.lab}), ["switch"], [f"snmp:{MEMORY}"])
    watched.wait_for(f"snmp_value[{MEMORY}]")
    assert watched.seen("switch", f"snmp_value[{MEMORY}]").values[-1] == psutil.virtual_memory().total / 1024
    assert watched.events() == []


def test_a_gauge_of_snmp_is_what_psutil_sees(make_snmpd: Any, open_lab: Any, by_psutil: Witness) -> None:
    agent = make_snmpd("geheim", OWN, script_of("gauge", "/proc/meminfo", "MemAvailable", 1 << 32))
    name = f"snmp_value[{OWN}]"
    watched = Watched(open_lab(switch={"address": "127.0.0.1", "snmp": agent.lab}), ["switch"], [f"snmp:{OWN}"])
    watched.wait_for(name, 4)
    began = time.time()
    with loads.memory_eater(200):
        watched.wait_for(name, 3, time.time())
        row = watched.seen("switch", name)
        (then, first), (now, last) = row.before(began), row.last
        early, late = (by_psutil.close_to(1024 * value, "memory available", at) for at, value in ((then, first), (now, last)))
        near(row, 1024 * last, late)
        near(row, 1024 * (last - first), late - early, 10 * MIB)
        assert abs(late - early) > 50 * MIB
    assert not any("snmp_per_s" in series for series in watched.session.monitor.ask(known_of("switch")))


@pytest.mark.parametrize(("kind", "size"), [("counter", 1 << 32), ("counter64", 1 << 62)])
def test_a_counter_of_snmp_is_what_psutil_sees(make_snmpd: Any, open_lab: Any, kind: str, size: int) -> None:
    agent = make_snmpd("geheim", OWN, script_of(kind, "/proc/net/dev", "lo", size))
    watched = Watched(open_lab(switch={"address": "127.0.0.1", "snmp": agent.lab}), ["switch"], [f"snmp:{OWN}"])
    with chatter(), Witness(of_psutil) as witness:
        (row,) = watched.look(f"snmp_per_s[{OWN}]")
        truth = witness.per_second(["received lo"], *row.window)
        total = watched.seen("switch", f"snmp_value[{OWN}]")
        near(row, total.values[-1], witness.at("received lo", total.times[-1]) % size)
    near(row, row.mean, truth)
    assert truth > MIB


def test_a_wrong_community_is_an_error(make_snmpd: Any, open_lab: Any) -> None:
    agent = make_snmpd("geheim")
    facts = agent.lab | {"community": "wrong-one", "timeout": "0.2 s"}
    watched = Watched(open_lab(switch={"address": "127.0.0.1", "snmp": facts}), ["switch"], [f"snmp:{MEMORY}"])
    wait_until(watched.events, "An error event")
    (event,) = watched.events()
    assert (event.kind, event.host) == ("error", "switch")
    assert f"SNMP agent 127.0.0.1 port {agent.port} does not answer" in event.text
    assert "wrong-one" not in event.text
    assert not watched.seen("switch", f"snmp_value[{MEMORY}]").times


def test_an_agent_that_falls_silent_is_an_error_and_is_read_again(make_snmpd: Any, open_lab: Any) -> None:
    agent = make_snmpd("geheim")
    facts = agent.lab | {"timeout": "0.2 s"}
    watched = Watched(open_lab(switch={"address": "127.0.0.1", "snmp": facts}), ["switch"], [f"snmp:{UDP_IN}"])
    name = f"snmp_value[{UDP_IN}]"
    watched.wait_for(name, 2)
    agent.pause()
    wait_until(watched.events, "An error event")
    agent.resume()
    watched.wait_for(name, 2, time.time())
    assert ["does not answer" in event.text for event in watched.events()] == [True]
    # The agent counts at least what was asked of it.
    row = watched.seen("switch", name)
    assert row.values[-1] - row.values[0] >= len(row.values) - 1


def test_an_agent_behind_a_hop_is_a_sentence(open_lab: Any) -> None:
    hosts = {"front": {"address": "127.0.0.1"}, "switch": {"address": "127.0.0.1", "hop": "front"}}
    watched = Watched(open_lab(**hosts), ["switch"], [f"snmp:{MEMORY}"])
    wait_until(watched.events, "An error event")
    (event,) = watched.events()
    assert event.text == (
        f"Metric 'snmp:{MEMORY}' cannot be read: Host 'switch' is behind 'front': SNMP goes over UDP, which no hop carries"
    )


def test_an_oid_that_the_agent_does_not_have_is_an_error(make_snmpd: Any, open_lab: Any) -> None:
    agent = make_snmpd("geheim")
    watched = Watched(open_lab(switch={"address": "127.0.0.1", "snmp": agent.lab}), ["switch"], ["snmp:1.3.6.1.2.1.99.1"])
    wait_until(watched.events, "An error event")
    assert "The SNMP agent has no 1.3.6.1.2.1.99.1" in watched.events()[0].text
