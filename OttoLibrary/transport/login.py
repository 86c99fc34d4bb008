"""Logging in by prompts, as a person would, on a Telnet or serial line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.text import Secret, plain_text

# Prompts are looked for in so much of the newest output.
_LOOK_BACK = 4096
# Of what a console writes before it waits for a command so much is kept: the newest.
_KEPT = 1 << 16
_FIRST_KNOCK_S = 0.1
# So long what sounds like a refusal waits for what follows it.
_VERDICT_S = 2.0
# So long a console may talk before Enter is pressed although it is not silent.
_TALK_S = 6.0


class LoginRefusedError(Exception):
    """The host refused the login; carries why, as part of a sentence."""


class Prompts:
    """The compiled expressions of a profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._login = _at_end(profile.login_prompt)
        self._password = _at_end(profile.password_prompt)
        self._prompt = _at_end(profile.prompt)
        self._failed = re.compile(profile.failed_login, re.MULTILINE)

    def text(self, said: bytes | bytearray) -> str:
        """Return the end of the output, as it looks."""
        return plain_text(bytes(said[-_LOOK_BACK:]).decode(self.profile.encoding, "replace")).replace("\r", "\n")

    def asks(self, text: str) -> str:
        """Return what the console waits for: ``password``, ``login``, ``command`` or nothing known."""
        if self._password.search(text):
            return "password"
        if self._login.search(text):
            return "login"
        return "command" if self._prompt.search(text) else ""

    def prompt(self, text: str) -> re.Match[str] | None:
        """Return the prompt at the end of the text."""
        return self._prompt.search(text)

    def failure(self, text: str) -> str:
        """Return the message of a refusal, or nothing."""
        found = self._failed.search(text)
        if found is None:
            return ""
        return text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0].strip()


def _at_end(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"{_flags_first(pattern)}[ \t\0]*\Z", re.MULTILINE)


def _flags_first(pattern: str) -> str:
    """Put a pattern in a group; its global flags must stay at the front."""
    flags = re.match(r"\(\?[aimsx]+\)", pattern)
    front = flags[0] if flags else ""
    return f"{front}(?:{pattern[len(front) :]})"


async def log_in(
    more: Callable[[], Awaitable[bytes]],
    write: Callable[[bytes], Awaitable[None]],
    prompts: Prompts,
    user: str | None,
    password: Secret | None,
    *,
    knock_s: float | None = None,
) -> bytes:
    """Answer the prompts until the console waits for a command; return what it wrote from the login on.

    The caller bounds the time. Of a console that floods the newest output is kept.

    Args:
        more: Returns what the console writes next.
        write: Types on it.
        prompts: What to look for.
        user: The login.
        password: Its password.
        knock_s: Press Enter when the console shows nothing known for so long; None only to wait.

    Raises:
        LoginRefusedError: The login was refused, or cannot be answered. EndOfStream: The console ended.
    """
    newline = prompts.profile.newline.encode()
    said, since = bytearray(), bytearray()
    answered: set[str] = set()
    talked_until = asyncio.get_running_loop().time() + _TALK_S
    while True:
        text = prompts.text(since)
        asked = prompts.asks(text)
        if asked == "command":
            return bytes(said)
        refusal = prompts.failure(text) if answered else ""
        if refusal and asked:
            raise LoginRefusedError(f"it answered '{refusal}'")
        if asked == "password" and not answered and knock_s is not None:
            # Somebody left it half-way: an empty password brings the login prompt back.
            await write(newline)
            since.clear()
        elif asked in answered:
            raise LoginRefusedError(f"it asks for the {asked} again")
        elif asked:
            await write(_answer(asked, user, password).encode(prompts.profile.encoding) + newline)
            answered.add(asked)
            since.clear()
            said.clear()
        # Nothing has been written yet: an early Enter disturbs nothing.
        pause = knock_s if said or answered or knock_s is None else min(knock_s, _FIRST_KNOCK_S)
        if refusal:
            news = await _after_refusal(more, refusal)
        elif knock_s is not None and asyncio.get_running_loop().time() > talked_until:
            # A console that keeps talking never falls silent: its prompt shows after Enter, until the next line comes.
            await write(newline)
            talked_until += _TALK_S
            news = b""
        else:
            news = await _next(more, write, newline, pause)
        said += news
        since += news
        del said[:-_KEPT], since[:-_KEPT]


def _answer(asked: str, user: str | None, password: Secret | None) -> str:
    if asked == "login":
        if user is None:
            raise LoginRefusedError("it asks for a login, and the lab has no 'user' for it")
        return user
    if password is None:
        raise LoginRefusedError("it asks for a password, and the lab has no 'password' for it")
    return password.value


async def _after_refusal(more: Callable[[], Awaitable[bytes]], refusal: str) -> bytes:
    """Return what follows words that may refuse the login, or be those of a start-up file behind a good one."""
    try:
        async with asyncio.timeout(_VERDICT_S):
            return await more()
    except (TimeoutError, EndOfStream):
        raise LoginRefusedError(f"it answered '{refusal}'") from None


async def _next(
    more: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]], newline: bytes, knock_s: float | None
) -> bytes:
    if knock_s is None:
        return await more()
    try:
        async with asyncio.timeout(knock_s):
            return await more()
    except TimeoutError:
        await write(newline)
        return b""
