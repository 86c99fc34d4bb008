"""The console: a terminal to talk with, as a person would."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence

from OttoLibrary.contracts.connections import Channel, EndOfStream, Match
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from OttoLibrary.text import incremental_decoder

# The shell that the host's owner uses, with its own prompt.
SCRIPT = 'exec "${SHELL:-/bin/sh}" -i'
# A pattern may not span more than this many characters: without a bound each new chunk would search everything again.
_WINDOW = 1 << 16
# So many characters wait at most for whoever takes them; of more, the oldest and the newest.
_TEXT_LIMIT = 2 << 20
_INTERRUPT = b"\x03"
_SETTLE_S = 1.0
_SETTLE_QUIET_S = 0.05


class Console:
    """A conversation over one channel; what was written waits until ``expect`` or ``read`` takes it."""

    def __init__(self, channel: Channel, stream: PendingOutput, notifier: Notifier, encoding: str = "utf-8") -> None:
        self._channel, self._stream, self._notifier = channel, stream, notifier
        self._encoding = encoding
        self._decoder = incremental_decoder(encoding)
        self._text = ""
        self._hole = ""
        self._missing = 0
        self._gone = 0  # how many characters the text is shorter than all that came, so that places in it can be found again

    @property
    def ended(self) -> bool:
        """True when no more will come and all was read."""
        return self._stream.ended is not None

    @property
    def text(self) -> str:
        """What was written and not taken yet."""
        self.absorb()
        return self._text

    def pass_by(self) -> bytes:
        """Return what arrived since the last look, and keep it too."""
        news = self._stream.take()
        self._keep(news)
        return news

    def absorb(self) -> None:
        """Keep what arrived so far, before another reader takes over."""
        if self._stream.data:
            self._keep(self._stream.take())

    def _keep(self, news: bytes) -> None:
        self._text += self._decoder.decode(news)
        if len(self._text) > _TEXT_LIMIT:
            self._shorten()

    def _shorten(self) -> None:
        """Leave out so much of the middle that there is room for a while."""
        known = self._text.find(self._hole) if self._hole else -1
        start = known if known >= 0 else _TEXT_LIMIT // 2
        end = len(self._text) - _TEXT_LIMIT // 4
        self._missing = (self._missing if known >= 0 else 0) + end - start - (len(self._hole) if known >= 0 else 0)
        self._hole = f"\n[... {self._missing} characters left out ...]\n"
        self._gone += end - start - len(self._hole)
        self._text = self._text[:start] + self._hole + self._text[end:]

    async def send(self, text: str) -> None:
        """Type ``text`` exactly as it is; raise EndOfStream when the console is gone."""
        await self._channel.write(text.encode(self._encoding, "surrogateescape"))

    async def interrupt(self) -> None:
        """Press Ctrl-C, and wait a moment for what it does: a terminal throws away what is typed meanwhile."""
        await self._channel.write(_INTERRUPT)
        await self.settle()

    async def settle(self) -> None:
        """Wait a moment for output, such as a prompt, and for quiet after it; nothing is taken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await self._notifier.wait()
        await self._until_quiet(_SETTLE_QUIET_S, Deadline(_SETTLE_S))

    async def expect(self, patterns: Sequence[re.Pattern[str]], deadline: Deadline) -> Match:
        """Wait until a pattern matches; the earliest match wins, and of two at one place the earlier pattern.

        Raises:
            TimeoutError: None matched in time; nothing is taken.
            EndOfStream: The console ended first.
        """
        start = 0
        async with deadline.timeout():
            while True:
                text = self.text
                match = _first(patterns, text, start)
                if match is not None:
                    self._text = text[match[1].end() :]
                    index, found = match
                    return Match(index, patterns[index].pattern, found[0], found.groups(), text[: found.start()])
                if self._stream.ended:
                    raise EndOfStream(self._stream.ended.lost)
                searched = self._gone + len(text)
                await self._notifier.wait()
                self.absorb()
                start = max(0, searched - self._gone - _WINDOW)

    async def read(self, quiet_s: float, deadline: Deadline) -> str:
        """Return all that was written, as soon as the console is quiet for ``quiet_s`` seconds or the deadline has passed."""
        await self._until_quiet(quiet_s, deadline)
        text, self._text = self.text, ""
        return text

    async def take(self, deadline: Deadline) -> str:
        """Return what was written and not taken yet, as soon as there is any; raise TimeoutError, EndOfStream."""
        async with deadline.timeout():
            while not self.text:
                if self._stream.ended:
                    raise EndOfStream(self._stream.ended.lost)
                await self._notifier.wait()
        text, self._text = self._text, ""
        return text

    async def _until_quiet(self, quiet_s: float, deadline: Deadline) -> None:
        while not self._stream.ended and not deadline.expired:
            try:
                async with asyncio.timeout(min(quiet_s, deadline.remaining_s)):
                    await self._notifier.wait()
            except TimeoutError:
                return

    async def close(self) -> None:
        """Hang up."""
        self._stream.stop()
        await self._channel.close()


def _first(patterns: Sequence[re.Pattern[str]], text: str, start: int) -> tuple[int, re.Match[str]] | None:
    matches = [(index, match) for index, pattern in enumerate(patterns) if (match := pattern.search(text, start))]
    return min(matches, key=lambda found: found[1].start(), default=None)
