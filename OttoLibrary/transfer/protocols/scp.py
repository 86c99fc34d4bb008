"""SCP through AsyncSSH: the protocol of OpenSSH's ``scp -O``, for hosts whose server has no SFTP."""

from __future__ import annotations

import contextlib
import os
import shlex

import asyncssh

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import Job, Site
from OttoLibrary.errors import UsageError
from OttoLibrary.transfer.unfinished import temporary_folder

_BLOCK = 1 << 20


class Scp:
    """The transfer ``scp``."""

    checksum = "cksum"
    resumes = False

    async def put(self, site: Site, job: Job) -> None:
        """Send the file."""
        client = _client(site)
        with temporary_folder("scp") as folder:
            # The protocol sends the name too, and cannot express a newline or a backslash in it.
            plain = folder / "file"
            plain.symlink_to(job.local.absolute())
            await _copy(site, bytes(plain), (client, _quoted(job.remote)), job)

    async def get(self, site: Site, job: Job) -> None:
        """Fetch the file."""
        # On the host, the shell can open the file instead, so that scp sees a plain name. Some servers serve scp without a
        # shell, so this is for such names only.
        odd = b"/dev/fd/3 3<" if set(job.remote) & set("\n\\") else b""
        with contextlib.suppress(_AllHereError):
            await _copy(site, (_client(site), odd + _quoted(job.remote)), bytes(job.local), job)
        if job.local.stat().st_size > job.size:
            os.truncate(job.local, job.size)


class _AllHereError(Exception):
    """All bytes that were announced are here, and the host sends more: the file has grown, or the host lies."""


def _client(site: Site) -> asyncssh.SSHClientConnection:
    connection = site.connection.native
    if not isinstance(connection, asyncssh.SSHClientConnection):
        raise UsageError("scp needs an SSH host")
    return connection


def _quoted(path: str) -> bytes:
    """Return the path for the remote shell, which reads the command line of the scp there."""
    return shlex.quote(path).encode("utf-8", "surrogateescape")


async def _copy(site: Site, source: object, target: object, job: Job) -> None:
    before = 0

    def moved(_source: bytes, _target: bytes, copied: int, total: int) -> None:
        nonlocal before
        job.moved(min(copied, job.size) - before)
        before = min(copied, job.size)
        if copied >= job.size and total > job.size:
            raise _AllHereError

    try:
        await asyncssh.scp(source, target, block_size=_BLOCK, progress_handler=moved)  # type: ignore[arg-type]
    except (asyncssh.ConnectionLost, BrokenPipeError) as error:
        raise EndOfStream(site.connection.lost or str(error)) from error
    except asyncssh.ChannelOpenError as error:
        raise UsageError(f"its SSH server opens no session for scp ({error.reason})") from error
    except (asyncssh.Error, OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "reason", None) or str(error)
        if "scp: not found" in reason or "command not found" in reason:
            raise UsageError("it has no scp program; use another 'via'") from error
        raise OSError(reason.removeprefix("scp: ")) from error
