"""What a connection refuses that has terminal lines and nothing beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from OttoLibrary.contracts.connections import Duplex, EndOfStream, Listener, Process, Terminal


class LinesOnly:
    """The part of a connection that cannot be had over a line.

    Attributes:
        kind: What such a host is called in an error.
        native: The transport's own object; a line has none.
    """

    kind: ClassVar[str]
    native: object = None

    async def execute(self, command: str, terminal: Terminal | None = None, *, login_shell: bool = False) -> Process:
        """Refuse: a line starts no processes."""
        raise EndOfStream(f"{self.kind} starts no processes beside its lines")

    async def dial(self, address: str, port: int) -> Duplex:
        """Refuse: a line carries nothing else."""
        raise OSError(f"{address}:{port}, because {self.kind} cannot be a hop")

    async def listen(self, port: int, accept: Callable[[Duplex], None]) -> Listener:
        """Refuse: a line carries nothing else."""
        raise OSError(f"{self.kind} cannot listen for others")
