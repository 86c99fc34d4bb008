"""How files move: what a transfer is given, what it must do, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from OttoLibrary.errors import UsageError
from OttoLibrary.text import plural

if TYPE_CHECKING:
    from OttoLibrary.contracts.connections import Channel, Connection, Process
    from OttoLibrary.contracts.facts import HostFacts


class NotOfferedError(UsageError):
    """The host does not offer a protocol; carries what is missing, as part of a sentence. No byte was moved."""


@dataclass(frozen=True)
class ScriptResult:
    """The output of a script on a host, in bytes, and its exit status."""

    rc: int
    stdout: bytes
    stderr: bytes


class Site(Protocol):
    """A host as a transfer sees it."""

    @property
    def facts(self) -> HostFacts:
        """Its facts from the lab."""

    @property
    def connection(self) -> Connection:
        """The open connection."""

    @property
    def user(self) -> str:
        """The user that was switched to, empty for the login user."""

    @property
    def parallel(self) -> bool:
        """True when processes run side by side on clean streams; False when one line serves everything."""

    async def run(self, script: str) -> ScriptResult:
        """Run shell text to its end, as the current user; what it started is ended when the call is cancelled.

        Raises:
            EndOfStream: The connection broke.
        """

    async def execute(self, script: str) -> Process:
        """Start shell text as the current user. A host that is one line belongs to the process until it is closed."""

    async def dial(self, port: int) -> Channel:
        """Open a byte stream to a port of the host, through its hops; raise OSError."""


@dataclass(frozen=True)
class TransferOptions:
    """How a transfer is done.

    Attributes:
        via: The protocol; empty for the one in the lab, or the best that the host offers.
        parents: Create missing folders.
        mode: Permission bits in place of the source's.
        verify: ``auto``, ``sha256`` or ``no``.
        resume: Continue where an earlier try was cut, and keep what arrived when this one is cut.
        skip_same: Move only what differs.
        links: ``follow`` symbolic links, or ``keep`` them as links.
        timeout_s: Seconds for all of it, or None for as long as bytes move.
        in_place: Write into a file that exists on the host instead of replacing it.
    """

    via: str = ""
    parents: bool = False
    mode: int | None = None
    verify: str = "auto"
    resume: bool = False
    skip_same: bool = False
    links: str = "follow"
    timeout_s: float | None = None
    in_place: bool = False


@dataclass(frozen=True)
class Job:
    """The bytes of one file that are to be moved.

    Attributes:
        local: The file on this machine.
        remote: Its absolute path on the host, a temporary name when it is written.
        size: How many bytes the whole file has.
        start: How many of them are there already.
        moved: Called with the number of bytes that have just been moved.
    """

    local: Path
    remote: str
    size: int
    start: int = 0
    moved: Callable[[int], None] = lambda count: None


@dataclass(frozen=True)
class FileResult:
    """What happened to one file.

    Attributes:
        source: Its path before.
        target: Its absolute path after.
        size_bytes: Its length.
        sent_bytes: How many bytes were moved; less than its size when an earlier try was continued.
        checksum: What was verified, or nothing with ``verify=no``.
        skipped: True when the target was already the same.
        notes: What could not be preserved, in sentences.
    """

    source: str
    target: str
    size_bytes: int
    sent_bytes: int
    checksum: str = ""
    skipped: bool = False
    notes: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> Any:
        """Return an attribute by name, so that ``${file}[target]`` works too."""
        if key not in self.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self, key)


@dataclass(frozen=True)
class TransferResult:
    """What a transfer did.

    Attributes:
        host: Name of the host.
        protocol: How the bytes were moved.
        files: One result for each file.
        duration_s: Wall time in seconds.
    """

    host: str
    protocol: str
    files: tuple[FileResult, ...]
    duration_s: float

    @property
    def rc(self) -> int:
        """0, as of a command: among the results of many hosts an error has -1."""
        return 0

    @property
    def target(self) -> str:
        """The path of the first file after."""
        return self.files[0].target if self.files else ""

    @property
    def size_bytes(self) -> int:
        """The length of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def sent_bytes(self) -> int:
        """How many bytes were moved."""
        return sum(file.sent_bytes for file in self.files)

    def __getitem__(self, key: str) -> Any:
        """Return an attribute by name, so that ``${result}[target]`` works too."""
        if key not in {*self.__dataclass_fields__, "target", "size_bytes", "sent_bytes"}:
            raise KeyError(key)
        return getattr(self, key)

    def __str__(self) -> str:
        """Return a summary; the log shows each file."""
        return f"{plural(len(self.files), 'file')}, {self.sent_bytes} of {self.size_bytes} bytes moved by {self.protocol}"


class Transfer(Protocol):
    """One way to move the bytes of a file; it need not know anything else about files.

    Attributes:
        checksum: What its transfers are verified by: ``cksum`` where the protocol authenticates the bytes, otherwise ``sha256``.
        resumes: True when ``start`` may be other than 0.
    """

    checksum: str
    resumes: bool

    async def put(self, site: Site, job: Job) -> None:
        """Write ``local`` from ``start`` on into ``remote``, which exists and holds the bytes before.

        Raises:
            OSError: The host refused it, or this machine's file could not be read; the text says why.
            EndOfStream: The connection broke.
            NotOfferedError: This host does not offer it; the message says what is missing.
        """

    async def get(self, site: Site, job: Job) -> None:
        """Write ``remote`` from ``start`` on into ``local``, which holds the bytes before; raises what ``put`` raises."""


@runtime_checkable
class WithoutShell(Protocol):
    """A transfer that can do without a shell on the host: accounts may be for files only."""

    async def put_alone(self, site: Site, job: Job, own_name: str, mode: int, mtime: int, *, parents: bool) -> str:
        """Write ``local`` beside ``remote``, check its length, rename it, and return its path.

        Args:
            site: The host.
            job: What moves; ``remote`` is a folder (it ends with ``/`` or exists) or the new name.
            own_name: The name in a folder.
            mode: Its permission bits.
            mtime: Its time, in seconds since 1970.
            parents: Make the folders that are missing.

        Raises:
            OSError, EndOfStream, NotOfferedError: As ``put`` of a transfer.
        """

    async def look_alone(self, site: Site, path: str) -> tuple[str, int, int, int]:
        """Return the absolute path, the length, the time and the permission bits of a plain file; raises what ``get`` raises."""


@dataclass(frozen=True)
class Progress:
    """How far a file is.

    Attributes:
        label: Which file, and where to.
        moved_bytes: How many of its bytes are there.
        size_bytes: How many it has.
        ended: True for the last report, however it ended.
    """

    label: str
    moved_bytes: int
    size_bytes: int
    ended: bool = False
