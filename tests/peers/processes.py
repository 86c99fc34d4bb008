"""Looking after processes that a test started: who their children are, and ending all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path


def wait_until(true: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    """Wait for a state, so long that a busy machine reaches it."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} took longer than {timeout_s} seconds.")
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """Return the direct children of a process."""
    return [child for child, parent in _parents().items() if parent == pid]


def descendants(pid: int) -> list[int]:
    """Return all processes below a process, nearest first."""
    parents, found = _parents(), [pid]
    for above in found:
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]


def freeze(pid: int) -> list[int]:
    """Stop a process and all below it, those that start meanwhile too; return them."""
    frozen: list[int] = []
    while new := [one for one in (pid, *descendants(pid)) if one not in frozen]:
        tell(new, signal.SIGSTOP)
        frozen += new
    return frozen


def marked(mark: str) -> list[int]:
    """Return the processes with ``mark`` (``NAME=value``) in their environment."""
    wanted, found = mark.encode(), []
    for folder in _folders():
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def running(words: str) -> list[int]:
    """Return the processes whose command line contains ``words``, its arguments joined by blanks."""
    wanted, found = words.encode(), []
    for folder in _folders():
        with contextlib.suppress(OSError):
            if wanted in (folder / "cmdline").read_bytes().replace(b"\0", b" "):
                found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes, those that are gone left out."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _folders() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _parents() -> dict[int, int]:
    parents = {}
    for folder in _folders():
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_bytes().rpartition(b") ")[2].split()[:2]
            if state != b"Z":
                parents[int(folder.name)] = int(parent)
    return parents
