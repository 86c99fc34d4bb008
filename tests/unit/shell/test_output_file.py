"""The whole of a long output, in a file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from OttoLibrary import masking
from OttoLibrary.masking import Masker
from OttoLibrary.shell.output_file import OutputFile, OutputLimits
from OttoLibrary.shell.pending_output import Notifier, PendingOutput
from tests.unit.fakes import FakeChannel


@pytest.fixture
def masker(monkeypatch: pytest.MonkeyPatch) -> Masker:
    """A masker of the test's own in the place of the one of the process."""
    masker = Masker()
    monkeypatch.setattr(masking, "_process", masker)
    return masker


def _written(folder: Path, pieces: list[bytes], limit: int = 1 << 30) -> tuple[OutputFile, bytes]:
    async def go() -> OutputFile:
        file = OutputFile(folder, "dut1-stdout", limit, pytest.fail)
        for piece in pieces:
            file.add(piece)
        file.add(b"", last=True)
        await file.ended()
        return file

    file = asyncio.run(go())
    return file, file.path.read_bytes()


def test_bytes_come_out_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    pieces = [b"%06d\n" % number for number in range(300)]
    file, content = _written(tmp_path, pieces)
    assert content == b"".join(pieces)
    assert file.is_whole


def test_what_is_no_text_stays_as_it_is(tmp_path: Path, masker: Masker) -> None:
    masker.add("hunter22")
    data = bytes(range(256)) * 20 + "für".encode()
    _, content = _written(tmp_path, [data[:777], data[777:-2], data[-2:]])
    assert content == data


def test_a_name_is_never_taken_twice_and_is_one_that_no_browser_runs(tmp_path: Path) -> None:
    names = [_written(tmp_path, [b"x"])[0].path.name for _ in range(3)]
    assert names == ["dut1-stdout-1.txt", "dut1-stdout-2.txt", "dut1-stdout-3.txt"]


@pytest.mark.parametrize("at", range(1, 9))
def test_a_secret_in_two_pieces_is_hidden(tmp_path: Path, masker: Masker, at: int) -> None:
    masker.add("hunter22")
    _, content = _written(tmp_path, [b"x" * 5000 + b"hunter22"[:at], b"hunter22"[at:] + b"y" * 5000])
    assert content == b"x" * 5000 + b"<secret>" + b"y" * 5000


def test_a_secret_wherever_it_is_does_not_show(tmp_path: Path, masker: Masker) -> None:
    masker.add("hunter22", "a b")
    data = (b"." * 400 + b"hunter22" + b"," * 111 + b"a b ") * 50
    _, content = _written(tmp_path, [data[at : at + 97] for at in range(0, len(data), 97)])
    assert b"hunter22" not in content
    assert content.count(b"<secret>") == 100


def test_at_its_limit_it_says_so_and_ends(tmp_path: Path) -> None:
    file, content = _written(tmp_path, [b"a" * 600, b"b" * 600, b"c" * 600], limit=1000)
    assert content == b"a" * 600 + b"b" * 400 + b"\n[... the file ends here: it has 1000 B, its limit ...]\n"
    assert not file.is_whole


def test_no_room_is_a_sentence_and_no_error() -> None:
    warnings: list[str] = []
    limits = OutputLimits(folder=lambda: Path("/proc/no/folder"), warn=warnings.append)
    assert limits.new_file("dut1", "stdout") is None
    assert "Long output of host 'dut1' is not kept in a file" in warnings[0]


def test_a_limit_of_nothing_makes_no_file(tmp_path: Path) -> None:
    assert OutputLimits(file_bytes=0, folder=lambda: tmp_path).new_file("dut1", "stdout") is None
    assert list(tmp_path.iterdir()) == []


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("taken", [0, 3])
def test_all_that_a_stream_left_out_is_in_its_file(tmp_path: Path, taken: int) -> None:
    data = b"".join(b"%07d\n" % number for number in range(2500))

    async def go() -> bytes:
        channel = FakeChannel()
        output = PendingOutput(channel, Notifier(), 1000)
        output.keep_whole(lambda: OutputLimits(folder=lambda: tmp_path).new_file("dut1", "stdout"))
        for at in range(0, len(data), 700):
            channel.inbox.feed(data[at : at + 700])
            await _until(lambda: not channel.inbox._data and len(output.data) <= 1000)
        # What was taken by somebody is in the file too.
        output.take(taken)
        file = output.end_file(len(output.data) - 8)
        assert file is not None
        await file.ended()
        output.stop()
        return file.path.read_bytes()

    assert asyncio.run(go()) == data[:-8]


def test_a_stream_that_fits_makes_no_file(tmp_path: Path) -> None:
    async def go() -> None:
        channel = FakeChannel()
        output = PendingOutput(channel, Notifier(), 1000)
        output.keep_whole(lambda: pytest.fail("a file was asked for"))
        channel.inbox.feed(b"x" * 1000)
        await _until(lambda: len(output.data) == 1000)
        assert output.end_file() is None
        output.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    asyncio.run(go())
