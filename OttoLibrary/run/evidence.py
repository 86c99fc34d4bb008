"""Fetches files and command output from the hosts of a failed test, bounded in size and time."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path

from OttoLibrary.contracts.connections import EndOfStream
from OttoLibrary.contracts.facts import EvidenceSource
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import OttoError
from OttoLibrary.host.host import Host
from OttoLibrary.report.blocks import table
from OttoLibrary.text import decode
from OttoLibrary.transfer.host_file_agent import glob
from OttoLibrary.units import size_text

_MOST_FILES = 20
_AT_ONCE = 3
# Tidying up after the time is over takes some time too.
_GRACE_S = 2.0
# So much more is fetched than is kept, so that a secret at the cut is known as one.
_OVERLAP = 4096
_MOST_LETTERS = 60
_MOST_DIGITS = 20
# All else could be a page with a script, such as .html, .svg and .xml, or what has no suffix and looks like one.
_SHOWN_AS_TEXT = {".txt", ".log"}


@dataclass(frozen=True)
class Bounds:
    """How much it may take.

    Attributes:
        size_bytes: At most this much of a file or output is kept: its end.
        timeout_s: How long each host may take; hosts are asked side by side.
    """

    size_bytes: int = 10_000_000
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Piece:
    """One thing that was kept, or not.

    Attributes:
        host: Name of the host.
        what: The file or command.
        path: Where it is kept, or None.
        size_bytes: How much of it is kept.
        note: What the reader must know; for what is not kept, why.
    """

    host: str
    what: str
    path: Path | None = None
    size_bytes: int = 0
    note: str = ""


async def collect(hosts: Sequence[Host], folder: Path, bounds: Bounds, mask: Callable[[str], str]) -> list[Piece]:
    """Fetch the evidence of hosts, side by side; a host that does not answer takes all of its time and is named.

    Args:
        hosts: The hosts; what to fetch is in their facts.
        folder: A folder of each is made in it.
        bounds: How much it may take.
        mask: Hides secrets in what is kept.
    """
    errands = [_Errand(host, folder / _safe(host.name), bounds, mask) for host in hosts]
    tasks = [asyncio.create_task(errand.run()) for errand in errands]
    # An errand ends by itself when its time is over, unless what has to be tidied up hangs too.
    _, late = await asyncio.wait(tasks, timeout=bounds.timeout_s + _GRACE_S)
    for task in late:
        task.cancel()
    return [piece for errand in errands for piece in errand.result()]


def evidence_table(pieces: Sequence[Piece], link: Callable[[Path, str], str]) -> str:
    """Return a table of what was kept, as HTML.

    Args:
        pieces: What was kept, or not.
        link: Returns a link to a kept file, from its path and name.
    """
    return "Evidence" + table(("host", "what", "size", "file"), [_row(piece, link) for piece in pieces])


def _row(piece: Piece, link: Callable[[Path, str], str]) -> tuple[str, ...]:
    what, note = f"<code>{escape(piece.what)}</code>", escape(piece.note)
    if piece.path is None:
        return escape(piece.host), what, "", note
    linked = link(piece.path, piece.path.name)
    size = size_text(piece.size_bytes).replace(" ", "&nbsp;")
    return escape(piece.host), what, size, f"{linked} {note}".rstrip()


class _Errand:
    """One host."""

    def __init__(self, host: Host, folder: Path, bounds: Bounds, mask: Callable[[str], str]) -> None:
        self._host, self._folder, self._bounds, self._mask = host, folder, bounds, mask
        self._deadline = Deadline(bounds.timeout_s)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._sources: tuple[EvidenceSource, ...] = ()
        self._kept: dict[EvidenceSource, list[Piece]] = {}
        self._done: set[EvidenceSource] = set()

    async def run(self) -> None:
        """Fetch all that the lab says; a mistake, or a host that is away, is a piece that says so."""
        try:
            async with self._deadline.timeout():
                self._sources = (await self._host.connection.facts()).evidence
                await self._host.connection.open(self._deadline)
                await asyncio.gather(*(self._fetch(source) for source in self._sources))
        except TimeoutError:
            pass  # what is missing says so
        except OttoError as error:
            self._done.update(self._sources)
            self._kept[EvidenceSource()] = [self._missing("", error)]

    def result(self) -> list[Piece]:
        """Return what was kept so far, and what was not."""
        pieces = [piece for kept in self._kept.values() for piece in kept]
        seconds = f"{self._bounds.timeout_s:g} seconds"
        if not pieces and not self._done:
            return [Piece(self._host.name, "", note=f"no answer within {seconds}")]
        late = [source for source in self._sources if source not in self._done]
        return pieces + [
            Piece(self._host.name, self._mask(_name(source)), note=f"did not arrive within {seconds}") for source in late
        ]

    async def _fetch(self, source: EvidenceSource) -> None:
        kept = self._kept.setdefault(source, [])
        async with self._slots:
            try:
                await (self._keep_output(source, kept) if source.command else self._keep_files(source, kept))
            except (OttoError, OSError, EndOfStream) as error:
                kept.append(self._missing(_name(source), error))
        self._done.add(source)

    def _missing(self, what: str, error: Exception) -> Piece:
        return self._without(what, "the connection broke" if isinstance(error, EndOfStream) else str(error).partition("\n")[0])

    def _without(self, what: str, reason: str) -> Piece:
        """Return what is not kept, and why."""
        return Piece(self._host.name, self._mask(what), note=self._mask(reason))

    async def _keep_output(self, source: EvidenceSource, kept: list[Piece]) -> None:
        limit = self._bounds.size_bytes
        script = f"sh -c {shlex.quote(source.command)} 2>&1 | tail -c {limit + 1 + _OVERLAP}"
        answer = await self._host.answer_of(script, self._deadline)
        is_cut = len(answer.stdout) > limit
        kept.append(await self._keep(source.command, source.name or source.command, answer.stdout, is_cut))

    async def _keep_files(self, source: EvidenceSource, kept: list[Piece]) -> None:
        """Keep the newest files of a pattern."""
        script = f'ls -1dt -- {glob(source.file)} | while IFS= read -r path; do [ ! -d "$path" ] && printf "%s\\n" "$path"; done'
        answer = await self._host.answer_of(script, self._deadline)
        paths = answer.stdout.decode("utf-8", "surrogateescape").splitlines()
        for path in paths[:_MOST_FILES]:
            await self._keep_file(path, source.name, kept)
        if not paths:
            kept.append(
                Piece(self._host.name, self._mask(source.file), note=self._mask(_last_line(answer.stderr)) or "no such file")
            )
        elif len(paths) > _MOST_FILES:
            kept.append(
                Piece(self._host.name, self._mask(source.file), note=f"{len(paths) - _MOST_FILES} older files are not kept")
            )

    async def _keep_file(self, path: str, name: str, kept: list[Piece]) -> None:
        what, quoted, limit = decode(path.encode("utf-8", "surrogateescape")), shlex.quote(path), self._bounds.size_bytes
        check = f"[ -f {quoted} ] || {{ echo 'it is not a regular file' >&2; exit 1; }}"
        script = f"{check}\nwc -c < {quoted} && tail -c {limit + _OVERLAP} < {quoted}"
        answer = await self._host.answer_of(script, self._deadline)
        if answer.rc != 0:
            kept.append(self._without(what, _last_line(answer.stderr) or f"it is not readable (rc {answer.rc})"))
            return
        size, _, data = answer.stdout.partition(b"\n")
        # What the host says of the size may be anything.
        whole = max(int(size) if size.isdigit() and len(size) < _MOST_DIGITS else 0, len(data))
        kept.append(await self._keep(what, name or path, data, whole > limit, whole))

    async def _keep(self, what: str, name: str, data: bytes, is_cut: bool, whole: int = 0) -> Piece:
        """Write a file; secrets are hidden before it is cut, and one that is cut begins with a whole line."""
        text = self._mask(data.decode("utf-8", "surrogateescape"))
        data = text.encode("utf-8", "surrogateescape")
        if is_cut:
            data = data[-self._bounds.size_bytes :]
            data = data.partition(b"\n")[2] or data
        path = await asyncio.to_thread(self._write, _file_name(self._mask(name)), data)
        of = f" of {size_text(whole)}" if whole else ""
        note = f"the last {size_text(len(data))}{of}" if is_cut else ""
        return Piece(self._host.name, self._mask(what), path, len(data), note)

    def _write(self, name: str, data: bytes) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            path = self._folder / (f"{Path(name).stem}-{number}{Path(name).suffix}" if number > 1 else name)
            try:
                with path.open("xb") as file:
                    file.write(data)
            except FileExistsError:
                continue
            return path
        raise AssertionError  # there is always another name


def _name(source: EvidenceSource) -> str:
    return source.command or source.file


def _file_name(name: str) -> str:
    """Return a name for a kept file, under which no browser and no server takes it for a page that runs."""
    safe = _safe(name)
    return safe if Path(safe).suffix.lower() in _SHOWN_AS_TEXT else f"{safe}.txt"


def _safe(name: str) -> str:
    """Return a name for a file or folder: the end of a path says most about it."""
    return re.sub(r"[^\w.-]+", "_", name)[-_MOST_LETTERS:].strip("_.") or "unnamed"


def _last_line(said: bytes) -> str:
    return decode(said).strip().rpartition("\n")[2]
