"""SFTP through AsyncSSH (draft-ietf-secsh-filexfer-02, version 3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import asyncssh

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.transfers import Job, Site
from OttoLibrary.errors import UsageError

# OpenSSH's sftp-server ends on requests of 256 KiB and more.
_BLOCK = 255 << 10
# Blocks in flight at the same time: 4 MiB are enough for a gigabit at 30 ms.
_IN_FLIGHT = 16
_GONE = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError)
_clients: WeakKeyDictionary[asyncssh.SSHClientConnection, asyncio.Future[asyncssh.SFTPClient]] = WeakKeyDictionary()


class Sftp:
    """The transfer ``sftp``."""

    checksum = "cksum"
    resumes = True

    async def put(self, site: Site, job: Job) -> None:
        """Write blocks side by side."""
        source = os.open(job.local, os.O_RDONLY)
        try:
            async with _foreign(site), await _opened(site, job.remote, "r+b") as target:

                async def move(at: int, count: int) -> None:
                    await target.write(os.pread(source, count, at), at)

                await _side_by_side(job, move)
        finally:
            os.close(source)

    async def get(self, site: Site, job: Job) -> None:
        """Read blocks side by side."""
        target = os.open(job.local, os.O_WRONLY)
        try:
            async with _foreign(site), await _opened(site, job.remote, "rb") as source:

                async def move(at: int, count: int) -> None:
                    while count:
                        data: bytes = await source.read(count, at)
                        if not data:
                            raise OSError(f"the file ends at byte {at} of {job.size}")
                        os.pwrite(target, data, at)
                        at, count = at + len(data), count - len(data)

                await _side_by_side(job, move)
        finally:
            os.close(target)


async def _opened(site: Site, name: str, mode: str) -> asyncssh.SFTPClientFile:
    client = await _client(site)
    try:
        return await client.open(os.fsencode(name), mode, block_size=0)
    except _GONE:
        # The session of an earlier transfer may have ended since, for example when the server was killed.
        if site.connection.lost:
            raise
        _forget(site)
        client = await _client(site)
        return await client.open(os.fsencode(name), mode, block_size=0)


def _forget(site: Site) -> None:
    _clients.pop(site.connection.native, None)  # type: ignore[call-overload]


async def _client(site: Site) -> asyncssh.SFTPClient:
    connection = site.connection.native
    if not isinstance(connection, asyncssh.SSHClientConnection):
        raise UsageError("sftp needs an SSH host")
    starting = _clients.get(connection)
    if starting is None or (starting.done() and (starting.cancelled() or starting.exception())):
        # Shared and never cancelled: a session that opens after all callers have left would stay open unnoticed.
        starting = _clients[connection] = asyncio.ensure_future(connection.start_sftp_client())
    try:
        return await asyncio.shield(starting)
    except asyncssh.ChannelOpenError as error:
        raise UsageError(f"its SSH server opens no SFTP session ({error.reason})") from error
    except (asyncssh.Error, OSError) as error:
        raise UsageError(f"its SSH server offers no SFTP ({error})") from error


@asynccontextmanager
async def _foreign(site: Site) -> AsyncIterator[None]:
    """Translate AsyncSSH's errors; the next transfer opens a new session when this one is gone."""
    try:
        yield
    except asyncssh.Error as error:
        if not isinstance(error, _GONE) and site.connection.lost is None:
            raise OSError(error.reason) from error
        _forget(site)
        raise EndOfStream(site.connection.lost or f"the SFTP session ended ({error.reason})") from error


async def _side_by_side(job: Job, move: Callable[[int, int], Awaitable[None]]) -> None:
    blocks = iter(range(job.start, job.size, _BLOCK))

    async def lane() -> None:
        for at in blocks:
            count = min(_BLOCK, job.size - at)
            await move(at, count)
            job.moved(count)

    try:
        async with asyncio.TaskGroup() as lanes:
            for _ in range(_IN_FLIGHT):
                lanes.create_task(lane())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
