"""What a host says goes into errors: it must not control a terminal, show a secret, or fill the memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from OttoLibrary import errors
from OttoLibrary.errors import CommandError, ConnectionLostError, OttoError, WaitTimeoutError

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b]52;c;ZXZpbA==\x07\x9b2J\u202egnp.exe\r\x08\x7f"
LONGEST = 11_000


@dataclass
class Ended:
    """A result of a command."""

    host: str = "dut1"
    command: str = "true"
    rc: int = 1
    stdout: str = ""
    stderr: str = EVIL
    signal: str | None = None
    duration_s: float = 1.0


@pytest.mark.parametrize(
    "error",
    [
        CommandError(Ended(), ["gw", "dut1"], "0"),
        CommandError(Ended(command=EVIL, host=EVIL), [EVIL], EVIL),
        ConnectionLostError("dut1", [], EVIL, EVIL),
        WaitTimeoutError("dut1", [], EVIL, 1, last_output=EVIL, advice=EVIL),
        errors.ConnectError("dut1", [], EVIL, EVIL),
        errors.TransferError("dut1", [], EVIL, EVIL, EVIL),
        errors.UnknownNameError("host", EVIL, [EVIL]),
        errors.LabError([EVIL]),
        errors.NotFreeError(EVIL, [EVIL], EVIL),
        errors.LeaseLostError([EVIL], EVIL),
        errors.LimitError("dut1", "cpu", EVIL),
        errors.CheckError([EVIL]),
        OttoError(EVIL),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_message_controls_a_terminal(error: OttoError) -> None:
    assert not set(str(error)) & {"\x1b", "\x07", "\x9b", "\u202e", "\r", "\x08", "\x7f"}


def test_the_data_of_an_error_stay_as_the_host_sent_them() -> None:
    assert ConnectionLostError("dut1", [], "cut", EVIL).last_output == EVIL


@pytest.mark.parametrize("output", ["y\n" * 20_000_000, "y" * 40_000_000, "\n" * 40_000_000, f"{EVIL}\n" * 500_000])
def test_endless_output_is_a_short_message_soon(output: str) -> None:
    before = time.process_time()
    error = WaitTimeoutError("dut1", [], "did not end", 1, last_output=output)
    assert len(str(error)) < LONGEST
    assert time.process_time() - before < 10


def test_a_long_cause_keeps_its_beginning_and_its_end() -> None:
    message = str(errors.ConnectError("dut1", [], "x" * 1_000_000, "Do this."))
    assert len(message) < LONGEST
    assert message.startswith("Host 'dut1' cannot be reached: xxx")
    assert message.endswith("xxx. Do this.")
    assert "characters left out" in message
