"""A process of a parallel run: pabot starts it in place of robot, with robot's command line; it starts robot and supervises it.

    python -m OttoLibrary.parallel.suite_process ROBOT... -A pabot_results/0/robot_argfile.txt

Robot ends cleanly, with its teardowns, when the run is to stop or when its parent dies; what does not end in time is
killed with everything that it started. When robot leaves no whole output, its tests are in the output all the same, failed, with
the reason. Robot itself is imported here only then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from OttoLibrary.parallel.robot_output import output_is_whole

# Environment variables: the file that exists when the run has to stop and says why, and the process that started this one.
STOP, PARENT = "OTTO_PABOT_STOP", "OTTO_PABOT_PARENT"
GRACE_S = 20.0
_PACE_S = 0.1
_KILL_S = 5.0
_ROBOTS = {"robot", "robot.run", "robot.exe"}
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)


def main() -> int:
    """Run robot as the command line says, and return its exit status, or how many tests are failed for it."""
    process = SuiteProcess(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: process.stop(f"it got {signal.Signals(number).name}"))
    adopt_orphans()
    if not die_with_parent(signal.SIGTERM):
        process.stop("pabot is gone")
    return process.run()


class Robot(Protocol):
    """Robot in a process of its own, as ``subprocess.Popen`` shows it."""

    returncode: int | None

    def wait(self, timeout: float) -> int:
        """Return its exit status; raise ``subprocess.TimeoutExpired``."""

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""


def started(command: Sequence[str]) -> Robot:
    """Start robot as a program."""
    return subprocess.Popen(command, start_new_session=True, preexec_fn=end_with_suite_process)  # noqa: PLW1509 - one thread


class SuiteProcess:
    """One robot of a parallel run.

    Args:
        command: How robot is started; the folder of the argument file, its last word, is where its output goes.
        start: Starts it.
        orders: Returns why it is to stop, or nothing; asked ten times a second.
    """

    def __init__(
        self, command: Sequence[str], start: Callable[[Sequence[str]], Robot] = started, orders: Callable[[], str] = lambda: ""
    ) -> None:
        self._command, self._start, self._orders = list(command), start, orders
        self._folder = Path(command[-1]).parent
        self._stopped_by = ""

    def stop(self, why: str) -> None:
        """End robot cleanly; takes effect the next time that it is checked."""
        self._stopped_by = self._stopped_by or why

    def run(self) -> int:
        """Run robot to its end."""
        self._see_note()
        if self._stopped_by:
            return self._fail_tests(f"This test was not run: {self._stopped_by}.")
        robot = self._start(self._command)
        status, killed = self._look_after(robot)
        if status < 0:
            kill_descendants()
        if output_is_whole(self._folder):
            return status
        return self._fail_tests(self._reason(status, killed))

    def _look_after(self, robot: Robot) -> tuple[int, bool]:
        """Wait for robot; return its exit status, and True when it had to be killed."""
        end = float("inf")
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = robot.wait(_PACE_S)
                return status, time.monotonic() > end
            self._see_note()
            if self._stopped_by and end == float("inf"):
                end = time.monotonic() + GRACE_S
                robot.send_signal(signal.SIGTERM)
                robot.send_signal(signal.SIGCONT)
            if time.monotonic() > end:
                kill_descendants()

    def _see_note(self) -> None:
        self._stopped_by = self._stopped_by or self._orders()
        if not self._stopped_by and STOP in os.environ:
            with contextlib.suppress(OSError):
                self._stopped_by = Path(os.environ[STOP]).read_text() or self._stopped_by

    def _reason(self, status: int, killed: bool) -> str:
        if killed:
            return f"The process that ran this suite did not end in {GRACE_S:g} seconds and was killed: {self._stopped_by}."
        if status < 0:
            after = f" after it was to stop: {self._stopped_by}" if self._stopped_by else ""
            return f"The process that ran this suite was ended by {signal_text(-status)}{after}."
        said = self._folder / "user_command_stderr.out"
        ended = f"ended with exit status {status} and left no whole output"
        return f"The process that ran this suite {ended}. The reason may be in {said}."

    def _fail_tests(self, reason: str) -> int:
        from OttoLibrary.parallel.lost_results import fail_tests

        # Pabot shows it on the console.
        sys.stderr.write(f"{reason}\n")
        return fail_tests(robot_arguments(self._command), self._folder, reason)


def robot_arguments(command: Sequence[str]) -> list[str]:
    """Return the arguments that robot gets in a command that starts it."""
    for index in range(len(command) - 1, -1, -1):
        if Path(command[index]).name in _ROBOTS:
            return list(command[index + 1 :])
    return list(command[-2:])


def signal_text(number: int) -> str:
    """Return ``signal 9 (KILL)``."""
    return f"signal {number} ({signal.Signals(number).name.removeprefix('SIG')})"


def die_with_parent(number: signal.Signals) -> bool:
    """Get this signal when the parent dies, also by SIGKILL; return False when it is dead already."""
    _control(_SET_PDEATHSIG, number)
    return os.environ.get(PARENT, str(os.getppid())) == str(os.getppid())


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, so that they can be found and ended."""
    _control(_SET_CHILD_SUBREAPER, 1)


def kill_descendants() -> None:
    """Kill everything below this process, and whatever they start in the meantime."""
    end = time.monotonic() + _KILL_S
    while (left := descendants()) and time.monotonic() < end:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_PACE_S / 2)


def descendants(above: int | None = None) -> list[int]:
    """Return the processes below this one, or another, that live."""
    import psutil

    found = []
    for process in psutil.Process(above).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            # A dead process is left to its parent, which waits for it.
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def commands() -> list[str]:
    """Return the command lines of the processes below this one."""
    import psutil

    found = []
    for process in descendants():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(" ".join(psutil.Process(process).cmdline()))
    return found


def end_with_suite_process() -> None:
    """Get SIGTERM when the process that looks after this one dies."""
    _control(_SET_PDEATHSIG, signal.SIGTERM)


def _control(option: int, value: int) -> None:
    # Only Linux has it.
    if hasattr(_libc, "prctl"):
        _libc.prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
