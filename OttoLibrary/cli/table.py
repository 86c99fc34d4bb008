"""What commands print: tables of plain text for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from OttoLibrary.text import printable


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print titles and rows in columns as wide as their longest cell, two blanks apart; no cell controls a terminal."""
    lines = [[printable(cell) for cell in row] for row in [titles, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for row in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` to a command."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def print_rows(options: argparse.Namespace, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table, or with ``--json`` as a list of objects whose keys are the titles in lower case."""
    if options.json:
        print_json([dict(zip(map(str.lower, titles), row, strict=True)) for row in rows])
    else:
        print_table(titles, rows)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, default=str))
