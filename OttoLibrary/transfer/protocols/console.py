"""Bytes through the shell alone: unchanged where streams are clean, as Base64 (RFC 4648) over a line."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import shlex
import tempfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Protocol
from weakref import WeakKeyDictionary

from OttoLibrary.contracts.connections import Connection, EndOfStream, Process
from OttoLibrary.contracts.transfers import Job, Site
from OttoLibrary.errors import UsageError
from OttoLibrary.text import decode

_BLOCK = 1 << 20
# Bytes in a row of Base64, 76 characters.
_ROW = 57
# How many rows at a time: few enough for true progress and a prompt cancel.
_ROWS = 850
# What encodes and decodes Base64, the best first.
_CODERS = {"base64": ("base64", "base64 -d"), "openssl": ("openssl base64", "openssl base64 -d")}
_PROBE = "for X in base64 openssl gzip; do ! command -v $X >/dev/null 2>&1 || echo $X; done"
_tools: WeakKeyDictionary[Connection, _Tools] = WeakKeyDictionary()


class ConsoleTransfer:
    """The transfer ``console``."""

    checksum = "sha256"
    resumes = True

    async def put(self, site: Site, job: Job) -> None:
        """Send the bytes to a shell that writes them into the file."""
        if job.start == job.size:
            return
        if site.parallel:
            await _put_plain(site, job)
        else:
            await _put_encoded(site, job)

    async def get(self, site: Site, job: Job) -> None:
        """Receive what a shell reads from the file."""
        count = job.size - job.start
        if not count:
            return
        tools = None if site.parallel else await _tools_of(site)
        process = await site.execute(_reading(job, count, tools))
        try:
            with job.local.open("r+b") as target:
                target.seek(job.start)
                await _take(process, target, count, job, _Decoder(tools) if tools else None)
        finally:
            await process.close()


@dataclass(frozen=True)
class _Tools:
    encode: str
    decode: str
    has_gzip: bool


async def _tools_of(site: Site) -> _Tools:
    """Return what the host encodes with; asked once per connection."""
    if site.connection not in _tools:
        found = (await site.run(_PROBE)).stdout.decode().split()
        coder = next((name for name in _CODERS if name in found), None)
        if coder is None:
            raise UsageError(f"over a line it needs one of {', '.join(_CODERS)}, and has none")
        _tools[site.connection] = _Tools(*_CODERS[coder], "gzip" in found)
    return _tools[site.connection]


# -- to the host


async def _put_plain(site: Site, job: Job) -> None:
    process = await site.execute(f"exec cat >>{shlex.quote(job.remote)}")
    try:
        with job.local.open("rb") as source:
            source.seek(job.start)
            left = job.size - job.start
            while left and (data := source.read(min(_BLOCK, left))):
                await _write(process, data)
                left -= len(data)
                job.moved(len(data))
        await process.end_input()
        await _succeeded(process)
    finally:
        await process.close()


async def _put_encoded(site: Site, job: Job) -> None:
    tools = await _tools_of(site)
    with tempfile.TemporaryFile() as packed:
        size = await _packed(job, packed, zlib.compressobj(1, wbits=31) if tools.has_gzip else None)
        # A line has no end of input, so the host must know how much will come.
        encoded = (size + 2) // 3 * 4 + (size + _ROW - 1) // _ROW
        unpack = " | gzip -dc" if tools.has_gzip else ""
        process = await site.execute(f"head -c {encoded} | {tools.decode}{unpack} >>{shlex.quote(job.remote)}")
        try:
            counted = 0
            while data := packed.read(_ROW * _ROWS):
                await _write(process, base64.encodebytes(data))
                done = (job.size - job.start) * packed.tell() // size
                job.moved(done - counted)
                counted = done
            await _succeeded(process)
        finally:
            await process.close()


async def _packed(job: Job, packed: BinaryIO, packer: _Packer | None) -> int:
    """Write what is to be sent into ``packed``, compressed when it can be; return its size."""
    with job.local.open("rb") as source:
        source.seek(job.start)
        left = job.size - job.start
        while left and (data := source.read(min(_BLOCK, left))):
            left -= len(data)
            # In a thread and piece by piece, so that nothing else waits and a cancel takes effect.
            packed.write(await asyncio.to_thread(packer.compress, data) if packer else data)
    packed.write(packer.flush() if packer else b"")
    size = packed.tell()
    packed.seek(0)
    return size


# -- from the host


def _reading(job: Job, count: int, tools: _Tools | None) -> str:
    script = f"tail -c +{job.start + 1} -- {shlex.quote(job.remote)} | head -c {count}"
    if tools is None:
        return script
    return f"{script}{' | gzip -c' if tools.has_gzip else ''} | {tools.encode}"


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Decoder:
    """From Base64 in lines, and what is compressed in it, to bytes."""

    def __init__(self, tools: _Tools) -> None:
        self._unpacker = zlib.decompressobj(wbits=31) if tools.has_gzip else None
        self._rest = b""

    def decode(self, data: bytes, most: int) -> bytes:
        text = self._rest + re.sub(rb"\s", b"", data)
        whole = len(text) // 4 * 4
        self._rest = text[whole:]
        try:
            plain = binascii.a2b_base64(text[:whole], strict_mode=True) if whole else b""
            # One byte more than is wanted shows that there is more, and a few bytes may unpack to millions.
            return self._unpacker.decompress(plain, most + 1) if self._unpacker else plain
        except (binascii.Error, zlib.error) as error:
            raise OSError(f"the data from the line is damaged ({error})") from error


async def _take(process: Process, target: BinaryIO, count: int, job: Job, decoder: _Decoder | None) -> None:
    while count:
        data = await _read(process)
        plain = decoder.decode(data, count) if decoder else data
        if len(plain) > count:
            raise OSError("the host sent more than it announced")
        target.write(plain)
        count -= len(plain)
        job.moved(len(plain))


async def _write(process: Process, data: bytes) -> None:
    try:
        await process.channel.write(data)
    except EndOfStream as end:
        if end.lost:
            raise
        await _succeeded(process)
        raise OSError("the shell there ended too early") from end


async def _read(process: Process) -> bytes:
    try:
        return await process.channel.read(_BLOCK)
    except EndOfStream as end:
        if end.lost:
            raise
        await _succeeded(process)
        raise OSError("the file ended too early") from end


async def _succeeded(process: Process) -> None:
    status = await process.wait()
    if status.rc == 0:
        return
    said = ""
    with contextlib.suppress(EndOfStream):
        said = decode(await process.errors.read(4096)) if process.errors else ""
    ended = "it was killed there" if status.signal else f"the shell there ended with {status.rc}"
    raise OSError(said.strip().rpartition(": ")[2] or ended)
