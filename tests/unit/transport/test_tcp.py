"""A TCP connection as a byte stream: over a pair of connected sockets of this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.transport.tcp import TcpChannel, acknowledge


def between(work: Callable[[TcpChannel, socket.socket], Coroutine[Any, Any, None]]) -> None:
    async def talk() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        channel = TcpChannel(*await asyncio.open_connection(sock=ours))
        try:
            async with asyncio.timeout(10):
                await work(channel, theirs)
        finally:
            await channel.close()
            theirs.close()

    asyncio.run(talk())


def test_bytes_arrive_unchanged_both_ways() -> None:
    async def work(channel: TcpChannel, peer: socket.socket) -> None:
        data = bytes(range(256))
        await channel.write(data)
        assert await asyncio.get_running_loop().sock_recv(peer, 1000) == data
        peer.send(data)
        assert await channel.read(1000) == data

    between(work)


def test_at_most_so_much_is_read_and_the_rest_is_kept() -> None:
    async def work(channel: TcpChannel, peer: socket.socket) -> None:
        peer.send(b"abcdef")
        assert [await channel.read(1), await channel.read(2), await channel.read(100)] == [b"a", b"bc", b"def"]

    between(work)


def test_the_end_comes_after_all_that_was_sent_and_stays() -> None:
    async def work(channel: TcpChannel, peer: socket.socket) -> None:
        peer.send(b"bye")
        peer.close()
        assert await channel.read(100) == b"bye"
        for _ in range(2):
            with pytest.raises(EndOfStream):
                await channel.read(100)

    between(work)


def test_writing_to_a_peer_that_is_gone_ends_the_stream() -> None:
    async def work(channel: TcpChannel, peer: socket.socket) -> None:
        peer.close()
        with pytest.raises(EndOfStream):
            await asyncio.gather(*(channel.write(b"x" * 65536) for _ in range(10)))

    between(work)


def test_close_is_idempotent_and_ends_both_directions() -> None:
    async def work(channel: TcpChannel, peer: socket.socket) -> None:
        assert not channel.closed
        await channel.close()
        await channel.close()
        assert channel.closed
        with pytest.raises(EndOfStream):
            await channel.read(1)

    between(work)


def test_it_has_no_terminal_and_a_name() -> None:
    async def work(channel: TcpChannel, peer: socket.socket) -> None:
        await channel.resize(80, 24)
        assert channel.describe() == "tcp"

    between(work)


def test_a_socket_that_is_closed_already_is_not_acknowledged() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    acknowledge(ours, b"x")
