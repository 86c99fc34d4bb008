"""How a load that runs is shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from OttoLibrary.cli.load_table import run_table, shown_live


def stands(**more: Any) -> dict[str, Any]:
    return {
        "elapsed_s": 12.4,
        "state": "running",
        "users": 5,
        "count": 120,
        "recent": {"response": [0.01, 0.0255, 0.04]},
        "failed": 3,
        "backlog": 7,
        "is_behind": False,
        "turrets": [["first", "Running", "u1", True], ["[red]odd[/red]\x1b[2J", "lost", "u2", True]],
        **more,
    }


def drawn(said: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(run_table(said))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_a_table_has_users_rate_p95_errors_backlog_and_turrets() -> None:
    title, row, other = drawn(stands()).splitlines()
    assert title.split() == ["time", "state", "users", "rate", "p95", "errors", "backlog", "turrets"]
    assert row.split() == ["12", "s", "running", "5", "120/s", "25.5", "ms", "3", "7", "first", "Running"]
    # What a turret calls itself is neither markup nor an order to the terminal.
    assert "[red]odd[/red]" in other
    assert "\x1b" not in other


def test_before_anything_is_measured_nothing_is_made_up() -> None:
    assert "-" in drawn(stands(recent={}, turrets=[]))
    assert "no turret yet" in drawn(stands(recent={}, turrets=[]))


def test_a_crowd_of_turrets_does_not_fill_the_screen() -> None:
    crowd = [[f"t{number}", "ready", "", True] for number in range(100)]
    assert "and 80 others" in drawn(stands(turrets=crowd))


def test_without_a_terminal_it_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_live() as show:
        show(stands(is_behind=True))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("time 12 s  state running  users 5  rate 120/s  p95 25.5 ms  errors 3  backlog 7+  [first Running, ")
