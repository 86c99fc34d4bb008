"""Tables of plain text, as the commands print them."""

from __future__ import annotations

from collections.abc import Sequence

from OttoLibrary.text import printable


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print titles and rows in columns as wide as their longest cell, two blanks apart; no cell controls a terminal."""
    lines = [[printable(cell) for cell in row] for row in [titles, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for row in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
