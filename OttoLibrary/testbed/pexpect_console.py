"""A host's console as pexpect has it, through every transport and hop, so that drivers written for pexpect work unchanged."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Protocol

import pexpect  # type: ignore[import-untyped]
from pexpect.spawnbase import SpawnBase  # type: ignore[import-untyped]

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.errors import ConnectionLostError, UsageError
from OttoLibrary.text import plain_text

_MAXREAD = 1 << 16
# A wait without an end is one of a day: what runs it has a limit of its own.
_FOR_EVER_S = 86_400.0
_DRAIN_S = 0.01
_RECOVER_S = 3.0
# How long nothing may come after what looks like a prompt: patterns of the environment are exact, those of a profile are not.
_SETTLE_EXACT_S, _SETTLE_S = 0.03, 0.15
_LONGEST_PROMPT = 200
_WRAPPING = "\r\n\b "
_CONTROLS = {"@": 0, "`": 0, "[": 27, "{": 27, "\\": 28, "|": 28, "]": 29, "}": 29, "^": 30, "~": 30, "_": 31, "?": 127}


class ConsoleHost(Protocol):
    """What a console needs of a host."""

    name: str
    calls: Any

    @property
    def raw(self) -> Any:
        """The host."""


class HostConsole(SpawnBase):  # type: ignore[misc]  # pexpect has no type hints
    """The console of a host: ``pexpect.spawnbase.SpawnBase``, and the few methods that Vitro adds.

    It waits, so it is used in any thread but that of the library's loop: in hooks that are ``def``, in tests, in scripts.

    Args:
        host: The host.
        prompt: A regular expression for its prompt; empty for that of its profile.
        heard: Called with all that is read.
    """

    flag_eof: bool = False

    def __init__(self, host: ConsoleHost, prompt: str = "", heard: Callable[[str], None] = lambda text: None) -> None:
        super().__init__(maxread=_MAXREAD, encoding="utf-8", codec_errors="backslashreplace")
        self.name = f"<console of {host.name}>"
        self.delaybeforesend = self.delayafterread = None
        self.closed, self.terminated = False, False
        self._host, self._heard, self._exact = host, heard, bool(prompt)
        self._left = ""
        self._of: Any = None  # the console that is talked with; another one is the end of this
        self._out_of_step = False
        self._seen = ""  # the whole line of the prompt, once it was seen
        profile = self._wait(host.raw.connection.facts()).console
        self.linesep = profile.newline
        self.crlf = "\r\n"
        self.shell_prompt = prompt or profile.prompt
        self._prompt = re.compile(rf"(?:{self.shell_prompt})\s*\Z")

    def __str__(self) -> str:
        """Return what an error of pexpect shows."""
        tail = (self.buffer or "")[-100:]
        return f"{self.name}\nbuffer (last 100 characters): {tail!r}\nbefore: {str(self.before)[-100:]!r}\nafter: {self.after!r}"

    # -- what pexpect needs

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> str:
        """Return at most ``size`` characters as soon as there are any; raise ``pexpect.TIMEOUT``, ``pexpect.EOF``."""
        if not self._left:
            self._left = self._heard_next(self.timeout if timeout == -1 else timeout)
        text, self._left = self._left[:size], self._left[size:]
        self._log(text, "read")
        return text

    def _heard_next(self, timeout: float | None) -> str:
        if self.closed or self.flag_eof:
            raise pexpect.EOF(f"{self.name} has ended")
        wait_s = _FOR_EVER_S if timeout is None else max(0.0, timeout)
        try:
            text, self._of = self._wait(self._host.raw.next_text(wait_s, self._of))
        except TimeoutError as error:
            raise pexpect.TIMEOUT("Timeout exceeded.") from error
        except (EndOfStream, ConnectionLostError) as error:
            self.flag_eof = True
            raise pexpect.EOF(f"{self.name} has ended: {error}") from error
        self._heard(text)
        return str(text)

    def send(self, s: str | bytes) -> int:
        """Type; return how many bytes."""
        text = s.decode(self.encoding, "backslashreplace") if isinstance(s, bytes) else s
        if self.closed or self.flag_eof:
            raise OSError(f"{self.name} is closed")
        self._log(text, "send")
        try:
            self._of = self._wait(self._host.raw.type_text(text, self._of))
        except (EndOfStream, ConnectionLostError) as error:
            self.flag_eof = True
            raise OSError(f"{self.name} has ended: {error}") from error
        return len(text.encode(self.encoding, "replace"))

    def sendline(self, s: str | bytes = "") -> int:
        """Type a line."""
        text = s.decode(self.encoding, "backslashreplace") if isinstance(s, bytes) else s
        return self.send(text + self.linesep)

    def write(self, s: str | bytes) -> None:
        """Type."""
        self.send(s)

    def writelines(self, sequence: Any) -> None:
        """Type one after the other."""
        for text in sequence:
            self.send(text)

    def sendcontrol(self, char: str) -> int:
        """Type a control character: ``sendcontrol("c")`` is Ctrl-C; return how many bytes, 0 for none of that name."""
        key = char.lower()
        code = ord(key) - ord("a") + 1 if "a" <= key <= "z" else _CONTROLS.get(key)
        return 0 if code is None else self.send(chr(code))

    def sendeof(self) -> None:
        """Type Ctrl-D."""
        self.send("\x04")

    def sendintr(self) -> None:
        """Type Ctrl-C."""
        self.send("\x03")

    def eof(self) -> bool:
        """Return True once the end was seen."""
        return bool(self.flag_eof)

    def isalive(self) -> bool:
        """Return True until the end."""
        return not self.closed and not self.flag_eof

    def isatty(self) -> bool:
        """Return True."""
        return True

    def setwinsize(self, rows: int, cols: int) -> None:
        """Do nothing: the console keeps the size that it was opened with."""

    def terminate(self, force: bool = False) -> bool:
        """Close it."""
        self.close(force)
        return True

    def close(self, force: bool = True) -> None:
        """Close the console; a serial or Telnet line, which carries everything, stays open. Idempotent."""
        if not self.closed:
            self.let_go()
            self._wait(self._host.raw.leave_console())

    def let_go(self) -> None:
        """Read and type no more."""
        self.closed = self.terminated = True

    def interact(self, *_: Any, **__: Any) -> None:
        """Refuse: nobody types here."""
        raise UsageError("A console cannot be typed on by a person in a test.")

    # -- what Vitro adds

    def execute_command(self, command: str, timeout: float | None = -1) -> str:
        """Run a command at the prompt and return what it printed, without blanks around it.

        After a time-out the command is interrupted, and what it still prints never shows up in the answer to the next one.

        Raises:
            pexpect.TIMEOUT: The prompt did not come back in time. pexpect.EOF: The console has ended.
        """
        limit_s = self.timeout if timeout == -1 else timeout
        limit_s = _FOR_EVER_S if limit_s is None else limit_s
        self._sync(limit_s)
        self.sendline(command)
        try:
            said = _without_echo(self._until_prompt(limit_s, 1 + command.count("\n")), command)
        except pexpect.TIMEOUT:
            self._interrupt()
            raise
        self.before, self.after = said, self.shell_prompt
        return str(self.get_last_output())

    async def execute_command_async(self, command: str, timeout: float | None = -1) -> str:
        """Do the same from a coroutine."""
        import asyncio

        return await asyncio.to_thread(self.execute_command, command, timeout)

    def get_last_output(self) -> str:
        """Return what the last command printed, or what came before the last match, without blanks around it."""
        return str(self.before or "").strip()

    def login_to_server(self, password: str | None = None) -> None:
        """Do nothing: a console is logged in when it is open."""

    async def login_to_server_async(self, password: str | None = None) -> None:
        """Do the same from a coroutine."""

    def _sync(self, limit_s: float) -> None:
        """Throw away what belongs to nobody; after a command that was not over, wait for the prompt first."""
        if self._out_of_step:
            self._until_prompt(limit_s, 0)
            self._out_of_step = False
        self._drain()
        if not self._seen:
            self.sendline()
            self._until_prompt(limit_s, 1)

    def _drain(self) -> None:
        self.buffer = ""
        self._before = self.buffer_type()
        try:
            while True:
                self.read_nonblocking(self.maxread, _DRAIN_S)
        except pexpect.TIMEOUT:
            return

    def _interrupt(self) -> None:
        self._out_of_step = True
        self.sendintr()
        try:
            self._until_prompt(_RECOVER_S, 0)
            self._out_of_step = False
        except pexpect.TIMEOUT:
            self.sendline()

    def _until_prompt(self, limit_s: float, echo_lines: int) -> str:
        """Return what comes before the prompt, once so many lines were echoed; raise ``pexpect.TIMEOUT``."""
        end = time.monotonic() + limit_s
        said = ""
        while True:
            at = self._prompt_at(said, echo_lines)
            known = at is not None and (self._exact or self._is_seen(said))
            settle_s = _SETTLE_EXACT_S if known else _SETTLE_S
            try:
                said += self.read_nonblocking(self.maxread, max(0.0, end - time.monotonic()) if at is None else settle_s)
            except pexpect.TIMEOUT:
                if at is not None:
                    self._seen = said[at:]
                    return said[:at]
                self.before = said
                raise

    def _prompt_at(self, said: str, echo_lines: int) -> int | None:
        """Return where the prompt begins when the console waits for a command, else None."""
        start = said.rfind("\n") + 1
        line = said[start:]
        if said.count("\n") < echo_lines or len(line) > _LONGEST_PROMPT:
            return None
        if self._is_seen(said):
            return len(said) - len(self._seen)
        shown = plain_text(line)
        found = self._prompt.search(shown)
        if found is None:
            return None
        # An exact pattern may stand behind output that has no newline of its own.
        return start + (found.start() if self._exact and shown == line else 0)

    def _is_seen(self, said: str) -> bool:
        return bool(self._seen) and said.endswith(self._seen)

    def _wait(self, coroutine: Any) -> Any:
        return self._host.calls.wait_for(coroutine, self._host.name)


def _without_echo(said: str, command: str) -> str:
    """Return what a command printed: what was said behind its echo, in whatever way a terminal wrapped that."""
    at = 0
    for key in command:
        while at < len(said) and said[at] != key and said[at] in _WRAPPING:
            at += 1
        if at == len(said) or said[at] != key:
            # Line editing shows a part of a long line; the echo ends with the line all the same.
            return said.split("\n", 1 + command.count("\n"))[-1]
        at += 1
    return said[at:].partition("\n")[2]
