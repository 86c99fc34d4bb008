"""Folders to and from a host: many files as one stream, each verified and each replaced as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from OttoLibrary.contracts.connections import EndOfStream, Process
from OttoLibrary.contracts.transfers import FileResult, Job, TransferOptions, TransferResult
from OttoLibrary.errors import UsageError
from OttoLibrary.text import decode
from OttoLibrary.transfer.archive import Entry, TreeError, Unpacker, packed, scan
from OttoLibrary.transfer.checksums import checksums, tools
from OttoLibrary.transfer.files import Files, local_place, plain_name
from OttoLibrary.transfer.host_file_agent import FolderPlace, HostFileAgent, RefusedError
from OttoLibrary.transfer.received_folder import OutsideError, ReceivedFolder, check_names, merge
from OttoLibrary.transfer.transfer import ByteCount, TransferCall, check_paths
from OttoLibrary.transfer.unfinished import noted, temporary_folder
from OttoLibrary.units import size_text

KEEP_LINKS = TransferOptions(links="keep")
_CHUNK = 1 << 18
# These protocols move bytes by themselves; with the others, a process on the host takes the stream.
_MOVE_BYTES_THEMSELVES = ("ftp", "nc")
_STREAM = "tar"
# How much a folder may grow between the moment when it is measured and the end of the transfer, beside as much again.
_GROWTH_BYTES, _GROWTH_MEMBERS = 64 << 20, 1000
_MOST_ERRORS = 1 << 16
_SHOWN_NAMES = 20
# Of tar's messages, those with a reason from the system.
_REASON = re.compile("(?i)no space|denied|not permitted|read-only|quota|too long|i/o error")


class Folders:
    """The folders of one host.

    Args:
        files: Its files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    async def put(self, source: Path, target: str, options: TransferOptions = KEEP_LINKS) -> TransferResult:
        """Copy a folder of this machine to the host.

        Args:
            source: The folder.
            target: An existing folder (or one that ends with ``/``) in which it keeps its name, or the new name. Other
                files in the host's folder stay.
            options: How.

        Raises:
            TransferError: Something did not arrive whole; the files in place are whole, the old ones or the new ones.
            WaitTimeoutError: The time was over.
        """
        _check(str(source), target, options)
        async with self._files.begin("Put folder", f"{source} → {target}", options) as call:
            moved = ByteCount(self._files.progress, f"{source.name} → {call.host.name}", 0)
            async with call.attempt(f"did not take the folder '{source}' as '{target}'", moved), _explained():
                found = await asyncio.to_thread(_scanned, source, options)
                entries = [entry for entry in found if entry.kind != "other"]
                _pass_over(call, [entry.name for entry in found if entry.kind == "other"])
                moved.size = sum(entry.size for entry in entries)
                async with HostFileAgent(call.site, self._files.shells) as agent:
                    folder = _SentFolder(self._files, call, agent, moved, source, entries, options)
                    call.files.extend(await folder.send(target))
        return call.result()

    async def get(self, source: str, target: str, options: TransferOptions = KEEP_LINKS) -> TransferResult:
        """Copy a folder of the host to this machine; arguments and errors as for ``put``."""
        _check(source, target, options)
        async with self._files.begin("Get folder", f"{source} → {target}", options) as call:
            moved = ByteCount(self._files.progress, f"{call.host.name} → {target}", 0)
            what = f"did not give the folder '{source}' as '{target}'"
            async with (
                call.attempt(what, moved),
                _explained(),
                HostFileAgent(call.site, self._files.shells) as agent,
            ):
                place = await agent.look_folder(source, tools(call.verify(options)))
                folder = _FetchedFolder(self._files, call, agent, moved, place, options)
                call.files.extend(await folder.fetch(_local_folder(source, target, options)))
        return call.result()


@dataclass
class _SentFolder:
    """One folder of this machine that is being sent.

    Attributes:
        files: The files of the host.
        call: The call that it is part of.
        agent: Works for us on the host.
        moved: Counts its bytes.
        source: The folder.
        entries: All that is in it.
        options: How.
    """

    files: Files
    call: TransferCall
    agent: HostFileAgent
    moved: ByteCount
    source: Path
    entries: list[Entry]
    options: TransferOptions

    async def send(self, target: str) -> list[FileResult]:
        """Send what differs, check it, and put it in its place."""
        name, temporary = self.source.absolute().name, f".otto-{secrets.token_hex(6)}.part"
        wanted = tools(self.call.verify(self.options))
        place = await self.agent.place_folder(target, name, temporary, parents=self.options.parents, with_tools=wanted)
        here = await checksums(self.source, _file_names(self.entries), place.tool) if place.tool else {}
        same = await self._same_there(place, here)
        going = [entry for entry in self.entries if entry.name not in same]
        await self._move(place, going)
        await self._check(place, {name: here[name] for name in _file_names(going)} if place.tool else {})
        await self.agent.keep_folder(place, self._locked())
        return [
            _result(self.source, place.path, entry, here, skipped=entry.name in same)
            for entry in self.entries
            if entry.kind != "folder"
        ]

    async def _same_there(self, place: FolderPlace, here: dict[str, str]) -> set[str]:
        if not self.options.skip_same or not place.exists:
            return set()
        there = await self.agent.checksums(place.path, list(here), place.tool, follow=self.options.links == "follow")
        return {name for name, checksum in here.items() if there.get(name) == checksum}

    async def _move(self, place: FolderPlace, entries: list[Entry]) -> None:
        if not place.has_tar:
            await self._one_by_one(place, entries)
        elif _streams(self.call):
            await self._stream(place, entries)
        else:
            await self._archive(place, entries)

    async def _check(self, place: FolderPlace, here: dict[str, str]) -> None:
        if place.tool:
            there = await self.agent.checksums(place.temporary, list(here), place.tool, follow=False)
            _compare(here, there, place.tool)

    def _locked(self) -> dict[str, int]:
        """Return the modes of the folders that their owner may not change: set when everything is in place."""
        return {entry.name: entry.mode for entry in self.entries if entry.kind == "folder" and entry.mode & 0o700 != 0o700}

    async def _stream(self, place: FolderPlace, entries: list[Entry]) -> None:
        self.call.protocol = _STREAM
        process = await self.call.site.execute(f"cd -- {shlex.quote(place.temporary)} && exec tar xpf -")
        try:
            with contextlib.suppress(EndOfStream):  # it ended too early: its status says why
                for piece in packed(self.source, entries):
                    await process.channel.write(piece)
                    self.moved.add(len(piece))
                await process.end_input()
            await _succeeded(process)
        finally:
            await process.close()

    async def _archive(self, place: FolderPlace, entries: list[Entry]) -> None:
        with temporary_folder("pack") as folder:
            here, there = folder / "archive", f"{place.temporary}/.otto-archive"
            with here.open("wb") as archive:
                for piece in packed(self.source, entries):
                    await asyncio.to_thread(archive.write, piece)
                    self.moved.stir()
            await self.agent.touch(there)
            await self.call.put(Job(here, there, here.stat().st_size, 0, self.moved.add))
            await self.agent.unpack(there, place.temporary)

    async def _one_by_one(self, place: FolderPlace, entries: list[Entry]) -> None:
        await self.agent.make_folders(place.temporary, [entry.name for entry in entries if entry.kind == "folder"])
        for entry in entries:
            if entry.kind != "folder":
                there = f"{place.temporary}/{entry.name}"
                await self.files.put_one(self.call, self.source / entry.name, there, self.options)


@dataclass
class _FetchedFolder:
    """One folder of the host that is being fetched.

    Attributes:
        files: The files of the host.
        call: The call that it is part of.
        agent: Works for us on the host.
        moved: Counts its bytes.
        place: Where it is.
        options: How.
        same: Names of files that are here already.
        locked: Modes by name of folders that their owner may not change: set when everything is in place.
    """

    files: Files
    call: TransferCall
    agent: HostFileAgent
    moved: ByteCount
    place: FolderPlace
    options: TransferOptions
    same: set[str] = field(default_factory=set)
    locked: dict[str, int] = field(default_factory=dict)

    @property
    def follow(self) -> bool:
        """True when links are followed."""
        return self.options.links == "follow"

    async def fetch(self, final: Path) -> list[FileResult]:
        """Fetch what differs, check it, and put it in its place."""
        part = (final if final.is_dir() else final.parent) / f".otto-{secrets.token_hex(6)}.part"
        with noted(part):
            part.mkdir(mode=0o700)
            try:
                await self._move(final, part)
                entries = await asyncio.to_thread(lambda: scan(part, follow=False))
                self.moved.stir(self.moved.count)
                here = await self._check(part, _file_names(entries))
                await asyncio.to_thread(self._put_in_place, part, final)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        there = Path(self.place.path)
        results = [_result(there, str(final), entry, here) for entry in entries if entry.kind != "folder"]
        return results + [FileResult(str(there / name), str(final / name), 0, 0, skipped=True) for name in sorted(self.same)]

    async def _move(self, final: Path, part: Path) -> None:
        if (self.options.skip_same and final.is_dir()) or not self.place.has_tar:
            await self._one_by_one(final, part)
        elif _streams(self.call):
            await self._stream(part)
        else:
            await self._archive(part)

    async def _check(self, part: Path, names: list[str]) -> dict[str, str]:
        """Return the checksums; a file that has grown since is compared up to the length that it had."""
        tool = self.place.tool
        if not tool:
            return {}
        here = await checksums(part, names, tool)
        there = await self.agent.checksums(self.place.path, list(here), tool, follow=self.follow)
        for name, checksum in here.items():
            if there.get(name) != checksum:
                there[name] = await self.agent.checksum_of(f"{self.place.path}/{name}", tool, (part / name).stat().st_size)
        _compare(here, there, tool)
        return here

    async def _stream(self, part: Path) -> None:
        unpacker = await self._unpacker(part)
        self.call.protocol, flags = _STREAM, "chf" if self.follow else "cf"
        process = await self.call.site.execute(f"cd -- {shlex.quote(self.place.path)} && exec tar {flags} - .")
        try:
            self.locked = await _unpack_from(process, unpacker, self.moved)
        finally:
            await process.close()

    async def _archive(self, part: Path) -> None:
        unpacker = await self._unpacker(part)
        found = await self.agent.pack(self.place.path, f".otto-{secrets.token_hex(6)}.part", follow=self.follow)
        with temporary_folder("unpack") as folder:
            archive = folder / "archive"
            archive.touch()
            await self.call.get(Job(archive, found.path, found.size, 0, self.moved.add))
            self.locked = await asyncio.to_thread(_unpack_file, archive, unpacker)

    def _put_in_place(self, part: Path, final: Path) -> None:
        merge(part, final)
        with ReceivedFolder(final) as folder:
            for name, mode in self.locked.items():
                folder.set_mode(name, mode)

    async def _unpacker(self, part: Path) -> Unpacker:
        """Return what unpacks no more than the host has now; what grows or is added meanwhile may be as much again."""
        count, size, odd = await self.agent.measure(self.place.path, follow=self.follow)
        _pass_over(self.call, odd)
        free = shutil.disk_usage(part).free
        if size > free:
            raise RefusedError(f"it holds {size_text(size)}, and only {size_text(free)} are free on this machine")
        return Unpacker(part, 2 * size + _GROWTH_BYTES, 2 * count + _GROWTH_MEMBERS)

    async def _one_by_one(self, final: Path, part: Path) -> None:
        tree = await self.agent.tree(self.place.path, follow=self.follow)
        check_names(tree)
        if broken := [name for kind, name in tree if kind == "broken"]:
            raise RefusedError(f"'{broken[0]}' is a broken link; links=keep copies it as it is")
        _pass_over(self.call, [name for kind, name in tree if kind == "other"])
        tree = [(kind, name) for kind, name in tree if kind != "other"]
        self.same = await self._same_here(final, [name for kind, name in tree if kind == "file"])
        for kind, name in tree:
            if kind == "folder":
                (part / name).mkdir(parents=True, exist_ok=True)
            elif name not in self.same:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                await self.files.get_one(self.call, f"{self.place.path}/{name}", part / name, self.options)

    async def _same_here(self, final: Path, names: list[str]) -> set[str]:
        if not self.options.skip_same or not self.place.tool:
            return set()
        there = await self.agent.checksums(self.place.path, names, self.place.tool, follow=self.follow)
        with ReceivedFolder(final) as folder:
            present = [name for name in names if folder.is_file(name)]
        here = await checksums(final, present, self.place.tool)
        return {name for name in present if here[name] == there.get(name)}


def _check(source: str, target: str, options: TransferOptions) -> None:
    check_paths(source, target)
    if options.skip_same and options.verify == "no":
        raise UsageError("skip_same=yes compares the checksums of a folder's files. Leave out verify=no.")


def _scanned(source: Path, options: TransferOptions) -> list[Entry]:
    if not source.is_dir():
        what = "is not a folder on this machine; use 'Put File To Host'" if source.exists() else "does not exist on this machine"
        raise TreeError(f"'{source}' {what}")
    return scan(source, follow=options.links == "follow")


def _pass_over(call: TransferCall, names: list[str]) -> None:
    """Say what is left out: to open a pipe or a device would wait, or do something."""
    if not names:
        return
    shown = "', '".join(names[:_SHOWN_NAMES]) + ("', ..." if len(names) > _SHOWN_NAMES else "'")
    call.host.note(f"Passed over, because pipes, sockets and devices are not copied: '{shown}")


def _file_names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries if entry.kind == "file"]


def _streams(call: TransferCall) -> bool:
    """Return True when the folder goes as one stream between a tar there and ours."""
    return call.site.parallel and call.protocol not in _MOVE_BYTES_THEMSELVES


async def _unpack_from(process: Process, unpacker: Unpacker, moved: ByteCount) -> dict[str, int]:
    unpacking = asyncio.create_task(asyncio.to_thread(unpacker.run))
    try:
        with contextlib.suppress(EndOfStream):
            while not unpacking.done():
                piece = await process.channel.read(_CHUNK)
                await asyncio.to_thread(unpacker.feed, piece)
                moved.add(len(piece))
        if unpacking.done():
            await unpacking  # it refused something: that says more than how the tar there ended
        await _succeeded(process)
        unpacker.feed(b"")
        await unpacking
        return unpacker.locked
    finally:
        unpacker.give_up()
        with contextlib.suppress(TreeError, OSError):
            await asyncio.shield(unpacking)


async def _succeeded(process: Process) -> None:
    """Wait until it ends; raise OSError with its error message when it failed."""
    status = await process.wait()
    errors = bytearray()
    with contextlib.suppress(EndOfStream):
        while process.errors is not None:
            errors = (errors + await process.errors.read(_CHUNK))[-_MOST_ERRORS:]
    # GNU tar ends with 1 when a file changed under it; the checksums show whether that matters.
    if status.rc == 0 or (status.rc == 1 and b"file changed as we read it" in errors):
        return
    lines = [line for line in decode(bytes(errors)).strip().splitlines() if "exit" not in line.lower()]
    reasons = [line for line in lines if _REASON.search(line)] or lines
    raise OSError(reasons[0].removeprefix("tar: ") if reasons else f"tar on the host ended with exit status {status.rc}")


def _unpack_file(archive: Path, unpacker: Unpacker) -> dict[str, int]:
    with archive.open("rb") as file:
        unpacker.run(file)
    return unpacker.locked


def _local_folder(source: str, target: str, options: TransferOptions) -> Path:
    place = Path(target).expanduser()
    if target.endswith("/") or place.is_dir():
        place /= "root" if source.strip("/") == "" else plain_name(source)
    if place.exists() and not place.is_dir():
        raise UsageError(f"'{place}' is a file on this machine and cannot be replaced by a folder.")
    if not place.is_dir():
        local_place(place.name, str(place), options)
    return place


def _compare(here: dict[str, str], there: dict[str, str], tool: str) -> None:
    wrong = [name for name, checksum in here.items() if there.get(name) != checksum]
    if wrong:
        shown = "', '".join(wrong[:5]) + ("', ..." if len(wrong) > 5 else "'")
        raise RefusedError(f"the {tool} checksums differ for '{shown}")


def _result(source: Path, target: str, entry: Entry, sums: dict[str, str], *, skipped: bool = False) -> FileResult:
    sent = 0 if skipped else entry.size
    return FileResult(str(source / entry.name), f"{target}/{entry.name}", entry.size, sent, sums.get(entry.name, ""), skipped)


@contextlib.asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    try:
        yield
    except (TreeError, OutsideError) as error:
        raise RefusedError(str(error)) from error
