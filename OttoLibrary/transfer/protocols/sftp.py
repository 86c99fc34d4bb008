"""SFTP through AsyncSSH (draft-ietf-secsh-filexfer-02, version 3)."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from weakref import WeakKeyDictionary

import asyncssh

from OttoLibrary.contracts.connections import EndOfStream, ManySessions, Refused
from OttoLibrary.contracts.transfers import Job, NotOfferedError, Site
from OttoLibrary.errors import UsageError

# OpenSSH's sftp-server ends on requests of 256 KiB and more.
_BLOCK = 255 << 10
# Blocks in flight at the same time: 4 MiB are enough for a gigabit at 30 ms.
_IN_FLIGHT = 16
# How long the close of a file may take after something went wrong.
_CLOSE_S = 1.0
_GONE = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError)
_sessions: WeakKeyDictionary[asyncssh.SSHClientConnection, _Session] = WeakKeyDictionary()


class Sftp:
    """The transfer ``sftp``."""

    checksum = "cksum"
    resumes = True

    async def put(self, site: Site, job: Job) -> None:
        """Write blocks side by side."""
        source = os.open(job.local, os.O_RDONLY)
        try:
            async with _foreign(site), _file(site, job.remote, "r+b") as target:

                async def move(at: int, count: int) -> None:
                    await target.write(os.pread(source, count, at), at)

                await _side_by_side(job, move)
        finally:
            os.close(source)

    async def get(self, site: Site, job: Job) -> None:
        """Read blocks side by side."""
        target = os.open(job.local, os.O_WRONLY)
        try:
            async with _foreign(site), _file(site, job.remote, "rb") as source:

                async def move(at: int, count: int) -> None:
                    while count:
                        data: bytes = await source.read(count, at)
                        if not data:
                            raise OSError(f"the file ends at byte {at} of {job.size}")
                        if len(data) > count:
                            raise OSError("the server sent more than it was asked for")
                        os.pwrite(target, data, at)
                        at, count = at + len(data), count - len(data)

                await _side_by_side(job, move)
        finally:
            os.close(target)

    async def put_alone(self, site: Site, job: Job, own_name: str, mode: int, mtime: int, *, parents: bool) -> str:
        """Write to a temporary name, and rename."""
        async with _foreign(site):
            client = await _session_of(site).client()
            target = _from_home(job.remote)
            if target.endswith("/") or (own_name and await client.isdir(os.fsencode(target))):
                target = f"{target.rstrip('/')}/{own_name}"
            folder = target.rpartition("/")[0] + "/" if "/" in target else ""
            if parents and folder:
                await client.makedirs(os.fsencode(folder), exist_ok=True)
            part = os.fsencode(f"{folder}.otto-{secrets.token_hex(6)}.part")
            async with client.open(part, "wb"):
                pass
            try:
                await self.put(site, replace(job, remote=os.fsdecode(part)))
                there = (await client.stat(part)).size
                if there != job.size:
                    raise OSError(f"{there} of {job.size} bytes arrived")
                await client.setstat(part, asyncssh.SFTPAttrs(permissions=mode, atime=mtime, mtime=mtime))
                await _renamed(client, part, os.fsencode(target))
            except BaseException:
                with suppress(asyncssh.Error, OSError):
                    await client.remove(part)
                raise
            return os.fsdecode(await client.realpath(os.fsencode(target)))

    async def look_alone(self, site: Site, path: str) -> tuple[str, int, int, int]:
        """Ask for its attributes."""
        async with _foreign(site):
            client, path = await _session_of(site).client(), _from_home(path)
            facts = await client.stat(os.fsencode(path))
            if facts.permissions is not None and not stat.S_ISREG(facts.permissions):
                raise OSError("it is no plain file")
            where = os.fsdecode(await client.realpath(os.fsencode(path)))
            return where, facts.size or 0, int(facts.mtime or 0), stat.S_IMODE(facts.permissions or 0o644)


def _from_home(path: str) -> str:
    """Return a path for the server, which starts in the home folder and knows no ``~``."""
    return path[2:] or "." if path == "~" or path.startswith("~/") else path


async def _renamed(client: asyncssh.SFTPClient, part: bytes, target: bytes) -> None:
    try:
        await client.posix_rename(part, target)
    except asyncssh.SFTPOpUnsupported:
        with suppress(asyncssh.SFTPNoSuchFile):
            await client.remove(target)
        await client.rename(part, target)


@asynccontextmanager
async def _file(site: Site, name: str, mode: str) -> AsyncIterator[asyncssh.SFTPClientFile]:
    """Give an open file; a session whose server does not answer is given up, so that no later transfer waits for it."""
    session = _session_of(site)
    with session.used():
        try:
            client = await session.client()
            file = await client.open(os.fsencode(name), mode, block_size=0)
        except _GONE:
            # The session of an earlier transfer may have ended since, for example when the server was killed.
            _give_up(site, session)
            if site.connection.lost or not session.was_used:
                raise
            file = None
        except asyncio.CancelledError:
            _give_up(site, session)
            raise
        if file is not None:
            session.was_used = True
            async with _closing(site, session, file):
                yield file
            return
    async with _file(site, name, mode) as file:
        yield file


@asynccontextmanager
async def _closing(site: Site, session: _Session, file: asyncssh.SFTPClientFile) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await file.close()
        except (TimeoutError, asyncssh.Error, OSError):
            _give_up(site, session)
        raise
    await file.close()


class _Session:
    """An SFTP session that transfers share; one that was given up ends when its last user has left.

    Attributes:
        was_used: True when a file was opened in it.
    """

    def __init__(self, connection: ManySessions) -> None:
        # Not cancelled with a caller: a session that opens after that would stay open unnoticed.
        self._starting = asyncio.ensure_future(connection.with_room(_started))
        self._users = 0
        self._given_up = self.was_used = False

    @property
    def usable(self) -> bool:
        """True unless it could not be started."""
        starting = self._starting
        return not starting.done() or not (starting.cancelled() or starting.exception())

    async def client(self) -> asyncssh.SFTPClient:
        """Return it when it is open."""
        try:
            return await asyncio.shield(self._starting)
        except Refused as error:
            raise NotOfferedError(f"its SSH server {error.lost}") from error
        except (asyncssh.Error, OSError) as error:
            raise NotOfferedError(f"its SSH server offers no SFTP ({error})") from error

    @contextmanager
    def used(self) -> Iterator[None]:
        """Count a user."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._end_unused()

    def give_up(self) -> None:
        """End it as soon as nobody uses it, even if it opens only then."""
        self._given_up = True
        self._end_unused()

    def _end_unused(self) -> None:
        if self._given_up and not self._users:
            self._starting.add_done_callback(_end)


async def _started(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
    return await connection.start_sftp_client()


def _end(started: asyncio.Future[asyncssh.SFTPClient]) -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().exit()


def _session_of(site: Site) -> _Session:
    connection = site.connection.native
    if not isinstance(connection, asyncssh.SSHClientConnection) or not isinstance(site.connection, ManySessions):
        raise UsageError("sftp needs an SSH host")
    session = _sessions.get(connection)
    if session is None or not session.usable:
        session = _sessions[connection] = _Session(site.connection)
    return session


def _give_up(site: Site, session: _Session) -> None:
    """Let the next transfer open another session."""
    connection = site.connection.native
    if isinstance(connection, asyncssh.SSHClientConnection) and _sessions.get(connection) is session:
        del _sessions[connection]
    session.give_up()


@asynccontextmanager
async def _foreign(site: Site) -> AsyncIterator[None]:
    """Translate AsyncSSH's errors."""
    try:
        yield
    except asyncssh.Error as error:
        if not isinstance(error, _GONE) and site.connection.lost is None:
            raise OSError(error.reason) from error
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
