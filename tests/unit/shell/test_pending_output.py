"""What a channel has delivered and nobody has taken yet."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from tests.unit.fakes import FakeChannel


async def until(notifier: Notifier) -> None:
    async with asyncio.timeout(5):
        await notifier.wait()


def test_a_mark_in_two_pieces_is_found_where_it_begins() -> None:
    async def look() -> None:
        channel, notifier = FakeChannel(), Notifier()
        output = PendingOutput(channel, notifier)
        for piece, at in ((b"some @en", -1), (b"", -1), (b"d@ more", 5)):
            if piece:
                channel.inbox.feed(piece)
                await until(notifier)
            assert output.find(b"@end@") == at

    asyncio.run(look())


def test_what_is_taken_is_gone_and_the_rest_is_found() -> None:
    async def look() -> None:
        channel, notifier = FakeChannel(), Notifier()
        output = PendingOutput(channel, notifier)
        channel.inbox.feed(b"one two one")
        await until(notifier)
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
        await until(notifier)
        assert output.ended is None
        await channel.close()
        await until(notifier)
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
        await until(notifier)
        assert output.ended is not None
        assert output.ended.lost == "reading was stopped"

    asyncio.run(look())


@pytest.mark.parametrize("keep", [4, 0])
def test_what_is_left_out_is_counted_where_it_was(keep: int) -> None:
    async def look() -> None:
        channel, notifier = FakeChannel(), Notifier()
        output = PendingOutput(channel, notifier)
        channel.inbox.feed(b"0123456789")
        await until(notifier)
        output.release(keep)
        assert output.data == b"\n[... %d bytes left out ...]\n" % (10 - keep) + b"0123456789"[10 - keep :]
        assert output.left_out_bytes == 10 - keep
        output.release(10_000)
        assert output.left_out_bytes == 10 - keep

    asyncio.run(look())
