"""Logins at a prompt, in any pieces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.profiles import linux
from OttoLibrary.text import Secret
from OttoLibrary.transport import login
from OttoLibrary.transport.login import LoginRefusedError, Prompts, log_in


def _login(
    script: list[tuple[str, bytes]], pieces: int = 1, *, user: str | None = "root", password: str | None = "pw", **options: Any
) -> tuple[bytes, list[bytes]]:
    """Log in at a console that says the first text, and each further one after an answer."""
    typed: list[bytes] = []

    async def go() -> bytes:
        said = [text[at : at + pieces] for text in [script[0][1]] for at in range(0, len(text), pieces)]
        left = script[1:]

        async def more() -> bytes:
            if not said:
                await asyncio.sleep(1)
                raise EndOfStream
            return said.pop(0)

        async def write(data: bytes) -> None:
            typed.append(data)
            if left:
                assert left[0][0].encode() == data
                text = left.pop(0)[1]
                said.extend(text[at : at + pieces] for at in range(0, len(text), pieces))

        return await log_in(more, write, Prompts(linux()), user, Secret(password) if password else None, **options)

    return asyncio.run(go()), typed


_ASKED = [("", b"Debian GNU/Linux 12\r\n\r\nbox login: "), ("root\n", b"root\r\nPassword: ")]


@pytest.mark.parametrize("pieces", [1, 5, 1000])
def test_a_login_takes_name_and_password_once(pieces: int) -> None:
    motd = b"\r\nLast login: Mon Jan 8 on tty1\r\nLinux box 6.1\r\n\x1b[01;32mroot@box\x1b[m:~# "
    said, typed = _login([*_ASKED, ("pw\n", motd)], pieces)
    assert typed == [b"root\n", b"pw\n"]
    assert b"root@box\x1b[m:~#" in said


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"\r\nLogin incorrect\r\nbox login: ", "it answered 'Login incorrect'"),
        (b"\r\nbox login: ", "it asks for the login again"),
        (b"\r\nPassword: ", "it asks for the password again"),
        (b"\r\nAccess denied.\r\n", r"it answered 'Access denied"),
    ],
)
def test_a_refusal_is_noticed_at_once(answer: bytes, why: str, pieces: int) -> None:
    with pytest.raises(LoginRefusedError, match=why):
        _login([*_ASKED, ("pw\n", answer)], pieces)


def test_a_login_without_an_answer_is_told() -> None:
    with pytest.raises(LoginRefusedError, match="the lab has no 'user'"):
        _login(_ASKED, user=None)
    with pytest.raises(LoginRefusedError, match="the lab has no 'password'"):
        _login(_ASKED, password=None)


def test_a_silent_console_is_woken() -> None:
    said, typed = _login([("", b""), ("\n", b"\r\n~ # ")], 1000, knock_s=0.05)
    assert (said, typed) == (b"\r\n~ # ", [b"\n"])


def test_a_half_finished_login_is_started_anew() -> None:
    _, typed = _login(
        [("", b"Password: "), ("\n", b"\r\nbox login: "), ("root\n", b"Password: "), ("pw\n", b"\r\n# ")], knock_s=1
    )
    assert typed == [b"\n", b"root\n", b"pw\n"]


def test_of_a_console_that_floods_before_its_prompt_the_newest_is_kept() -> None:
    flood = b"the end is not near\n" * 20_000
    said, _ = _login([("", flood + b"login: "), ("root\n", flood + b"Password: "), ("pw\n", flood + b"$ ")], pieces=4096)
    assert said.endswith(b"near\n$ ")
    assert len(said) <= 1 << 16


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_words_like_a_refusal_behind_a_good_login_refuse_nothing(pieces: int) -> None:
    profile = b"\r\ntool: Permission denied\r\naccess denied to the printer\r\nbox:~# "
    said, _ = _login([*_ASKED, ("pw\n", profile)], pieces)
    assert said.rstrip().endswith(b"#")


@pytest.mark.parametrize("end", [b"\r\n", b"\n\r", b"\r", b"\n"])
def test_lines_may_end_in_any_way(end: bytes) -> None:
    banner = end.join([b"Welcome", b"box login: "])
    said, typed = _login([("", banner), ("root\n", end + b"Password: "), ("pw\n", end + b"hello" + end + b"box# ")])
    assert typed == [b"root\n", b"pw\n"]
    assert said.rstrip().endswith(b"box#")


def test_a_console_that_keeps_talking_is_asked_for_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_TALK_S", 0.01)
    written: list[bytes] = []

    async def go() -> bytes:
        async def more() -> bytes:
            await asyncio.sleep(0.002)
            return b"\r\n# " if written else b"[  12.3] usb 1-1: new device\r\n"

        async def write(data: bytes) -> None:
            monkeypatch.setattr(login, "_TALK_S", 1000)  # a busy machine must not let it ask again
            written.append(data)

        return await log_in(more, write, Prompts(linux()), None, None, knock_s=5.0)

    assert asyncio.run(go()).endswith(b"# ")
    assert written == [b"\n"]
