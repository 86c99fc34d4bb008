"""One line for commands and console: what is typed, what is left to whom, and when it is greeted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.shell.line import Line
from OttoLibrary.transport.login import Prompts
from tests.unit.fakes import FakeChannel


async def arrived(line: Line, channel: FakeChannel, data: bytes) -> None:
    channel.inbox.feed(data)
    async with asyncio.timeout(5):
        await line.notifier.wait()


def on_line(work: Callable[[Line, FakeChannel], Coroutine[Any, Any, None]], greet: Any = None, **facts: Any) -> None:
    async def talk() -> None:
        channel = FakeChannel()
        line = Line(channel, Prompts(Profile("box", **facts)), greet)
        try:
            await work(line, channel)
        finally:
            await line.close()

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("encoding", "text", "typed"),
    [
        ("utf-8", "grüß", b"gr\xc3\xbc\xc3\x9f\r"),
        ("latin-1", "grüß", b"gr\xfc\xdf\r"),
        ("latin-1", "€", b"?\r"),
        ("utf-8", "", b"\r"),
    ],
)
def test_text_is_typed_in_the_encoding_and_with_the_newline_of_the_profile(encoding: str, text: str, typed: bytes) -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        await line.type(text)
        assert channel.written == typed

    on_line(work, encoding=encoding, newline="\r")


def test_bytes_that_are_no_text_are_typed_as_they_are() -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        assert line.encoded(b"\xff\xfe".decode("utf-8", "surrogateescape")) == b"\xff\xfe"

    on_line(work)


def test_what_another_encoding_wrote_becomes_utf_8() -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        assert line.recoded(b"gr\xfc\xdf") == "grüß".encode()

    on_line(work, encoding="latin-1")


def test_what_was_set_aside_goes_to_the_console_without_the_waiting_prompt() -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        await arrived(line, channel, b"boot done\nbox> ")
        line.set_aside()
        assert line.console.text == "boot done\n"
        assert not line.stream.data

    on_line(work, prompt="box> ?")


def test_what_is_no_prompt_is_all_left_to_the_console() -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        await arrived(line, channel, b"boot done\nbox")
        line.set_aside()
        assert line.console.text == "boot done\nbox"

    on_line(work, prompt="box> ?")


def test_it_is_greeted_once_and_again_after_its_shell_has_ended() -> None:
    greeted: list[Line] = []

    async def greet(line: Line) -> None:
        greeted.append(line)

    async def work(line: Line, channel: FakeChannel) -> None:
        await line.greet()
        await line.greet()
        assert greeted == [line]
        assert line.leave()
        await line.greet()
        assert greeted == [line, line]

    on_line(work, greet)


def test_a_greeting_that_fails_is_tried_again() -> None:
    failures = [TimeoutError("silence")]

    async def greet(line: Line) -> None:
        if failures:
            raise failures.pop()

    async def work(line: Line, channel: FakeChannel) -> None:
        with pytest.raises(TimeoutError):
            await line.greet()
        assert not line.greeted
        await line.greet()
        assert line.greeted

    on_line(work, greet)


def test_a_line_without_a_greeting_does_not_outlive_its_shell() -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        assert line.greeted
        assert not line.leave()

    on_line(work)


def test_what_arrived_is_returned_before_the_end_is_raised() -> None:
    async def work(line: Line, channel: FakeChannel) -> None:
        await arrived(line, channel, b"last words")
        await arrived_end(line, channel)
        assert await line.more() == b"last words"
        with pytest.raises(EndOfStream, match="the line was closed"):
            await line.more()

    async def arrived_end(line: Line, channel: FakeChannel) -> None:
        await channel.close()
        async with asyncio.timeout(5):
            await line.notifier.wait()

    on_line(work)
