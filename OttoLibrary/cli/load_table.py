"""The live table of ``python -m OttoLibrary load run``: users, rate, p95, errors and backlog, and each turret."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from OttoLibrary.text import printable

if TYPE_CHECKING:
    from rich.table import Table

_MOST_TURRETS = 20
_TITLES = ("time", "state", "users", "rate", "p95", "errors", "backlog")


@contextmanager
def shown_live() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give what shows how a run stands: on a terminal one table that changes, elsewhere a line each time."""
    if not sys.stderr.isatty():
        yield _print_line
        return
    # Imported here: a run that draws no table does not need it.
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        yield lambda stands: live.update(run_table(stands), refresh=True)


def run_table(stands: dict[str, Any]) -> Table:
    """Return a table of a run, and of its turrets below it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for title in _TITLES:
        table.add_column(title, justify="right")
    table.add_column("turrets")
    # As Text: a name in brackets is no markup.
    turrets = [Text(printable(f"{name} {status}")) for name, status, *_ in stands["turrets"]]
    if len(turrets) > _MOST_TURRETS:
        turrets[_MOST_TURRETS:] = [Text(f"and {len(turrets) - _MOST_TURRETS} others")]
    table.add_row(*_cells(stands), turrets[0] if turrets else "no turret yet")
    for turret in turrets[1:]:
        table.add_row(*([""] * len(_TITLES)), turret)
    return table


def _cells(stands: dict[str, Any]) -> tuple[str, ...]:
    p95_s = stands["recent"].get("response", [math.nan] * 3)[1]
    return (
        f"{stands['elapsed_s']:.0f} s",
        str(stands["state"]),
        str(stands["users"]),
        f"{stands['count']}/s",
        "-" if math.isnan(p95_s) else f"{p95_s * 1000:.1f} ms",
        str(stands["failed"]),
        f"{stands['backlog']}{'+' if stands['is_behind'] else ''}",
    )


def _print_line(stands: dict[str, Any]) -> None:
    words = "  ".join(f"{title} {cell}" for title, cell in zip(_TITLES, _cells(stands), strict=True))
    turrets = ", ".join(f"{name} {status}" for name, status, *_ in stands["turrets"]) or "no turret yet"
    print(printable(f"{words}  [{turrets}]"), file=sys.stderr, flush=True)
