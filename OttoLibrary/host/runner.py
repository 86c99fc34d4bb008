"""What a host asks of the one who runs its commands.

Two classes keep this contract: ``ProcessRunner`` for a host that starts processes side by side (SSH, local), ``LineRunner`` for a
host that is reached over lines (Telnet, serial). ``Host`` chooses one when it is first connected and never asks which it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from OttoLibrary.contracts.connections import Connection, Process
from OttoLibrary.deadline import Deadline
from OttoLibrary.host.background import BackgroundCommand
from OttoLibrary.shell.command_shell import CommandOutcome
from OttoLibrary.shell.console import Console
from OttoLibrary.shell.launch import Account
from OttoLibrary.shell.output_file import OutputFiles


class Shell(Protocol):
    """What runs one command at a time."""

    @property
    def has_status(self) -> bool:
        """True when a command has an exit status."""

    @property
    def files(self) -> OutputFiles:
        """The files with all that the last command wrote; none where memory has all."""

    async def run(self, command: str, deadline: Deadline, cwd: str | None = None) -> CommandOutcome:
        """Run one command; past the deadline, or when cancelled, all it started is ended. Raises EndOfStream, UsageError."""

    def partial(self) -> tuple[bytes, bytes]:
        """Return what the present command has written so far, on both streams."""


class Runner(Protocol):
    """Runs what one host is asked to run. A shell's name is empty for the main one; an unknown name makes a new shell."""

    @property
    def account(self) -> Account | None:
        """The user it has become, or None for the login user."""

    @property
    def parallel(self) -> bool:
        """True when processes run side by side on clean streams; False when they share a line."""

    async def connected(self, connection: Connection) -> None:
        """Use a new connection; called before any caller gets it."""

    async def close(self) -> None:
        """Close all shells; the next use opens them again. Never raises."""

    async def close_shell(self, name: str) -> None:
        """Close one shell and forget it."""

    async def close_since(self, began: float) -> bool:
        """Close what was opened at this time of ``time.monotonic`` or later, and be the user again who used the host before.

        Returns:
            True when there was something to close.
        """

    def shell(self, name: str, deadline: Deadline) -> AbstractAsyncContextManager[Shell]:
        """Give a shell to one caller at a time, a new one when there is none that lives."""

    def one_shot(self, deadline: Deadline, *, ends_with_us: bool = False) -> AbstractAsyncContextManager[Shell]:
        """Give what runs one command apart from every shell; one that ends with us ends however we end."""

    async def start(self, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        """Start a command apart from every shell."""

    async def start_on_terminal(self, name: str, command: str, cwd: str | None, deadline: Deadline) -> BackgroundCommand:
        """Start a command on a terminal, in the state of a shell."""

    async def execute(self, script: str, deadline: Deadline) -> Process:
        """Start shell text on streams that belong to the caller."""

    async def answer_of(self, script: str, deadline: Deadline) -> CommandOutcome:
        """Run shell text that leaves no record."""

    def own_line(self, deadline: Deadline, what: str) -> AbstractAsyncContextManager[Callable[[str], Awaitable[bytes]]]:
        """Give what runs shell text beside everything else and returns its output; ``what`` is what that is for."""

    async def between_commands(self, script: str, deadline: Deadline) -> bytes | None:
        """Run shell text where nobody is disturbed and return its output; None when that is impossible at the moment."""

    def console(self, name: str, deadline: Deadline) -> AbstractAsyncContextManager[Console]:
        """Give the console of a shell to one caller at a time."""

    async def drop_console(self, name: str) -> None:
        """Close a console that has ended."""

    async def switch_user(self, account: Account | None, deadline: Deadline) -> None:
        """Be another user from now on."""

    async def probe(self, deadline: Deadline) -> None:
        """Return once the host runs a command, or its prompt answers; raise HostError."""
