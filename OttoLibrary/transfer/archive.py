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

from OttoLibrary.transfer.received_folder import KEPT_MODE, OutsideError, ReceivedFolder, inside

_CHUNK = 1 << 18
_WAITING_CHUNKS = 16
# Beside the content, each file has a header, and others for a long name and a long target of a link; the end has padding.
_HEADERS_EACH, _SLACK = 24 << 10, 1 << 20
# Headers whose content tarfile reads as a whole: long names, and extended headers.
_READ_WHOLE = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_MOST_HEADER = 1 << 20


class TreeError(Exception):
    """Something in a folder cannot be moved; carries the reason."""


@dataclass(frozen=True)
class Entry:
    """One file, folder or link in a folder.

    Attributes:
        name: Its path in the folder, parts joined by ``/``; ``.`` is the folder itself.
        kind: ``folder``, ``file``, ``link``, or ``other``: a pipe, a socket or a device.
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
        TreeError: Something cannot be read, or is a broken link while links are followed.
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
        most_bytes: How much it may hold and unpack to.
        most_members: How many files, folders and links it may hold.

    Attributes:
        locked: Modes by name of folders that their owner may not change, to be set when everything is in place.
    """

    def __init__(self, folder: Path, most_bytes: int, most_members: int) -> None:
        self._folder = folder
        self.locked: dict[str, int] = {}
        self._left_bytes, self._left_members = most_bytes, most_members
        self._left_input = most_bytes + most_members * _HEADERS_EACH + _SLACK
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
            with ReceivedFolder(self._folder) as folder, _opened(source or self) as archive:
                for member in archive:
                    self._unpack(folder, archive, member)
                    # tarfile remembers each member for random access, which a stream has no use for.
                    archive.members.clear()  # type: ignore[attr-defined]
            while source is None and self._piece():
                pass
        except (OSError, TreeError):
            raise
        except OutsideError as error:
            raise TreeError(str(error)) from error
        except Exception as error:  # tarfile meets damaged headers with exceptions of many kinds
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

    def _unpack(self, folder: ReceivedFolder, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Create one member; it belongs to the user who unpacks it."""
        self._left_members -= 1
        if self._left_members < 0:
            raise TreeError("the archive has more in it than the host announced")
        name = inside(member.name)
        if member.isdir():
            folder.make_folder(name, member.mode)
            if member.mode & 0o700 != 0o700:
                self.locked[name] = member.mode & KEPT_MODE
        elif member.issym():
            folder.make_link(name, member.linkname)
        elif member.islnk():
            folder.make_hard_link(name, inside(member.linkname))
        elif member.isreg():
            self._write(folder, name, archive, member)
        elif not member.isdev():  # which is a pipe too: those are passed over
            raise TreeError(f"'{name}' is not a file, folder or link")

    def _write(self, folder: ReceivedFolder, name: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        # A sparse file has holes: it may be much longer than what comes for it.
        self._left_bytes -= member.size
        if member.size < 0 or self._left_bytes < 0:
            raise TreeError(f"'{name}' is longer than the host announced")
        content = archive.extractfile(member)
        with folder.new_file(name, member.mode, member.mtime) as target:
            while content is not None and (data := content.read(_CHUNK)):
                target.write(data)

    def _piece(self) -> bytes:
        while not self._given_up and not self._ended:
            with contextlib.suppress(queue.Empty):
                piece = self._pieces.get(timeout=0.1)
                self._ended = not piece
                self._left_input -= len(piece)
                if self._left_input < 0:
                    raise TreeError("the host sent more than it announced")
                return piece
        if self._ended:
            return b""
        raise TreeError("it was cancelled")


class _Header(tarfile.TarInfo):
    """A header of an archive; one that tarfile would read into memory as a whole has a bound."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """Read a header."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _READ_WHOLE and not 0 <= header.size <= _MOST_HEADER:
            raise TreeError("the archive has a name or an extended header that is too long")
        return header


def _opened(source: BinaryIO | Unpacker) -> tarfile.TarFile:
    return tarfile.open(fileobj=source, mode="r|", errors="surrogateescape", tarinfo=_Header)  # type: ignore[call-overload,no-any-return]


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
            _open(path).close()
            found.append(Entry(name, "file", facts.st_size, stat.S_IMODE(facts.st_mode), int(facts.st_mtime)))
        elif stat.S_ISLNK(facts.st_mode):
            found.append(Entry(name, "link", 0, 0o777, int(facts.st_mtime), str(path.readlink())))
        else:
            found.append(Entry(name, "other", 0, stat.S_IMODE(facts.st_mode), int(facts.st_mtime)))
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


def _open(path: Path) -> BinaryIO:
    """Open a file to read; one that has become a pipe meanwhile makes nobody wait."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise TreeError(f"'{path}' was a file, and is none any more")
    return file


def _content(path: Path, entry: Entry, waiting: bytearray) -> Iterator[bytes]:
    left = entry.size
    with _open(path) as file:
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
