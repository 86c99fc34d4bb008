"""One call that moves files, from the choice of the protocol to what the log says of it.

It gives the protocol its host, limits its time, notices when no byte moves any more, and turns any failure into one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace

from OttoLibrary import registry
from OttoLibrary.contracts.connections import Channel, Connection, EndOfStream, Process
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.transfers import (
    FileResult,
    Job,
    NotOfferedError,
    Progress,
    ScriptResult,
    Transfer,
    TransferOptions,
    TransferResult,
)
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, TransferError, UsageError, WaitTimeoutError, reason_here
from OttoLibrary.host.host import Host
from OttoLibrary.transfer.host_file_agent import RefusedError, check_path
from OttoLibrary.units import size_text

_NEWS_S = 0.1
# To end a started process that is not needed any more.
_GIVEN_UP_S = 0.8
# A script may run as long as bytes move; a stall ends it.
_LONGEST_S = 7 * 86400.0
# How fast the slowest host makes a checksum, or unpacks: no byte moves meanwhile.
_CHECKED_BYTES_S = 5 << 20


@contextlib.asynccontextmanager
async def begin(
    host: Host, patience_s: float | None, title: str, text: str, options: TransferOptions
) -> AsyncIterator[TransferCall]:
    """Begin a call: choose the protocol, limit the time, and record what happened to the files.

    Args:
        host: The host.
        patience_s: Seconds without progress that are allowed, or None for the host's time-out.
        title: What it is, for the log.
        text: Which files.
        options: How.
    """
    began = time.monotonic()
    work: TransferCall | None = None
    bound = Deadline(options.timeout_s) if options.timeout_s is not None else None
    try:
        async with asyncio.timeout(bound.remaining_s if bound else None):
            work = await _begun(host, patience_s, options, began)
            yield work
    except TimeoutError as error:
        if bound is None or not bound.expired:
            raise
        what = f"did not finish '{text}'"
        raise WaitTimeoutError(host.name, host.path, what, bound.seconds, advice="Nothing unfinished is left.") from error
    finally:
        if work is not None:
            host.note_transfer(title, f"{text} ({work.protocol})", began, work.files)


async def _begun(host: Host, patience_s: float | None, options: TransferOptions, began: float) -> TransferCall:
    site = await site_of(host, patience_s)
    name, *others = (named,) if (named := options.via or site.facts.transfer) else _best(site, host)
    work = TransferCall(host, site, name, registry.load("transfer", name), began, others)
    _check(options, work, host)
    return work


async def site_of(host: Host, patience_s: float | None) -> HostSite:
    """Return an open host as a transfer sees it."""
    deadline = await host.deadline(patience_s)
    facts, connection = await host.connection.facts(), await host.connection.open(deadline)
    return HostSite(host, facts, connection, deadline.seconds, parallel=await host.parallel(deadline))


@dataclass
class TransferCall:
    """One call in progress."""

    host: Host
    site: HostSite
    protocol: str
    transfer: Transfer
    began: float
    others: list[str] = field(default_factory=list)
    files: list[FileResult] = field(default_factory=list)

    def verify(self, options: TransferOptions) -> str:
        """Return the kind of checksum: ``cksum``, ``sha256`` or ``no``."""
        return str(self.transfer.checksum) if options.verify == "auto" else options.verify

    def result(self) -> TransferResult:
        """Return what was done."""
        return TransferResult(self.host.name, self.protocol, tuple(self.files), time.monotonic() - self.began)

    def attempt(self, what: str, moved: ByteCount) -> contextlib.AbstractAsyncContextManager[None]:
        """Turn any failure into a TransferError whose sentence says ``what`` did not happen."""
        return guarded(self.host, what, moved, self.site.patience_s)

    async def put(self, job: Job) -> None:
        """Let the protocol move the bytes of a file to the host; raise what it raises."""
        await self._move(lambda transfer, job: transfer.put(self.site, job), job)

    async def get(self, job: Job) -> None:
        """Let the protocol move the bytes of a file from the host; raise what it raises."""
        await self._move(lambda transfer, job: transfer.get(self.site, job), job)

    async def _move(self, move: Callable[[Transfer, Job], Awaitable[None]], job: Job) -> None:
        """Let the protocol move bytes, or the next one where nobody chose it and the host does not offer it."""
        while True:
            try:
                with self._named():
                    return await move(self.transfer, job)
            except NotOfferedError as error:
                if not self.others:
                    raise
                missing = str(error).removesuffix(".")
            self.protocol = self.others.pop(0)
            self.transfer = registry.load("transfer", self.protocol)
            self.host.note(f"{missing}; '{self.protocol}' is used instead.")
            if not self.transfer.resumes:
                job = replace(job, start=0)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say which host cannot use which protocol; the protocol itself only says why."""
        try:
            yield
        except UsageError as error:
            sentence = f"Host '{self.host.name}' cannot use '{self.protocol}': {error}."
            raise (NotOfferedError if isinstance(error, NotOfferedError) else UsageError)(sentence) from error


@contextlib.asynccontextmanager
async def guarded(host: Host, what: str, moved: ByteCount, patience_s: float) -> AsyncIterator[None]:
    """Turn any failure of the work on one file into a TransferError; work that stalls for too long is ended."""

    def failure(cause: str) -> TransferError:
        if moved.size and moved.count:
            cause += f", after {size_text(moved.start + moved.count)} of {size_text(moved.size)}"
        cause = cause.removesuffix(".")
        return TransferError(host.name, host.path, what, cause, sent_bytes=moved.count, expected_bytes=moved.size)

    try:
        async with moved.watched(patience_s):
            yield
    except RefusedError as error:
        raise failure(str(error)) from error
    except _StalledError as error:
        raise failure(f"no byte moved for {patience_s:g} seconds") from error
    except (EndOfStream, ConnectionError) as error:
        raise failure(f"the connection broke ({error})") from error
    except TimeoutError:
        raise
    except OSError as error:
        raise failure(system_message(error)) from error
    finally:
        moved.end()


class HostSite:
    """``contracts.transfers.Site`` over a host."""

    def __init__(self, host: Host, facts: HostFacts, connection: Connection, patience_s: float, *, parallel: bool) -> None:
        self.host = host
        self.facts, self.connection, self.patience_s = facts, connection, patience_s
        self.parallel = parallel
        self.user = host.account.user if host.account else ""

    async def run(self, script: str) -> ScriptResult:
        """Run shell text to its end."""
        return await self.host.answer_of(script, Deadline(_LONGEST_S))

    async def execute(self, script: str) -> Process:
        """Start shell text; a start that is cancelled is awaited and ended, so that it does not stay open."""
        starting = asyncio.ensure_future(self.host.execute(script, Deadline(self.patience_s)))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with contextlib.suppress(HostError, EndOfStream, TimeoutError):
                async with asyncio.timeout(_GIVEN_UP_S):
                    await (await starting).close()
            raise

    async def dial(self, port: int) -> Channel:
        """Open a byte stream to a port of the host."""
        address = self.facts.address or "127.0.0.1"
        deadline = Deadline(self.facts.connect_timeout)
        if self.host.hop is not None:
            connection = await self.host.hop.connection.open(deadline)
        else:
            connection = await registry.load("transport", "local").connect(self.facts, self.host.path, None, deadline)
        async with deadline.timeout():
            return await connection.dial(address, port)


class _StalledError(Exception):
    """No byte moved for too long."""


class ByteCount:
    """Counts the bytes of one file, reports them now and then, and notices when it stalls."""

    def __init__(self, progress: Callable[[Progress], None], label: str, size: int) -> None:
        self.size, self.start, self.count = size, 0, 0
        self._progress, self._label = progress, label
        self._told = time.monotonic()
        self._bound: asyncio.Timeout | None = None
        self._patience_s = 0.0

    def begin(self, start: int) -> None:
        """Note how many bytes were there before."""
        self.start = start

    def add(self, count: int) -> None:
        """Count bytes that were moved."""
        self.count += count
        now = time.monotonic()
        if now - self._told < _NEWS_S:
            return
        self._told = now
        self.stir()
        self._progress(Progress(self._label, self.start + self.count, self.size))

    def stir(self, checked_bytes: int = 0) -> None:
        """Note that there is progress; ``checked_bytes`` will now be checked, during which no byte moves."""
        if self._bound is not None:
            more_s = self._patience_s + checked_bytes / _CHECKED_BYTES_S
            self._bound.reschedule(asyncio.get_running_loop().time() + more_s)

    def end(self) -> None:
        """Report that it is over."""
        self._progress(Progress(self._label, self.start + self.count, self.size, ended=True))

    @contextlib.asynccontextmanager
    async def watched(self, patience_s: float) -> AsyncIterator[None]:
        """Raise _StalledError when nothing moves for that long."""
        self._patience_s = patience_s
        try:
            async with asyncio.timeout(patience_s) as self._bound:
                yield
        except TimeoutError as error:
            if self._bound is not None and self._bound.expired():
                raise _StalledError from error
            raise


def _best(site: HostSite, host: Host) -> tuple[str, ...]:
    """Return the protocols to try for a host for which none is named, the best first."""
    if site.facts.transport == "local":
        return ("console",) if host.account else ("local",)
    return ("sftp", "scp", "console") if site.connection.native is not None and host.account is None else ("console",)


def _check(options: TransferOptions, work: TransferCall, host: Host) -> None:
    for name, value, known in (
        ("verify", options.verify, ("auto", "sha256", "no")),
        ("links", options.links, ("follow", "keep")),
    ):
        if value not in known:
            raise UsageError(f"{name}={value} is not known. Use one of: {', '.join(known)}.")
    if options.in_place and (options.resume or options.links == "keep"):
        other = "resume=yes" if options.resume else "links=keep"
        raise UsageError(f"in_place=yes writes into the file that exists, which {other} cannot do. Leave out one of them.")
    if options.resume and not work.transfer.resumes:
        raise UsageError(f"A cut transfer by {work.protocol} cannot be resumed. Use via=sftp or via=nc, or leave out resume.")
    if host.account is not None and work.protocol in {"sftp", "scp", "ftp", "local"}:
        raise UsageError(
            f"{work.protocol} works as the login user, and host '{host.name}' is user '{host.account.user}' now. "
            "Use via=console, or switch back first."
        )


def check_paths(source: str, target: str) -> None:
    """Raise UsageError for an empty path, which is a variable that was never set rather than a choice."""
    if not source:
        raise UsageError("The source is empty. Name a file or folder.")
    if not target:
        raise UsageError("The target is empty. Name a file or folder; './' keeps the name, in the current one.")
    check_path(source)
    check_path(target)


def system_message(error: OSError) -> str:
    """Return the message of the system, without its error number, and where it is this machine that is short of something."""
    if reason := reason_here(error):
        return reason
    if not error.strerror:
        return str(error)
    name = str(error.filename or "")
    named = f" ('{name}')" if name else ""
    return f"{error.strerror}{named}{'' if name.isascii() else locale_advice()}"


def locale_advice() -> str:
    """Return what to add about the name of a file when this machine's locale does not write it in UTF-8, as hosts do."""
    encoding = sys.getfilesystemencoding()
    if encoding == "utf-8":
        return ""
    return f"; names of files are in {encoding} in the locale of this run, so set LC_ALL=C.UTF-8 for names that are not ASCII"
