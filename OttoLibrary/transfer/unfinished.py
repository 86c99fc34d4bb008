"""What a transfer has begun to write on this machine, noted so that a later run removes it if this process is killed.

The notes of each process are one file in ``~/.otto/unfinished``, locked as long as the process lives: a file that can be locked
is that of a dead one. Only what has a name of ours and belongs to our user is removed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_FOLDER = "~/.otto/unfinished"
_OURS = re.compile(r"\.otto-[0-9a-f]{12}\.part|otto-(copy|read|write|pack|unpack|scp)-[a-z0-9_]{8}")
_MOST_NOTES = 16 << 20
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Notes:
    """The notes of this process in one folder; without room for them nothing is noted, and no transfer fails for it."""

    def __init__(self, folder: Path) -> None:
        self._turn = threading.Lock()
        self._open: set[str] = set()
        self._file = -1
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_leftovers(folder)
            self._path = folder / secrets.token_hex(8)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _SAFE, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(["on", socket.gethostname()])
            atexit.register(self._end)

    def add(self, path: str) -> None:
        """Note that something is begun."""
        with self._turn:
            self._open.add(path)
            self._write(["begun", path])

    def remove(self, path: str) -> None:
        """Note that it is finished, or gone."""
        with self._turn:
            self._open.discard(path)
            self._write(["ended", path])

    def _write(self, note: list[str]) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.write(self._file, json.dumps(note).encode() + b"\n")

    def _end(self) -> None:
        if not self._open:
            with contextlib.suppress(OSError):
                self._path.unlink()


_notes: dict[Path, _Notes] = {}
_turn = threading.Lock()


@contextlib.contextmanager
def noted(path: Path) -> Iterator[Path]:
    """Note a file or folder as unfinished while it is written."""
    notes, text = _own_notes(), str(path.absolute())
    notes.add(text)
    try:
        yield path
    finally:
        notes.remove(text)


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Give a new folder for a purpose, such as ``copy``; it is removed afterwards, by a later run if need be."""
    with tempfile.TemporaryDirectory(prefix=f"otto-{purpose}-") as folder, noted(Path(folder)):
        yield Path(folder)


def _own_notes() -> _Notes:
    folder = Path(_FOLDER).expanduser()
    with _turn:
        if folder not in _notes:
            _notes[folder] = _Notes(folder)
        return _notes[folder]


def _remove_leftovers(folder: Path) -> None:
    """Remove what dead processes of this user left on this machine, and their notes."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError, ValueError):
            file = os.open(path, os.O_RDONLY | _SAFE)
            try:
                facts = os.fstat(file)
                if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                    continue
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                machine, left = _read(os.read(file, _MOST_NOTES))
                if machine == socket.gethostname():
                    for each in left:
                        _remove(each)
                    path.unlink()
            finally:
                os.close(file)


def _read(text: bytes) -> tuple[str, list[str]]:
    """Return the machine, and what was begun and not ended; the last line may be cut."""
    machine, left = "", dict[str, None]()
    for line in text.split(b"\n"):
        try:
            kind, value = json.loads(line)
        except (ValueError, TypeError):
            continue
        if kind == "on":
            machine = str(value)
        elif kind == "begun":
            left[str(value)] = None
        else:
            left.pop(str(value), None)
    return machine, list(left)


def _remove(path: str) -> None:
    if not _OURS.fullmatch(path.rpartition("/")[2]) or not path.startswith("/"):
        return
    with contextlib.suppress(OSError):
        facts = os.lstat(path)
        if facts.st_uid != os.geteuid():
            return
        if stat.S_ISDIR(facts.st_mode):
            shutil.rmtree(path)
        elif stat.S_ISREG(facts.st_mode):
            Path(path).unlink()
