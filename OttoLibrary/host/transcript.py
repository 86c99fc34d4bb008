"""What a console wrote, with time stamps, in a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from OttoLibrary.contracts.connections import Channel
from OttoLibrary.text import incremental_decoder
from OttoLibrary.transport.channels import WrappedChannel

# A line without an end is written so far at this length.
_LONG = 4096
# So much of it waits for more, in which a secret may end.
_HELD = (1024, 768, 512)


class Transcript:
    """A file that takes the output of one console, line by line.

    Args:
        folder: Where the file goes; it is made when there is something to write.
        host: Name of the host; the file is ``console-HOST.log``.
        mask: Hides secrets.
        warn: Called with a sentence, once, when the file cannot be written.
    """

    def __init__(self, folder: Path, host: str, mask: Callable[[str], str], warn: Callable[[str], None]) -> None:
        self.path = folder / "console-{}.log".format(re.sub(r"[^\w.-]+", "_", host))
        self._mask, self._warn, self._warned = mask, warn, False
        self._decoder = incremental_decoder()
        self._line, self._began = "", ""

    def note(self, what: str) -> None:
        """Write a line of our own, such as that the port was opened."""
        self._finish()
        self._write([f"{_now()} -- {what}"])

    def add(self, data: bytes) -> None:
        """Take output of the console."""
        lines = []
        *ended, rest = self._decoder.decode(data).replace("\r", "").split("\n")
        for piece in ended:
            lines.append(f"{self._began or _now()} {self._line}{piece}")
            self._line = self._began = ""
        if rest:
            self._began = self._began or _now()
            self._line += rest
        if len(self._line) > _LONG:
            at = self._cut()
            lines.append(f"{self._began} {self._line[:at]}")
            self._line, self._began = self._line[at:], _now()
        if lines:
            self._write(lines)

    def _cut(self) -> int:
        """Return where a line without an end is cut: some of it is held back, and no secret is cut in two."""
        whole = self._mask(self._line)
        places = (len(self._line) - held for held in _HELD)
        return next((at for at in places if whole.startswith(self._mask(self._line[:at]))), len(self._line))

    def _finish(self) -> None:
        if self._line:
            self._write([f"{self._began} {self._line}"])
            self._line = self._began = ""

    def _write(self, lines: list[str]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{self._mask(line)}\n" for line in lines)
        except OSError as error:
            # A full disk must not stop the console.
            if not self._warned:
                self._warn(f"The transcript '{self.path}' has gaps: {error.strerror or error}.")
            self._warned = True


class Recorded(WrappedChannel):
    """A channel whose output is kept in a transcript too."""

    def __init__(self, channel: Channel, transcript: Transcript) -> None:
        super().__init__(channel)
        self._transcript = transcript

    async def read(self, limit: int) -> bytes:
        """Return what came."""
        data = await self._channel.read(limit)
        self._transcript.add(data)
        return data

    async def close(self) -> None:
        """Close it and end the transcript."""
        self._transcript.note("closed")
        await self._channel.close()


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="milliseconds")
