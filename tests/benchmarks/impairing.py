"""Impaired networks between two network namespaces: how late, how few and how fast packets are, against what was asked for."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from OttoLibrary.scenario.disturbances import recipe
from tests.benchmarks.measure import Row
from tests.peers import processes
from tests.peers.requirements import find

_HERE, _THERE, _PORT = "10.77.14.1", "10.77.14.2", 7714
_TURNS, _PACKETS = 300, 4000
# The two-sided interval of a normal distribution that 99.9 percent are in.
_SIGMAS = 3.29
_ECHO = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
s.bind(("{_THERE}", {_PORT}))
print("ready", flush=True)
count = 0
while True:
    data, sender = s.recvfrom(2000)
    if data == b"count":
        s.sendto(str(count).encode(), sender)
        count = 0
    elif data == b"echo":
        s.sendto(data, sender)
    else:
        count += 1
"""


class Pair:
    """Two network namespaces with a link; the first is the host that is impaired."""

    def __init__(self) -> None:
        self.here, self.there = (f"otto-bench-{os.getpid()}-{side}" for side in "ab")

    def __enter__(self) -> Pair:
        with contextlib.ExitStack() as undo:
            for name in (self.here, self.there):
                _run("ip", "netns", "add", name)
                undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
            _run("ip", "-n", self.here, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", self.there)
            for name, address in ((self.here, _HERE), (self.there, _THERE)):
                _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "v0")
                _run("ip", "-n", name, "link", "set", "v0", "up")
                _run("ip", "-n", name, "link", "set", "lo", "up")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def words(self, name: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", name, *words]

    @contextlib.contextmanager
    def impaired(self, text: str, by: str) -> Iterator[None]:
        """Impair what the first sends; RuntimeError unless it is done by what is to be measured."""
        made = recipe("impairment", f"here {text}")
        done = subprocess.run(self.words(self.here, "sh", "-c", made.do), capture_output=True, text=True, timeout=60, check=False)
        try:
            if done.returncode or by not in done.stdout:
                raise RuntimeError(f"{text} was not done by {by}: {done.stdout}{done.stderr}")
            yield
        finally:
            _run(*self.words(self.here, "sh", "-c", made.undo))

    @contextlib.contextmanager
    def echo(self) -> Iterator[None]:
        command = self.words(self.there, sys.executable, "-c", _ECHO)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield
            finally:
                process.kill()

    def ask(self, script: Callable[[], Any]) -> Any:
        """Return what a function of this file returns in the first namespace, in a process of its own."""
        code = f"import json; from tests.benchmarks import impairing; print(json.dumps(impairing.{script.__name__}()))"
        done = subprocess.run(
            self.words(self.here, sys.executable, "-c", code), capture_output=True, text=True, timeout=300, check=True
        )
        return json.loads(done.stdout)

    def stream(self, seconds: float) -> list[float]:
        """Return the bits a second that TCP brought to the second, in each 100 ms."""
        iperf = find("iperf3") or "iperf3"
        server = self.words(self.there, iperf, "--server", "--one-off", "--interval", "0.1", "--json")
        client = self.words(self.here, iperf, "--client", _THERE, "--time", f"{seconds:g}")
        with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as listener:
            try:
                processes.wait_until(lambda: _listens(listener.pid), "iperf3", 30)
                subprocess.run(client, stdout=subprocess.DEVNULL, timeout=seconds + 60, check=True)
                said, _ = listener.communicate(timeout=60)
            finally:
                listener.kill()
        return [float(interval["sum"]["bits_per_second"]) for interval in json.loads(said)["intervals"]]


def round_trips_ms() -> float:
    """Return the median of the round trips of small packets, in ms."""
    took = []
    with _line() as line:
        for _ in range(_TURNS):
            began = time.perf_counter()
            line.send(b"echo")
            with contextlib.suppress(TimeoutError):
                line.recv(99)
                took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def arrived() -> int:
    """Return how many of the packets arrive that are sent one by one."""
    with _line() as line:
        for _ in range(_PACKETS):
            # What a filter drops is told to the sender.
            with contextlib.suppress(PermissionError):
                line.send(b"x" * 100)
            time.sleep(0.0005)
        for _ in range(200):
            with contextlib.suppress(TimeoutError, PermissionError):
                line.send(b"count")
                if (said := int(line.recv(99))) or not said:
                    return said
    raise RuntimeError("Nothing came back.")


def _line() -> socket.socket:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.settimeout(1.0)
    line.connect((_THERE, _PORT))
    return line


def _listens(pid: int) -> bool:
    # State 0A is LISTEN; 5201 is the port of iperf3.
    return any(":1451 " in line and " 0A " in line for line in Path(f"/proc/{pid}/net/tcp6").read_text().splitlines())


def _run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=60, capture_output=True)


def _late(pair: Pair) -> Row:
    with pair.echo():
        plain_ms = pair.ask(round_trips_ms)
        with pair.impaired(f"to={_THERE} delay=20 ms", "relay"):
            late_ms = pair.ask(round_trips_ms) - plain_ms
    return Row(f"relay: 20 ms are {late_ms:.2f} ms at p50, off by", abs(late_ms - 20), "", None, 1, absolute=True)


def _lost(pair: Pair, text: str, by: str) -> Row:
    with pair.echo(), pair.impaired(text, by):
        count = _PACKETS - pair.ask(arrived)
    sigmas = abs(count - _PACKETS * 0.1) / math.sqrt(_PACKETS * 0.1 * 0.9)
    return Row(
        f"{by}: 10 % of {_PACKETS} packets lost {count}, off by, sigmas", sigmas, "", None, _SIGMAS, absolute=True, unit=""
    )


def _through(pair: Pair) -> Row:
    with pair.impaired(f"to={_THERE} delay=1 ms", "relay"):
        rates = pair.stream(5)
    through = statistics.mean(rates) / 1e6
    return Row(
        f"200 Mbit/s over what goes through the relay ({through:.0f} Mbit/s)", 200 / through, "", None, 1, absolute=True, unit=""
    )


def _changed(pair: Pair, where: str, by: str) -> Row:
    """Return how much passes at most after the rate was changed from 50 to 20 Mbit/s, as a share of the larger one."""
    for rate in (50, 20):
        with pair.impaired(f"{where} rate={rate} Mbit/s", by):
            rates = pair.stream(3)
    what = f"{by}: the most in 100 ms after a change from 50 to 20 Mbit/s, over 50"
    return Row(what, max(rates) / 50e6, "", None, 1.2, absolute=True, unit="")


def all_rows() -> list[Row]:
    """Measure all of it; needs root."""
    with Pair() as pair:
        return [
            _late(pair),
            _lost(pair, f"to={_THERE} delay=1 ms loss=10 %", "relay"),
            _lost(pair, f"to={_THERE} loss=10 %", "nft"),
            _through(pair),
            _changed(pair, f"to={_THERE} delay=1 ms", "relay"),
            _changed(pair, "v0", "tc tbf"),
        ]
