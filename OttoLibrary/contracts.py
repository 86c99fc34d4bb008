"""What an adapter must be, and the plain data that crosses the rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from OttoLibrary.deadline import Deadline
from OttoLibrary.profiles import Profile, linux
from OttoLibrary.text import Secret, plural


@dataclass(frozen=True)
class SshOptions:
    """The ``ssh`` object of a host: what only SSH knows.

    ``ciphers``, ``kex``, ``mac`` and ``host_key_algorithms`` are comma-separated names; a leading ``+`` adds to the
    defaults, as in OpenSSH. ``forwards`` are ``[bind_address:]port:address:port``, opened with the connection.
    """

    config_file: str | None = None
    agent: bool = True
    forward_agent: bool = False
    ciphers: str | None = None
    kex: str | None = None
    mac: str | None = None
    host_key_algorithms: str | None = None
    compression: bool = False
    forwards: tuple[str, ...] = ()


@dataclass(frozen=True)
class SerialOptions:
    """The ``serial`` object of a host: how its port is set, and how fast it may be typed on.

    ``parity`` is ``none``, ``even``, ``odd``, ``mark`` or ``space``; ``flow_control`` is ``none``, ``rtscts``, ``dsrdtr`` or
    ``xonxoff``; ``character_delay`` is seconds after each typed byte.
    """

    baudrate: int = 115200
    bytesize: int = 8
    parity: str = "none"
    stopbits: float = 1
    flow_control: str = "none"
    character_delay: float = 0.0


@dataclass(frozen=True)
class FtpOptions:
    """The ``ftp`` object of a host: its FTP server.

    ``port`` is None for 21, or 990 when ``tls`` is ``implicit``; ``tls`` may also be ``no`` and ``explicit``. ``user`` and
    ``password`` are None for the host's. ``certificate`` is ``verify``, ``ignore`` or a ``SHA256:`` fingerprint. ``mode`` is
    ``passive`` or ``active``.
    """

    port: int | None = None
    user: str | None = None
    password: Secret | None = None
    tls: str = "no"
    certificate: str = "verify"
    mode: str = "passive"


@dataclass(frozen=True)
class SnmpOptions:
    """The ``snmp`` object of a host: its SNMP agent, asked by version 2c.

    ``timeout`` is seconds; a question that got no answer is asked once more.
    """

    port: int = 161
    community: Secret = field(default_factory=lambda: Secret("public"))
    timeout: float = 1.0


@dataclass(frozen=True)
class OwnMetric:
    """One entry of ``metrics`` in a lab file: a command to run, or a file to follow.

    ``pattern`` makes readings of what was said: each named group is one, the group ``label`` its label. ``event`` makes events
    of lines that it matches. ``interval`` is seconds.
    """

    command: str = ""
    file: str = ""
    pattern: str = ""
    event: str = ""
    interval: float = 0.0


@dataclass(frozen=True)
class EvidenceSource:
    """One entry of ``evidence`` in a lab file: a file, or a pattern of files, or a command whose output is kept."""

    file: str = ""
    command: str = ""
    name: str = ""


@dataclass(frozen=True)
class HostFacts:
    """One host of a lab, validated, with its references resolved.

    ``timeout``, ``connect_timeout`` and ``keepalive`` are seconds. ``host_key`` is ``accept-new``, ``strict``, ``ignore``, a
    ``SHA256:`` fingerprint or a public key line. ``transfer`` is empty for the best that the host offers. ``device`` is the
    ``port`` of a serial host: a path or URL. ``console`` is what ``profile`` names.
    """

    name: str
    labs: tuple[str, ...] = ()
    address: str = ""
    transport: str = "ssh"
    port: int | None = None
    device: str = ""
    user: str | None = None
    password: Secret | None = None
    identity_file: str | None = None
    passphrase: Secret | None = None
    hop: str | None = None
    host_key: str = "accept-new"
    profile: str = "linux"
    transfer: str = ""
    tags: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    timeout: float = 60.0
    connect_timeout: float = 15.0
    keepalive: float = 5.0
    accounts: Mapping[str, Secret] = field(default_factory=dict)
    ssh: SshOptions = field(default_factory=SshOptions)
    serial: SerialOptions = field(default_factory=SerialOptions)
    ftp: FtpOptions = field(default_factory=FtpOptions)
    snmp: SnmpOptions = field(default_factory=SnmpOptions)
    metrics: Mapping[str, OwnMetric] = field(default_factory=dict)
    evidence: tuple[EvidenceSource, ...] = ()
    console: Profile = field(default_factory=linux)


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
    """

    host: str
    command: str
    rc: int
    stdout: str
    stderr: str
    signal: str | None
    duration_s: float
    shell_ended: bool = False

    def __getitem__(self, key: str) -> Any:
        """Return an attribute by name, so that ``${result}[rc]`` works too."""
        if key not in self.__dataclass_fields__:
            raise KeyError(key)
        return getattr(self, key)

    def __str__(self) -> str:
        """Return it in short; the log shows the whole of it beside."""
        said = self.stdout if len(self.stdout) <= 60 else f"{self.stdout[:57]}..."
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
        before: Everything the console said before it.
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
        """Tell the other side the size of the terminal; without a terminal nothing happens."""

    async def close(self) -> None:
        """Close it, however often; never raises."""

    def describe(self) -> str:
        """Return what it is, for a log."""


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
    """An open way to one host: it starts processes side by side, or has lines, each a command shell and a console in one."""

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

    async def execute(self, command: str, terminal: Terminal | None = None) -> Process:
        """Start ``command`` under the login shell; raise EndOfStream when the connection is gone."""

    async def open_line(self) -> Channel:
        """Open a line; what it said before is read first. Raises ConnectError; EndOfStream when it has none."""

    async def dial(self, address: str, port: int) -> Channel:
        """Open a byte stream from the host to ``address``; raise OSError when the host cannot."""

    async def close(self) -> None:
        """Close it and everything on it; never raises."""

    def describe(self) -> str:
        """Return what it is, for a log: protocol, address, user."""


@dataclass(frozen=True)
class Answer:
    """What a script on a host said and how it ended, in bytes."""

    rc: int
    stdout: bytes
    stderr: bytes


class Site(Protocol):
    """A host as a transfer sees it."""

    @property
    def facts(self) -> HostFacts:
        """What the lab says about it."""

    @property
    def connection(self) -> Connection:
        """The open connection."""

    @property
    def user(self) -> str:
        """The user it has become, empty for the login user."""

    @property
    def parallel(self) -> bool:
        """True when processes run side by side on clean streams; False when one line serves everything."""

    async def run(self, script: str) -> Answer:
        """Run shell text to its end, as the present user; what it started is ended when the call is cancelled.

        Raises:
            EndOfStream: The connection broke.
        """

    async def execute(self, script: str) -> Process:
        """Start shell text as the present user. On one line the line is the process's own until it is closed."""

    async def dial(self, port: int) -> Channel:
        """Open a byte stream to a port of the host, through its hops; raise OSError."""


@dataclass(frozen=True)
class Wishes:
    """How a transfer is to be done.

    Attributes:
        via: The protocol; empty for the host's own or the best that it offers.
        parents: Make folders that are missing.
        mode: Permission bits in place of the source's.
        verify: ``auto``, ``sha256`` or ``no``.
        resume: Go on where an earlier try was cut, and leave what arrived when this one is.
        skip_same: Move only what differs.
        links: ``follow`` symbolic links, or ``keep`` them as links.
        timeout_s: Seconds for all of it, or None: then it may take its time while bytes move.
    """

    via: str = ""
    parents: bool = False
    mode: int | None = None
    verify: str = "auto"
    resume: bool = False
    skip_same: bool = False
    links: str = "follow"
    timeout_s: float | None = None


@dataclass(frozen=True)
class Job:
    """The bytes of one file on their way.

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
    """What became of one file.

    Attributes:
        source: Its path before.
        target: Its absolute path after.
        size_bytes: How long it is.
        sent_bytes: How many bytes were moved; less than its size when an earlier try was continued.
        checksum: What was verified, or nothing with ``verify=no``.
        skipped: True when the target was the same already.
        notes: What could not be kept, in sentences.
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
    def target(self) -> str:
        """The path of the first file after."""
        return self.files[0].target if self.files else ""

    @property
    def size_bytes(self) -> int:
        """How long all files are together."""
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
        """Return it in short; the log shows each file."""
        return f"{plural(len(self.files), 'file')}, {self.sent_bytes} of {self.size_bytes} bytes moved by {self.protocol}"


@dataclass(frozen=True)
class Progress:
    """How far a file is.

    Attributes:
        label: Which file, and where to.
        moved_bytes: How many of its bytes are there.
        size_bytes: How many it has.
        ended: True for the last news of it, however it ended.
    """

    label: str
    moved_bytes: int
    size_bytes: int
    ended: bool = False


class Transfer(Protocol):
    """One way to move the bytes of a file; everything else about files is not its business.

    Attributes:
        checksum: What its transfers are verified by: ``cksum`` where the way authenticates the bytes, otherwise ``sha256``.
        resumes: True when ``start`` may be other than 0.
    """

    checksum: str
    resumes: bool

    async def put(self, site: Site, job: Job) -> None:
        """Write ``local`` from ``start`` on into ``remote``, which exists and holds the bytes before.

        Raises:
            OSError: The host refused it, or this machine's file could not be read; the text says why.
            EndOfStream: The connection broke.
            UsageError: This host does not offer it; the sentence says what it lacks.
        """

    async def get(self, site: Site, job: Job) -> None:
        """Write ``remote`` from ``start`` on into ``local``, which holds the bytes before; raises what ``put`` raises."""


class Transport(Protocol):
    """One way to open connections; a class with no state, named in the registry."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Open a connection to the host, through ``hop`` when given.

        Raises:
            ConnectError: It cannot be reached in time. LoginError, HostKeyError: as they say.
            HopError: ``hop`` cannot open the way.
        """


class Reference(Protocol):
    """One kind of ``${kind:argument}`` in a lab file."""

    def resolve(self, argument: str) -> str:
        """Return the value; raise LookupError with one clear sentence part when there is none."""

    def close(self) -> None:
        """Give back what it opened; idempotent."""


class LabRepository(Protocol):
    """A source of labs. Both methods answer in bounded time, and raise whatever they like when they cannot."""

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        """Return a lab as plain data that is the caller's own: an object in our form, or a list of hosts in otto's.

        Args:
            name: The name of the lab.
            preferences: The table ``[lab.preferences]`` of the settings, as it is; None when there is none.

        Raises:
            LookupError: There is no lab of that name.
        """

    def list_labs(self) -> list[str]:
        """Return the names of the labs that there are, as far as the source can say."""


class LabFiles(LabRepository, Protocol):
    """A source whose labs are files: messages name the file, and relative paths in a lab start at its folder."""

    def file_of(self, name: str) -> Path:
        """Return the file of a lab; raise LookupError."""


class Metric(Protocol):
    """One kind of readings; an instance belongs to one host, so that counters can become rates.

    One that is built in has a method ``here(uptime_s)`` too, which returns the same readings of this machine, by psutil.

    A series is named by what it is and its unit, with a label in brackets where there are several of a kind:
    ``cpu_percent``, ``network_sent_bytes_per_s[eth0]``. ``units.unit_of`` knows the endings.

    Attributes:
        main: The series that the name of the metric alone stands for, such as ``cpu_percent`` for ``cpu``.
        interval_s: It is read at most so often; 0 for every tick.
        forks: True when its script starts processes, which may hang: then it is run beside those that do not.
    """

    main: str
    interval_s: float
    forks: bool

    def script(self) -> str:
        """Return POSIX shell text that says what is to be read.

        It may use ``take FILE [LINES]``, which says (the first lines of) a file and nothing for one that cannot be read, and
        ``say TEXT``. Both start no process. ``IFS`` is a newline; names of variables begin with the metric's; nothing is
        printed but by these two.
        """

    def values(self, said: str, uptime_s: float) -> dict[str, float]:
        """Return the readings by series, from what the script said.

        Args:
            said: Its lines.
            uptime_s: The host's clock, seconds since it was started, for rates.

        Raises:
            ValueError: It is not what it should be; the text says what is wrong.
        """


class NetworkMetric(Protocol):
    """Readings that are asked for over the network from here, not in a shell of the host.

    Attributes:
        main: As in ``Metric``.
        interval_s: As in ``Metric``.
    """

    main: str
    interval_s: float

    async def ask(self, facts: HostFacts, uptime_s: float) -> dict[str, float]:
        """Return the readings by series.

        Raises:
            ValueError: There is no such reading; the text says why.
            OSError: The host does not answer.
        """


class Follower(Protocol):
    """Readings and events from what a command on the host writes, line by line, as long as the host is watched.

    Attributes:
        main: As in ``Metric``.
    """

    main: str

    def script(self) -> str:
        """Return the command."""

    def take(self, line: str) -> tuple[dict[str, float], str]:
        """Return the readings by series and the text of an event, either or both empty; raise ValueError."""


@dataclass(frozen=True)
class Tick:
    """All readings of a host at one moment.

    Attributes:
        host: Name of the host.
        at: When, in seconds since 1970 by this machine's clock.
        uptime_s: When by the host's clock, seconds since it was started.
        values: The readings by series.
    """

    host: str
    at: float
    uptime_s: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Event:
    """Something that happened, or lasted, while hosts were watched.

    Attributes:
        at: When it began, in seconds since 1970 by this machine's clock.
        text: What it was.
        kind: ``mark`` or ``span`` of a user, or ``gap``, ``error``, ``reboot``, ``clock``, ``log``, ``limit``, ``test``,
            ``keyword``.
        host: Name of the host, empty when it concerns all.
        until: When it ended, or None for a moment, or for what has not ended.
    """

    at: float
    text: str
    kind: str
    host: str = ""
    until: float | None = None


@dataclass(frozen=True)
class Demand:
    """What somebody wants to reserve.

    Attributes:
        candidates: The hosts that would do, each with the resources that it takes, in the order of the lab.
        count: How many of them.
        user: Who wants them.
        purpose: What for.
        lease_s: How long they stay reserved when nobody renews, in seconds.
        priority: Higher goes first; among equals who came first.
    """

    candidates: Mapping[str, tuple[str, ...]]
    count: int
    user: str
    purpose: str = ""
    lease_s: float = 1800.0
    priority: int = 0


@dataclass(frozen=True)
class Holding:
    """Who has a resource.

    Attributes:
        resource: Its name.
        user: Who.
        since: Since when, in seconds since 1970; None when that is not known.
        until: Until when unless renewed, in seconds since 1970; None when it does not end by itself.
        purpose: What for.
        process: The process, as ``machine:pid``; empty when it is not known.
        token: The token of its lease, or None when it is no lease.
    """

    resource: str
    user: str
    since: float | None = None
    until: float | None = None
    purpose: str = ""
    process: str = ""
    token: int | None = None


@dataclass(frozen=True)
class Lease:
    """Hosts that are reserved for us.

    Attributes:
        hosts: Their names.
        resources: What they take.
        token: Grows with every lease that the backend gives; what is written with an older one came too late.
        until: When it ends unless renewed, in seconds since 1970.
        lease_s: How long a renewal lasts.
    """

    hosts: tuple[str, ...]
    resources: tuple[str, ...]
    token: int
    until: float
    lease_s: float


class Reservations(Protocol):
    """Who has which resources: the part that every backend has."""

    def get_reserved_resources(self, username: str) -> set[str]:
        """Return what a user has reserved; raise ReservationError when that cannot be said."""

    def who_reserved(self, resource: str) -> list[str]:
        """Return the users who have a resource; raise ReservationError when that cannot be said."""

    def backend_name(self) -> str:
        """Return its name, for messages."""


class Acquiring(Reservations, Protocol):
    """A backend that reserves resources for a user, and knows no queue.

    Calls come one at a time, not always from the same thread, and may block for a moment. Each raises ReservationError when
    there is no answer. A backend may have ``close()``, which is called when the run is over and everything was given back.
    """

    def acquire(self, username: str, resources: Collection[str], lease_s: float, purpose: str) -> bool:
        """Reserve all of these resources at once and return True, or none of them and return False.

        Args:
            username: For whom.
            resources: Which.
            lease_s: After so many seconds the reservation ends, unless it is renewed.
            purpose: What for, empty when nobody said.

        Returns:
            False when anybody has one of them: the same user, too, who may be another process.
        """

    def renew(self, username: str, resources: Collection[str], lease_s: float) -> bool:
        """Let the reservation of all of these end in ``lease_s`` seconds; return False when the user has one of them no more."""

    def release(self, username: str, resources: Collection[str]) -> None:
        """Give these back; what the user has no more is fine, and stays with whoever has it."""


class Leasing(Reservations, Protocol):
    """A backend that reserves, too. Methods may block for a moment; several threads may use one at a time."""

    def join(self, demand: Demand) -> str:
        """Queue up and return a ticket; raise ReservationError."""

    def attempt(self, ticket: str) -> Lease | None:
        """Return all that was wanted, or None when it is not our turn yet; raise ReservationError."""

    def wait(self, ticket: str, seconds: float) -> None:
        """Return when an attempt may have become worth while, at the latest after so long."""

    def leave(self, ticket: str) -> None:
        """Leave the queue, and give back what the ticket came to; one that is not known is fine."""

    def holdings(self) -> list[Holding]:
        """Return who has what."""

    def renew(self, lease: Lease) -> Lease:
        """Return the lease with a new end; raise LeaseLostError when it is ours no more."""

    def release(self, lease: Lease) -> None:
        """Give everything back; a lease that is ours no more is fine."""

    def release_forced(self, resource: str, user: str, reason: str) -> list[Holding]:
        """Take a resource from whoever has it, note who did and why, and return what was taken."""

    def close(self) -> None:
        """Give back all that this process has here."""


@dataclass(frozen=True)
class Record:
    """What a host did, for the log: kept by the work, shown by the keyword.

    Attributes:
        title: What it was, such as ``Run`` or ``Send``.
        host: Name of the host.
        path: The hosts on the way, the host last.
        text: The command, or what was sent or expected.
        result: The whole result of a command, or None when it did not come to one.
        stdout: What was said so far, when there is no result.
        stderr: The same for standard error.
        notes: Sentences a reader must know, such as that the shell is a new one.
        duration_s: Wall time in seconds.
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
