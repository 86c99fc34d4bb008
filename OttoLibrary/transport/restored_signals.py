"""Signals of a terminal count in what we start, also where we ourselves have to ignore them."""

from __future__ import annotations

import signal
from collections.abc import Callable

_OF_A_TERMINAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


def restored_signals() -> Callable[[], None] | None:
    """Return what a new process has to call before its program, or None when there is nothing to restore.

    A shell lets what it starts in the background ignore Ctrl-C, and ``nohup`` that the terminal is gone. Children would ignore
    these too, and with them that we are gone.
    """
    ignored = [number for number in _OF_A_TERMINAL if signal.getsignal(number) is signal.SIG_IGN]
    if not ignored:
        return None  # no code of ours runs between fork and exec

    def restore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)

    return restore
