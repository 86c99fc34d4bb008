"""How a host is reached, and what runs there: transports, connections, processes, channels, and the results of commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from OttoLibrary.deadline import Deadline
from OttoLibrary.masking import mask

if TYPE_CHECKING:
    from OttoLibrary.contracts.facts import HostFacts

T = TypeVar("T")


class CommandOutput(NamedTuple):
    """What a command that runs has written so far.

    Attributes:
        stdout: Standard output.
        stderr: Standard error.
    """

    stdout: str
    stderr: str


@dataclass(frozen=True)
class CommandResult:
    """What a command did.

    Attributes:
        host: Name of the host.
        command: The command as given.
        rc: Exit status; 128 + number when a signal ended it; -1 when the host's profile knows no exit status.
        stdout: Standard output, exact.
        stderr: Standard error, exact.
        signal: Name of the signal that ended it, such as ``SIGKILL``, or None.
        duration_s: Wall time in seconds.
        shell_ended: True when the command ended the shell it ran in, as ``exit 3`` does.
        left_out_bytes: How many bytes of its output are not in ``stdout`` and ``stderr``; a line in the middle stands for them.
        stdout_file: The file with all of standard output when some of it was left out, or None.
        stderr_file: The same for standard error.
    """

    host: str
    command: str
    rc: int
    stdout: str
    stderr: str
    signal: str | None
    duration_s: float
    shell_ended: bool = False
    left_out_bytes: int = 0
    stdout_file: Path | None = None
    stderr_file: Path | None = None

    def __getitem__(self, key: str) -> Any:
        """Return an attribute by name, so that ``${result}[rc]`` works too."""
        if key not in self.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self, key)

    def __str__(self) -> str:
        """Return it in short; the log shows the whole of it beside."""
        stdout = mask(self.stdout)
        said = stdout if len(stdout) <= 60 else f"{stdout[:57]}..."
        return f"rc={self.rc} stdout={said!r} stderr={len(self.stderr)} characters"


@dataclass(frozen=True)
class Expected:
    """Which exit statuses are right; none named means any."""

    statuses: tuple[int, ...] = (0,)

    def __contains__(self, rc: int) -> bool:
        """Return True for a right one."""
        return not self.statuses or rc in self.statuses

    def __str__(self) -> str:
        """Return ``0`` or ``0 or 2``."""
        return " or ".join(map(str, self.statuses)) or "any"


SUCCESS = Expected()


@dataclass(frozen=True)
class Match:
    """What ``expect`` found.

    Attributes:
        index: Which of the patterns matched, counted from 0.
        pattern: That pattern.
        text: The text that matched.
        groups: Its groups; None for one that took no part.
        before: Everything the console wrote before it.
    """

    index: int
    pattern: str
    text: str
    groups: tuple[str | None, ...]
    before: str

    def __getitem__(self, key: str) -> object:
        """Return an attribute by name, so that ``${match}[text]`` works too."""
        if key not in self.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self, key)


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended: ``rc`` or, when a signal did it, ``signal`` (``SIGTERM``) with rc 128 + number."""

    rc: int
    signal: str | None = None


class EndOfStream(Exception):
    """The other side has closed the stream: nothing more will be read.

    ``lost`` carries why the connection below broke, or None for a clean end.
    """

    def __init__(self, lost: str | None = None) -> None:
        self.lost = lost
        super().__init__(lost or "end of stream")


class UnexpectedAnswer(EndOfStream):
    """The other side sent something other than what was agreed; nothing after it can be trusted.

    Args:
        what: What it sent, as part of a sentence.
    """


class Refused(EndOfStream):
    """The other side did not start what was asked; the connection lives.

    Args:
        what: What it did instead, as the rest of a sentence that begins with the host: ``gives no terminal (...)``.
    """


class ShellRefused(EndOfStream):
    """What the account logs in to ended before it ran what was asked.

    Args:
        why: What it said, as part of a sentence.
    """


class Channel(Protocol):
    """A byte stream to and from something. One reader and one writer at a time."""

    @property
    def closed(self) -> bool:
        """True after ``close`` or when the other side is gone."""

    async def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes as soon as there are any; raise EndOfStream when no more will come."""

    async def write(self, data: bytes) -> None:
        """Send all of ``data``; raise EndOfStream when the other side is gone."""

    async def resize(self, columns: int, rows: int) -> None:
        """Report the size of the terminal to the other side; without a terminal nothing happens."""

    async def close(self) -> None:
        """Close it, however often; never raises."""

    def describe(self) -> str:
        """Return what it is, for a log."""


class Duplex(Channel, Protocol):
    """A channel of two directions, each of which ends by itself, as those of a TCP connection do."""

    async def end_output(self) -> None:
        """Say that nothing more will be written; what comes is still read. Never raises."""


class Listener(Protocol):
    """What accepts connections on a host."""

    @property
    def port(self) -> int:
        """Where it listens."""

    async def wait(self) -> None:
        """Return once it listens no longer, whoever ended it."""

    async def close(self) -> None:
        """Listen no longer, however often; never raises. Connections that were accepted stay."""


class Process(Protocol):
    """A process on a host: its channel is stdin and stdout (with a terminal: the terminal), plus stderr apart."""

    @property
    def channel(self) -> Channel:
        """Standard input and output."""

    @property
    def errors(self) -> Channel | None:
        """Standard error, to read only; None with a terminal."""

    async def end_input(self) -> None:
        """Close standard input."""

    async def wait(self) -> ExitStatus:
        """Return how it ended; raise EndOfStream when the connection broke first."""

    async def close(self) -> None:
        """Close all its streams; never raises. The process itself sees end of input and a hang-up."""


@dataclass(frozen=True)
class Terminal:
    """The terminal that a process gets."""

    kind: str = "dumb"
    columns: int = 200
    rows: int = 50


class Connection(Protocol):
    """An open connection to one host: it starts processes side by side, or has lines, each shell and console in one."""

    @property
    def line_limit(self) -> int:
        """How many lines it has at most at a time; 0 when it starts processes instead."""

    @property
    def logs_in(self) -> bool:
        """True when a line that it opens waits for a command; False when nobody knows what is at its other end."""

    @property
    def lost(self) -> str | None:
        """Why the connection is gone, or None while it lives."""

    @property
    def native(self) -> object:
        """The protocol library's own connection, for an adapter that speaks the same library, or None."""

    async def execute(self, command: str, terminal: Terminal | None = None, *, login_shell: bool = False) -> Process:
        """Start POSIX shell text.

        Args:
            command: The text.
            terminal: The terminal to run on, or None for separate streams.
            login_shell: Run it by the login shell of the account, which must be known to be a POSIX shell; else by ``sh``.

        Raises:
            EndOfStream: The connection is gone. Refused: It starts nothing more, or not on a terminal.
        """

    async def open_line(self) -> Channel:
        """Open a line; what it wrote before is read first. Raises ConnectError; EndOfStream when it has none."""

    async def dial(self, address: str, port: int) -> Duplex:
        """Open a byte stream from the host to ``address``; raise OSError when the host cannot."""

    async def listen(self, port: int, accept: Callable[[Duplex], None]) -> Listener:
        """Listen on the loopback of the host, on a free port for 0; raise OSError when the host cannot.

        Args:
            port: Where.
            accept: Called with each connection; it must not wait.
        """

    async def close(self) -> None:
        """Close it and everything on it; never raises."""

    def describe(self) -> str:
        """Return what it is, for a log: protocol, address, user."""


@runtime_checkable
class ManySessions(Protocol):
    """A connection of which one ``native`` can have no room for a further session, but another one to the same account has."""

    async def with_room(self, use: Callable[[Any], Awaitable[T]]) -> T:
        """Return what ``use`` returns for a ``native`` with room.

        Args:
            use: Opens a session on the protocol library's connection that it gets, and lets its errors pass.

        Raises:
            Refused: None has room.
        """


class Transport(Protocol):
    """One way to open connections; a class with no state, named in the registry."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Open a connection to the host, through ``hop`` when given.

        Raises:
            ConnectError: It cannot be reached in time. LoginError, HostKeyError: see there.
            HopError: ``hop`` cannot open the way.
        """


@dataclass(frozen=True)
class Record:
    """What a host did, for the log: kept by the work, shown by the keyword.

    Attributes:
        title: What it was, such as ``Run`` or ``Send``.
        host: Name of the host.
        path: The hosts on the way, the host last.
        text: The command, or what was sent or expected.
        result: The whole result of a command, or None when there is none.
        stdout: What was written so far, when there is no result.
        stderr: The same for standard error.
        notes: Sentences a reader must know, such as that the shell is a new one.
        duration_s: Wall time in seconds.
        stdout_file: The file with all of standard output when some of it was left out, or None.
        stderr_file: The same for standard error.
    """

    title: str
    host: str
    path: tuple[str, ...]
    text: str
    result: CommandResult | None = None
    stdout: str = ""
    stderr: str = ""
    notes: tuple[str, ...] = ()
    duration_s: float = 0.0
    stdout_file: Path | None = None
    stderr_file: Path | None = None
