"""Bytes that wait for their reader, and a sender that is held back."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.transport.receive_buffer import FlowControl, ReceiveBuffer

MIB = 1 << 20


def test_bytes_come_in_order_and_the_end_after_them() -> None:
    async def go() -> None:
        buffer = ReceiveBuffer()
        buffer.feed(b"abc")
        buffer.feed(b"de")
        buffer.end("the cable was cut")
        assert [await buffer.read(4), await buffer.read(4)] == [b"abcd", b"e"]
        with pytest.raises(EndOfStream, match="the cable was cut"):
            await buffer.read(1)

    asyncio.run(go())


def test_a_reader_waits_for_the_first_byte() -> None:
    async def go() -> None:
        buffer = ReceiveBuffer()
        reading = asyncio.ensure_future(buffer.read(10))
        await asyncio.sleep(0)
        assert not reading.done()
        buffer.feed(b"x")
        assert await reading == b"x"

    asyncio.run(go())


def test_a_sender_is_held_back_until_most_is_read() -> None:
    async def go() -> None:
        calls: list[str] = []
        flow = FlowControl(lambda: calls.append("pause"), lambda: calls.append("resume"))
        one, other = ReceiveBuffer(flow), ReceiveBuffer(flow)
        one.feed(bytes(3 * MIB))
        assert calls == []
        other.feed(bytes(2 * MIB))
        one.feed(b"more")
        assert calls == ["pause"]
        await one.read(10 * MIB)
        assert calls == ["pause"]
        await other.read(10 * MIB)
        assert calls == ["pause", "resume"]

    asyncio.run(go())
