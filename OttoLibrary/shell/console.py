"""The console: a terminal to talk with, as a person would."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from OttoLibrary.contracts.connections import Channel, EndOfStream, Match
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from OttoLibrary.shell.plain_view import PlainView, plain_view, real_view
from OttoLibrary.shell.search_pattern import Pattern
from OttoLibrary.text import incremental_decoder

# The shell that the host's owner uses, with its own prompt.
SCRIPT = 'exec "${SHELL:-/bin/sh}" -i'
# A pattern may not span more than this many characters: without a bound each new chunk would search everything again.
_WINDOW = 1 << 16
# So many characters wait at most for whoever takes them; of more, the oldest and the newest.
_TEXT_LIMIT = 2 << 20
_INTERRUPT = b"\x03"
_SETTLE_S = 1.0
_END_OF_LINE_S = 0.05
_SETTLE_QUIET_S = 0.05


@dataclass(frozen=True)
class _Found:
    """A match, and how to get from it to what was really written."""

    index: int
    pattern: str
    match: re.Match[str]
    view: PlainView
    lead: int
    at_end: bool


class Console:
    """A conversation over one channel; what was written waits until ``expect`` or ``read`` takes it.

    Attributes:
        taken: What the last match took, as it was really written.
    """

    def __init__(self, channel: Channel, stream: PendingOutput, notifier: Notifier, encoding: str = "utf-8") -> None:
        self._channel, self._stream, self._notifier = channel, stream, notifier
        self._encoding = encoding
        self._decoder = incremental_decoder(encoding)
        self._text = self.taken = ""
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

    async def expect(self, patterns: Sequence[Pattern], deadline: Deadline, *, raw: bool = False) -> Match:
        """Wait until a pattern matches; the earliest match wins, and of two at one place the earlier pattern.

        Args:
            patterns: What to look for.
            deadline: How long.
            raw: Look in what was really written, not in plain text: that has no terminal sequences, and lines end with a newline.

        Raises:
            TimeoutError: None matched in time; nothing is taken.
            EndOfStream: The console ended first.
        """
        start = 0
        async with deadline.timeout():
            while True:
                start = self._line_start(start)
                match = self._matched(patterns, start, raw=raw)
                if match is not None and not (match.at_end and await self._news_soon()):
                    return self._take_match(match, start, raw=raw)
                if self._stream.ended and match is None:
                    raise EndOfStream(self._stream.ended.lost)
                searched = self._gone + len(self._text)
                if match is None:
                    await self._notifier.wait()
                self.absorb()
                start = max(0, searched - self._gone - _WINDOW) if match is None else 0

    def _line_start(self, at: int) -> int:
        """Return where the line begins that a place is in, unless it is very long."""
        start = self.text.rfind("\n", max(0, at - _WINDOW), at) + 1
        return start or at

    def _matched(self, patterns: Sequence[Pattern], start: int, *, raw: bool) -> _Found | None:
        text = self._text[start:]
        view = real_view(text) if raw else plain_view(text, ended=self.ended)
        # Where a line is longer than the window, its rest does not begin one.
        lead = "" if start == 0 or self._text[start - 1] == "\n" else "\0"
        found = _first(patterns, lead + view.text, len(lead))
        if found is None:
            return None
        index, match = found
        # Where the last character of a pattern means the end of a line, that line may only have begun to arrive.
        at_end = match.end() == len(lead) + len(view.text) and patterns[index].pattern.endswith("$") and not self.ended
        return _Found(index, patterns[index].pattern, match, view, len(lead), at_end)

    async def _news_soon(self) -> bool:
        """Return True when the console goes on writing within a moment."""
        try:
            async with asyncio.timeout(_END_OF_LINE_S):
                await self._notifier.wait()
        except TimeoutError:
            return False
        return bool(self._stream.data)

    def _take_match(self, found: _Found, start: int, *, raw: bool) -> Match:
        match, text = found.match, self._text
        end = start + found.view.real_position(match.end() - found.lead)
        before = text[:start] if raw else plain_view(text[:start], ended=True).text
        before += found.view.text[: max(0, match.start() - found.lead)]
        self.taken, self._text = text[:end], text[end:]
        return Match(found.index, found.pattern, match[0], match.groups(), before)

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


def _first(patterns: Sequence[Pattern], text: str, start: int) -> tuple[int, re.Match[str]] | None:
    matches = [(index, match) for index, pattern in enumerate(patterns) if (match := pattern.search(text, start))]
    return min(matches, key=lambda found: found[1].start(), default=None)
