"""Keeps an exception in a listener from changing a result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol


class Warner(Protocol):
    """A listener that can warn."""

    def warn(self, sentence: str) -> None:
        """Warn in the log and on the console."""


def harmless(method: Callable[..., None]) -> Callable[..., None]:
    """Turn any exception of a listener method into a warning."""

    @functools.wraps(method)
    def guarded(self: Warner, *arguments: Any) -> None:
        try:
            method(self, *arguments)
        except Exception as error:  # noqa: BLE001 - Robot would only print it
            self.warn(f"OttoLibrary.{type(self).__name__}: {error}")

    return guarded
