"""Commands for reservations: what is refused before a backend is asked. With real backends: contract/test_reservations.py."""

from __future__ import annotations

import pytest

from OttoLibrary.cli.main import main


def test_force_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "lab", "dut1", "--force"]) == 2
    assert "needs a reason" in capsys.readouterr().err
