"""Commands in the background: their end, their time, their output."""

from __future__ import annotations

import asyncio
import re

import pytest

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, WaitTimeoutError
from OttoLibrary.host.background import BackgroundCommand
from OttoLibrary.host.records import HostRecords
from OttoLibrary.shell import launch
from tests.unit.fakes import FakeConnection, FakeProcess


async def _started() -> tuple[BackgroundCommand, FakeProcess, FakeConnection]:
    processes: list[FakeProcess] = []

    def make(command: str) -> FakeProcess:
        processes.append(FakeProcess())
        if len(processes) > 1:  # what stops the first
            processes[-1].exit(0)
            processes[0].exit(143)
        return processes[-1]

    connection = FakeConnection(make)
    launched = await launch.start(connection, "work", private=":")
    records = HostRecords("box", ("box",), lambda record: None)
    return BackgroundCommand(records, "work", launched, connection, None), processes[0], connection


def test_it_is_waited_for_and_gives_its_output() -> None:
    async def go() -> None:
        command, process, _ = await _started()
        process.channel.inbox.feed(b"out")
        process.errors.inbox.feed(b"err")
        process.exit(3)
        result = await command.wait(Deadline(5), Expected((3,)))
        assert (result.rc, result.stdout, result.stderr) == (3, "out", "err")

    asyncio.run(go())


def test_a_wait_that_ends_too_early_leaves_it_running() -> None:
    async def go() -> None:
        command, process, connection = await _started()
        process.channel.inbox.feed(b"so far")
        with pytest.raises(WaitTimeoutError, match=r"did not finish 'work' in 0\.01 seconds") as caught:
            await command.wait(Deadline(0.01), Expected())
        assert caught.value.last_output == "so far"
        assert (process.closed, len(connection.commands)) == (0, 1)
        await command.stop()

    asyncio.run(go())


def test_what_must_finish_is_ended_past_its_time_and_only_once() -> None:
    async def go() -> None:
        command, process, connection = await _started()
        process.channel.inbox.feed(b"part")
        outcome = await command.finish(Deadline(0.01))
        assert (outcome.status, outcome.stdout) == (None, b"part")
        assert "PID=4711" in connection.commands[1]
        await command.stop()
        assert len(connection.commands) == 2
        assert process.closed

    asyncio.run(go())


def test_questions_are_answered_until_it_ends() -> None:
    async def go() -> None:
        command, process, _ = await _started()

        def answered(data: bytes) -> None:
            process.channel.inbox.feed(b"fine")
            process.exit(0)

        process.channel._on_write = answered
        process.channel.inbox.feed(b"Name? ")
        outcome = await command.answer({re.compile(r"Name\? "): "otto"}, Deadline(5))
        assert (outcome.stdout, outcome.status and outcome.status.rc) == (b"Name? fine", 0)
        assert process.channel.written == b":otto\n"

    asyncio.run(go())


def test_questions_without_an_end_take_bounded_memory() -> None:
    async def go() -> None:
        command, process, _ = await _started()
        rounds = 40

        def answered(data: bytes) -> None:
            nonlocal rounds
            rounds -= 1
            process.channel.inbox.feed(b"x" * (1 << 19) + b"\nSure? " if rounds else b"end")
            if not rounds:
                process.exit(0)

        process.channel._on_write = answered
        process.channel.inbox.feed(b"begin, sure? ")
        outcome = await command.answer({re.compile(r"(?i)sure\? "): "y"}, Deadline(60))
        assert outcome.stdout.startswith(b"begin")
        assert outcome.stdout.endswith(b"end")
        assert len(outcome.stdout) < 9 << 20 < outcome.left_out_bytes

    asyncio.run(go())


def test_a_line_that_comes_in_parts_is_found_once_it_is_whole() -> None:
    async def go() -> None:
        command, process, _ = await _started()
        found = asyncio.create_task(command.wait_for_line(re.compile("^ready on ([0-9]+)$"), Deadline(30)))
        for part in (b"not ready on 1\r\nrea", b"dy on ", b"8080\r\nmore"):
            process.channel.inbox.feed(part)
            await asyncio.sleep(0)
        match = await found
        assert (match.text, match.groups, match.before) == ("ready on 8080", ("8080",), "")
        await command.stop()

    asyncio.run(go())


def test_a_line_on_standard_error_and_one_printed_before_count() -> None:
    async def go() -> None:
        command, process, _ = await _started()
        process.errors.inbox.feed(b"warning: low\n")
        assert (await command.wait_for_line(re.compile("low"), Deadline(30))).before == "warning: "
        assert (await command.wait_for_line(re.compile("low"), Deadline(30))).text == "low"
        with pytest.raises(WaitTimeoutError, match="It still runs"):
            await command.wait_for_line(re.compile("high"), Deadline(0.01))
        await command.check_running()
        await command.stop()

    asyncio.run(go())


def test_one_that_has_ended_says_how() -> None:
    async def go() -> None:
        command, process, _ = await _started()
        assert await command.status_if_ended() is None
        process.channel.inbox.feed(b"gave up\n")
        process.exit(7)
        with pytest.raises(
            HostError, match=r"exited with 7 before it printed a line that matches 'up!'\.\nLast output:\ngave up"
        ):
            await command.wait_for_line(re.compile("up!"), Deadline(30))
        with pytest.raises(HostError, match=r"command 'work' exited with 7 already"):
            await command.check_running()

    asyncio.run(go())
