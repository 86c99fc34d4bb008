"""The progress of files on a console."""

from __future__ import annotations

import io

from OttoLibrary.contracts.transfers import Progress
from OttoLibrary.run.progress import ConsoleProgress

MIB = 1 << 20


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_said_of_what_is_quick() -> None:
    stream, clock = io.StringIO(), Clock()
    show = ConsoleProgress(stream, clock)
    show(Progress("a → dut1", 0, 10 * MIB))
    clock.now = 1.9
    show(Progress("a → dut1", 9 * MIB, 10 * MIB))
    show(Progress("a → dut1", 10 * MIB, 10 * MIB, ended=True))
    assert stream.getvalue() == ""


def test_a_line_for_each_tenth() -> None:
    stream, clock = io.StringIO(), Clock()
    show = ConsoleProgress(stream, clock)
    for tick in range(41):
        clock.now = tick / 4
        show(Progress("a → dut1", tick * MIB // 4, 10 * MIB))
    show(Progress("a → dut1", 10 * MIB, 10 * MIB, ended=True))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "a → dut1: 20 % of 10.0 MiB, 1.0 MiB/s, 8.00 s left"
    assert lines[-1] == "a → dut1: 100 % of 10.0 MiB, 1.0 MiB/s"
    assert len(lines) == 9


def test_a_size_that_nobody_knows() -> None:
    stream, clock = io.StringIO(), Clock()
    show = ConsoleProgress(stream, clock)
    for tick in range(30):
        clock.now = float(tick)
        show(Progress("logs", tick * MIB, 0))
    assert stream.getvalue().splitlines() == ["logs: 10.0 MiB, 1.0 MiB/s", "logs: 20.0 MiB, 1.0 MiB/s"]


def test_a_bar_on_a_terminal_that_goes_away() -> None:
    stream, clock = Terminal(), Clock()
    show = ConsoleProgress(stream, clock)
    for tick in range(5):
        clock.now = float(tick)
        show(Progress("a[b] → dut1", tick * MIB, 10 * MIB))
    assert show._bars is not None
    show(Progress("a[b] → dut1", 5 * MIB, 10 * MIB, ended=True))
    assert show._bars is None
    assert "a[b] → dut1" in stream.getvalue()
