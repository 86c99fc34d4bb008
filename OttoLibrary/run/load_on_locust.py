"""A load on Locust: its master here, its workers here or on hosts, each a process of Locust with a turret of ours in it."""

from __future__ import annotations

import importlib.util
import random
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from OttoLibrary.errors import PluginError, UsageError
from OttoLibrary.load.hq_process import TurretOrder
from OttoLibrary.load.sockets import LOOPBACK
from OttoLibrary.run.load_on_hosts import HostProgram
from OttoLibrary.run.load_target import LoadTarget

_MODULE = "locust_engine.locust_process"
_CHECK = "importlib.util.find_spec('locust')"
_LOOK_S = 30.0
# Below those that the system gives to connections.
_PORTS = range(20_000, 32_000)
_ATTEMPTS = 50


@dataclass(frozen=True)
class LocustTarget:
    """What Locust's users do, and where Locust is.

    Attributes:
        title: How the report calls it.
        file: The locust file; None for users of ours.
        what: What users of ours do, as ``load_maker`` has it.
        own_shape: Whether the shape of the file says how many users there are.
        python: The Python in whose environment Locust is.
    """

    title: str
    file: Path | None = None
    what: dict[str, Any] | None = None
    own_shape: bool = False
    python: str = ""

    def here(self, port: int, grace_s: float, workers: int, all_workers: int) -> list[TurretOrder]:
        """Return the master, and the workers of this machine.

        Args:
            port: Where the master listens, on the loopback.
            grace_s: How long what is in flight at the end may take.
            workers: How many workers run here.
            all_workers: How many there are, those on hosts among them.
        """
        folder = str(self.file.parent) if self.file is not None else ""
        common = {**self._config(grace_s), "folder": folder, "master_port": port, "what": self.what}
        leader = {"name": "Locust's master", "role": "master", "leads": True, "workers": all_workers, "own_shape": self.own_shape}
        command = (self.python or sys.executable, "-m", f"OttoLibrary.load.{_MODULE}", "--lifeline", "--config-file")
        names = [f"worker {number + 1}" for number in range(workers)]
        configs = [leader, *({"name": name, "role": "worker", "cannons": 0} for name in names)]
        return [TurretOrder({**common, **config}, command) for config in configs]

    def on_hosts(self, port: int, grace_s: float) -> HostProgram:
        """Return the worker of each host; raise UsageError for what cannot be sent there.

        Args:
            port: Where the master listens here.
            grace_s: How long what is in flight at the end may take.
        """
        what, sources = LoadTarget(self.title, self.what).for_hosts() if self.what else (None, [])
        python = self.python or "python3"
        return HostProgram(
            {**self._config(grace_s), "role": "worker", "what": what},
            [self.file] if self.file is not None else sources,
            _MODULE,
            python,
            _CHECK,
            f"package 'locust' for '{python}'. Install it there, or name another Python with 'locust_python'",
            {"master_port": port},
        )

    def _config(self, grace_s: float) -> dict[str, Any]:
        file = self.file.name if self.file is not None else ""
        return {"script": self.title, "locustfile": file, "master_address": LOOPBACK, "stop_timeout_s": grace_s}


def of_file(file: str, folder: Path, own_shape: bool) -> LocustTarget:
    """Return a locust file; raise UsageError when there is none."""
    place = folder / file
    if not place.is_file():
        raise UsageError(f"There is no locust file '{place}'.")
    return LocustTarget(file, place.absolute(), own_shape=own_shape)


def of_target(target: LoadTarget) -> LocustTarget:
    """Return what Locust's users are to do in place of ours; raise UsageError for what needs Robot Framework."""
    if target.script is None:
        raise UsageError(f"'{target.title}' needs Robot Framework, which Locust does not run. Leave out 'engine=locust'.")
    return LocustTarget(target.title, what=target.script)


def check_installed(python: str) -> None:
    """Raise PluginError when a Python has no Locust, UsageError when it is none."""
    if not python:
        if importlib.util.find_spec("locust") is None:
            package = "robotframework-ottolibrary[locust]"
            raise PluginError.missing_package("A load on Locust", package, "there is no module 'locust'")
        return
    code = f"import importlib.util, sys; sys.exit(3 * (not {_CHECK}))"
    try:
        status = subprocess.run([python, "-c", code], capture_output=True, timeout=_LOOK_S, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"'{python}' is no Python that runs Locust: {error}.") from error
    if status == 3:
        raise PluginError.missing_package("A load on Locust", "locust", "there is no module 'locust'", python)
    if status:
        raise UsageError(f"'{python}' is no Python that runs Locust: it ended with {status}.")


def free_port() -> int:
    """Return a port of the loopback on which nothing listens; raise UsageError."""
    for port in random.sample(_PORTS, _ATTEMPTS):
        with socket.socket() as tried:
            try:
                tried.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise UsageError("There is no free port on this machine. End what listens.")
