"""The console: which pattern wins, what is taken, what stays."""

from __future__ import annotations

import asyncio
import re

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from tests.unit.fakes import FakeChannel


def _patterns(*texts: str) -> list[re.Pattern[str]]:
    return [re.compile(text) for text in texts]


async def _console() -> tuple[FakeChannel, Console]:
    channel, notifier = FakeChannel(), Notifier()
    return channel, Console(channel, PendingOutput(channel, notifier), notifier)


async def _with(*pieces: bytes) -> tuple[FakeChannel, Console]:
    channel, console = await _console()
    for piece in pieces:
        channel.inbox.feed(piece)
    await asyncio.sleep(0)
    return channel, console


def test_the_earliest_match_wins_and_the_rest_stays() -> None:
    async def talk() -> None:
        _, console = await _with(b"abc login: more")
        match = await console.expect(_patterns("more", "log(in): "), Deadline(1))
        assert (match.index, match.groups, match.before, match.text) == (1, ("in",), "abc ", "login: ")
        assert console.text == "more"

    asyncio.run(talk())


def test_a_character_in_two_pieces_is_one_character() -> None:
    async def talk() -> None:
        channel, console = await _with(b"gr\xc3")
        assert console.text == "gr"
        channel.inbox.feed(b"\xbc\xc3\x9f\xff!")
        match = await console.expect(_patterns("!"), Deadline(1))
        assert match.before == "grüß\\xff"

    asyncio.run(talk())


def test_a_time_out_takes_nothing() -> None:
    async def talk() -> None:
        _, console = await _with(b"something")
        with pytest.raises(TimeoutError):
            await console.expect(_patterns("else"), Deadline(0.01))
        assert console.text == "something"

    asyncio.run(talk())


def test_the_end_is_told() -> None:
    async def talk() -> None:
        channel, console = await _with(b"bye")
        channel.inbox.end()
        with pytest.raises(EndOfStream):
            await console.expect(_patterns("never"), Deadline(1))

    asyncio.run(talk())


def test_a_pattern_may_reach_back_over_what_was_searched_before() -> None:
    async def talk() -> None:
        channel, console = await _with(b"begin " + b"x" * 60000)
        waiting = asyncio.ensure_future(console.expect([re.compile("begin x+ end", re.DOTALL)], Deadline(5)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        channel.inbox.feed(b" end")
        assert (await waiting).text.startswith("begin x")

    asyncio.run(talk())


def test_a_pattern_reaches_back_no_further_than_its_window() -> None:
    async def talk() -> None:
        channel, console = await _with(b"begin " + b"x" * 70000)
        waiting = asyncio.ensure_future(console.expect([re.compile("begin.*end", re.DOTALL), re.compile("end")], Deadline(5)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        channel.inbox.feed(b" end")
        assert (await waiting).index == 1

    asyncio.run(talk())


def test_a_console_that_nobody_reads_keeps_both_ends() -> None:
    async def talk() -> None:
        channel, console = await _with(b"first ")
        for _ in range(40):
            channel.inbox.feed(b"x" * (1 << 17))
            await asyncio.sleep(0.001)
            console.absorb()
        channel.inbox.feed(b" last")
        await asyncio.sleep(0.001)
        text = console.text
        assert len(text) <= (2 << 20) + 100
        assert text.startswith("first ")
        assert text.endswith(" last")
        assert "characters left out ...]" in text

    asyncio.run(talk())


@pytest.mark.parametrize("end", [b"\r\n", b"\n\r", b"\n", b"\r\r\n"])
def test_lines_end_alike_whatever_ends_them(end: bytes) -> None:
    async def go() -> None:
        _, console = await _with(b"booting" + end + b"ready" + end + b"version 3" + end + b"more")
        assert (await console.expect([re.compile("^ready$", re.M)], Deadline(5))).before == "booting\n"
        match = await console.expect([re.compile("version (.*)$", re.M)], Deadline(5))
        assert match.groups == ("3",)
        assert (await console.expect([re.compile("^more", re.M)], Deadline(5))).before == "\n"

    asyncio.run(go())


def test_a_prompt_in_colour_matches_as_it_looks() -> None:
    async def go() -> None:
        _, console = await _with(b"\x1b]0;t\x07\x1b[01;32mme@dut\x1b[00m:\x1b[34m~\x1b[0m$ ")
        match = await console.expect([re.compile(r"me@dut:~\$ $", re.M)], Deadline(5))
        assert (match.text, match.before, console.text) == ("me@dut:~$ ", "", "")

    asyncio.run(go())


def test_the_end_of_a_line_that_still_arrives_is_awaited() -> None:
    async def go() -> None:
        channel, console = await _with(b"version 1")
        wanted = asyncio.create_task(console.expect([re.compile("version (.*)$", re.M)], Deadline(5)))
        await asyncio.sleep(0)
        channel.inbox.feed(b"2\r\n")
        assert (await wanted).groups == ("12",)

    asyncio.run(go())


def test_raw_matches_what_was_written() -> None:
    async def go() -> None:
        _, console = await _with(b"\x1b[1mready\x1b[0m\r\n")
        match = await console.expect([re.compile("\x1b\\[1m(ready)\x1b\\[0m\r\n")], Deadline(5), raw=True)
        assert (match.groups, console.text) == (("ready",), "")

    asyncio.run(go())
