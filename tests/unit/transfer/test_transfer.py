"""One call that moves files: what it counts, when it is stalled, and how it names a failure."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.transfers import Progress
from OttoLibrary.errors import TransferError, UsageError
from OttoLibrary.transfer.transfer import ByteCount, check_paths, guarded, system_message


class FakeHost:
    """A host that has a name."""

    name, path = "box", ("box",)


def test_bytes_are_counted_and_the_end_is_reported() -> None:
    news: list[Progress] = []
    moved = ByteCount(news.append, "a → b", 10)
    moved.begin(4)
    moved.add(3)
    moved.add(3)
    moved.end()
    assert moved.count == 6
    assert news[-1] == Progress("a → b", 10, 10, ended=True)


def test_work_that_moves_nothing_is_ended() -> None:
    async def stalls() -> None:
        moved = ByteCount(lambda news: None, "", 10)
        async with guarded(FakeHost(), "did not take it", moved, 0.01):  # type: ignore[arg-type]
            moved.add(3)
            await asyncio.Event().wait()

    with pytest.raises(TransferError, match=r"did not take it: no byte moved for 0\.01 seconds, after 3 B of 10 B"):
        asyncio.run(stalls())


def test_a_time_out_of_the_work_itself_is_no_stall() -> None:
    async def fails() -> None:
        async with ByteCount(lambda news: None, "", 0).watched(60):
            raise TimeoutError("of something else")

    with pytest.raises(TimeoutError, match="of something else"):
        asyncio.run(fails())


@pytest.mark.parametrize(("source", "target"), [("", "b"), ("a", "")])
def test_an_empty_path_is_a_variable_that_was_never_set(source: str, target: str) -> None:
    with pytest.raises(UsageError, match="is empty"):
        check_paths(source, target)


def test_the_message_of_the_system() -> None:
    assert system_message(OSError(13, "Permission denied", "/a")) == "Permission denied ('/a')"
    assert system_message(OSError(28, "No space left on device", "/a")) == "No space left on device on this machine ('/a')"
    assert system_message(OSError("anything")) == "anything"
