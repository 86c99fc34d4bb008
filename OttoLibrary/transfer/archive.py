"""Folders of this machine: listed, packed into one stream, and unpacked from one.

The stream is a tar archive in GNU format, which every tar reads: it is the only format with long names that busybox reads.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 18
_WAITING_CHUNKS = 16


class TreeError(Exception):
    """Something in a folder cannot be moved; carries the reason."""


@dataclass(frozen=True)
class Entry:
    """One file, folder or link in a folder.

    Attributes:
        name: Its path in the folder, parts joined by ``/``; ``.`` is the folder itself.
        kind: ``folder``, ``file`` or ``link``.
        points_to: The target of a link.
    """

    name: str
    kind: str
    size: int
    mode: int
    mtime: int
    points_to: str = ""


def scan(folder: Path, *, follow: bool) -> list[Entry]:
    """Return all that is in a folder, itself first and each folder before its content.

    Raises:
        TreeError: Something is not a file, folder or link, cannot be read, or is a broken link
            while links are followed.
    """
    found: list[Entry] = []
    _scan(folder, ".", follow, (), found)
    return found


def packed(folder: Path, entries: list[Entry]) -> Iterator[bytes]:
    """Yield the archive of these entries, piece by piece; a file that changed its size meanwhile raises TreeError."""
    waiting = bytearray()
    for entry in entries:
        waiting += _header(entry)
        if entry.kind == "file":
            yield from _content(folder / entry.name, entry, waiting)
        if len(waiting) >= _CHUNK:
            yield bytes(waiting)
            waiting.clear()
    waiting += bytes(2 * tarfile.BLOCKSIZE)
    yield bytes(waiting)


class Unpacker:
    """Unpacks an archive that arrives in pieces; ``run`` works in its own thread while others ``feed`` it.

    Args:
        folder: Where it goes; nothing is written elsewhere, whatever the archive says.

    Attributes:
        locked: Modes by name of folders that their owner may not change, to be set when everything is in place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.locked: dict[str, int] = {}
        self._links: set[str] = set()
        self._pieces: queue.Queue[bytes] = queue.Queue(_WAITING_CHUNKS)
        self._rest = b""
        self._given_up = self._ended = False

    def feed(self, data: bytes) -> None:
        """Take a piece; an empty one is the end. Blocks while the disk is slower."""
        while not self._given_up:
            try:
                return self._pieces.put(data, timeout=0.1)
            except queue.Full:
                continue
        return None

    def give_up(self) -> None:
        """Stop unpacking."""
        self._given_up = True

    def run(self, source: BinaryIO | None = None) -> None:
        """Unpack ``source``, or what is fed, to the end; raise TreeError."""
        try:
            with tarfile.open(fileobj=source or self, mode="r|", errors="surrogateescape") as archive:  # type: ignore[call-overload]
                for member in archive:
                    self._unpack(archive, member)
            while source is None and self._piece():
                pass
        except tarfile.TarError as error:
            raise TreeError(f"the archive cannot be unpacked ({error})") from error
        finally:
            self._given_up = True

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes of the archive, fewer at its end; for tarfile."""
        pieces = [self._rest]
        length = len(self._rest)
        while length < size and (piece := self._piece()):
            pieces.append(piece)
            length += len(piece)
        data = b"".join(pieces)
        self._rest = data[size:]
        return data[:size]

    def _unpack(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Create one member; it belongs to the user who unpacks it."""
        name = self._inside(member.name)
        path = self._folder / name
        if member.isdir():
            path.mkdir(exist_ok=True)
            path.chmod(member.mode | 0o700)
            if member.mode & 0o700 != 0o700:
                self.locked[name] = member.mode
        elif member.issym():
            path.symlink_to(member.linkname)
            self._links.add(name)
        elif member.islnk():
            path.hardlink_to(self._folder / self._inside(member.linkname))
        elif member.isreg():
            _write(path, archive, member)
        else:
            raise TreeError(f"'{name}' is not a file, folder or link")

    def _inside(self, name: str) -> str:
        """Return a name in the folder; raise TreeError when it leads outside, or through a link of the archive."""
        parts = [part for part in name.split("/") if part not in {"", "."}]
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if name.startswith("/") or ".." in parts or above & self._links:
            raise TreeError(f"the archive has '{name}', which leads outside the folder")
        return "/".join(parts)

    def _piece(self) -> bytes:
        while not self._given_up and not self._ended:
            with contextlib.suppress(queue.Empty):
                piece = self._pieces.get(timeout=0.1)
                self._ended = not piece
                return piece
        if self._ended:
            return b""
        raise TreeError("it was cancelled")


def merge(source: Path, target: Path) -> None:
    """Move all that is in ``source`` into ``target``, file by file; other files in ``target`` stay."""
    if not target.exists():
        source.replace(target)
        return
    for path in list(source.iterdir()):
        there = target / path.name
        if path.is_dir() and not path.is_symlink() and there.is_dir():
            merge(path, there)
        else:
            path.replace(there)


def _scan(folder: Path, name: str, follow: bool, above: tuple[tuple[int, int], ...], found: list[Entry]) -> None:
    path = folder / name
    try:
        facts = path.stat() if follow else path.lstat()
        if stat.S_ISDIR(facts.st_mode):
            here = (facts.st_dev, facts.st_ino)
            if here in above:
                raise TreeError(f"'{path}' links to a folder above itself; use links=keep")
            found.append(Entry(name, "folder", 0, stat.S_IMODE(facts.st_mode), int(facts.st_mtime)))
            for child in sorted(each.name for each in path.iterdir()):
                _scan(folder, child if name == "." else f"{name}/{child}", follow, (*above, here), found)
        elif stat.S_ISREG(facts.st_mode):
            path.open("rb").close()
            found.append(Entry(name, "file", facts.st_size, stat.S_IMODE(facts.st_mode), int(facts.st_mtime)))
        elif stat.S_ISLNK(facts.st_mode):
            found.append(Entry(name, "link", 0, 0o777, int(facts.st_mtime), str(path.readlink())))
        else:
            raise TreeError(f"'{path}' is not a file, folder or link")
    except OSError as error:
        hint = "; it is a broken link; links=keep copies it as it is" if path.is_symlink() else ""
        raise TreeError(f"'{path}' cannot be read: {error.strerror}{hint}") from error


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.mode, info.mtime, info.size = entry.mode, entry.mtime, entry.size
    info.type = {"folder": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE}[entry.kind]
    info.linkname = entry.points_to
    if entry.kind == "folder":
        info.mode |= 0o700  # so that the user who unpacks it can fill it
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(path: Path, entry: Entry, waiting: bytearray) -> Iterator[bytes]:
    left = entry.size
    with path.open("rb") as file:
        while left:
            data = file.read(min(_CHUNK, left))
            if not data:
                raise TreeError(f"'{path}' became shorter while it was being read")
            left -= len(data)
            waiting += data
            if len(waiting) >= _CHUNK:
                yield bytes(waiting)
                waiting.clear()
    waiting += bytes(-entry.size % tarfile.BLOCKSIZE)


def _write(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    content = archive.extractfile(member)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        while content is not None and (data := content.read(_CHUNK)):
            os.write(target, data)
        os.fchmod(target, member.mode & 0o7777)
        os.utime(target, (member.mtime, member.mtime))
    finally:
        os.close(target)
