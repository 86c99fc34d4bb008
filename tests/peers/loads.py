"""Loads of known size, each in a process of its own: processor time, memory, writing to a disk, a network.

``python -m tests.peers.loads KIND ...`` is one of them: it says ``ready`` once it works, and ends when it is ended.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers import processes
from tests.peers.requirements import find

_MIB = 1 << 20
_ROOT = Path(__file__).parents[2]
_PERIOD_S = 0.05
_IPERF_PORT = 5201


# -- starting them


@contextlib.contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; it and all below it have ended afterwards, also when this process is killed."""
    bound = [setpriv, "--pdeathsig", "KILL"] if (setpriv := find("setpriv")) else []
    settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": _ROOT, "start_new_session": True} | options
    process = subprocess.Popen([*bound, *command], **settings)
    try:
        yield process
    finally:
        if process.poll() is None:
            processes.tell(reversed(processes.freeze(process.pid)), signal.SIGKILL)
        process.wait(timeout=5)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def cpu_hog(share: float, kind: str = "user", name: str = "otto-hog") -> Iterator[int]:
    """Burn so much of one processor, 1 for all of it, in the program (``user``) or in the kernel (``system``); give its pid."""
    with _load("cpu", str(share), kind, name) as process:
        yield process.pid


@contextlib.contextmanager
def memory_eater(size_mib: int) -> Iterator[int]:
    """Have so much memory, each page of it touched; give its pid."""
    with _load("memory", str(size_mib)) as process:
        yield process.pid


@contextlib.contextmanager
def crowd(name: str, threads: int, files: int) -> Iterator[int]:
    """Have a process of that name with so many threads that sleep, and so many files opened; give its pid."""
    with _load("crowd", name, str(threads), str(files)) as process:
        yield process.pid


def write_to_disk(folder: Path, size_mib: int, seconds: float) -> None:
    """Write so much into a file there, in so many equal steps that each wait for the disk; the file stays."""
    with _load("disk", str(folder / "written"), str(size_mib), str(seconds)) as process:
        if process.wait(timeout=seconds + 20):
            raise RuntimeError(f"Writing to '{folder}' ended with {process.returncode}.")


def block_device(folder: Path) -> str:
    """Return the name of the whole disk that a folder is on, such as ``sda``; empty when it is on none."""
    number = folder.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not found.exists():
        return ""
    device = found.resolve()
    return device.parent.name if (device / "partition").exists() else device.name


@contextlib.contextmanager
def _load(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    with running([sys.executable, "-m", "tests.peers.loads", *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # The pipe ends with the process, so this wait is bounded by the timer.
        timer = threading.Timer(10, process.kill)
        timer.start()
        said = process.stdout.readline()
        timer.cancel()
        if said != b"ready\n":
            raise RuntimeError(f"The load '{' '.join(words)}' did not start.")
        yield process


@dataclass
class Stream:
    """A stream of iperf3 to a network namespace; ``report`` is what the receiver saw, once it has ended."""

    client: subprocess.Popen[bytes]
    report: dict[str, Any] = field(default_factory=dict)

    def finish(self, timeout_s: float) -> None:
        """Wait for its end."""
        said, _ = self.client.communicate(timeout=timeout_s)
        self.report = json.loads(said)["end"]["sum_received"]


@contextlib.contextmanager
def iperf(pid: int, address: str, rate: str, seconds: float) -> Iterator[Stream]:
    """Send TCP to an address in the network namespace of a process at a fixed rate, such as ``20M`` bits a second."""
    program, enter = find("iperf3") or "iperf3", [find("nsenter") or "nsenter", f"--net=/proc/{pid}/ns/net"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = [*enter, program, "--server", "--one-off", "--bind", address, "--port", str(_IPERF_PORT)]
    client = [program, "--client", address, "--port", str(_IPERF_PORT), "--bitrate", rate, "--time", str(seconds), "--json"]
    with running(server, **silent) as listener:
        processes.wait_until(lambda: _listens(listener.pid, _IPERF_PORT), "Starting iperf3")
        with running(client, stdout=subprocess.PIPE) as sender:
            yield Stream(sender)


def _listens(pid: int, port: int) -> bool:
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    # State 0A is LISTEN.
    return any(row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port for row in rows)


# -- being one


def _burn(share: str, kind: str, name: str) -> None:
    wanted_s = float(share) * _PERIOD_S
    _call(name)
    _ready()
    while True:
        began, burnt = time.monotonic(), time.process_time()
        while time.process_time() - burnt < wanted_s:
            _ = os.urandom(8192) if kind == "system" else sum(range(2000))
        time.sleep(max(0.0, began + _PERIOD_S - time.monotonic()))


def _eat(size_mib: str) -> None:
    block = mmap.mmap(-1, int(size_mib) * _MIB)
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    _ready()
    signal.pause()


def _crowd(name: str, threads: str, files: str) -> None:
    _call(name)
    kept = [Path("/dev/null").open() for _ in range(int(files))]  # noqa: SIM115 - they are open until the end
    for _ in range(int(threads)):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    _ready()
    signal.pause()
    kept.clear()


def _write(path: str, size_mib: str, seconds: str) -> None:
    steps, block = int(size_mib), os.urandom(_MIB)
    began = time.monotonic()
    with Path(path).open("wb", buffering=0) as out:
        _ready()
        for step in range(steps):
            out.write(block)
            os.fdatasync(out.fileno())
            time.sleep(max(0.0, began + (step + 1) * float(seconds) / steps - time.monotonic()))


def _call(name: str) -> None:
    Path("/proc/self/comm").write_text(name)


def _ready() -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    kinds: dict[str, Callable[..., None]] = {"cpu": _burn, "memory": _eat, "crowd": _crowd, "disk": _write}
    kinds[sys.argv[1]](*sys.argv[2:])
