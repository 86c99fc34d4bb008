"""Copying on this machine: exactly the announced bytes, and only on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.transfers import Job
from OttoLibrary.errors import UsageError
from OttoLibrary.transfer.protocols.local import LocalCopy


class Here:
    """This machine as a site."""

    def __init__(self, transport: str = "local") -> None:
        self.facts = HostFacts("here", transport=transport)


HERE: Any = Here()


class Move:
    """A file here, a file there, and what is on its way."""

    def __init__(self, folder: Path, here: bytes, there: bytes, size: int, start: int = 0) -> None:
        self.here, self.there = folder / "here", folder / "there"
        self.here.write_bytes(here)
        self.there.write_bytes(there)
        self.counts: list[int] = []
        self.job = Job(self.here, str(self.there), size, start, self.counts.append)


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 40_000])
def test_every_byte_arrives_and_is_counted(tmp_path: Path, content: bytes) -> None:
    move = Move(tmp_path, content, b"", len(content))
    asyncio.run(LocalCopy().put(HERE, move.job))
    assert move.there.read_bytes() == content
    assert sum(move.counts) == len(content)


def test_a_copy_that_was_cut_goes_on_where_it_ended(tmp_path: Path) -> None:
    move = Move(tmp_path, b"????56789", b"01234", 9, start=5)
    move.here.write_bytes(b"?????5678")
    asyncio.run(LocalCopy().put(HERE, move.job))
    assert move.there.read_bytes() == b"012345678"
    assert sum(move.counts) == 4


def test_get_copies_the_other_way(tmp_path: Path) -> None:
    move = Move(tmp_path, b"", b"from there", 10)
    asyncio.run(LocalCopy().get(HERE, move.job))
    assert move.here.read_bytes() == b"from there"


def test_no_more_is_copied_than_was_announced(tmp_path: Path) -> None:
    move = Move(tmp_path, b"grown meanwhile", b"", 5)
    asyncio.run(LocalCopy().put(HERE, move.job))
    assert move.there.read_bytes() == b"grown"


def test_a_file_that_became_shorter_is_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    move = Move(tmp_path, b"abc", b"", 10)
    with pytest.raises(OSError, match="ends 7 bytes too early"):
        asyncio.run(LocalCopy().put(HERE, move.job))


def test_a_target_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    move = Move(tmp_path, b"abc", b"", 3)
    move.there.unlink()
    with pytest.raises(FileNotFoundError):
        asyncio.run(LocalCopy().put(HERE, move.job))
    assert not move.there.exists()


def test_another_machine_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    move = Move(tmp_path, b"abc", b"", 3)
    remote: Any = Here("ssh")
    for copy in (LocalCopy().put, LocalCopy().get):
        with pytest.raises(UsageError, match="copies on this machine only"):
            asyncio.run(copy(remote, move.job))
    assert move.there.read_bytes() == b""
