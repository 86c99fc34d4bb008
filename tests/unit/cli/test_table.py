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
