"""How much of an output is kept in memory, and the whole of a longer one in a file: bounded, and without secrets."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, TypeAlias

from OttoLibrary.masking import mask, process_masker
from OttoLibrary.units import size_text

_END_S = 10.0


def _nowhere() -> Path | None:
    return None


def _tell_nobody(sentence: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class OutputLimits:
    """How much is kept of what a command writes.

    Attributes:
        memory_bytes: So much of each stream is kept in memory: of more, the first and the last part.
        file_bytes: So much of each stream is kept in a file once it is more than that; 0 for no file.
        folder: Returns where such files go, or None when there is no place for them.
        warn: Told when a file cannot be written.
    """

    memory_bytes: int = 8 << 20
    file_bytes: int = 256 << 20
    folder: Callable[[], Path | None] = _nowhere
    warn: Callable[[str], None] = _tell_nobody

    def new_file(self, host: str, stream: str) -> OutputFile | None:
        """Return a new file for a stream of a command, or None where none is wanted or possible."""
        if not self.file_bytes:
            return None
        try:
            folder = self.folder()
            return OutputFile(folder, f"{host}-{stream}", self.file_bytes, self.warn) if folder is not None else None
        except OSError as error:
            self.warn(f"Long output of host '{host}' is not kept in a file: {error.strerror or error}.")
            return None


class OutputFile:
    """One file; what is added is written in order, in a thread, and a caller who floods waits for that.

    Args:
        folder: Where it goes.
        name: What its name begins with; it ends with ``.txt``, so that no browser runs what a host wrote.
        limit_bytes: It becomes no longer than this, but for a last line that says so.
        warn: Called with a sentence when it cannot be written.

    Attributes:
        path: Where it is.
        is_whole: False once something is missing in it.
    """

    def __init__(self, folder: Path, name: str, limit_bytes: int, warn: Callable[[str], None]) -> None:
        self._file: IO[bytes] | None = None
        self.path, self._file = _new(folder, re.sub(r"[^\w.-]+", "_", mask(name)))
        self.is_whole = True
        self._room, self._limit, self._warn = limit_bytes, limit_bytes, warn
        # Bytes that are no text come out as they went in.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._work: asyncio.Task[None] | None = None

    def add(self, data: bytes, *, last: bool = False) -> asyncio.Task[None]:
        """Write ``data`` after all that was added before; the task is done when that has happened. It never fails."""
        self._work = asyncio.create_task(self._after(self._work, data, last))
        return self._work

    async def ended(self) -> None:
        """Return when all is written, or a disk that does not answer has been waited for long enough."""
        if self._work is not None:
            _, late = await asyncio.wait({self._work}, timeout=_END_S)
            self.is_whole = self.is_whole and not late

    async def _after(self, before: asyncio.Task[None] | None, data: bytes, last: bool) -> None:
        if before is not None:
            await before
        if self._file is None:
            return
        try:
            await asyncio.to_thread(self._write, data, last)
        except OSError as error:
            self._close()
            self._warn(f"'{self.path}' has not all of the output: {error.strerror or error}.")

    def _write(self, data: bytes, last: bool) -> None:
        assert self._file is not None
        text = self._held + self._decoder.decode(data, last)
        at = len(text) if last else process_masker().settled(text)
        self._held = text[at:]
        written = mask(text[:at]).encode("utf-8", "surrogateescape")
        self._file.write(written[: self._room])
        if len(written) > self._room:
            self._file.write(f"\n[... the file ends here: it has {size_text(self._limit)}, its limit ...]\n".encode())
            self._close()
            return
        self._room -= len(written)
        if last:
            self._file.close()
            self._file = None

    def _close(self) -> None:
        self.is_whole = False
        self._held = ""
        file, self._file = self._file, None
        if file is not None:
            file.close()


OutputFiles: TypeAlias = tuple[OutputFile | None, OutputFile | None]
NewFile: TypeAlias = Callable[[str], OutputFile | None]
NO_FILES: OutputFiles = (None, None)


def no_file(stream: str) -> None:
    """Return None: the output is kept in memory only."""


async def all_ended(files: OutputFiles) -> None:
    """Return when all that was added to files is written."""
    for file in files:
        if file is not None:
            await file.ended()


def _new(folder: Path, name: str) -> tuple[Path, IO[bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = folder / f"{name}-{number}.txt"
        try:
            return path, path.open("xb", buffering=0)
        except FileExistsError:
            continue
    raise AssertionError  # there is always another name
