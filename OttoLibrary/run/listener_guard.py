"""What an exception in a listener does: a warning, or where nothing would be guarded without it, the end of the run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

from robot.api import logger

from OttoLibrary.masking import mask
from OttoLibrary.run.guards import fail_run
from OttoLibrary.text import printable


class Warner(Protocol):
    """A listener that can warn."""

    def warn(self, sentence: str) -> None:
        """Warn in the log and on the console."""


def needed_by_all(method: Callable[..., None]) -> Callable[..., None]:
    """Let every test fail with the exception of a method that takes a suite: what it prepares is relied on."""

    @functools.wraps(method)
    def guarded(self: Warner, data: Any, result: Any) -> None:
        try:
            method(self, data, result)
        except Exception as error:  # noqa: BLE001 - Robot would only print it, and the tests would pass
            sentence = printable(mask(f"OttoLibrary.{type(self).__name__}: {error}"))
            logger.error(sentence)
            fail_run(data, sentence)

    return guarded


def harmless(method: Callable[..., None]) -> Callable[..., None]:
    """Turn any exception of a listener method into a warning."""

    @functools.wraps(method)
    def guarded(self: Warner, *arguments: Any) -> None:
        try:
            method(self, *arguments)
        except Exception as error:  # noqa: BLE001 - Robot would only print it
            self.warn(f"OttoLibrary.{type(self).__name__}: {error}")

    return guarded
