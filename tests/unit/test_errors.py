"""Errors: data in, a sentence out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from OttoLibrary import errors


@dataclass
class Ended:
    """A result of a command."""

    host: str = "dut1"
    command: str = "make all"
    rc: int = 2
    stdout: str = ""
    stderr: str = ""
    signal: str | None = None
    duration_s: float = 1.0


def test_a_host_is_named_with_its_hops() -> None:
    assert errors.subject("dut1", ("gw", "dut1")) == "Host 'dut1' (through gw)"
    assert errors.subject("dut1", ("dut1",)) == errors.subject("dut1") == "Host 'dut1'"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.UnknownNameError("host", "dut3", ["dut2", "gw"]), "No host named 'dut3'. Did you mean 'dut2'? Known: dut2, gw."),
        (errors.UnknownNameError("lab", "x", [], "Look again."), "No lab named 'x'. Known: none. Look again."),
        (errors.LabError(["a is wrong."]), "a is wrong."),
        (errors.LabError(["a", "b"]), "The lab has 2 mistakes:\n  a\n  b"),
        (errors.SettingsError(["a", "b"]), "The settings have 2 mistakes:\n  a\n  b"),
        (errors.ConnectError("dut1", ["dut1"], "refused", "Try."), "Host 'dut1' cannot be reached: refused. Try."),
        (errors.LoginError("dut1", [], "wrong password"), "Host 'dut1' refused the login: wrong password."),
        (
            errors.HopError("dut1", ["gw", "dut1"], "gw", "is silent", "no answer"),
            "Host 'dut1' (through gw) cannot be reached, because hop 'gw' is silent: no answer.",
        ),
        (
            errors.WaitTimeoutError("dut1", [], "did not show '$'", 2.5, last_output="one\ntwo\n"),
            "Host 'dut1' did not show '$' in 2.5 seconds.\nLast output:\none\ntwo",
        ),
        (
            errors.CommandError(Ended(stdout="out", stderr="bad\n"), ["dut1"], "0"),
            "Host 'dut1': command 'make all' exited with 2, expected 0.\nLast lines of stderr:\nbad",
        ),
        (
            errors.CommandError(Ended(signal="KILL"), ["dut1"], "0"),
            "Host 'dut1': command 'make all' was ended by KILL, expected 0.",
        ),
        (
            errors.NotFreeError("Not all hosts are free", []),
            "Not all hosts are free. Who has what: nobody, but others are waiting for it too.",
        ),
        (errors.CheckError(["a", "b"]), "2 checks failed:\n  a\n  b"),
    ],
)
def test_an_error_is_a_sentence(error: errors.OttoError, sentence: str) -> None:
    assert str(error) == sentence


def test_only_the_last_lines_are_shown() -> None:
    output = "\n".join(f"line {number}" for number in range(100))
    error = errors.ConnectionLostError("dut1", [], "reset", output)
    assert "line 90\n" in str(error)
    assert "line 89\n" not in str(error)
    assert error.last_output == output


@pytest.mark.parametrize("command", ["x" * 100, "first\nsecond"])
def test_a_long_command_is_shortened(command: str) -> None:
    assert errors.shorten(command).endswith("...")
    assert len(errors.shorten(command)) <= 80


def test_some_errors_are_python_s_own_too() -> None:
    assert issubclass(errors.WaitTimeoutError, TimeoutError)
    assert issubclass(errors.UnknownNameError, LookupError)
    assert issubclass(errors.LimitError, AssertionError)
    assert issubclass(errors.CheckError, AssertionError)
