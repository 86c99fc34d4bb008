"""What runs commands on lines: where there is one line only, who may have it, and what is hung up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, ConnectionLostError, UsageError
from OttoLibrary.host.line_runner import LineRunner, LineSlot
from OttoLibrary.shell.launch import Account
from tests.unit.fakes import FakeChannel, FakeConnection, FakeProcess, FakeTransport
from tests.unit.host.hosts import make_host


class LineConnection(FakeConnection):
    """A connection of lines without a shell behind them.

    Attributes:
        lines: The lines that were opened, in order.
    """

    def __init__(self, *, line_limit: int = 1, logs_in: bool = False) -> None:
        super().__init__(lambda command: None)
        self.line_limit, self.logs_in = line_limit, logs_in
        self.lines: list[FakeChannel] = []

    async def open_line(self) -> FakeChannel:
        if self.lost is not None:
            raise EndOfStream(self.lost)
        self.lines.append(FakeChannel())
        return self.lines[-1]


async def _opened(connection: LineConnection) -> tuple[LineRunner, Any]:
    host = make_host(connection)
    runner = LineRunner(host._records, host.connection, lambda name: None)
    host._opened = runner
    await host.connection.open(Deadline(60))
    return runner, host


def test_the_main_line_is_open_from_the_first_moment_on_and_opened_once() -> None:
    async def go() -> None:
        connection = LineConnection()
        runner, host = await _opened(connection)
        assert len(connection.lines) == 1
        async with runner.console("", Deadline(60)) as console:
            first = console
        async with runner.console("", Deadline(60)) as console:
            assert console is first
        assert len(connection.lines) == 1
        await host.close()
        assert connection.lines[0].closed

    asyncio.run(go())


def test_a_line_that_has_ended_is_replaced() -> None:
    async def go() -> None:
        connection = LineConnection()
        runner, host = await _opened(connection)
        await runner.drop_console("")
        assert connection.lines[0].closed
        async with runner.console("", Deadline(60)):
            assert len(connection.lines) == 2
            assert not connection.lines[1].closed
        await host.close()

    asyncio.run(go())


def test_what_needs_a_second_line_is_refused_where_there_is_one() -> None:
    async def go() -> None:
        connection = LineConnection()
        runner, host = await _opened(connection)
        with pytest.raises(UsageError, match="Host 'box' has one line only, its fake"):
            async with runner.one_shot(Deadline(60)):
                pass
        with pytest.raises(UsageError, match="has one line only"):
            async with runner.console("other", Deadline(60)):
                pass
        with pytest.raises(UsageError, match="has one line only"):
            await runner.start("work", "/tmp", Deadline(60))
        assert len(connection.lines) == 1
        assert not connection.lines[0].closed
        await host.close()

    asyncio.run(go())


def test_the_user_of_a_line_cannot_be_switched() -> None:
    async def go() -> None:
        runner, host = await _opened(LineConnection())
        with pytest.raises(UsageError, match="cannot switch its user, because it is reached over a line"):
            await runner.switch_user(Account("root"), Deadline(60))
        assert runner.account is None
        await host.close()

    asyncio.run(go())


def test_a_line_is_asked_between_commands_only_when_a_shell_rests_on_it() -> None:
    async def go() -> None:
        runner, host = await _opened(LineConnection())
        assert await runner.between_commands("uptime", Deadline(60)) is None
        async with runner.console("", Deadline(60)):
            assert await runner.between_commands("uptime", Deadline(60)) is None
        await host.close()

    asyncio.run(go())


def test_a_connection_that_ends_before_it_gives_a_line_is_told_as_lost() -> None:
    async def go() -> None:
        connection = LineConnection()
        runner, host = await _opened(connection)
        await runner.drop_console("")
        connection.open_line = _no_line  # type: ignore[method-assign]
        with pytest.raises(ConnectionLostError, match="Host 'box'"):
            async with runner.console("", Deadline(60)):
                pass
        await host.close()

    asyncio.run(go())


async def _no_line() -> FakeChannel:
    raise EndOfStream("the cable was cut")


def test_a_line_stays_free_when_its_user_fails() -> None:
    async def go() -> None:
        runner, host = await _opened(LineConnection())
        with pytest.raises(ValueError, match="a mistake"):
            async with runner.console("", Deadline(60)):
                raise ValueError("a mistake")
        async with runner.console("", Deadline(30)):
            pass
        await host.close()

    asyncio.run(go())


def test_a_command_whose_connection_is_lost_at_its_start_gives_the_line_back() -> None:
    async def go() -> None:
        connection = LineConnection()
        runner, host = await _opened(connection)
        FakeTransport.ready[:] = [ConnectError("box", ("box",), "no route")]
        connection.lost = "the cable was cut"
        process: Any = FakeProcess()
        with pytest.raises(ConnectError, match="no route"):
            await runner._background("work", process, Deadline(60))
        assert process.closed
        await host.close()

    asyncio.run(go())


class Shell:
    """A shell on a line."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(("logs_in", "closed"), [(True, [0, 1]), (False, [0, 0])])
def test_only_young_shells_are_logged_out_and_none_where_others_log_in(logs_in: bool, closed: list[int]) -> None:
    async def go() -> None:
        runner, host = await _opened(LineConnection(line_limit=4, logs_in=logs_in))
        old, young = Shell(), Shell()
        for name, shell, began in (("", old, 5.0), ("other", young, 10.0)):
            slot: Any = runner._slot(name)
            slot.shell, slot.shell_began = shell, began
        assert await runner.close_since(10.0) == logs_in
        assert [old.closed, young.closed] == closed
        assert not await runner.close_since(11.0)
        await host.close()

    asyncio.run(go())


def test_a_slot_is_hung_up_once() -> None:
    async def go() -> None:
        turn: Any = None
        shell, line = Shell(), Shell()
        slot = LineSlot(turn, line, shell)  # type: ignore[arg-type]
        await slot.close()
        await slot.close()
        assert (shell.closed, line.closed) == (1, 1)

    asyncio.run(go())
