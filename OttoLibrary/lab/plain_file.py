"""Plain files read with a bound: never a pipe or device, which could block or go on for ever."""

from __future__ import annotations

import codecs
import errno
import os
import stat
from pathlib import Path

_CHUNK = 1 << 20


def read_plain_file(path: Path, most_bytes: int) -> bytes:
    """Return the content of a text file, in UTF-8 and without the byte order mark that editors of Windows put in front.

    Args:
        path: The file; with the mark of UTF-16 it is converted.
        most_bytes: How much it may have.

    Raises:
        OSError: It cannot be read, is no plain file, has more, or is not the UTF-16 that its mark says.
    """
    # Without O_NONBLOCK the open of a pipe would wait for somebody who writes.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file", str(path))
        content = bytearray()
        while chunk := os.read(descriptor, min(_CHUNK, most_bytes + 1 - len(content))):
            content += chunk
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {_size(most_bytes)}", str(path))
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16").encode()
        except UnicodeError as error:
            raise OSError(errno.EILSEQ, "it begins as UTF-16 text, and is none", str(path)) from error
    return bytes(content.removeprefix(codecs.BOM_UTF8))


def is_file(path: Path) -> bool:
    """Return True when there is a file, False also when it cannot be told: in a folder of another user, or no possible path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def kind_of(path: Path) -> str:
    """Return what a path is when it is neither a file nor a folder, such as ``a named pipe``; nothing when it is not there."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    kinds = {stat.S_ISFIFO: "a named pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((kind for is_it, kind in kinds.items() if is_it(mode)), "")


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"
