"""Channels made of other things."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.transport.channels import ProcessChannel, ResumedChannel
from OttoLibrary.transport.receive_buffer import ReceiveBuffer
from tests.unit.fakes import FakeChannel


def test_a_beginning_is_read_first_in_any_pieces() -> None:
    async def go() -> None:
        channel = FakeChannel()
        channel.inbox.feed(b"rest")
        channel.inbox.end()
        resumed = ResumedChannel(channel, b"begun ")
        assert [await resumed.read(4), await resumed.read(4), await resumed.read(9)] == [b"begu", b"n ", b"rest"]
        with pytest.raises(EndOfStream):
            await resumed.read(1)

    asyncio.run(go())


def test_a_wrapped_channel_writes_and_closes_the_one_inside() -> None:
    async def go() -> None:
        channel = FakeChannel()
        resumed = ResumedChannel(channel, b"")
        await resumed.write(b"typed")
        assert channel.written == b"typed"
        await resumed.close()
        assert channel.closed
        assert resumed.closed

    asyncio.run(go())


def test_a_stream_of_a_process_reads_its_own_and_writes_to_the_process() -> None:
    async def go() -> None:
        process, errors = FakeChannel(), ReceiveBuffer()
        channel = ProcessChannel(process, errors, "standard error")
        errors.feed(b"oh")
        await channel.write(b"in")
        assert (await channel.read(9), process.written, channel.describe()) == (b"oh", b"in", "standard error")
        errors.end()
        assert channel.closed
        assert not process.closed

    asyncio.run(go())
