"""``${env:NAME}``: an environment variable."""

from __future__ import annotations

import os


class Env:
    """Environment variables of this process."""

    def resolve(self, argument: str) -> str:
        """Return the value of the variable ``argument``."""
        if argument not in os.environ:
            raise LookupError(f"environment variable '{argument}' is not set")
        return os.environ[argument]

    def close(self) -> None:
        """Nothing is open."""
