"""Checksums of files on this machine, made without blocking the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from OttoLibrary.text import decode

_ANY = ("cksum", "md5sum", "sha256sum", "openssl", "shasum")
_FILES_EACH = 1000
_BLOCK = 1 << 20
_SHA256 = ("openssl", "sha256sum", "shasum")


def tools(kind: str) -> str:
    """Return the tools that make a checksum of this kind, ``cksum`` or ``sha256``, the cheapest first; nothing for ``no``."""
    if kind == "no":
        return ""
    # Python has no POSIX cksum: the tool of this machine is used; without it, no host is asked for a cksum.
    usable = _SHA256 if kind == "sha256" else _ANY[0 if shutil.which("cksum") else 1 :]
    return " ".join(usable)


async def checksum(file: Path, tool: str) -> str:
    """Return the checksum of a file by ``tool``; nothing without a tool."""
    if not tool:
        return ""
    if tool == "cksum":
        return await _posix(file)
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(_digest, file, "md5" if tool == "md5sum" else "sha256", given_up)
    finally:
        given_up.set()  # a thread cannot be cancelled, and would delay the end of the run


async def checksums(folder: Path, names: Sequence[str], tool: str) -> dict[str, str]:
    """Return the checksums of many files in a folder by ``tool``, by name."""
    if tool != "cksum":
        return {name: await checksum(folder / name, tool) for name in names}
    plain = [name for name in names if is_plain(name)]
    found = {name: await _posix(folder / name) for name in names if not is_plain(name)}
    for first in range(0, len(plain), _FILES_EACH):
        some = plain[first : first + _FILES_EACH]
        output = await _output(["cksum", *(f"./{name}" for name in some)], cwd=folder)
        found |= parsed(output)
    return found


def parsed(output: str) -> dict[str, str]:
    """Return checksums by name from the output of any of the tools; each line ends with ``./name``."""
    lines = (line.partition("./") for line in output.split("\n") if "./" in line)
    return {name: words.split()[0] for words, _, name in lines if words.split()}


def is_plain(name: str) -> bool:
    """Return True when the tools print a name as it is, on one line."""
    return "\n" not in name and "\\" not in name


def _digest(file: Path, algorithm: str, given_up: threading.Event) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with file.open("rb") as source:
        while not given_up.is_set() and (data := source.read(_BLOCK)):
            digest.update(data)
    return digest.hexdigest()


async def _posix(file: Path) -> str:
    with file.open("rb") as source:
        return (await _output(["cksum"], stdin=source)).split()[0]


async def _output(command: list[str], stdin: BinaryIO | int = asyncio.subprocess.DEVNULL, cwd: Path | None = None) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=pipe, stderr=pipe, cwd=cwd)
    try:
        output, complaint = await process.communicate()
    except asyncio.CancelledError:
        # Kills it and closes the pipes immediately: the loop may end before the process is reaped. There is no public way.
        process._transport.close()  # type: ignore[attr-defined]
        raise
    if process.returncode:
        raise OSError(decode(complaint).strip() or f"{command[0]} ended with {process.returncode} here")
    return output.decode("utf-8", "surrogateescape")
