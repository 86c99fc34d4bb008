"""Commands for reservations: what is refused before a backend is asked. With real backends: contract/test_reservations.py."""

from __future__ import annotations

import pytest

from OttoLibrary.cli.main import main


def test_force_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "lab", "dut1", "--force"]) == 2
    assert "needs a reason" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--reason", " "], ["--lift", "--reason", "smoke"]])
def test_a_quarantine_has_a_reason_and_its_end_none(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quarantine", "lab", "dut1", *words]) == 2
    assert "Say why these hosts are broken with --reason" in capsys.readouterr().err
