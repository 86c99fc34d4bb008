"""Checksums of files on this machine, and the output of the tools."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from OttoLibrary.transfer.checksums import checksum, checksums, is_plain, parsed, tools


def test_no_kind_needs_no_tool() -> None:
    assert tools("no") == ""
    assert "sha256sum" in tools("sha256").split()
    assert "cksum" not in tools("sha256").split()


@pytest.mark.parametrize(("tool", "algorithm"), [("sha256sum", "sha256"), ("openssl", "sha256"), ("md5sum", "md5")])
def test_a_checksum_is_that_of_the_tool(tmp_path: Path, tool: str, algorithm: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"data" * 1000)
    assert asyncio.run(checksum(file, tool)) == hashlib.new(algorithm, b"data" * 1000).hexdigest()
    assert asyncio.run(checksum(file, "")) == ""


def test_many_files_by_name(tmp_path: Path) -> None:
    for name in ("a", "b c", "new\nline"):
        (tmp_path / name).write_bytes(name.encode())
    found = asyncio.run(checksums(tmp_path, ["a", "b c", "new\nline"], "cksum"))
    assert set(found) == {"a", "b c", "new\nline"}
    assert len(set(found.values())) == 3


def test_the_output_of_every_tool_is_read() -> None:
    assert parsed("abc  ./a\ndef *./b/c d\n123 45 ./x\n") == {"a": "abc", "b/c d": "def", "x": "123"}
    assert parsed("no such file\n") == {}


@pytest.mark.parametrize(("name", "plain"), [("a b", True), ("a\nb", False), ("a\\b", False)])
def test_names_that_tools_escape(name: str, plain: bool) -> None:
    assert is_plain(name) is plain
