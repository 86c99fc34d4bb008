"""Commands on a line that shows only a prompt: a boot loader, an RTOS, a network device, or a shell without ``stty``.

A command is typed and its output is what comes before the next prompt. There is no second stream, lines end as the terminal shows
them, and the exit status is asked for with a line of its own when the profile has one.
"""

from __future__ import annotations

import asyncio
import re

from OttoLibrary.contracts.connections import EndOfStream, ExitStatus
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import UsageError
from OttoLibrary.shell.command_shell import CommandOutcome, exit_status
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.output_file import NO_FILES, NewFile, all_ended, no_file
from OttoLibrary.shell.recovery import Recovery
from OttoLibrary.text import plain_text

_INTERRUPT = b"\x03"
_RECOVERY_S = 4.0
_TRY_S = 1.0
# A prompt counts when nothing follows it immediately: output may look like one while it is still coming.
_HOLD_S = 0.02
# So long a new line has to be quiet, and so long that is waited for: some consoles talk for ever.
_QUIET_S, _SETTLE_S = 0.2, 2.0
NO_STATUS = -1


class PromptShell:
    """A prompt on one line; one command at a time.

    Args:
        line: The line.
        status: What makes it print the exit status of the command before, or nothing.

    Attributes:
        new_file: Returns a new file for what is too long for memory, or None.
        files: The file of the present command, or of the last one, and None.
    """

    def __init__(self, line: Line, status: str) -> None:
        self.cwd: str | None = None
        self._line, self._status = line, status
        self._command = ""
        self._ended = False
        self.new_file: NewFile = no_file
        self.files = NO_FILES
        self.recovery = Recovery(self._interrupt)

    @property
    def has_status(self) -> bool:
        """True when a command has an exit status."""
        return bool(self._status)

    @property
    def ended(self) -> bool:
        """True when it runs no more commands."""
        return self._ended or self._line.ended is not None

    async def begin(self, prelude: str) -> None:
        """Wait for the prompt and switch the pager off; raise what greeting the line raises."""
        await self._line.greet()
        await self._settle()
        self._line.set_aside()
        for command in self._line.prompts.profile.pager_off:
            await self._ask(command)
        if prelude:
            await self._ask(prelude)

    async def _settle(self) -> None:
        """Wait for one more prompt: the key that woke the console may bring it late, and it is none of a command."""
        most = Deadline(_SETTLE_S)
        while await self._line.news(_QUIET_S) and not most.expired:
            pass

    async def run(self, command: str, deadline: Deadline | None, cwd: str | None = None) -> CommandOutcome:
        """Type a command and return its output; past the deadline, or when cancelled, it is interrupted.

        Raises:
            UsageError: The command is more than a line, or wants a folder. EndOfStream: The line ended.
        """
        if "\n" in command.strip() or "\r" in command.strip():
            raise UsageError("a prompt takes one line at a time; run each line with a call of its own")
        if cwd is not None:
            raise UsageError("a prompt has no folders; leave 'cwd' out")
        stream = self._line.stream
        try:
            async with asyncio.timeout(deadline.remaining_s if deadline else None):
                await self.recovery.over()
                self._line.set_aside()
                stream.left_out_bytes, self.files = 0, NO_FILES
                stream.keep_whole(lambda: self.new_file("output"))
                output = await self._ask(command.strip())
                left_out = stream.left_out_bytes
                self.files = stream.end_file(0), None
                await all_ended(self.files)
                status = await self._rc()
                return CommandOutcome(output.encode(), b"", status, left_out_bytes=left_out, files=self.files)
        except TimeoutError:
            if self.recovery.running:
                return CommandOutcome(b"", b"", status=None)
            partial, left_out = self.partial(), stream.left_out_bytes
            self.files = stream.end_file(), None
            await self.recovery.finish_soon()
            await all_ended(self.files)
            ending = self.recovery.running
            return CommandOutcome(*partial, None, self.ended, left_out_bytes=left_out, files=self.files, is_ending=ending)
        except asyncio.CancelledError:
            self.files = stream.end_file(), None
            self.recovery.begin()
            raise

    def partial(self) -> tuple[bytes, bytes]:
        """Return what arrived since the command was typed."""
        return without_echo(plain_text(self._text()), self._command).encode(), b""

    def used_by_console(self) -> None:
        """Do nothing: each command waits for the prompt anyway."""

    async def close(self) -> None:
        """Stop using the line; never raises."""
        self._ended = True

    def _text(self) -> str:
        return self._line.stream.data.decode(self._line.prompts.profile.encoding, "backslashreplace")

    async def _ask(self, command: str) -> str:
        self._command = command
        await self._line.type(command)
        text = await self._until_prompt()
        return without_echo(text, command)

    async def _rc(self) -> ExitStatus:
        if not self._status:
            return ExitStatus(NO_STATUS)
        found = re.search(r"(?<!\d)-?\d{1,9}(?!\d)", await self._ask(self._status))
        return exit_status(int(found[0])) if found else ExitStatus(NO_STATUS)

    async def _until_prompt(self) -> str:
        """Return what comes before the next prompt, and take both off the line."""
        line = self._line
        # Before the newline that ends the echo, the old prompt may still be at the end.
        while not (b"\n" in line.stream.data and self._at_prompt()) or await line.news(_HOLD_S):
            line.check()
            if not self._at_prompt() or b"\n" not in line.stream.data:
                await line.notifier.wait()
        text = plain_text(self._text())
        line.stream.take()
        found = line.prompts.prompt(text[-4096:])
        return text[: max(0, len(text) - 4096) + found.start()] if found else text

    def _at_prompt(self) -> bool:
        return self._line.prompts.prompt(self._line.text) is not None

    async def _interrupt(self) -> None:
        try:
            async with asyncio.timeout(_RECOVERY_S):
                while True:
                    self._line.stream.take()
                    await self._line.write(_INTERRUPT)
                    if await self._prompted() or await self._newline_prompts():
                        return
        except (TimeoutError, EndOfStream, OSError):
            self._line.leave()
            await self.close()

    async def _newline_prompts(self) -> bool:
        await self._line.type("")
        return await self._prompted()

    async def _prompted(self) -> bool:
        try:
            async with asyncio.timeout(_TRY_S):
                while not self._at_prompt() or await self._line.news(_HOLD_S):
                    self._line.check()
                    await self._line.notifier.wait()
        except TimeoutError:
            return False
        self._line.stream.take()
        return True


def without_echo(text: str, command: str) -> str:
    """Return ``text`` without the command that it begins with, which a terminal may have wrapped."""
    at = typed = 0
    while typed < len(command) and at < len(text):
        if text[at] == command[typed]:
            typed += 1
        elif text[at] not in " \r\n\b":
            return text
        at += 1
    if typed < len(command):
        return text
    _, newline, rest = text[at:].partition("\n")
    return rest if newline else text[at:]
