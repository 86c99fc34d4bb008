"""What runs processes side by side: shells that are closed by age, users, and what ends when a caller gives up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, LoginError
from OttoLibrary.host.process_runner import _POSIX_LOGIN, NamedShell, ProcessRunner
from OttoLibrary.shell.launch import Account
from tests.unit.fakes import FakeConnection, FakeProcess, FakeShell
from tests.unit.host.hosts import make_host


class Opened:
    """A shell, or what began it; notes that it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


def _named(command_began: float, console_began: float) -> tuple[NamedShell, Any, Any, Any]:
    command, console, launched = Opened(), Opened(), Opened()
    turn: Any = None
    named = NamedShell(turn, turn, cwd="/was", command_began=command_began, console_began=console_began)
    named.command, named.console, named.launched = command, console, launched  # type: ignore[assignment]
    return named, command, console, launched


@pytest.mark.parametrize(("began", "command_closed", "console_closed"), [(5.0, 0, 1), (10.0, 0, 1), (3.0, 1, 1), (11.0, 0, 0)])
def test_only_what_is_young_enough_is_closed(began: float, command_closed: int, console_closed: int) -> None:
    async def go() -> None:
        named, command, console, launched = _named(3.0, 10.0)
        assert await named.close_since(began) == bool(command_closed or console_closed)
        assert (command.closed, console.closed, launched.closed) == (command_closed, console_closed, console_closed)
        assert named.cwd == (None if command_closed else "/was")

    asyncio.run(go())


def test_a_shell_that_is_closed_twice_is_closed_once() -> None:
    async def go() -> None:
        named, command, console, launched = _named(1.0, 1.0)
        await named.close()
        await named.close()
        assert (command.closed, console.closed, launched.closed, named.cwd) == (1, 1, 1, None)

    asyncio.run(go())


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "ksh93", "busybox"])
def test_posix_login_shells_run_commands_themselves(shell: str) -> None:
    assert _POSIX_LOGIN.fullmatch(shell)


@pytest.mark.parametrize("shell", ["", "fish", "csh", "tcsh", "nologin", "rbash", "python3", "git-shell", "pwsh"])
def test_other_login_shells_do_not(shell: str) -> None:
    assert not _POSIX_LOGIN.fullmatch(shell)


def test_names_are_shells_of_their_own_and_a_closed_one_is_opened_anew() -> None:
    async def go() -> None:
        connection = FakeConnection(lambda command: FakeShell(b"out"))
        host = make_host(connection)
        await host.run("one")
        await host.open_shell("other", Deadline(60))
        await host.run("two", shell="other")
        await host.run("three", shell="other")
        assert len(connection.commands) == 2
        await host.close_shell("other")
        await host.run("four")
        assert len(connection.commands) == 2
        await host.open_shell("other", Deadline(60))
        assert len(connection.commands) == 3
        await host.close()

    asyncio.run(go())


def _runner(*connections: Any, **facts: Any) -> tuple[ProcessRunner, Any]:
    host = make_host(*connections, **facts)
    return ProcessRunner(host._records, host.connection), host


def test_a_user_who_is_refused_leaves_all_as_it_was() -> None:
    async def go() -> None:
        def made(command: str) -> Any:
            if "sudo" not in command and "su " not in command:
                return FakeShell(b"/home\n")
            process = FakeProcess()
            process.errors.inbox.feed(b"su: Authentication failure\n")
            process.exit(1)
            return process

        connection = FakeConnection(made)
        runner, host = _runner(connection)
        async with runner.shell("", Deadline(60)) as shell:
            before = shell
        with pytest.raises((LoginError, HostError)):
            await runner.switch_user(Account("eve"), Deadline(60))
        assert runner.account is None
        async with runner.shell("", Deadline(60)) as shell:
            assert shell is before
        await runner.close()
        await host.close()

    asyncio.run(go())


class SlowConnection(FakeConnection):
    """A connection that starts a process when the test says so."""

    def __init__(self, process: FakeProcess) -> None:
        super().__init__(lambda command: process)
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def execute(self, command: str, terminal: object = None, *, login_shell: bool = False) -> Any:
        self.asked.set()
        await self.go_on.wait()
        return await super().execute(command, terminal, login_shell=login_shell)


def test_a_process_that_starts_after_its_caller_gave_up_is_closed() -> None:
    async def go() -> None:
        process = FakeProcess()
        connection = SlowConnection(process)
        runner, host = _runner(connection)
        starting = asyncio.create_task(runner.answer_of("work", Deadline(60)))
        await asyncio.wait_for(connection.asked.wait(), 30)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        # Nothing else can be asked of the host any more.
        connection.lost = "the cable was cut"
        connection.go_on.set()
        await runner.close()
        assert process.closed
        await host.close()

    asyncio.run(go())
