"""The process whose users run a Robot keyword: it loads the suite once, and forks a user for each turret.

``python -m OttoLibrary.run.robot_users --lifeline CONFIG`` is started by the HQ. A fork is warm: libraries, resources and
variables of the suite are there, and nothing of them is loaded again.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import select
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robot.api import TestSuite
from robot.libraries.BuiltIn import BuiltIn
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.load.turret.cannons import Cannon
from OttoLibrary.load.turret.counters import counters_path
from OttoLibrary.load.turret.transactions import FunctionTransaction, Maker
from OttoLibrary.load.turret.turret import CannonBattery, OttoTurret

# After so many iterations their results are let go; otherwise memory would grow by 2 kB for each.
_CLEARED_AFTER = 100
_LOOK_S = 0.2
_FIRE = "OttoLibrary Fires Its Users"


class RobotUsers:
    """The library with the one keyword that such a process runs.

    Args:
        path: Where the HQ wrote the configuration.
    """

    ROBOT_LIBRARY_SCOPE = "GLOBAL"

    def __init__(self, path: str) -> None:
        self._config = json.loads(Path(path).read_text(encoding="utf-8"))

    def ottolibrary_fires_its_users(self) -> None:
        """Fork the users, and wait for all of them."""
        builtin = BuiltIn()
        for name, value in self._config["variables"].items():
            builtin.set_suite_variable(name, value)
        # What exists by now is shared with the users, and stays so when nobody counts references in it.
        gc.freeze()
        children = set()
        for number in range(self._config["users"]):
            child = os.fork()
            if child == 0:
                os._exit(_serve(self._config, number))
            children.add(child)
        _wait_for(children)


def _wait_for(children: set[int]) -> None:
    """Wait for all; end them when standard input, which the HQ holds, ends."""
    while children:
        if select.select([0], [], [], _LOOK_S)[0] and not os.read(0, 4096):
            # The users are of the same group.
            os.killpg(0, signal.SIGKILL)
        for child in list(children):
            if os.waitpid(child, os.WNOHANG)[0]:
                children.remove(child)


def _serve(config: dict[str, Any], number: int) -> int:
    """Be one user: the keyword runs in the main thread, where Robot's time-outs work, and another one talks to the HQ."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        waiting: queue.SimpleQueue[Cannon | None] = queue.SimpleQueue()
        who = f"{config['uuid']}-{number}"
        counters = counters_path(Path(config["counters"]).parent, who)
        own = {**config, "name": f"{config['name']} {number + 1}", "cannons": 1, "counters": str(counters)}
        turret = OttoTurret(own, lambda context: _maker(config), who, partial(CannonBattery, launch=waiting.put))

        def talk() -> None:
            try:
                turret.run()
            finally:
                waiting.put(None)

        talking = threading.Thread(target=talk, daemon=True)
        talking.start()
        while (cannon := waiting.get()) is not None:
            cannon.run()
        talking.join(5.0)
    except BaseException as error:  # noqa: BLE001 - a fork must not run what its parent would do next
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _maker(config: dict[str, Any]) -> Maker:
    keyword, arguments = config["keyword"], config["arguments"]
    builtin = BuiltIn()
    done = 0

    def run() -> None:
        nonlocal done
        builtin.run_keyword(keyword, *arguments)
        done += 1

    class _RobotTransaction(FunctionTransaction):
        def tear_down(self) -> None:
            if done % _CLEARED_AFTER == 0:
                _forget_results()

    return lambda: _RobotTransaction(run)


def _forget_results() -> None:
    """Let go what the keyword that fires has below it in the result of the run."""
    for step in EXECUTION_CONTEXTS.current.steps:
        step[1].body.clear()


def main(arguments: Sequence[str]) -> int:
    """Run the suite of a configuration, whose path is the last argument, with one test, which forks the users."""
    path = arguments[-1]
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    suite = TestSuite.from_file_system(config["source"])
    suite.suites.clear()
    suite.tests.clear()
    suite.setup = suite.teardown = None
    suite.resource.imports.library("OttoLibrary.run.robot_users.RobotUsers", args=[path])
    suite.tests.create("Load").body.create_keyword(name=_FIRE)
    # Text is there before libraries are imported, as from the command line; the rest before the users begin.
    texts = [f"{name[2:-1]}:{value}" for name, value in config["variables"].items() if name[0] == "$" and isinstance(value, str)]
    nothing = {"output": None, "report": None, "log": None, "console": "none", "loglevel": "NONE", "stdout": _Nowhere()}
    result = suite.run(**nothing, outputdir=config["output_folder"], variable=texts)
    failed = [each.message for each in result.suite.tests if not each.passed]
    if failed:
        sys.stderr.write(f"{' '.join(failed[0].split())}\n")
    return 1 if failed else 0


class _Nowhere:
    """Takes what Robot would print."""

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
