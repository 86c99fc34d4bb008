"""Tables of plain text."""

from __future__ import annotations

import pytest

from OttoLibrary.cli.table import print_table


def test_columns_are_as_wide_as_their_longest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("HOST", "ANSWER"), [("dut1", "up"), ("a-longer-name", "")])
    assert capsys.readouterr().out == "HOST           ANSWER\ndut1           up\na-longer-name\n"


def test_without_rows_there_are_only_titles(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("LAB", "SOURCE"), [])
    assert capsys.readouterr().out == "LAB  SOURCE\n"


def test_no_cell_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("HOST", "ANSWER"), [("dut1", "Host 'dut1' said: \x1b]0;owned\x07\x1b[2J\x9b2J")])
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert "said" in printed
