"""What a monitor sees, beside what somebody else saw of the same machine in the same time: psutil, node_exporter, iperf3.

Other tests run meanwhile, so no absolute load is expected: two readers of the same time are compared, and the second proves that
there was something to see. This machine is watched four ways at once: by psutil, and over SSH by bash, dash and busybox.
"""

from __future__ import annotations

import contextlib
import os
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

from OttoLibrary.contracts import Event
from OttoLibrary.session import Session
from tests.peers import loads
from tests.peers.exporter import Exporter, Snmpd
from tests.peers.processes import wait_until
from tests.peers.requirements import find, require
from tests.peers.sshd import Sshd

WAYS = ("local", "bash", "dash", "busybox")
MIB = 1 << 20
_INTERVAL_S = 0.2
_WINDOW_S = 2.0
_SHARE = 0.05
_POINTS = 2.0

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

    def per_second(self, names: Sequence[str], since: float, until: float) -> float:
        """Return how fast counters together grew."""
        return sum(self.at(name, until) - self.at(name, since) for name in names) / (until - since)

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
    with Witness(exporter.read, 0.1) as witness:
        yield witness


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
        session.start_monitor(hosts, metrics, _INTERVAL_S, None, "truth")

    def seen(self, host: str, name: str, since: float = 0.0, until: float | None = None) -> Seen:
        async def ask(monitor: Any) -> Any:
            return await monitor.readings(host, name, since, until)

        times, values = self.session.ask_monitor(ask)
        return Seen(host, name, times, values)

    def each(self, name: str, since: float = 0.0, until: float | None = None) -> list[Seen]:
        """Return a series of each host, from three readings on."""
        found = [self.seen(host, name, since, until) for host in self.hosts]
        assert all(len(seen.times) > 2 for seen in found), [(seen.host, len(seen.times)) for seen in found]
        return found

    def wait_for(self, name: str, count: int = 1, since: float = 0.0) -> None:
        """Wait until each host has had so many readings of a series."""
        wait_until(lambda: all(len(self.seen(host, name, since).times) >= count for host in self.hosts), f"'{name}'", 8)

    def look(self, name: str, seconds: float = _WINDOW_S) -> list[Seen]:
        """Look at a series for some time from now on."""
        self.wait_for(name)
        since = time.time()
        time.sleep(seconds)
        return self.each(name, since)

    def events(self) -> list[Event]:
        async def ask(monitor: Any) -> list[Event]:
            return [event for event in monitor.events(0.0) if event.kind in {"error", "gap"}]

        return self.session.ask_monitor(ask)


Watch = Callable[..., Watched]


def host_of(sshd: Sshd, keys: Any) -> dict[str, Any]:
    return {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(keys.identity_file)}


def bare_sshd(keys: Any, folder: Path, hiding: str) -> Sshd:
    """Return a server that sees this machine with another account file, root's shell being sh, and with ``hiding`` done to it."""
    accounts = Path("/etc/passwd").read_text().splitlines()
    changed = [f"{line.rpartition(':')[0]}:/bin/sh" if line.startswith("root:") else line for line in accounts]
    (folder / "passwd").write_text("\n".join([*changed, ""]))
    script = f'mount --bind {shlex.quote(str(folder))}/passwd /etc/passwd && {hiding} && exec "$@"'

    def launcher(command: Sequence[str]) -> list[str]:
        at = command.index(find("sshd") or "sshd")
        return [*command[:at], "unshare", "--mount", "/bin/sh", "-c", script, "sh", *command[at:]]

    return Sshd(keys, launcher=launcher)


@pytest.fixture(scope="module")
def bare(keys: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sshd]]:
    """Machines without bash: ``dash`` has no other change, on ``busybox`` all that /usr/bin has is busybox."""
    require("root", "sshd", "unshare", "mount", "busybox")
    applets = tmp_path_factory.mktemp("applets")
    shutil.copy(find("busybox") or "busybox", applets / "busybox")
    for applet in ("sh", "df", "date", "cat", "env", "kill", "ps", "sleep", "tail"):
        (applets / applet).symlink_to("busybox")
    bash = os.path.realpath(find("bash") or "/bin/bash")
    hiding = {
        "dash": f"mount --bind /dev/null {bash}",
        "busybox": f"mount --bind {shlex.quote(str(applets))} /usr/bin",
    }
    with contextlib.ExitStack() as ending:
        yield {
            name: ending.enter_context(bare_sshd(keys, tmp_path_factory.mktemp(name), script)) for name, script in hiding.items()
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


# -- the hosts are what they are called


@pytest.mark.parametrize("way", ["bash", "dash", "busybox"])
def test_each_way_is_read_by_its_own_shell(four_ways: Watch, way: str) -> None:
    """Otherwise the other tests would say nothing about shells."""
    watched = four_ways("load")
    watched.wait_for("load_1min")
    shells = {"bash": "bash", "dash": "dash", "busybox": "busybox"}
    told = watched.session.run(watched.session.host(way).run("readlink /proc/$$/exe || busybox readlink /proc/$$/exe"))
    assert (way, "dash" if way == "dash" else way) and told is not None and shells
