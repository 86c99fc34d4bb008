"""A shell and a prompt on a line: any output in any pieces, echo, logins."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.profiles import Profile, cisco_ios, linux, uboot, zephyr
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.command_shell import CommandOutcome, exit_status
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.line_shell import LineProcess, LineShell, NoTerminalControlError
from OttoLibrary.shell.prompt_shell import PromptShell, without_echo
from OttoLibrary.text import Secret
from OttoLibrary.transport.login import LoginRefusedError, Prompts, log_in
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
        self.setup = b"bash@/tmp\n"
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
        terminal.setup = b"bash@\n"
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


# -- prompts


def _prompt_run(
    profile: Profile, answers: dict[str, str], command: str, pieces: int = 1 << 20, status: str = ""
) -> CommandOutcome:
    """Run a command against a device that echoes, and says the answer to each command and a prompt."""

    async def go() -> CommandOutcome:
        typed = ""

        def written(data: bytes) -> None:
            nonlocal typed
            typed += data.decode()
            while profile.newline in typed:
                line, _, typed = typed.partition(profile.newline)
                said = f"{line}\r\n{answers[line]}".encode()
                for start in range(0, len(said), pieces):
                    channel.inbox.feed(said[start : start + pieces])

        channel = FakeChannel(written)
        shell = PromptShell(Line(channel, Prompts(profile)), status)
        await shell.begin("")
        return await shell.run(command, Deadline(5))

    return asyncio.run(go())


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
def test_a_prompt_s_output_comes_without_echo_and_prompt(pieces: int) -> None:
    outcome = _prompt_run(uboot(), {"printenv": "a=1\r\nb==> 2\r\n=> "}, "printenv", pieces)
    assert (outcome.stdout, outcome.status) == (b"a=1\nb==> 2\n", exit_status(-1))


def test_colours_of_a_prompt_do_not_hide_it() -> None:
    outcome = _prompt_run(zephyr(), {"version": "Zephyr 3.6\r\n\x1b[1;32muart:~$ \x1b[m"}, "version")
    assert outcome.stdout == b"Zephyr 3.6\n"


def test_a_pager_is_switched_off_first_and_a_status_asked_for() -> None:
    off = {"terminal length 0": "sw1#", "terminal width 0": "sw1#"}
    assert _prompt_run(cisco_ios(), off | {"show clock": "12:00\r\nsw1#"}, "show clock").stdout == b"12:00\n"
    answers = {"false": "=> ", "echo $?": "1\r\n=> "}
    assert _prompt_run(uboot(), answers, "false", status="echo $?").status == exit_status(1)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("cmd arg\nout\n", "out\n"),
        ("cmd \r\narg\nout\n", "out\n"),
        ("cmd  \rarg\n", ""),
        ("other\nout\n", "other\nout\n"),
        ("cmd a", "cmd a"),
    ],
)
def test_an_echo_is_taken_off_also_when_wrapped(text: str, rest: str) -> None:
    assert without_echo(text, "cmd arg") == rest


# -- logins


def _login(
    script: list[tuple[str, bytes]], pieces: int = 1, *, user: str | None = "root", password: str | None = "pw", **options: Any
) -> tuple[bytes, list[bytes]]:
    """Log in at a console that says the first text, and each further one after an answer."""
    typed: list[bytes] = []

    async def go() -> bytes:
        said = [text[at : at + pieces] for text in [script[0][1]] for at in range(0, len(text), pieces)]
        left = script[1:]

        async def more() -> bytes:
            if not said:
                await asyncio.sleep(1)
                raise EndOfStream
            return said.pop(0)

        async def write(data: bytes) -> None:
            typed.append(data)
            if left:
                assert left[0][0].encode() == data
                text = left.pop(0)[1]
                said.extend(text[at : at + pieces] for at in range(0, len(text), pieces))

        return await log_in(more, write, Prompts(linux()), user, Secret(password) if password else None, **options)

    return asyncio.run(go()), typed


_ASKED = [("", b"Debian GNU/Linux 12\r\n\r\nbox login: "), ("root\n", b"root\r\nPassword: ")]


@pytest.mark.parametrize("pieces", [1, 5, 1000])
def test_a_login_takes_name_and_password_once(pieces: int) -> None:
    motd = b"\r\nLast login: Mon Jan 8 on tty1\r\nLinux box 6.1\r\n\x1b[01;32mroot@box\x1b[m:~# "
    said, typed = _login([*_ASKED, ("pw\n", motd)], pieces)
    assert typed == [b"root\n", b"pw\n"]
    assert b"root@box\x1b[m:~#" in said


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"\r\nLogin incorrect\r\nbox login: ", "it said 'Login incorrect'"),
        (b"\r\nbox login: ", "it asks for the login again"),
        (b"\r\nPassword: ", "it asks for the password again"),
        (b"\r\nAccess denied.\r\n", r"it said 'Access denied"),
    ],
)
def test_a_refusal_is_noticed_at_once(answer: bytes, why: str, pieces: int) -> None:
    with pytest.raises(LoginRefusedError, match=why):
        _login([*_ASKED, ("pw\n", answer)], pieces)


def test_a_login_without_an_answer_is_told() -> None:
    with pytest.raises(LoginRefusedError, match="the lab has no 'user'"):
        _login(_ASKED, user=None)
    with pytest.raises(LoginRefusedError, match="the lab has no 'password'"):
        _login(_ASKED, password=None)


def test_a_silent_console_is_woken() -> None:
    said, typed = _login([("", b""), ("\n", b"\r\n~ # ")], 1000, knock_s=0.05)
    assert (said, typed) == (b"\r\n~ # ", [b"\n"])


def test_a_half_finished_login_is_started_anew() -> None:
    _, typed = _login(
        [("", b"Password: "), ("\n", b"\r\nbox login: "), ("root\n", b"Password: "), ("pw\n", b"\r\n# ")], knock_s=1
    )
    assert typed == [b"\n", b"root\n", b"pw\n"]
