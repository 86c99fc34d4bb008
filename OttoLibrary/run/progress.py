"""The progress of file transfers, on the console."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from OttoLibrary.masking import mask
from OttoLibrary.text import printable
from OttoLibrary.units import duration_text, size_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from OttoLibrary.contracts.transfers import Progress

_SILENT_S = 2.0
_UNKNOWN_STEP_S = 10.0


@dataclass
class _File:
    began: float
    shown_tenths: int = 0
    shown_at: float = 0.0
    task: Any = None


class ConsoleProgress:
    """Shows transfers that take longer than two seconds: as bars on a terminal, otherwise with a line for each 10 %.

    Args:
        stream: Where it is shown; standard error by default, since Robot Framework writes its dots to standard output.
        clock: Returns seconds.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._files: dict[str, _File] = {}
        self._bars: RichProgress | None = None

    def __call__(self, news: Progress) -> None:
        """Show the progress of one file."""
        # A host may have named the file.
        news = replace(news, label=printable(mask(news.label)))
        now = self._clock()
        file = self._files.setdefault(news.label, _File(now, shown_at=now))
        stream = self._stream or sys.__stderr__
        if stream is not None and now - file.began >= _SILENT_S:
            (self._draw if stream.isatty() else self._write)(news, file, stream)
        if news.ended:
            self._forget(news.label)

    def _write(self, news: Progress, file: _File, stream: TextIO) -> None:
        now = self._clock()
        tenths = 10 * news.moved_bytes // news.size_bytes if news.size_bytes else 0
        if tenths <= file.shown_tenths and (news.size_bytes or now - file.shown_at < _UNKNOWN_STEP_S):
            return
        file.shown_tenths, file.shown_at = tenths, now
        rate = news.moved_bytes / (now - file.began)
        share = f"{10 * tenths} % of {size_text(news.size_bytes)}" if news.size_bytes else size_text(news.moved_bytes)
        left = f", {duration_text((news.size_bytes - news.moved_bytes) / rate)} left" if rate and 0 < tenths < 10 else ""
        print(f"{news.label}: {share}, {size_text(int(rate))}/s{left}", file=stream, flush=True)

    def _draw(self, news: Progress, file: _File, stream: TextIO) -> None:
        if self._bars is None:
            self._bars = _bars(stream)
        if file.task is None:
            file.task = self._bars.add_task(news.label)
        self._bars.update(file.task, completed=news.moved_bytes, total=news.size_bytes or None)

    def _forget(self, label: str) -> None:
        file = self._files.pop(label)
        if self._bars is not None and file.task is not None:
            self._bars.remove_task(file.task)
        if self._bars is not None and not self._files:
            self._bars.stop()
            self._bars = None


def _bars(stream: TextIO) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(file=stream)
    bars = RichProgress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    bars.start()
    return bars
