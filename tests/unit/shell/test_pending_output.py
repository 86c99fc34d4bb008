"""What a channel delivered: found once, taken once, and never more than the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from tests.unit.fakes import FakeChannel


async def _fed(*pieces: bytes, limit: int = 1000) -> tuple[PendingOutput, FakeChannel]:
    channel = FakeChannel()
    output = PendingOutput(channel, Notifier(), limit)
    for piece in pieces:
        channel.inbox.feed(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    return output, channel


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(5000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("It does not come true.")


def test_a_mark_in_two_pieces_is_found() -> None:
    async def go() -> None:
        output, channel = await _fed(b"abc<en")
        assert output.find(b"<end>") == -1
        channel.inbox.feed(b"d>rest")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert output.find(b"<end>") == 3
        assert (output.take(8), output.take()) == (b"abc<end>", b"rest")

    asyncio.run(go())


@pytest.mark.parametrize("piece", [100, 999, 5000])
def test_of_too_much_both_ends_stay_and_the_rest_is_counted(piece: int) -> None:
    async def go() -> None:
        data = b"".join(b"%07d\n" % number for number in range(2500))
        output, channel = await _fed()
        for at in range(0, len(data), piece):
            channel.inbox.feed(data[at : at + piece])
            await _until(lambda: not channel.inbox._data and len(output.data) <= 1000)
        kept = bytes(output.data)
        line = b"\n[... %d bytes left out ...]\n" % output.left_out_bytes
        assert line in kept
        assert len(kept) - len(line) + output.left_out_bytes == len(data)
        head, tail = kept.split(line)
        assert data.startswith(head)
        assert data.endswith(tail)
        assert min(len(head), len(tail)) >= 200
        assert len(kept) <= 1000

    asyncio.run(go())


def test_a_mark_behind_a_hole_is_found_although_it_was_searched_before() -> None:
    async def go() -> None:
        output, channel = await _fed(b"x" * 900)
        assert output.find(b"<end>") == -1
        channel.inbox.feed(b"y" * 3000)
        await _until(lambda: output.left_out_bytes > 0)
        channel.inbox.feed(b"<end>")
        for _ in range(3):
            await asyncio.sleep(0)
        at = output.find(b"<end>")
        assert output.data[at : at + 5] == b"<end>"

    asyncio.run(go())


def test_a_stream_that_is_paused_is_not_read() -> None:
    async def go() -> None:
        output, channel = await _fed(b"a")
        output.pause()
        for _ in range(3):
            channel.inbox.feed(b"b")
            await asyncio.sleep(0)
        read = bytes(output.data)
        assert len(read) < 4
        output.resume()
        for _ in range(5):
            await asyncio.sleep(0)
        assert bytes(output.data) == b"abbb"

    asyncio.run(go())


def test_what_is_released_keeps_its_end() -> None:
    async def go() -> None:
        output, _ = await _fed(b"x" * 500 + b"the end")
        output.release(7)
        assert bytes(output.data) == b"\n[... 500 bytes left out ...]\nthe end"

    asyncio.run(go())


async def _news(notifier: Notifier) -> None:
    async with asyncio.timeout(5):
        await notifier.wait()


def test_what_is_taken_is_gone_and_the_rest_is_found() -> None:
    async def look() -> None:
        channel, notifier = FakeChannel(), Notifier()
        output = PendingOutput(channel, notifier)
        channel.inbox.feed(b"one two one")
        await _news(notifier)
        assert output.find(b"none") == -1
        assert output.take(4) == b"one "
        assert output.find(b"one") == 4
        assert output.take() == b"two one"
        assert output.take() == b""

    asyncio.run(look())


def test_all_who_wait_are_woken_and_one_that_gave_up_harms_nobody() -> None:
    async def look() -> None:
        notifier = Notifier()
        waiting = [asyncio.create_task(notifier.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        notifier.notify()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [type(None), asyncio.CancelledError, type(None)]

    asyncio.run(look())


def test_the_end_wakes_those_who_wait_and_what_came_before_stays() -> None:
    async def look() -> None:
        channel, notifier = FakeChannel(), Notifier()
        output = PendingOutput(channel, notifier)
        channel.inbox.feed(b"last words")
        await _news(notifier)
        assert output.ended is None
        await channel.close()
        await _news(notifier)
        assert isinstance(output.ended, EndOfStream)
        assert output.take() == b"last words"

    asyncio.run(look())


def test_without_a_channel_it_has_ended_from_the_beginning() -> None:
    output = PendingOutput(None, Notifier())
    assert isinstance(output.ended, EndOfStream)
    output.stop()


def test_one_that_is_stopped_says_so() -> None:
    async def look() -> None:
        notifier = Notifier()
        output = PendingOutput(FakeChannel(), notifier)
        await asyncio.sleep(0)
        output.stop()
        await _news(notifier)
        assert output.ended is not None
        assert output.ended.lost == "reading was stopped"

    asyncio.run(look())
