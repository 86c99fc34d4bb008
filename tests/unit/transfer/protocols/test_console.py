"""Bytes through a shell that may say more or less than it announced."""

from __future__ import annotations

import asyncio
import base64
import zlib
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.connections import ExitStatus
from OttoLibrary.contracts.transfers import Job, ScriptResult
from OttoLibrary.transfer.protocols.console import ConsoleTransfer
from tests.unit.fakes import FakeChannel


class FakeProcess:
    """A shell that says something and ends."""

    errors = None

    def __init__(self, said: bytes) -> None:
        self.channel = FakeChannel()
        self.channel.inbox.feed(said)
        self.channel.inbox.end()

    async def wait(self) -> ExitStatus:
        return ExitStatus(0)

    async def end_input(self) -> None:
        return

    async def close(self) -> None:
        await self.channel.close()


class FakeConnection:
    """Only its identity counts."""


class FakeSite:
    """A host whose shell says what the test wants."""

    user = ""
    facts: Any = None

    def __init__(self, said: bytes, *, parallel: bool) -> None:
        self.parallel, self._said = parallel, said
        self.connection: Any = FakeConnection()

    async def run(self, script: str) -> ScriptResult:
        return ScriptResult(0, b"base64\ngzip\n", b"")

    async def execute(self, script: str) -> Any:
        return FakeProcess(self._said)

    async def dial(self, port: int) -> Any:
        raise NotImplementedError


def got(folder: Path, said: bytes, size: int, *, parallel: bool = True) -> bytes:
    file = folder / "part"
    file.touch()
    asyncio.run(ConsoleTransfer().get(FakeSite(said, parallel=parallel), Job(file, "/a", size)))
    return file.read_bytes()


def packed(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return base64.encodebytes(packer.compress(data) + packer.flush())


def test_what_was_announced(tmp_path: Path) -> None:
    assert got(tmp_path, b"data", 4) == b"data"
    assert got(tmp_path, packed(b"more data"), 9, parallel=False)[:9] == b"more data"


@pytest.mark.parametrize("parallel", [True, False])
def test_more_than_was_announced_is_refused(tmp_path: Path, parallel: bool) -> None:
    said = b"x" * 5000 if parallel else packed(bytes(50 << 20))
    with pytest.raises(OSError, match="sent more than it announced"):
        got(tmp_path, said, 12, parallel=parallel)
    assert (tmp_path / "part").stat().st_size == 0


def test_less_than_was_announced(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the file ended too early"):
        got(tmp_path, b"dat", 4)


def test_damaged_base64(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is damaged"):
        got(tmp_path, b"$$$$\n", 4, parallel=False)
