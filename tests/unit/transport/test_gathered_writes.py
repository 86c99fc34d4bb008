"""What is written in one go is sent in one go, in its order, and nothing is kept back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from OttoLibrary.transport.gathered_writes import GatheringTransport


class Sent:
    """A transport that notes what it is given; it breaks when the test says so."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise BrokenPipeError
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def get_extra_info(self, name: str) -> str:
        return name


def sent(use: Callable[[GatheringTransport, Sent], None]) -> list[bytes | str]:
    async def run() -> list[bytes | str]:
        there = Sent()
        use(GatheringTransport(there), there)
        await asyncio.sleep(0)
        return there.done

    return asyncio.run(run())


def test_small_writes_are_one() -> None:
    def use(transport: GatheringTransport, there: Sent) -> None:
        transport.write(b"a")
        transport.write(b"b")
        assert there.done == []

    assert sent(use) == [b"ab"]


def test_each_turn_of_the_loop_has_its_own() -> None:
    async def run() -> list[bytes | str]:
        there = Sent()
        transport = GatheringTransport(there)
        for data in (b"a", b"b"):
            transport.write(data)
            await asyncio.sleep(0)
        return there.done

    assert asyncio.run(run()) == [b"a", b"b"]


def test_a_large_one_goes_at_once_with_what_waited() -> None:
    def use(transport: GatheringTransport, there: Sent) -> None:
        transport.write(b"a")
        transport.write(b"b" * 5000)
        assert there.done == [b"a" + b"b" * 5000]
        transport.write(b"c")

    assert sent(use) == [b"a" + b"b" * 5000, b"c"]


def test_the_end_comes_behind_what_was_written() -> None:
    def close(transport: GatheringTransport, there: Sent) -> None:
        transport.write(b"a")
        transport.close()

    def abort(transport: GatheringTransport, there: Sent) -> None:
        transport.write(b"a")
        transport.abort()

    assert sent(close) == [b"a", "close"]
    assert sent(abort) == [b"a", "abort"]


def test_what_is_lost_disturbs_nobody() -> None:
    def use(transport: GatheringTransport, there: Sent) -> None:
        there.broken = True
        transport.write(b"a")
        assert transport.get_extra_info("peername") == "peername"

    assert sent(use) == []
