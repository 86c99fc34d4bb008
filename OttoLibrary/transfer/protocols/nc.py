"""Bytes over a TCP connection to an ``nc`` that listens on the host: fast, and in clear text.

The connection takes the usual path, from this machine through the hops; nothing connects back. The host's ``nc`` sends a token
first, so that no byte goes to, or comes from, another program that listens there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import re
import secrets
import shlex
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from OttoLibrary.contracts.connections import Channel, Connection, EndOfStream
from OttoLibrary.contracts.transfers import Job, ScriptResult, Site
from OttoLibrary.errors import UsageError
from OttoLibrary.text import decode

_Result = TypeVar("_Result")
_BLOCK = 1 << 20
# Below those that Linux uses for outgoing connections.
_PORTS = (20000, 32000)
# How long each try may take: a traditional nc whose port is taken says nothing for 8 seconds.
_TRIES_S = (1.5, 3.0, 5.0)
_MOST_MESSAGES = 1 << 16
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1


@dataclass(frozen=True)
class _Netcat:
    """One of the programs called nc; ``{port}`` is where it listens, ``{six}`` where IPv6 must be requested.

    Attributes:
        sign: What only its help text contains.
        receive: How it listens to receive.
        send: How it listens to send what it reads, and then ends the stream.
    """

    sign: str
    receive: str
    send: str


# No -k, so each serves one connection; -n where a name would be looked up for it, which takes seconds without a name server.
_NETCATS = (
    _Netcat(r"^Ncat \d", "-n -l {port}", "-n --send-only -l {port}"),
    _Netcat(r"(?s)^BusyBox .*-l\b", "-l -p {port}", "-l -p {port}"),
    _Netcat(r"^OpenBSD netcat|^usage: nc \[-[^]]*N", "{six}-l {port}", "{six}-N -l {port}"),
    _Netcat(r"^\[v1\.\d", "-n -l -p {port}", "-n -q 0 -l -p {port}"),
)
_PROBE = r"""
probe() { command -v "$1" >/dev/null 2>&1 || return 0; printf '\n@%s\n' "$*"; "$@" -h 2>&1 </dev/null; }
probe nc; probe ncat; probe netcat; probe busybox nc; true
"""
_PLAIN = "LC_ALL=C\nexport LC_ALL\n"
# A process that ends nc when our input ends: when we are done, when we give up, and when the connection breaks.
_LIFELINE = '{ cat <&3; kill "$$"; } >/dev/null 2>&1 &'
# An SSH server has 10 sessions by default, and a file needs one beside that of nc.
_AT_ONCE = 4


class _Known:
    """What is known about a host while it is connected: its nc by user, and how many may run."""

    def __init__(self) -> None:
        self.netcats: dict[str, asyncio.Task[_Netcat]] = {}
        self.gate = asyncio.Semaphore(_AT_ONCE)


_known: WeakKeyDictionary[Connection, _Known] = WeakKeyDictionary()


class _EndedError(Exception):
    """The listener failed; carries its message."""


class Nc:
    """The transfer ``nc``."""

    checksum = "sha256"
    resumes = True

    async def put(self, site: Site, job: Job) -> None:
        """Send to an nc that writes into the file."""
        if job.start == job.size:
            return
        remote = shlex.quote(job.remote)

        def script(token: str, listen: str) -> str:
            counted = f"size=$(stat -c %s {remote} 2>/dev/null || wc -c <{remote})"
            return f'printf {token} | {listen} | cat >>{remote} && {counted} && echo $size && [ "$size" -eq {job.size} ]'

        netcat = await _netcat(site)
        async with _of(site).gate, _connected(site, netcat.receive, script) as (listener, channel):
            with contextlib.suppress(EndOfStream, _EndedError):
                await _beside(listener, _send(channel, job))
            await channel.close()
            answer = await listener
        if answer.rc:
            raise OSError(_error_of(answer) or f"{decode(answer.stdout).strip() or 'none'} of {job.size} bytes arrived")

    async def get(self, site: Site, job: Job) -> None:
        """Receive from an nc that reads the file."""
        if job.start == job.size:
            return
        read = f"tail -c +{job.start + 1} --" if job.start else "cat --"

        def script(token: str, listen: str) -> str:
            return f"{{ printf {token}; {read} {shlex.quote(job.remote)}; }} | {listen} >/dev/null"

        netcat = await _netcat(site)
        async with _of(site).gate, _connected(site, netcat.send, script) as (listener, channel):
            try:
                await _beside(listener, _receive(channel, job))
            except (EndOfStream, _EndedError) as error:
                await channel.close()
                raise OSError(_error_of(await listener) or "it ended too early") from error


async def _netcat(site: Site) -> _Netcat:
    """Return the host's nc; it is looked for only once."""
    netcats = _of(site).netcats
    looking = netcats.get(site.user)
    if looking is None or (looking.done() and (looking.cancelled() or looking.exception())):
        looking = netcats[site.user] = asyncio.create_task(_look(site))
    return await asyncio.shield(looking)


def _of(site: Site) -> _Known:
    if site.connection not in _known:
        _known[site.connection] = _Known()
    return _known[site.connection]


async def _look(site: Site) -> _Netcat:
    helps = re.split(r"(?m)^@", decode((await site.run(_PROBE)).stdout))[1:]
    return _best(dict(text.split("\n", 1) for text in helps))


def _best(helps: dict[str, str]) -> _Netcat:
    for program, text in helps.items():
        for netcat in _NETCATS:
            if re.search(netcat.sign, text, re.MULTILINE):
                return replace(netcat, receive=f"{program} {netcat.receive}", send=f"{program} {netcat.send}")
    if helps:
        raise UsageError(f"none of its programs listens as a known nc does (it has {', '.join(helps)})")
    raise UsageError("it has no nc (looked for nc, ncat, netcat, busybox nc)")


@contextlib.asynccontextmanager
async def _connected(
    site: Site, listen: str, script: Callable[[str, str], str]
) -> AsyncIterator[tuple[asyncio.Task[ScriptResult], Channel]]:
    """Let an nc listen on the host and connect to it; both are closed afterwards."""
    six = "-6 " if ":" in site.facts.address else ""
    for patience_s in _TRIES_S:
        port, token = random.randint(*_PORTS), secrets.token_hex(8)
        listener = asyncio.create_task(_run(site, listen.format(port=port, six=six), functools.partial(script, token)))
        channel = None
        try:
            channel = await _beside(listener, _open(site, port, token.encode(), patience_s))
            yield listener, channel
            return
        except _EndedError as error:
            if channel is not None or patience_s == _TRIES_S[-1]:
                raise OSError(f"no connection to its nc: {error}") from error
        finally:
            if channel is not None:
                await channel.close()
            await _end(listener)


async def _run(site: Site, listen: str, script: Callable[[str], str]) -> ScriptResult:
    """Run the listener; its own input is its lifeline; on a line it ends with the line."""
    if site.parallel:
        process = await site.execute(_PLAIN + "exec 3<&0\n" + script(f"sh -c {shlex.quote(f'{_LIFELINE} exec {listen} 3<&-')}"))
    else:
        process = await site.execute(_PLAIN + script(listen))
    try:
        stdout, stderr = await _end_of(process.channel), await _end_of(process.errors)
        return ScriptResult((await process.wait()).rc, stdout, stderr)
    finally:
        await process.close()


async def _end_of(channel: Channel | None) -> bytes:
    """Read to the end, and return the last of it: a message, not megabytes."""
    data = bytearray()
    try:
        while channel is not None:
            data = (data + await channel.read(_BLOCK))[-_MOST_MESSAGES:]
    except EndOfStream as end:
        if end.lost:
            raise
    return bytes(data)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel it, and wait until it has cleaned up; its outcome does not matter any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _beside(listener: asyncio.Task[ScriptResult], work: Coroutine[None, None, _Result]) -> _Result:
    """Do ``work`` as long as the listener does not fail."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, listener}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and (answer := listener.result()).rc:
            raise _EndedError(_error_of(answer) or f"it ended with {answer.rc}")
        return await task
    finally:
        await _end(task)


async def _open(site: Site, port: int, token: bytes, patience_s: float) -> Channel:
    """Connect as soon as something listens, and check that it is our nc."""
    channel = await _dial(site, port, patience_s)
    said = b""
    try:
        with contextlib.suppress(TimeoutError, EndOfStream):
            async with asyncio.timeout(patience_s):
                while len(said) < len(token):
                    said += await channel.read(len(token) - len(said))
        if said != token:
            raise _EndedError(f"another program answers at port {port}")
    except BaseException:
        await channel.close()
        raise
    return channel


async def _dial(site: Site, port: int, patience_s: float) -> Channel:
    """Connect; as long as nothing listens there, try again."""
    pause, last = _FIRST_PAUSE_S, OSError("no answer")
    try:
        async with asyncio.timeout(patience_s):
            while True:
                try:
                    return await site.dial(port)
                except OSError as error:
                    last = error
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
    except TimeoutError:
        raise _EndedError(f"port {port} cannot be reached ({last}); does a firewall block it?") from last


async def _send(channel: Channel, job: Job) -> None:
    left = job.size - job.start
    with job.local.open("rb") as source:
        source.seek(job.start)
        while left:
            data = source.read(min(_BLOCK, left))
            if not data:
                raise OSError(f"'{job.local}' ends {left} bytes too early")
            await channel.write(data)
            left -= len(data)
            job.moved(len(data))


async def _receive(channel: Channel, job: Job) -> None:
    left = job.size - job.start
    with job.local.open("r+b", buffering=0) as target:
        target.seek(job.start)
        while left:
            data = await channel.read(min(_BLOCK, left))
            target.write(data)
            left -= len(data)
            job.moved(len(data))


def _error_of(answer: ScriptResult) -> str:
    """Return the first error message, without the program's name in front."""
    line = decode(answer.stderr).strip().partition("\n")[0]
    words = line.rpartition(": ")[2]
    return f"its nc ended ({words})" if words and words == line else words
