"""The command shell's marker under any bytes in any pieces."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from OttoLibrary.deadline import Deadline
from OttoLibrary.shell.command_shell import CommandOutcome, CommandShell, exit_status
from OttoLibrary.shell.end_mark import EndMark
from OttoLibrary.shell.launch import Launched, ProcessId
from tests.unit.fakes import FakeShell

_NOISE = st.binary(max_size=200) | st.lists(
    st.sampled_from([b"@", b"\n", b":", b"abc123.2", b"\n@abc123.2", b"\x00", b"0:@\n"])
).map(b"".join)


async def _run(fake: FakeShell, command: str = "true", timeout_s: float = 5) -> CommandOutcome:
    launched = Launched.listening(fake, "abc123", pid=ProcessId(4711))  # type: ignore[arg-type]

    async def stop(tag: str, jobs: list[int]) -> str:
        return "/"

    shell = CommandShell(launched, stop)
    shell._mark = EndMark("abc123")
    try:
        await shell.begin("")
        return await shell.run(command, Deadline(timeout_s))
    finally:
        await shell.close()


@given(stdout=_NOISE, stderr=_NOISE, rc=st.integers(0, 255), pieces=st.integers(1, 40))
def test_any_output_in_any_pieces_comes_back_exactly(stdout: bytes, stderr: bytes, rc: int, pieces: int) -> None:
    assume(b"\n@abc123.2:" not in stdout and b"\n@abc123.2:" not in stderr)  # a real nonce is random: nobody can say it first
    outcome = asyncio.run(_run(FakeShell(stdout, stderr, rc, pieces)))
    assert (outcome.stdout, outcome.stderr) == (stdout, stderr)
    assert outcome.status == exit_status(rc)


def test_a_job_notice_of_bash_is_taken_off() -> None:
    fake = FakeShell(stderr=b"[1] 4711\n[2] 12\nreal\n", job=4711)
    assert asyncio.run(_run(fake)).stderr == b"[2] 12\nreal\n"


def test_a_command_past_its_time_has_no_status_and_what_it_said() -> None:
    fake = FakeShell()
    plain = fake._answer

    def answer(data: bytes) -> None:
        if b"slow" in data:
            fake.channel.inbox.feed(b"part")
        else:
            plain(data)

    fake.channel._on_write = answer
    outcome = asyncio.run(_run(fake, "slow", 0.01))
    assert outcome.status is None
    assert outcome.stdout == b"part"
    assert not outcome.shell_ended


@pytest.mark.parametrize(("rc", "signal"), [(0, None), (127, None), (137, "SIGKILL"), (255, None)])
def test_a_status_above_128_is_a_signal(rc: int, signal: str | None) -> None:
    assert exit_status(rc).signal == signal
