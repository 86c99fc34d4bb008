"""What a run has to say and has not said yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from OttoLibrary.masking import mask
from OttoLibrary.text import printable

if TYPE_CHECKING:
    from OttoLibrary.contracts.connections import Record

T = TypeVar("T")
_APART: ContextVar[list[Record] | None] = ContextVar("records kept apart", default=None)


@contextmanager
def records_apart() -> Iterator[list[Record]]:
    """Keep what hosts do in the present task, and in those that it starts, apart from what others do at the same time."""
    records: list[Record] = []
    token = _APART.set(records)
    try:
        yield records
    finally:
        _APART.reset(token)


class Journal:
    """Collects what hosts did, and what the reader must know, until somebody publishes it."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._warnings: list[str] = []

    def add(self, record: Record) -> None:
        """Note what a host did; may be called in any thread."""
        apart = _APART.get()
        (self._records if apart is None else apart).append(record)

    def warn(self, *sentences: str) -> None:
        """Note what the reader must know; it will be on a console, so it shows no secret and steers no terminal."""
        self._warnings += (printable(mask(sentence)) for sentence in sentences)

    def take_records(self) -> list[Record]:
        """Return what hosts did since the last call."""
        return _taken(self._records)

    def take_warnings(self) -> list[str]:
        """Return what the reader must know since the last call."""
        return _taken(self._warnings)


def _taken(notes: list[T]) -> list[T]:
    # What another thread adds meanwhile stays for the next call.
    taken = notes[:]
    del notes[: len(taken)]
    return taken
