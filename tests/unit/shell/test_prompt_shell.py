"""A prompt on a line: output without echo and prompt."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.contracts.profiles import Profile, cisco_ios, uboot, zephyr
from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.command_shell import CommandOutcome, exit_status
from OttoLibrary.shell.line import Line
from OttoLibrary.shell.prompt_shell import PromptShell, without_echo
from OttoLibrary.transport.login import Prompts
from tests.unit.fakes import FakeChannel


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


def test_what_looks_like_a_prompt_while_output_still_comes_is_output() -> None:
    async def go() -> None:
        channel = FakeChannel()

        def typed(data: bytes) -> None:
            channel.inbox.feed(b"help\r\nusage:\r\n=> ")
            # The rest comes with the next turn of the loop: a prompt counts only when nothing follows it.
            asyncio.get_running_loop().call_later(0.002, channel.inbox.feed, b"is the prompt\r\n=> ")

        channel._on_write = typed
        shell = PromptShell(Line(channel, Prompts(uboot())), "")
        await shell.begin("")
        outcome = await shell.run("help", Deadline(5))
        assert outcome.stdout == b"usage:\n=> is the prompt\n"

    asyncio.run(go())
