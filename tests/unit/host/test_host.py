"""A host: shells by name, reconnecting, errors with the host's name."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.connections import Expected, Record
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import CommandError, ConnectError, NotOpenError, UsageError
from tests.unit.fakes import FakeConnection, FakeShell
from tests.unit.host.hosts import make_host


def test_a_command_runs_in_a_shell_that_is_kept() -> None:
    async def go() -> None:
        connection = FakeConnection(lambda command: FakeShell(b"out\n", b"", 0))
        journal: list[Record] = []
        host = make_host(connection, journal=journal.append)
        assert [(await host.run("one")).stdout, (await host.run("two")).stdout] == ["out\n", "out\n"]
        assert len(connection.commands) == 1
        assert [record.text for record in journal] == ["one", "two"]
        await host.close()

    asyncio.run(go())


def test_a_wrong_status_is_an_error_unless_any_will_do() -> None:
    async def go() -> None:
        host = make_host(FakeConnection(lambda command: FakeShell(rc=3)))
        with pytest.raises(CommandError, match="Host 'box': command 'work' exited with 3, expected 0"):
            await host.run("work")
        assert (await host.run("work", expected=Expected(()))).rc == 3
        await host.close()

    asyncio.run(go())


def test_a_lost_connection_is_replaced_at_the_next_use_and_noted() -> None:
    async def go() -> None:
        first, second = (FakeConnection(lambda command: FakeShell(b"here\n")) for _ in range(2))
        journal: list[Record] = []
        host = make_host(first, second, journal=journal.append)
        await host.run("one")
        first.lost = "the cable was cut"
        assert not host.connection.is_open
        assert (await host.run("two")).stdout == "here\n"
        assert journal[1].notes == ("The connection was lost (the cable was cut); this is a new one, with new shells.",)
        assert len(second.commands) == 1
        await host.close()

    asyncio.run(go())


def test_a_host_that_cannot_be_reached_is_tried_again_at_the_next_use() -> None:
    async def go() -> None:
        host = make_host(ConnectError("box", ("box",), "no route"), FakeConnection(lambda command: FakeShell(b"x")))
        with pytest.raises(ConnectError, match="no route"):
            await host.run("one")
        assert (await host.run("one")).stdout == "x"
        await host.close()

    asyncio.run(go())


def test_extra_shells_are_opened_and_closed_by_name() -> None:
    async def go() -> None:
        connection = FakeConnection(lambda command: FakeShell())
        host = make_host(connection)
        with pytest.raises(NotOpenError, match=r"no open shell 'log'\. Open: none"):
            await host.run("one", shell="log")
        assert connection.commands == []
        await host.open_shell("log", Deadline(5))
        await host.run("one", shell="log")
        assert (host.shells, len(connection.commands)) == (["log"], 1)
        with pytest.raises(UsageError, match="has a shell 'log' already"):
            await host.open_shell("log", Deadline(5))
        await host.close_shell("log")
        assert host.shells == []
        with pytest.raises(NotOpenError):
            await host.close_shell("log")
        await host.close()

    asyncio.run(go())


@pytest.mark.parametrize(("command", "why"), [("", "is empty"), ("  \n", "is empty"), ("a\0b", "cannot contain NUL")])
def test_a_command_that_cannot_run_is_refused_before_anything_is_opened(command: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        asyncio.run(make_host().run(command))
