"""The live table: what it prints of readings, without letting names or warnings control the terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from OttoLibrary.cli import live_table
from OttoLibrary.masking import Masker

EVIL = "\x1b]0;owned\x07"


class Session:
    """A session with readings and warnings that the test gives."""

    def __init__(self, latest: dict[str, dict[str, float]], warnings: list[str]) -> None:
        self.masker = Masker()
        self.monitor = self
        self.running = SimpleNamespace(interval_s=2.0)
        self.journal = SimpleNamespace(take_warnings=list)
        self._latest, self._warnings = latest, warnings

    def do(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def latest(self, since: float) -> dict[str, dict[str, float]]:
        return self._latest

    def take_warnings(self) -> list[str]:
        warnings, self._warnings = self._warnings, []
        return warnings


def test_without_a_terminal_a_line_for_each_host_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    session: Any = Session({"dut1": {"cpu_percent": 42.0, "disk_used_percent[/var]": 5.0}, "dut2": {}}, ["Monitor: disk full"])
    live_table._print_lines(session)
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["dut1: cpu_percent 42 %, disk_used_percent[/var] 5 %", "dut2: no readings"]


def test_a_name_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    session: Any = Session({"dut1": {"process_cpu_percent[sshd]": 42.0}, "dut2": {}}, [])
    Console(width=100).print(live_table._table(session))
    assert "process_cpu_percent[sshd]" in capsys.readouterr().out


def test_nothing_of_a_host_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    session: Any = Session({"dut1": {f"log_count[{EVIL}]": 1.0}}, [f"Monitor, host 'dut1': {EVIL}"])
    live_table._print_lines(session)
    Console(width=100).print(live_table._table(session))
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_its_handler_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with live_table.until_signal() as stopped:
        assert not stopped.is_set()
        signal.raise_signal(number)
        assert stopped.is_set()
    assert signal.getsignal(number) == before
