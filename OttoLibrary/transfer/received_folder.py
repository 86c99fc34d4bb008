"""A folder of this machine that takes what a host sends: nothing is written outside it, whatever the host answers.

Every name is checked, and every file is opened below a directory descriptor with no link followed: a link that the host sent
is only ever a link here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A host may not make a program here that runs as another user.
KEPT_MODE = 0o777


class OutsideError(Exception):
    """The host sent a name that leads outside the folder, or something in the place of something else; carries the reason."""


class ReceivedFolder:
    """A folder that is being filled; a context manager.

    Args:
        path: The folder. It may itself be a link: it was named by the user, not by the host.
    """

    def __init__(self, path: Path) -> None:
        self._root = os.open(path, _FOLDER & ~os.O_NOFOLLOW)

    def __enter__(self) -> ReceivedFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._root)

    def make_folder(self, name: str, mode: int) -> None:
        """Make a folder, or set the mode of the one that is there already, as the folder itself is."""
        if inside(name):
            with self._parent(name) as (parent, last), contextlib.suppress(FileExistsError):
                os.mkdir(last, 0o700, dir_fd=parent)
        self.set_mode(name, mode | 0o700)

    @contextlib.contextmanager
    def new_file(self, name: str, mode: int, mtime: float) -> Iterator[BinaryIO]:
        """Give a new file to write into; it gets mode and time at the end."""
        with self._parent(name) as (parent, last):
            try:
                file = os.open(last, _NEW_FILE, 0o600, dir_fd=parent)
            except FileExistsError as error:
                raise OutsideError(f"'{name}' was sent twice") from error
        with os.fdopen(file, "wb", buffering=0) as opened:
            yield opened
            os.fchmod(file, mode & KEPT_MODE)
            os.utime(file, (mtime, mtime))

    def make_link(self, name: str, points_to: str) -> None:
        """Make a symbolic link; where it points to is not looked at."""
        if not points_to or "\0" in points_to:
            raise OutsideError(f"the link '{name}' has no valid target")
        with self._parent(name) as (parent, last):
            try:
                os.symlink(points_to, last, dir_fd=parent)
            except FileExistsError as error:
                raise OutsideError(f"'{name}' was sent twice") from error

    def make_hard_link(self, name: str, of: str) -> None:
        """Make a second name for a file that is in the folder; one for a link would hide that it is one."""
        with self._parent(of) as (there, source), self._parent(name) as (parent, last):
            if not stat.S_ISREG(os.stat(source, dir_fd=there, follow_symlinks=False).st_mode):
                raise OutsideError(f"'{name}' is a second name of '{of}', which is not a file")
            os.link(source, last, src_dir_fd=there, dst_dir_fd=parent, follow_symlinks=False)

    def set_mode(self, name: str, mode: int) -> None:
        """Set the mode of a folder."""
        with self._folder(name) as folder:
            os.fchmod(folder, mode & KEPT_MODE)

    def is_file(self, name: str) -> bool:
        """Return True for a regular file that is reached through no link."""
        try:
            with self._parent(name) as (parent, last):
                return stat.S_ISREG(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode)
        except (OSError, OutsideError):
            return False

    @contextlib.contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """Give the descriptor of the folder that a name is in, and its last part."""
        above, _, last = inside(name).rpartition("/")
        with self._folder(above) as folder:
            yield folder, last

    @contextlib.contextmanager
    def _folder(self, name: str) -> Iterator[int]:
        folder = os.dup(self._root)
        try:
            for part in filter(None, inside(name).split("/")):
                try:
                    deeper = os.open(part, _FOLDER, dir_fd=folder)
                except OSError as error:
                    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                        raise OutsideError(f"'{name}' leads outside the folder: '{part}' is not a folder here") from error
                    raise
                os.close(folder)
                folder = deeper
            yield folder
        finally:
            os.close(folder)


def inside(name: str) -> str:
    """Return a name in normal form; raise OutsideError when it leads out of a folder that it is looked up in."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise OutsideError(f"the host sent '{name}', which leads outside the folder")
    if not parts and name not in {"", ".", "./"}:
        raise OutsideError(f"the host sent '{name}', which is not a name")
    return "/".join(parts)


def check_names(names: list[tuple[str, str]]) -> None:
    """Check kind and name of all that a host says is in a folder: each inside, each once, each in folders only."""
    seen: dict[str, str] = {}
    for kind, name in names:
        normal = inside(name)
        if normal in seen:
            raise OutsideError(f"the host listed '{name}' twice")
        seen[normal] = kind
    for name in seen:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if seen.get("/".join(parts[:depth]), "folder") != "folder":
                raise OutsideError(f"the host listed '{name}' in something that is not a folder")


def merge(source: Path, target: Path) -> None:
    """Move all that is in ``source`` into ``target``, file by file, through no link; other files in ``target`` stay."""
    if not target.exists():
        source.replace(target)
        return
    here, there = os.open(source, _FOLDER), os.open(target, _FOLDER & ~os.O_NOFOLLOW)
    try:
        _merge(here, there, str(target))
    finally:
        os.close(here)
        os.close(there)


def _merge(source: int, target: int, shown: str) -> None:
    for name in os.listdir(source):
        if not stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            continue
        try:
            mode = os.stat(name, dir_fd=target, follow_symlinks=False).st_mode
        except FileNotFoundError:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            continue
        if not stat.S_ISDIR(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "a file"
            raise OutsideError(f"'{shown}/{name}' is {kind} here and a folder there; remove it, or choose another target")
        here = os.open(name, _FOLDER, dir_fd=source)
        there = os.open(name, _FOLDER, dir_fd=target)
        try:
            _merge(here, there, f"{shown}/{name}")
        finally:
            os.close(here)
            os.close(there)
