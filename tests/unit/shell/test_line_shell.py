"""A shell on a line: any output in any pieces comes back exactly."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.profiles import linux
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.command_shell import CommandOutcome, exit_status
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.line_shell import LineProcess, LineShell, NoTerminalControlError
from OttoLibrary.transport.login import Prompts
from tests.unit.fakes import FakeChannel

TTY = b"500:5:bf:8a3b:3:1c:7f:15:4:0:1:0"
_NOISE = st.binary(max_size=200) | st.lists(
    st.sampled_from([b"\x1e@", b"!\n", b":0::022\n@\n", b"\r", b"\n", b"@", b"\xff", b"\x00", b"\x1e@abcd", b"\x1e"])
).map(b"".join)


class FakeTerminal:
    """A channel that plays a shell on a terminal: it echoes what is typed and answers each command with given bytes."""

    def __init__(self, stdout: bytes = b"", stderr: bytes = b"", rc: int = 0, pieces: int = 1 << 20) -> None:
        self.channel = FakeChannel(self._written)
        self.stdout, self.stderr, self.rc, self.pieces = stdout, stderr, rc, pieces
        self.settings: bytes | None = TTY
        self.setup = b"bash@4711@/tmp/.otto\n4711 (bash) S 1 4711 4711 34816 4711 0 0 0 0 0 0 0 0 0 20 0 1 0 5000 0\n"
        self.ends = True
        self._wanted, self._payload, self._tag = 0, b"", b""
        self._ready = False

    def say(self, data: bytes) -> None:
        for start in range(0, len(data), self.pieces):
            self.channel.inbox.feed(data[start : start + self.pieces])

    def _written(self, data: bytes) -> None:
        if self._wanted:
            self._payload += data
            self._wanted -= len(data)
            if not self._wanted:
                self._run()
            return
        tag = re.search(rb'(\w{4})""(\w{4}\.\d+)', data)
        if tag is None:
            return
        self._tag = tag[1] + tag[2]
        self.say(data.removeprefix(b"\x15").rstrip(b"\n") + b"\r\n")
        if b"stty -g" in data:
            settings = b"0022\r\n%b\r\n" % self.settings if self.settings else b"sh: stty: not found\r\n"
            self.say(settings + b"\r@%b:4711 @\r\n# " % self._tag)
        else:
            self._wanted, self._payload = int(re.search(rb"head -c (\d+)", data)[1]), b""  # type: ignore[index]
            self.say(b"\r@%b?@" % self._tag)

    def _run(self) -> None:
        setup = b"__otto_end()" in self._payload
        stdout, stderr, rc = (self.setup, b"", 0) if setup else (self.stdout, self.stderr, self.rc)
        self.say(b"+ noise\n@%b<\n" % self._tag + stdout)
        if setup or self.ends:
            self.say(b"\x1e@%b!\n%b\x1e@%b:%d::0022\r\n@\r\n# " % (self._tag, stderr, self._tag, rc))


async def _shell(terminal: FakeTerminal) -> LineShell:
    shell = LineShell(Line(terminal.channel, Prompts(linux())), None)
    await shell.begin("")
    return shell


async def _run(terminal: FakeTerminal, timeout_s: float = 5) -> tuple[CommandOutcome, LineShell]:
    shell = await _shell(terminal)
    return await shell.run("a command", Deadline(timeout_s)), shell


def _clean(said: bytes) -> bool:
    # A real nonce is random: nobody can say a mark first.
    return not re.search(rb"@\w{8}\.\d", said)


@given(stdout=_NOISE, stderr=_NOISE, rc=st.integers(0, 255), pieces=st.integers(1, 40))
@example(stdout=bytes(range(256)), stderr=bytes(range(255, -1, -1)), rc=3, pieces=1)
def test_any_output_in_any_pieces_comes_back_exactly(stdout: bytes, stderr: bytes, rc: int, pieces: int) -> None:
    assume(_clean(stdout) and _clean(stderr))
    outcome, _ = asyncio.run(_run(FakeTerminal(stdout, stderr, rc, pieces)))
    assert (outcome.stdout, outcome.stderr) == (stdout, stderr)
    assert outcome.status == exit_status(rc)


@given(stdout=_NOISE, stderr=_NOISE, pieces=st.integers(1, 40), limit=st.integers(1, 300))
def test_a_process_gives_exactly_its_output(stdout: bytes, stderr: bytes, pieces: int, limit: int) -> None:
    assume(_clean(stdout) and _clean(stderr))

    async def go() -> None:
        shell = await _shell(FakeTerminal(stdout, stderr, 7, pieces))
        process = await shell.execute("a script")
        assert await _all(process.channel, limit) == stdout
        assert process.errors is not None
        assert await _all(process.errors, limit) == stderr
        assert (await process.wait()).rc == 7
        await process.close()

    asyncio.run(go())


def test_a_process_may_be_waited_for_before_it_is_read() -> None:
    async def go() -> None:
        process: LineProcess = await (await _shell(FakeTerminal(b"said", rc=2))).execute("a script")
        assert (await process.wait()).rc == 2
        assert await _all(process.channel, 3) == b"said"

    asyncio.run(go())


def test_nothing_is_typed_but_what_the_shell_reads() -> None:
    async def go() -> None:
        terminal = FakeTerminal()
        _, _ = await _run(terminal)
        typed = terminal.channel.written.split(b"\x15")[1:]
        assert all(len(line.partition(b"\n")[0]) < 110 for line in typed)

    asyncio.run(go())


def test_control_characters_of_a_command_reach_it() -> None:
    async def go() -> None:
        terminal = FakeTerminal()
        shell = await _shell(terminal)
        await shell.run("printf '\x03\x1a'", Deadline(5))
        assert b"stty raw -echo;printf" in terminal.channel.written
        assert b"stty isig;" in terminal.channel.written

    asyncio.run(go())


def test_a_host_without_room_for_files_has_one_stream() -> None:
    async def go() -> None:
        terminal = FakeTerminal(b"out and err")
        terminal.setup = b"bash@4711@\n\n"
        outcome, shell = await _run(terminal)
        assert shell.merged
        assert outcome.stdout == b"out and err"
        assert b"'a command' </dev/null >&8 2>&8" in terminal.channel.written

    asyncio.run(go())


def test_a_shell_without_stty_is_told() -> None:
    async def go() -> None:
        terminal = FakeTerminal()
        terminal.settings = None
        with pytest.raises(NoTerminalControlError):
            await _shell(terminal)

    asyncio.run(go())


def test_what_was_said_before_a_command_stays_for_the_console() -> None:
    async def go() -> None:
        terminal = FakeTerminal(b"out")
        shell = await _shell(terminal)
        terminal.say(b"kernel: oops\n# ")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await shell.run("x", Deadline(5))
        assert "kernel: oops\n" in shell._line.console.text

    asyncio.run(go())


def test_a_line_that_ends_under_a_command_is_told_with_what_was_said() -> None:
    async def go() -> None:
        terminal = FakeTerminal(b"part")
        terminal.ends = False
        shell = await _shell(terminal)
        running = asyncio.create_task(shell.run("x", Deadline(5)))
        await asyncio.sleep(0.01)
        terminal.channel.inbox.end("cable cut")
        with pytest.raises(EndOfStream, match="cable cut"):
            await running
        assert shell.partial() == (b"part", b"")
        assert shell.ended

    asyncio.run(go())


async def _all(channel: Any, limit: int) -> bytes:
    said = b""
    while True:
        try:
            said += await channel.read(limit)
        except EndOfStream:
            return said
