"""Statistics of series, for the log of a test: a table, and text for its metadata.

Everything that came from a host, a lab or a user is escaped in HTML, and triggers no markup of Robot in plain text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Protocol

from OttoLibrary.report.blocks import plain
from OttoLibrary.text import plural
from OttoLibrary.units import unit_of, value_text

_ROWS_UNFOLDED = 12
_HOSTS_APART = 4
_CELL_LENGTH = 80
_LOOK_ALIKE = str.maketrans({"*": "\N{ASTERISK OPERATOR}", "|": "\N{BROKEN BAR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"})


class Row(Protocol):
    """The statistics of a series; NaN stands for no reading."""

    @property
    def host(self) -> str:
        """Name of the host."""

    @property
    def series(self) -> str:
        """Name of the series."""

    @property
    def unit(self) -> str:
        """Unit of its numbers."""

    @property
    def min(self) -> float:
        """The lowest reading."""

    @property
    def mean(self) -> float:
        """The mean of all."""

    @property
    def p95(self) -> float:
        """The value that 95 of 100 readings do not exceed."""

    @property
    def max(self) -> float:
        """The highest reading."""

    @property
    def last(self) -> float:
        """The latest reading."""


def summary(rows: Iterable[Row]) -> str:
    """Return a table with a row for each series, folded when it is long."""
    rows = list(rows)
    if not rows:
        return "No readings."
    titles = ("host", "series", "min", "mean", "p95", "max", "last")
    # Every test has one: plain cells, since styled ones would need more space than the charts.
    lines = ["".join(f"<td>{cell}" for cell in _cells(row)) for row in rows]
    head = "".join(f"<th align=left>{title}" for title in titles)
    html = f'<table cellpadding=2 style="white-space:normal"><tr>{head}<tr>{"<tr>".join(lines)}</table>'
    if len(rows) <= _ROWS_UNFOLDED:
        return html
    hosts = plural(len({row.host for row in rows}), "host")
    return f"<details><summary>{len(rows)} series of {hosts}</summary>{html}</details>"


def metadata(rows: Iterable[Row]) -> dict[str, str]:
    """Return plain text for the metadata of a test, one line for each series: ``{'cpu': 'dut1 mean 12 %, max 42 %'}``.

    Of a few hosts the line has each; of many it is ``{'cpu': 'mean 12 % on 50 hosts, max 93 % on dut7'}``. No name triggers
    Robot's markup, and no two keys are the same to Robot, which ignores case, spaces and underscores.
    """
    by_series: dict[str, list[Row]] = {}
    for row in rows:
        by_series.setdefault(row.series, []).append(row)
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for series, its_rows in by_series.items():
        wanted = " ".join(_unmarked(part) for part in (noun(series), label(series)) if part)
        key, number = wanted, 1
        while (known := key.lower().replace(" ", "").replace("_", "")) in taken:
            number += 1
            key = f"{wanted} ({number})"
        taken.add(known)
        texts[key] = _of_many(its_rows) if len(its_rows) > _HOSTS_APART else "; ".join(map(_of_one, its_rows))
    return texts


def noun(series: str) -> str:
    """Return what a series measures, without its unit and label: ``memory used`` for ``memory_used_percent``."""
    name = series.partition("[")[0]
    unit = unit_of(name)
    words = name.split("_")
    # The shortest ending that means the unit is the unit's own.
    length = next((length for length in range(1, len(words)) if unit and unit_of("_" + "_".join(words[-length:])) == unit), 0)
    return " ".join(words[: len(words) - length]).strip() or name


def label(series: str) -> str:
    """Return what a series has in brackets: ``eth0`` for ``network_bytes_per_s[eth0]``."""
    return series.partition("[")[2].removesuffix("]")


def clean(text: str, length: int) -> str:
    """Return foreign text for HTML and XML, in one line of limited length."""
    text = " ".join(plain(text).split())
    return escape(text if len(text) <= length else f"{text[: length - 1]}…")


def _of_one(row: Row) -> str:
    return f"{_unmarked(row.host)} mean {_reading(row.mean, row.unit)}, max {_reading(row.max, row.unit)}"


def _of_many(rows: Sequence[Row]) -> str:
    worst = max(rows, key=lambda row: row.max)
    mean = sum(row.mean for row in rows) / len(rows)
    where = f"{plural(len(rows), 'host')}, max {_reading(worst.max, worst.unit)} on {_unmarked(worst.host)}"
    return f"mean {_reading(mean, worst.unit)} on {where}"


def _cells(row: Row) -> list[str]:
    numbers = [_reading(value, row.unit) for value in (row.min, row.mean, row.p95, row.max, row.last)]
    return [clean(row.host, _CELL_LENGTH), clean(row.series, _CELL_LENGTH), *(escape(number) for number in numbers)]


def _reading(value: float, unit: str) -> str:
    return value_text(value, unit) if math.isfinite(value) else "-"


def _unmarked(text: str) -> str:
    """Return text that Robot does not take for markup, with characters that look alike."""
    text = re.sub(r"(?<!\w)_|_(?!\w)", "\N{MODIFIER LETTER LOW MACRON}", " ".join(plain(text).split()))
    return text.translate(_LOOK_ALIKE).replace("://", ":\N{FRACTION SLASH}\N{FRACTION SLASH}")
