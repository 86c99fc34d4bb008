"""A bench that a process of its own keeps up, so that several runs use it: ``deploy --keep``, and all processes of pabot.

For each environment there are in the folder ``OTTO_BENCHES``, or one of the user's own below the temporary folder::

    ID.start      locked while somebody looks for the keeper, or starts it
    ID.alive      locked by the keeper as long as it lives, however it ends
    ID.users      locked, shared, by every process that uses the bench
    ID.json       what is up, written when it is
    ID.release    there when somebody wants the bench to be shut down
    ID.log        what the keeper said
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from OttoLibrary.errors import DeployError, UsageError
from OttoLibrary.lab.environment import Environment, without_secrets
from OttoLibrary.units import duration_text

UNUSED_S = 10.0
# Longer than all shutdowns together may take: each has a limit of its own.
MOST_SHUTDOWN_S = 3600.0
_LOOK_S = 0.1
_MOST_LOG = 20
_MOST_DIFFERENCES = 20


@dataclass
class KeptBench:
    """The place of one environment's keeper.

    Args:
        environment: Path or URL of the environment file.
        inventory: The same of the inventory.
        board: The board.

    Attributes:
        process: The keeper, as ``machine:pid``; known after ``attach``.
    """

    environment: str
    inventory: str
    board: str
    _used: IO[bytes] | None = field(default=None, repr=False)
    process: str = ""

    def _file(self, kind: str) -> Path:
        name = hashlib.sha256(f"{self.environment}\0{self.inventory}\0{self.board}".encode()).hexdigest()[:16]
        return _folder() / f"{name}.{kind}"

    # -- for those who use it

    @property
    def is_up(self) -> bool:
        """True while a keeper has it up."""
        return self._file("json").exists() and not self._could_lock("alive")

    def attach(self, environment: Environment, user: str) -> None:
        """Use it from now on, until ``leave``.

        Raises:
            UsageError: It is another one than the files say, or another user's, or its time is over; with the difference.
        """
        self._used = self._file("users").open("ab")
        fcntl.flock(self._used, fcntl.LOCK_SH)
        try:
            state = json.loads(self._file("json").read_text())
            self.process = str(state.get("process", ""))
            problem = _difference(state, environment, user)
            if problem or not self.is_up:
                again = "Release it with 'python -m OttoLibrary deploy ... --release', and deploy it again."
                raise UsageError(
                    f"The bench '{self.board}' that is kept up cannot be used: {problem or 'it has just ended'}. {again}"
                )
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Use it no longer. Idempotent."""
        used, self._used = self._used, None
        if used is not None:
            used.close()

    def ask_for_release(self, limit_s: float = MOST_SHUTDOWN_S) -> bool:
        """Ask the keeper to shut it down, and wait until that is done; return False when nobody keeps it.

        Args:
            limit_s: How long to wait, in seconds.

        Raises:
            UsageError: It is still there then.
        """
        if self._could_lock("alive"):
            return False
        self._file("release").touch(mode=0o600)
        end = time.monotonic() + limit_s
        while not self._could_lock("alive"):
            if time.monotonic() > end:
                raise UsageError(
                    f"What keeps the bench '{self.board}' up did not shut it down in {duration_text(limit_s)}. "
                    f"What it said is in {self._file('log')}; 'fuser {self._file('alive')}' shows which process it is."
                )
            time.sleep(_LOOK_S)
        return True

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let one process at a time look for the keeper, or start it."""
        with self._file("start").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def start(self, words: Sequence[str], **variables: str) -> None:
        """Start a keeper and return when the bench is up; raise DeployError with what it said when it is not.

        Args:
            words: Further words for the command ``deploy``.
            variables: Further variables of its environment.
        """
        command = [sys.executable, "-m", "OttoLibrary", "deploy", self.environment, self.inventory, "--board", self.board, *words]
        surroundings = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._file("json").unlink(missing_ok=True)
        with self._file("log").open("wb") as log:
            process = subprocess.Popen(
                command, env=surroundings, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            while not self._file("json").exists():
                if process.poll() is not None:
                    said = self._file("log").read_text(errors="replace").splitlines()[-_MOST_LOG:]
                    raise DeployError(self.board, said)
                time.sleep(_LOOK_S)
        except BaseException:
            process.terminate()
            raise

    # -- for the keeper

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Be the keeper; raise UsageError when there is one."""
        with self._file("alive").open("ab") as alive:
            try:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"The bench '{self.board}' is kept up already. 'deploy ... --release' ends that.") from error
            self._file("release").unlink(missing_ok=True)
            try:
                yield
            finally:
                self._file("json").unlink(missing_ok=True)

    def announce(self, environment: Environment, user: str, until: float) -> None:
        """Say that it is up."""
        process = f"{socket.gethostname()}:{os.getpid()}"
        state = {"user": user, "process": process, "until": until, "devices": _shown(environment), "all": _digest(environment)}
        new = self._file("new")
        new.write_text(json.dumps(state))
        new.chmod(0o600)
        new.replace(self._file("json"))

    def is_wanted(self, until: float, *, unused: Unused | None = None) -> bool:
        """Return False when its time is over, when somebody wants its release, or when nobody has used it for a while."""
        if time.time() > until or self._file("release").exists():
            return False
        return unused is None or not unused.for_long(self._could_lock("users"))

    def _could_lock(self, kind: str) -> bool:
        """Return True when nobody has a lock on a file."""
        with self._file(kind).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


class Unused:
    """How long nobody has used a bench.

    Args:
        parent: The process of pabot; when it is gone, nobody comes any more.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._since = time.monotonic()

    def for_long(self, is_free: bool) -> bool:
        """Return True when it is not used now, and will not be."""
        if not is_free:
            self._since = time.monotonic()
            return False
        is_gone = not Path(f"/proc/{self._parent}").exists()
        return is_gone or time.monotonic() - self._since > UNUSED_S


def _folder() -> Path:
    """Return the folder of keepers; raise UsageError when it may be another user's."""
    named = os.environ.get("OTTO_BENCHES")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"otto-benches-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UsageError(f"{folder} is not a folder of yours alone, so no bench can be kept there. Name one in OTTO_BENCHES.")
    return folder


def _shown(environment: Environment) -> dict[str, Any]:
    return {device.name: without_secrets(device.config) for device in environment.devices}


def _digest(environment: Environment) -> str:
    return hashlib.sha256(json.dumps(environment.merged(), sort_keys=True).encode()).hexdigest()


def _difference(state: Mapping[str, Any], environment: Environment, user: str) -> str:
    if state["user"] != user:
        return f"it is {state['user']}'s, and you are {user}"
    if time.time() > state["until"]:
        return "its lease has expired"
    if state["all"] == _digest(environment):
        return ""
    there, wanted = _flat(state["devices"]), _flat(_shown(environment))
    changed = [
        f"{path} is {there.get(path, 'nothing')} there, and {wanted.get(path, 'nothing')} in the files"
        for path in sorted({*there, *wanted})
        if there.get(path) != wanted.get(path)
    ]
    return "; ".join(changed[:_MOST_DIFFERENCES]) or "a secret of a device is another one"


def _flat(value: object, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping) and value:
        return {key: text for name, one in value.items() for key, text in _flat(one, f"{path}.{name}" if path else name).items()}
    return {path: json.dumps(value, ensure_ascii=False)}
