"""Where labs, and the values in them, come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Reference(Protocol):
    """One kind of ``${kind:argument}`` in a lab file."""

    def resolve(self, argument: str) -> str:
        """Return the value; raise LookupError with the reason, a part of a sentence, when there is none."""

    def close(self) -> None:
        """Close what it opened; idempotent."""


class LabRepository(Protocol):
    """A source of labs. Both methods answer in bounded time, and may raise any exception when they cannot.

    A class may have an attribute ``name_parts``: the name of one of its labs is so many words, joined by commas; 1 by default.
    """

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        """Return a lab as plain data that is the caller's own: an object in our form, or a list of hosts in otto's.

        Args:
            name: The name of the lab.
            preferences: The table ``[lab.preferences]`` of the settings, unchanged; None when there is none.

        Raises:
            LookupError: There is no lab of that name.
        """

    def list_labs(self) -> list[str]:
        """Return the names of the labs that exist, as far as the source can tell."""


class LabFiles(LabRepository, Protocol):
    """A source whose labs are files: messages name the file, and relative paths in a lab start at its folder."""

    def file_of(self, name: str) -> Path:
        """Return the file of a lab; raise LookupError."""
