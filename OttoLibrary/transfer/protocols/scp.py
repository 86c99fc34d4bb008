"""SCP through AsyncSSH: the protocol of OpenSSH's ``scp -O``, for hosts whose server has no SFTP."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from collections.abc import Callable
from typing import Any

import asyncssh

from OttoLibrary.contracts.connections import EndOfStream, ManySessions, Refused
from OttoLibrary.contracts.transfers import Job, NotOfferedError, Site
from OttoLibrary.transfer.unfinished import temporary_folder

_BLOCK = 1 << 20
_AFTER_MARK = b"""sh -c 'command -v "$1" >/dev/null 2>&1 || { echo "%b missing"; exit 1; }; echo %b; exec "$@"' sh %b"""


class Scp:
    """The transfer ``scp``."""

    checksum = "cksum"
    resumes = False

    async def put(self, site: Site, job: Job) -> None:
        """Send the file."""
        with temporary_folder("scp") as folder:
            # The protocol sends the name too, and cannot express a newline or a backslash in it.
            plain = folder / "file"
            plain.symlink_to(job.local.absolute())
            await _copy(site, job, lambda there: (bytes(plain), (there, _quoted(job.remote))))

    async def get(self, site: Site, job: Job) -> None:
        """Fetch the file."""
        # On the host, the shell can open the file instead, so that scp sees a plain name. Some servers serve scp without a
        # shell, so this is for such names only.
        odd = b"/dev/fd/3 3<" if set(job.remote) & set("\n\\") else b""
        with contextlib.suppress(_AllHereError):
            await _copy(site, job, lambda there: ((there, odd + _quoted(job.remote)), bytes(job.local)))
        if job.local.stat().st_size > job.size:
            os.truncate(job.local, job.size)


class _AllHereError(Exception):
    """All bytes that were announced are here, and the host sends more: the file has grown, or the host lies."""


class _Sessions:
    """What AsyncSSH's scp asks of a connection: sessions, on whichever connection to the host has room.

    Args:
        after_mark: Let a shell print a mark first, and pass over what comes before it: start-up files may print.
    """

    def __init__(self, connection: ManySessions, client: asyncssh.SSHClientConnection, *, after_mark: bool) -> None:
        self.logger = client.logger
        self._connection, self._mark = connection, secrets.token_hex(8).encode() if after_mark else b""

    async def open_session(self, command: bytes, encoding: None) -> tuple[Any, Any, Any]:
        """Start ``command``; return its input, output and errors."""
        text = _AFTER_MARK % (self._mark, self._mark, command) if self._mark else command

        async def start(client: asyncssh.SSHClientConnection) -> tuple[Any, Any, Any]:
            return await client.open_session(text, encoding=encoding)

        writer, reader, errors = await self._connection.with_room(start)
        while self._mark and (line := await reader.readline()).strip() != self._mark:
            if line.strip() == self._mark + b" missing":
                raise NotOfferedError("it has no scp program")
            if not line:
                raise OSError("its login shell ended immediately")
        return writer, reader, errors


def _quoted(path: str) -> bytes:
    """Return the path for the remote shell, which reads the command line of the scp there."""
    return shlex.quote(path).encode("utf-8", "surrogateescape")


async def _copy(site: Site, job: Job, ends: Callable[[_Sessions], tuple[object, object]]) -> None:
    """Copy between two ends, one of them on the host."""
    client = site.connection.native
    sessions = site.connection
    if not isinstance(client, asyncssh.SSHClientConnection) or not isinstance(sessions, ManySessions):
        raise NotOfferedError("scp needs an SSH host")
    before = 0

    def moved(_source: bytes, _target: bytes, copied: int, total: int) -> None:
        nonlocal before
        job.moved(min(copied, job.size) - before)
        before = min(copied, job.size)
        if copied >= job.size and total > job.size:
            raise _AllHereError

    async def copy(*, after_mark: bool) -> None:
        source, target = ends(_Sessions(sessions, client, after_mark=after_mark))
        await asyncssh.scp(source, target, block_size=_BLOCK, progress_handler=moved)  # type: ignore[arg-type]

    try:
        try:
            await copy(after_mark=False)
        except asyncssh.SFTPError:
            if before:
                raise
            await copy(after_mark=True)
    except Refused as error:
        raise NotOfferedError(f"its SSH server {error.lost}") from error
    except (asyncssh.ConnectionLost, BrokenPipeError) as error:
        raise EndOfStream(site.connection.lost or str(error)) from error
    except asyncssh.ChannelOpenError as error:
        raise NotOfferedError(f"its SSH server opens no session for scp ({error.reason})") from error
    except (asyncssh.Error, OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise OSError(reason.removeprefix("scp: ")) from error
