"""Mistakes in settings, labs and plug-ins as Robot's own errors: Robot shows those without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from robot.errors import DataError  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError


@contextmanager
def without_traceback() -> Iterator[None]:
    """Turn a mistake of the user into the error of the same sentence that Robot shows as it is."""
    try:
        yield
    except UsageError as error:
        raise DataError(str(error)) from error
