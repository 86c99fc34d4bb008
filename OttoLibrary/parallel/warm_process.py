"""A process that has imported Robot Framework and the library, and forks itself for each suite of a parallel run.

    launcher ─┬─ pabot ── stub (``warm_stub.py``)       the stub hands arguments, environment, folder and streams over a socket,
              └─ warm process ── suite process ── robot         and gets the exit status of its suite back

A suite process and its robot are forks, not started programs. What they must not share is made new for each: the folder, the
environment, the streams, the umask, the first place of ``sys.path``, and how signals are answered. What Python and the libraries
renew after a fork themselves is left to them: random numbers, names of temporary files. The warm process has one thread, opens no
connection and reads no lab, so there is nothing else to share. Suites of one run have the same seed of hashes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from OttoLibrary.parallel import suite_process
from OttoLibrary.parallel.suite_process import SuiteProcess
from OttoLibrary.parallel.warm_stub import WARM, user_of

STUB = Path(__file__).with_name("warm_stub.py")
# What nearly every suite needs; a suite imports the rest itself.
_MODULES = (
    "robot",
    "robot.libraries.BuiltIn",
    "OttoLibrary.library",
    "OttoLibrary.host.host",
    "OttoLibrary.lab.loading",
    "OttoLibrary.lab.sources.json",
    "OttoLibrary.reservation.backends.file",
    "OttoLibrary.reservation.reservations",
    "OttoLibrary.transport.local",
)
_READY_S, _REQUEST_S = 30.0, 10.0
_LARGEST = 16 * 1024 * 1024


@contextmanager
def warm_process(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes] | None]:
    """Give a warm process, and tell those that are started with this environment about it; None where there can be none.

    Args:
        environment: What the processes of the run get; it is changed.
    """
    # The name is not a file: nothing is left of it, however the run ends.
    name = f"otto-warm-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen(128)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment | {suite_process.PARENT: str(os.getpid())},
            start_new_session=True,
        )
    try:
        ready = _is_ready(process)
        if ready:
            environment[WARM] = name
        yield process if ready else None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def _is_ready(process: subprocess.Popen[bytes]) -> bool:
    """Wait for its first word."""
    said = process.stdout
    assert said is not None
    readable, _, _ = select.select([said], [], [], _READY_S)
    return bool(readable and said.readline())


def can_be_warm() -> bool:
    """Return True where the kernel tells by a descriptor when a process ends, and pabot can be given the path of the stub."""
    return hasattr(os, "pidfd_open") and not any(blank in str(STUB) for blank in " \t")


# -- the warm process


def main() -> int:
    """Fork a suite process for each request, until the launcher ends; return the exit status of a suite in its own process."""
    if not suite_process.die_with_parent(signal.SIGTERM):
        return 0
    listening = socket.socket(fileno=int(sys.argv[1]))
    for module in _MODULES:
        import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        # A fork has one thread only; what others hold locked would stay so.
        return 1
    print("ready", flush=True)
    gc.collect()
    gc.freeze()
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        connection, _ = listening.accept()
        request = _received(connection) if user_of(connection) == os.getuid() else None
        if request is None:
            connection.close()
        elif _fork():
            request.close()
            connection.close()
        else:
            listening.close()
            return _suite(request, connection)


@dataclass(frozen=True)
class _Request:
    """What a stub hands over: where it is, what it was started with, and its streams."""

    folder: bytes
    umask: int
    environment: dict[bytes, bytes]
    command: list[str]
    streams: list[int]

    def close(self) -> None:
        for stream in self.streams:
            os.close(stream)


def _received(connection: socket.socket) -> _Request | None:
    """Return what a stub hands over, or None when it is no whole request."""
    connection.settimeout(_REQUEST_S)
    streams: list[int] = []
    try:
        size, streams, _, _ = socket.recv_fds(connection, 16, 3)
        wanted = int(size)
        data = bytearray()
        while len(data) < wanted <= _LARGEST and (piece := connection.recv(wanted - len(data))):
            data += piece
        folder, umask, count, *rest = bytes(data).split(b"\0")
        variables = dict(pair.split(b"=", 1) for pair in rest[: int(count)])
        command = [os.fsdecode(word) for word in rest[int(count) :]]
        return _Request(folder, int(umask), variables, command, list(streams))
    except (OSError, ValueError):
        for stream in streams:
            os.close(stream)
        return None
    finally:
        connection.settimeout(None)


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def _suite(request: _Request, connection: socket.socket) -> int:
    """Be a suite process, and tell the stub how it ended."""
    _become(request)
    stub = _Stub(connection, int(os.environ.get(suite_process.PARENT, "0")))
    suite_process.adopt_orphans()
    process = SuiteProcess(request.command, lambda command: _forked_robot(command, stub), stub.orders)
    status = process.run()
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError):
        connection.send(bytes([status & 0xFF]))
    return status


def _become(request: _Request) -> None:
    """Take the place of the stub."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    for target, stream in enumerate(request.streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request.folder)
    os.umask(request.umask)
    os.environb.clear()
    os.environb.update(request.environment)
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as ``python -m`` has it


class _Stub:
    """The stub of a suite, and pabot above it: what they want, and whether they are there.

    Args:
        connection: To the stub.
        pabot: Its parent, as a process id.
    """

    def __init__(self, connection: socket.socket, pabot: int) -> None:
        self._connection = connection
        self._pabot: int | None = None
        with contextlib.suppress(OSError):
            self._pabot = os.pidfd_open(pabot)

    def orders(self) -> str:
        """Return why the suite is to stop, or nothing."""
        if self._pabot is None or _is_readable(self._pabot):
            return "pabot is gone"
        if not _is_readable(self._connection.fileno()):
            return ""
        with contextlib.suppress(OSError):
            if number := self._connection.recv(1):
                return f"it got {signal.Signals(number[0]).name}"
        return "pabot is gone"

    def close(self) -> None:
        """Forget it: robot is not asked."""
        self._connection.close()
        if self._pabot is not None:
            os.close(self._pabot)


def _is_readable(descriptor: int) -> bool:
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable)


# -- robot


class _ForkedRobot:
    """Robot in a fork of its suite process, with the face of a started program."""

    def __init__(self, process: int) -> None:
        self.returncode: int | None = None
        self._process = process
        self._descriptor = os.pidfd_open(process)

    def wait(self, timeout: float) -> int:
        """Return how it ended; raise TimeoutExpired."""
        if self.returncode is None:
            readable, _, _ = select.select([self._descriptor], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired("robot", timeout)
            _, status = os.waitpid(self._process, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
            os.close(self._descriptor)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.returncode is None:
            os.kill(self._process, number)


def _forked_robot(command: Sequence[str], stub: _Stub) -> _ForkedRobot:
    process = _fork()
    if process:
        return _ForkedRobot(process)
    stub.close()
    os.setsid()
    suite_process.end_with_suite_process()
    random.seed()
    # Up to the end of the program, so that all that is registered for it runs.
    raise SystemExit(_robot(suite_process.robot_arguments(command)))


def _robot(arguments: Sequence[str]) -> int:
    import robot
    from robot.run import run_cli  # type: ignore[import-untyped]

    sys.argv[:] = [str(Path(robot.__file__).with_name("__main__.py")), *arguments]
    return int(run_cli(list(arguments), exit=False))


if __name__ == "__main__":
    sys.exit(main())
