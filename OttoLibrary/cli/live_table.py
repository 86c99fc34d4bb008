"""The live table of ``python -m OttoLibrary monitor``."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from OttoLibrary.monitor.limit import clock_text
from OttoLibrary.run.session import Session
from OttoLibrary.text import printable
from OttoLibrary.units import unit_of, value_text

if TYPE_CHECKING:
    from rich.table import Table

# A reading is shown for this many intervals.
_FRESH = 3


def watch(session: Session, duration_s: float | None) -> None:
    """Show the readings of a running monitor until Ctrl-C, SIGTERM or the end of the time.

    On a terminal this is one table that changes; elsewhere it is a line for each host and interval.

    Args:
        session: Whose monitor runs.
        duration_s: How long, in seconds, or None.
    """
    interval_s = session.monitor.running.interval_s
    end = time.monotonic() + duration_s if duration_s is not None else float("inf")
    with until_signal() as stopped:
        if sys.stdout.isatty():
            _show_table(session, stopped, interval_s, end)
            return
        while _is_time_left(stopped, interval_s, end):
            _print_lines(session)
        _tell(session)


def _is_time_left(stopped: threading.Event, interval_s: float, end: float) -> bool:
    """Wait for the next interval; return False when the time is over, or somebody stopped it."""
    return not stopped.wait(max(0.0, min(interval_s, end - time.monotonic()))) and time.monotonic() < end


def _show_table(session: Session, stopped: threading.Event, interval_s: float, end: float) -> None:
    # Imported here: a run that draws no table does not need it.
    from rich.live import Live

    with Live(_table(session), auto_refresh=False) as live:
        while _is_time_left(stopped, interval_s, end):
            live.update(_table(session), refresh=True)
            _tell(session)


@contextmanager
def until_signal() -> Iterator[threading.Event]:
    """Set an event on Ctrl-C and SIGTERM, instead of what they usually do."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _latest(session: Session) -> Mapping[str, Mapping[str, float]]:
    since = time.time() - _FRESH * session.monitor.running.interval_s
    # Readings with a long interval of their own, such as disks, stay.
    return session.monitor.do(lambda monitor: monitor.latest(min(since, time.time() - 60)))


def _table(session: Session) -> Table:
    from rich.table import Table
    from rich.text import Text

    latest = _latest(session)
    series = list(dict.fromkeys(name for readings in latest.values() for name in readings))
    table = Table(title=clock_text(time.time()), title_justify="left", box=None, header_style="bold")
    table.add_column("host")
    for name in series:
        table.add_column(Text(printable(name)), justify="right")
    for host, readings in latest.items():
        # As Text: a name in brackets is no markup.
        cells = (Text(value_text(readings[name], unit_of(name)) if name in readings else "-") for name in series)
        table.add_row(Text(printable(host)), *cells, style=None if readings else "dim")
    return table


def _print_lines(session: Session) -> None:
    clock = clock_text(time.time())
    for host, readings in _latest(session).items():
        said = ", ".join(f"{name} {value_text(value, unit_of(name))}" for name, value in readings.items())
        print(printable(f"{clock} {host}: {said or 'no readings'}"), flush=True)
    _tell(session)


def _tell(session: Session) -> None:
    for sentence in [*session.journal.take_warnings(), *session.monitor.do(lambda monitor: monitor.take_warnings())]:
        print(printable(session.masker.mask(sentence)), flush=True)
