"""Starting processes: the first line, login noise, users, private text."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.shell import launch
from OttoLibrary.shell.launch import Account, Launched, ProcessId, UserChangeRefusedError
from OttoLibrary.text import Secret
from tests.unit.fakes import FakeConnection, FakeProcess


@pytest.mark.parametrize("pieces", [1, 5, 1000])
def test_login_noise_is_taken_off_and_the_process_id_is_known(pieces: int) -> None:
    async def go() -> None:
        process = FakeProcess()
        launched = Launched.listening(process, "abc")
        data = b"Welcome!\n@ab @abc:4711\nfirst\n"
        for at in range(0, len(data), pieces):
            assert launched.pid is None
            process.channel.inbox.feed(data[at : at + pieces])
            process.errors.inbox.feed(b"noise\n@abc\nerr"[at : at + pieces])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if launched.find_pid():
                break
        assert launched.pid == ProcessId(4711)
        assert not launched.output.data.startswith(b"Welcome")

    asyncio.run(go())


def test_a_process_that_is_handed_over_is_ended_when_it_is_closed_before_its_end() -> None:
    async def go(ends: bool) -> list[int]:
        process = FakeProcess()
        stopped: list[int] = []
        launched = Launched.listening(process, "abc")
        process.channel.inbox.feed(b"@abc:4711\nfirst")

        async def stop(pid: ProcessId) -> None:
            stopped.append(pid.number)

        handed = await launched.hand_over(stop)
        assert await handed.channel.read(100) == b"first"
        if ends:
            process.exit(0)
            assert (await handed.wait()).rc == 0
        await handed.close()
        assert process.closed
        return stopped

    assert asyncio.run(go(ends=False)) == [4711]
    assert asyncio.run(go(ends=True)) == []


def test_a_process_that_never_began_is_told_with_its_last_words() -> None:
    async def go() -> None:
        process = FakeProcess()
        launched = Launched.listening(process, "abc")
        process.errors.inbox.feed(b"This account is not available.\n")
        process.exit(1)

        async def stop(pid: ProcessId) -> None:
            raise AssertionError

        with pytest.raises(EndOfStream, match="This account is not available"):
            await launched.hand_over(stop)

    asyncio.run(go())


def test_a_user_change_without_a_password_is_refused_when_one_is_asked_for() -> None:
    async def go() -> None:
        process = FakeProcess()
        connection = FakeConnection(lambda command: process)
        process.errors.inbox.feed(b"password for otto: ")
        with pytest.raises(UserChangeRefusedError, match="the lab's 'accounts' has none"):
            await launch.start(_Silent(connection), "work", account=Account("root"))
        assert process.closed

    asyncio.run(go())


def test_a_password_goes_through_standard_input_only() -> None:
    async def go() -> None:
        process = FakeProcess()
        connection = _Silent(FakeConnection(lambda command: process))
        process.channel._on_write = lambda data: process.exit(1)
        process.errors.inbox.feed(b"password abc: ")
        with pytest.raises(UserChangeRefusedError):
            await launch.start(connection, "work", account=Account("root", "sudo", Secret("hush")))
        assert process.channel.written == b"hush\n"
        assert "hush" not in connection.commands[0]

    asyncio.run(go())


class _Silent:
    """A connection whose processes do not tell their ids."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection, self.commands = connection, connection.commands

    async def execute(self, command: str, terminal: object = None, *, login_shell: bool = False) -> FakeProcess:
        process: FakeProcess = await self._connection.execute(command.replace(":$$", ""), terminal)
        return process


@pytest.mark.parametrize("path", ["/tmp", "/a folder/with 'quotes'"])
def test_a_prelude_exports_and_changes_the_folder(path: str) -> None:
    text = launch.prelude({"A": "it's", "B": "x y"}, path)
    assert text.startswith("export A='it'\"'\"'s' && export B='x y' && cd -- ")
    assert launch.prelude({}, None) == ""


def test_the_stop_script_is_a_shell_script() -> None:
    for text in (launch.stop_script(ProcessId(4711)), launch.stop_script(None, ("abc.1", [5, 6]))):
        subprocess.run(["sh", "-n"], input=text.encode(), check=True)
