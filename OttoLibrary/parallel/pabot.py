"""``python -m OttoLibrary pabot``: pabot, stopped cleanly by signals, with a report that has every test.

This process watches the one of pabot, which starts suite processes (``suite_process.py``), which start robot. A process that dies
takes its children along: by a signal that the kernel sends to the children of the dead, and by this process, which adopts
orphans.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from OttoLibrary.errors import PluginError, UsageError
from OttoLibrary.parallel import suite_process
from OttoLibrary.parallel.warm_process import STUB, can_be_warm, warm_process

STOPPED, BROKEN = 253, 255
NO_WARM = "--no-warm"
# In this time all processes end, also those that had not begun, and pabot writes its report.
_STOP_S = 120.0
_PACE_S = 0.1


def run(arguments: Sequence[str]) -> int:
    """Run pabot and return its exit status: failed tests, those that were lost among them, or 253 when a signal stopped it.

    Args:
        arguments: Pabot's and robot's.

    Raises:
        PluginError: Pabot is not installed.
        UsageError: The path of this Python cannot be handed to pabot.
    """
    if importlib.util.find_spec("pabot") is None:
        raise PluginError(
            "Parallel runs need a package that is not installed (pabot). "
            f"Install it with: {sys.executable} -m pip install 'robotframework-ottolibrary[pabot]'"
        )
    note = Path(tempfile.gettempdir()) / f"otto-pabot-{os.getpid()}-{secrets.token_hex(4)}.stop"
    environment = os.environ | {suite_process.STOP: str(note), suite_process.PARENT: str(os.getpid())}
    given = [word for word in arguments if word != NO_WARM]
    warm = len(given) == len(arguments) and "--command" not in given and can_be_warm()
    suite_process.adopt_orphans()
    with _signals() as signals, warm_process(environment) if warm else contextlib.nullcontext() as forking:
        command = [sys.executable, "-m", __name__, *with_our_ways(given, warm=forking is not None)]
        # In its own session: Ctrl-C on the terminal reaches only this process.
        pabot = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            return _watched(pabot, forking, signals, note)
        except BaseException:
            suite_process.kill_descendants()
            raise
        finally:
            note.unlink(missing_ok=True)


def with_our_ways(arguments: Sequence[str], *, warm: bool = False) -> list[str]:
    """Return pabot's arguments with a free port for PabotLib, our Python for robot, and our process to supervise it.

    Args:
        arguments: Pabot's.
        warm: True when a warm process waits for our stub.
    """
    given = list(arguments)
    if any(blank in sys.executable for blank in " \t"):
        raise UsageError(f"Pabot cannot start a Python whose path has a blank in it: '{sys.executable}'. Use one elsewhere.")
    ours = [sys.executable, "-I", "-S", str(STUB)] if warm else [sys.executable, "-m", suite_process.__name__]
    if "--command" in given:
        place = given.index("--command") + 1
        given[place:place] = ours
    else:
        given = ["--command", *ours, sys.executable, "-m", "robot", "--end-command", *given]
    if not {"--pabotlibport", "--pabotlibhost", "--no-pabotlib"}.intersection(arguments):
        given = ["--pabotlibport", "0", *given]
    return given


def _watched(pabot: subprocess.Popen[bytes], warm: subprocess.Popen[bytes] | None, signals: Sequence[str], note: Path) -> int:
    end = float("inf")
    while pabot.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            pabot.wait(_PACE_S)
        if signals and end == float("inf"):
            end = time.monotonic() + _STOP_S
            _stop(pabot, signals[0], note)
        if len(signals) > 1 or time.monotonic() > end:
            _say("Everything is ended immediately; there is no report.")
            suite_process.kill_descendants()
            return STOPPED
    if pabot.returncode < 0:
        ended = f"Pabot was ended by {suite_process.signal_text(-pabot.returncode)}"
        _say(f"{ended}. Its suites end; there is no report of the whole run.")
        _wait_for_suites(warm, signals)
        suite_process.kill_descendants()
        return BROKEN
    return STOPPED if signals else pabot.returncode


def _stop(pabot: subprocess.Popen[bytes], name: str, note: Path) -> None:
    """Let running suites end with their teardowns, and no other begin."""
    limit = f"{suite_process.GRACE_S:g} s"
    _say(f"Stopped by {name}: running suites end with their teardowns, within {limit}. Send it again to end immediately.")
    # Renamed into place, so that no reader sees half of it.
    fresh = note.with_suffix(".new")
    fresh.write_text(f"the run was stopped by {name}")
    fresh.replace(note)
    for process in suite_process.descendants():
        # A stopped process would not see it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def _wait_for_suites(warm: subprocess.Popen[bytes] | None, signals: Sequence[str]) -> None:
    """Wait for the suites of a pabot that died; the kernel has sent them a signal."""
    end = time.monotonic() + suite_process.GRACE_S + 5
    while len(signals) < 2 and time.monotonic() < end and _suite_runs(warm):
        time.sleep(_PACE_S)


def _suite_runs(warm: subprocess.Popen[bytes] | None) -> bool:
    ours = suite_process.__name__
    return any(ours in command for command in suite_process.commands()) or bool(warm and suite_process.descendants(warm.pid))


@contextmanager
def _signals() -> Iterator[list[str]]:
    """Give a list of the signals to end that have come, in place of what they do otherwise."""
    came: list[str] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(signal.Signals(number).name))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


# -- the process of pabot


def run_pabot() -> int:
    """Run pabot here, and put tests that are missing from its report into it."""
    # Pabot ends its children and its server when it is interrupted.
    if not suite_process.die_with_parent(signal.SIGINT):
        return STOPPED
    os.environ[suite_process.PARENT] = str(os.getpid())
    # Its lock server is a fork and would not end otherwise.
    os.register_at_fork(after_in_child=lambda: suite_process.die_with_parent(signal.SIGTERM))
    from pabot.pabot import main_program

    from OttoLibrary.parallel.lost_results import BAD_DATA, complete_report

    began, arguments = time.time(), sys.argv[1:]
    status = int(main_program(arguments))
    if status != BAD_DATA:
        return status
    failed = complete_report(arguments, began)
    return status if failed is None else failed


if __name__ == "__main__":
    sys.exit(run_pabot())
