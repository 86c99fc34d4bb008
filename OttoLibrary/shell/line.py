"""One line of a Telnet or serial host: command shell and console in one, so only one of them has it at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from OttoLibrary.contracts.connections import Channel, EndOfStream
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.output_file import OutputLimits
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from OttoLibrary.transport.login import Prompts

_PROMPT_S = 0.05
_USUAL_LIMITS = OutputLimits()


class Line:
    """A channel with all that has arrived from it.

    Args:
        channel: The channel.
        prompts: What its profile looks for.
        greet: Makes it wait for a command, or None when it does; called with the line before the first command.
        limits: How much is kept of what a command writes.

    Attributes:
        console: The conversation with it.
        greeted: True once it is known to wait for commands.
        fresh: True when a command has just ended, so that a prompt will follow.
    """

    def __init__(
        self,
        channel: Channel,
        prompts: Prompts,
        greet: Callable[[Line], Awaitable[None]] | None = None,
        limits: OutputLimits = _USUAL_LIMITS,
    ) -> None:
        self.channel, self.prompts = channel, prompts
        self.notifier = Notifier()
        # Files of transfers go over it too, and of them nothing may be missing.
        limit_bytes = max(limits.memory_bytes, _USUAL_LIMITS.memory_bytes)
        self.stream = PendingOutput(channel, self.notifier, limit_bytes)
        self.console = Console(channel, self.stream, self.notifier, prompts.profile.encoding)
        self.greeted = greet is None
        self.fresh = False
        self._greet = greet

    @property
    def ended(self) -> EndOfStream | None:
        """Why no more comes, or None."""
        return self.stream.ended

    @property
    def text(self) -> str:
        """The end of what nobody has taken yet, as it looks."""
        return self.prompts.text(self.stream.data)

    async def greet(self) -> None:
        """Make it wait for a command; raise what the greeting raises."""
        if not self.greeted and self._greet is not None:
            await self._greet(self)
        self.greeted = True

    def leave(self) -> bool:
        """Note that the shell on it has ended; return True when the line lives on and can be greeted once more."""
        self.greeted = self._greet is None
        return self._greet is not None and self.ended is None

    async def settle(self) -> None:
        """Let the prompt come that follows a command: what is typed before it would show twice."""
        if self.fresh and not self.stream.data:
            await self.news(_PROMPT_S)
        self.fresh = False

    def set_aside(self) -> None:
        """Leave what arrived so far to the console, but for the prompt that waits for the next command."""
        rest = self.stream.data
        cut = rest.rfind(b"\n") + 1
        if self.prompts.prompt(self.prompts.text(rest[cut:])):
            del rest[cut:]
        self.console.absorb()

    async def write(self, data: bytes) -> None:
        """Type bytes."""
        await self.channel.write(data)

    async def type(self, text: str) -> None:
        """Type text and the newline of its profile."""
        profile = self.prompts.profile
        await self.channel.write(self.encoded(text) + profile.newline.encode())

    def encoded(self, text: str) -> bytes:
        """Return text as the console writes it."""
        encoding = self.prompts.profile.encoding
        return text.encode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")

    def recoded(self, data: bytes) -> bytes:
        """Return what the console wrote as UTF-8."""
        encoding = self.prompts.profile.encoding
        return data if encoding == "utf-8" else data.decode(encoding, "backslashreplace").encode()

    async def more(self) -> bytes:
        """Return what it writes next; raise EndOfStream."""
        while not self.stream.data:
            self.check()
            await self.notifier.wait()
        return self.console.pass_by()

    def check(self) -> None:
        """Raise EndOfStream when no more will come."""
        if self.stream.ended:
            raise EndOfStream(self.stream.ended.lost or "the line was closed")

    async def news(self, seconds: float) -> bool:
        """Wait for output, at most so long; return whether there was any."""
        try:
            async with asyncio.timeout(seconds):
                await self.notifier.wait()
                return True
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Hang up."""
        self.stream.stop()
        await self.channel.close()
