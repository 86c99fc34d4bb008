"""The process of an HQ: it reads what to run from standard input, starts turrets of this machine, and writes how the run stands.

Standard input is its lifeline: when it ends, the run ends. The first line is a ``LoadOrder``, the others are orders; what it
writes is one JSON object a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from OttoLibrary.errors import OttoError
from OttoLibrary.load.hq import Hq, HqPlan
from OttoLibrary.load.load_limits import LoadLimit
from OttoLibrary.load.result_store import COUNTERS, FILE, ResultWriter
from OttoLibrary.load.sockets import LOOPBACK, HqSockets
from OttoLibrary.load.turret.counters import counters_path
from OttoLibrary.masking import Masker, mask
from OttoLibrary.text import printable

PACKAGE_FOLDER = Path(__file__).parents[2]
TURRET_COMMAND = (sys.executable, "-m", "OttoLibrary.load.turret.turret_process", "--lifeline", "--config-file")
_STEP_S = 0.1
_TELL_S = 1.0
_END_S = 3.0
# Of what a turret writes to standard error, the beginning is kept.
_MOST_LOG_BYTES = 1 << 20


@dataclass(frozen=True)
class TurretOrder:
    """A turret of this machine that the HQ starts.

    Attributes:
        config: Its configuration; where the HQ is, the HQ adds.
        command: The program, which gets the path of the configuration as its last argument.
    """

    config: dict[str, Any]
    command: Sequence[str] = TURRET_COMMAND


@dataclass(frozen=True)
class LoadOrder:
    """What an HQ is to run.

    Attributes:
        folder: Where results go.
        plan: As ``HqPlan``, its limits as text.
        turrets: The turrets that it starts.
        ports: Arguments of ``HqSockets``.
        secrets: What is hidden in all that is kept.
        folder_of_scripts: The folder in which turrets run.
    """

    folder: str
    plan: dict[str, Any]
    turrets: Sequence[TurretOrder] = ()
    ports: dict[str, Any] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    folder_of_scripts: str = ""

    def to_line(self) -> bytes:
        """Return it as the line that the process reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> LoadOrder:
        """Return what ``to_line`` made."""
        said = json.loads(line)
        said["turrets"] = [TurretOrder(**each) for each in said["turrets"]]
        return cls(**said)


def hq_plan(plain: dict[str, Any]) -> HqPlan:
    """Return the plan that JSON holds."""
    values = dict(plain)
    values["limits"] = tuple(LoadLimit.parse(text) for text in values.get("limits", ()))
    for key in ("phases", "tokens"):
        values[key] = tuple(tuple(each) if isinstance(each, list) else each for each in values.get(key, ()))
    return HqPlan(**values)


def own_environment() -> dict[str, str]:
    """Return an environment in which a program of this package is found."""
    path = os.pathsep.join(filter(None, [str(PACKAGE_FOLDER), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


class TurretProcesses:
    """The turrets of this machine, as processes that end with this one.

    What they are told and what they write to standard error may hold secrets: it is kept in memory, not in files.

    Args:
        folder: Where their counters are.
        work_folder: Where they run.
        mask: Hides secrets in their last words.
    """

    def __init__(self, folder: Path, work_folder: str, mask: Callable[[str], str] = mask) -> None:
        self._folder, self._work_folder, self._mask = folder.absolute(), work_folder or None, mask
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, int] = {}

    def start(self, order: TurretOrder, where: dict[str, Any]) -> None:
        """Start one.

        Args:
            order: What it is.
            where: Where the HQ is, and the word that lets it in.
        """
        who = str(uuid.uuid4())
        config = {**order.config, **where, "uuid": who, "counters": str(counters_path(self._folder, who)), "once": True}
        log = self._logs[who] = os.memfd_create(f"{who}.log")
        told = os.memfd_create(f"{who}.json")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE_FOLDER), os.environ.get("PYTHONPATH")]))
        }
        with os.fdopen(told, "w") as file:
            json.dump(config, file)
            file.flush()
            self._processes[who] = subprocess.Popen(
                [*order.command, f"/dev/fd/{told}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self._work_folder,
                env=environment,
                pass_fds=(told,),
                start_new_session=True,
            )

    def ended(self) -> list[tuple[str, str]]:
        """Return who has ended since the last time, and its last words."""
        found = []
        for who, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[who]
                _end_group(process)
                found.append((who, f"its process ended with {process.returncode}{self._last_words(who)}"))
                os.close(self._logs.pop(who))
            elif os.fstat(self._logs[who]).st_size > _MOST_LOG_BYTES:
                # It goes on where it was, so the beginning is taken off its position too.
                os.ftruncate(self._logs[who], 0)
                os.lseek(self._logs[who], 0, os.SEEK_SET)
        return found

    def close(self) -> None:
        """End all that still run; idempotent."""
        end = time.monotonic() + _END_S
        for process in self._processes.values():
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, end - time.monotonic()))
            _end_group(process)
            process.wait()
        self._processes.clear()
        while self._logs:
            os.close(self._logs.popitem()[1])

    def _last_words(self, who: str) -> str:
        log = self._logs[who]
        size = os.fstat(log).st_size
        lines = os.pread(log, size, 0).decode("utf-8", "backslashreplace").strip().splitlines()
        return f": {self._mask(printable(lines[-1]))[:300]}" if lines else ""


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what a turret started; it leads a group of its own."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


class HqProcess:
    """Runs one HQ from its order to its end.

    Args:
        order: What to run.
    """

    def __init__(self, order: LoadOrder) -> None:
        folder = Path(order.folder)
        self._counters = folder / COUNTERS
        self._counters.mkdir(parents=True, exist_ok=True)
        self._masker = Masker()
        self._masker.add(*order.secrets)
        self._writer = ResultWriter(folder / FILE)
        self._sockets = HqSockets(**order.ports)
        token = uuid.uuid4().hex
        plan = dict(order.plan)
        if order.turrets:
            plan["tokens"] = [*plan.get("tokens", ()), token]
        self._hq = Hq(hq_plan(plan), self._sockets, self._writer, self._counters, mask=self._masker.mask)
        self._turrets = TurretProcesses(self._counters, order.folder_of_scripts, self._masker.mask)
        self._orders: deque[dict[str, Any]] = deque()
        self._input = b""
        self._told = 0.0
        where = {"hq_address": LOOPBACK, "hq_port": self._sockets.own_port, "token": token}
        for turret in order.turrets:
            self._turrets.start(turret, where)

    def run(self) -> None:
        """Serve until the run is over."""
        os.set_blocking(0, False)
        self._sockets.watch(0)
        try:
            self._tell("ports", publish=self._sockets.publish_port, rc=self._sockets.rc_port, own=self._sockets.own_port)
            while not self._hq.is_over:
                self._hq.step(_STEP_S)
                self._obey()
                for who, why in self._turrets.ended():
                    self._hq.lose(who, why)
                if time.monotonic() - self._told >= _TELL_S:
                    self._told = time.monotonic()
                    self._tell("stands", **self._hq.snapshot())
            self._tell("over", **self._hq.snapshot())
        finally:
            self._turrets.close()
            self._writer.close()
            self._sockets.close()

    def _obey(self) -> None:
        try:
            while data := os.read(0, 1 << 16):
                self._input += data
        except BlockingIOError:
            pass
        else:
            # Whoever started the load is gone.
            self._sockets.forget(0)
            self._hq.leave("the program that started the load is gone")
        *lines, self._input = self._input.split(b"\n")
        for line in filter(None, lines):
            self._obey_one(json.loads(line))

    def _obey_one(self, order: dict[str, Any]) -> None:
        match order["order"]:
            case "stop":
                self._hq.stop(str(order.get("reason") or ""))
            case "abort":
                self._hq.abort(str(order.get("reason") or ""))
            case "phase":
                self._hq.mark_phase(str(order["name"]))
            case "secrets":
                self._masker.add(*order["secrets"])
                self._hq.mask_again()
            case "limit":
                self._hq.add_limit(LoadLimit.parse(order["limit"]))

    def _tell(self, kind: str, **said: Any) -> None:
        try:
            sys.stdout.write(json.dumps({"kind": kind, **said}) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._hq.leave("the program that started the load is gone")


def main() -> int:
    """Run one HQ; return 0, or 2 with the reason on standard error when it cannot begin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it decides
    try:
        HqProcess(LoadOrder.from_line(sys.stdin.buffer.readline())).run()
    except OttoError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
