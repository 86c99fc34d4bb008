"""Folders to and from a host: many files as one stream, each of them verified and put in its place whole."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from OttoLibrary.contracts.connections import EndOfStream, Process
from OttoLibrary.contracts.transfers import FileResult, Job, TransferOptions, TransferResult
from OttoLibrary.errors import UsageError
from OttoLibrary.text import decode
from OttoLibrary.transfer.archive import Entry, TreeError, Unpacker, merge, packed, scan
from OttoLibrary.transfer.checksums import checksums, tools
from OttoLibrary.transfer.files import Files, local_place
from OttoLibrary.transfer.host_file_agent import FolderPlace, RefusedError, Steward
from OttoLibrary.transfer.transfer import Moved, Work, check_paths

KEEP_LINKS = TransferOptions(links="keep")
_CHUNK = 1 << 18
# These have a way of their own for bytes; the others go where a process of the host's can take the stream.
_OWN_WAY = ("ftp", "nc")
_STREAM = "tar"
# Of all that tar says, the lines with a reason of the system.
_TELLING = re.compile("(?i)no space|denied|not permitted|read-only|quota|too long|i/o error")


class Folders:
    """The folders of one host.

    Args:
        files: Its files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    async def put(self, source: Path, target: str, wishes: TransferOptions = KEEP_LINKS) -> TransferResult:
        """Copy a folder of this machine to the host.

        Args:
            source: The folder.
            target: An existing folder (or one that ends with ``/``) in which it keeps its name, or the new name. What the host's
                folder has besides stays.
            wishes: How.

        Raises:
            TransferError: Something did not arrive whole; the files in place are whole, the old ones or the new ones.
            WaitTimeoutError: The time was over.
        """
        _check(str(source), target, wishes)
        async with self._files.begin("Put folder", f"{source} → {target}", wishes) as work:
            moved = Moved(self._files.progress, f"{source.name} → {work.host.name}", 0)
            async with work.attempt(f"did not take the folder '{source}' as '{target}'", moved), _told():
                entries = await asyncio.to_thread(_scanned, source, wishes)
                moved.size = sum(entry.size for entry in entries)
                async with Steward(work.site, self._files.shells) as steward:
                    work.files.extend(await self._put_tree(work, steward, source, entries, target, wishes, moved))
        return work.result()

    async def get(self, source: str, target: str, wishes: TransferOptions = KEEP_LINKS) -> TransferResult:
        """Copy a folder of the host to this machine; arguments and errors as of ``put``."""
        _check(source, target, wishes)
        async with self._files.begin("Get folder", f"{source} → {target}", wishes) as work:
            moved = Moved(self._files.progress, f"{work.host.name} → {target}", 0)
            what = f"did not give the folder '{source}' as '{target}'"
            async with work.attempt(what, moved), _told(), Steward(work.site, self._files.shells) as steward:
                work.files.extend(await self._get_tree(work, steward, source, target, wishes, moved))
        return work.result()

    # -- to the host

    async def _put_tree(
        self, work: Work, steward: Steward, source: Path, entries: list[Entry], target: str, wishes: TransferOptions, moved: Moved
    ) -> list[FileResult]:
        name, temporary = source.absolute().name, f".otto-{secrets.token_hex(6)}.part"
        place = await steward.place_folder(target, name, temporary, parents=wishes.parents, with_tools=tools(work.verify(wishes)))
        names = [entry.name for entry in entries if entry.kind == "file"]
        here = await checksums(source, names, place.tool) if place.tool else {}
        same = await self._same_there(steward, place, here) if wishes.skip_same else set()
        going = [entry for entry in entries if entry.name not in same]
        await self._send(work, steward, source, going, place, wishes, moved)
        if place.tool:
            there = await steward.checksums(
                place.temporary, [name for name in names if name not in same], place.tool, follow=False
            )
            _compare({name: here[name] for name in names if name not in same}, there, place.tool)
        locked = {entry.name: entry.mode for entry in entries if entry.kind == "folder" and entry.mode & 0o700 != 0o700}
        await steward.keep_folder(place, locked)
        return [
            _result(source, place.path, entry, here, skipped=entry.name in same) for entry in entries if entry.kind != "folder"
        ]

    async def _same_there(self, steward: Steward, place: FolderPlace, here: dict[str, str]) -> set[str]:
        if not place.exists:
            return set()
        there = await steward.checksums(place.path, list(here), place.tool, follow=True)
        return {name for name, checksum in here.items() if there.get(name) == checksum}

    async def _send(
        self,
        work: Work,
        steward: Steward,
        source: Path,
        entries: list[Entry],
        place: FolderPlace,
        wishes: TransferOptions,
        moved: Moved,
    ) -> None:
        if not place.has_tar:
            await self._send_one_by_one(work, steward, source, entries, place, wishes)
        elif work.site.parallel and work.protocol not in _OWN_WAY:
            await _stream(work, source, entries, place, moved)
        else:
            await self._send_archive(work, steward, source, entries, place, moved)

    async def _send_archive(
        self, work: Work, steward: Steward, source: Path, entries: list[Entry], place: FolderPlace, moved: Moved
    ) -> None:
        with tempfile.NamedTemporaryFile(prefix="otto-pack-") as archive:
            for piece in packed(source, entries):
                await asyncio.to_thread(archive.write, piece)
                moved.stir()
            archive.flush()
            there = f"{place.temporary}/.otto-archive"
            await steward.touch(there)
            await work.put(Job(Path(archive.name), there, archive.tell(), 0, moved.add))
            await steward.unpack(there, place.temporary)

    async def _send_one_by_one(
        self, work: Work, steward: Steward, source: Path, entries: list[Entry], place: FolderPlace, wishes: TransferOptions
    ) -> None:
        await steward.make_folders(place.temporary, [entry.name for entry in entries if entry.kind == "folder"])
        for entry in entries:
            if entry.kind != "folder":
                await self._files.put_one(work, source / entry.name, f"{place.temporary}/{entry.name}", wishes)

    # -- from the host

    async def _get_tree(
        self, work: Work, steward: Steward, source: str, target: str, wishes: TransferOptions, moved: Moved
    ) -> list[FileResult]:
        follow = wishes.links == "follow"
        place = await steward.look_folder(source, tools(work.verify(wishes)))
        final = _local_folder(place.path, target, wishes)
        part = (final if final.is_dir() else final.parent) / f".otto-{secrets.token_hex(6)}.part"
        part.mkdir(mode=0o700)
        same: set[str] = set()
        locked: dict[str, int] = {}
        try:
            if (wishes.skip_same and final.is_dir()) or not place.has_tar:
                same = await self._fetch_one_by_one(work, steward, place, final, part, wishes)
            else:
                locked = await self._fetch(work, steward, place, part, moved, follow=follow)
            entries = await asyncio.to_thread(lambda: scan(part, follow=False))
            moved.stir(moved.count)
            names = [entry.name for entry in entries if entry.kind == "file"]
            here = await checksums(part, names, place.tool) if place.tool else {}
            if place.tool:
                await self._compare_with_growing(steward, place, part, here, follow=follow)
            merge(part, final)
            for name, mode in locked.items():
                (final / name).chmod(mode)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        there = Path(place.path)
        results = [_result(there, str(final), entry, here) for entry in entries if entry.kind != "folder"]
        return results + [FileResult(str(there / name), str(final / name), 0, 0, skipped=True) for name in sorted(same)]

    async def _fetch(
        self, work: Work, steward: Steward, place: FolderPlace, part: Path, moved: Moved, *, follow: bool
    ) -> dict[str, int]:
        if work.site.parallel and work.protocol not in _OWN_WAY:
            work.protocol, flags = _STREAM, "chf" if follow else "cf"
            process = await work.site.execute(f"cd -- {shlex.quote(place.path)} && exec tar {flags} - .")
            try:
                return await _unpack_from(process, part, moved)
            finally:
                await process.close()
        found = await steward.pack(place.path, f".otto-{secrets.token_hex(6)}.part", follow=follow)
        with tempfile.TemporaryDirectory(prefix="otto-unpack-") as folder:
            archive = Path(folder, "archive")
            archive.touch()
            await work.get(Job(archive, found.path, found.size, 0, moved.add))
            return await asyncio.to_thread(_unpack_file, archive, part)

    async def _fetch_one_by_one(
        self, work: Work, steward: Steward, place: FolderPlace, final: Path, part: Path, wishes: TransferOptions
    ) -> set[str]:
        """Fetch what differs from what is here; return the names of what does not."""
        tree = await steward.tree(place.path, follow=wishes.links == "follow")
        odd = [name for kind, name in tree if kind == "other"]
        if odd:
            raise RefusedError(f"'{odd[0]}' is neither file, folder nor link, or a link to nowhere")
        names = [name for kind, name in tree if kind == "file"]
        same: set[str] = set()
        if wishes.skip_same and place.tool:
            there = await steward.checksums(place.path, names, place.tool, follow=True)
            present = [name for name in names if (final / name).is_file()]
            here = await checksums(final, present, place.tool)
            same = {name for name in present if here[name] == there.get(name)}
        for kind, name in tree:
            if kind == "folder":
                (part / name).mkdir(parents=True, exist_ok=True)
            elif name not in same:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                await self._files.get_one(work, f"{place.path}/{name}", part / name, wishes)
        return same

    async def _compare_with_growing(
        self, steward: Steward, place: FolderPlace, part: Path, here: dict[str, str], *, follow: bool
    ) -> None:
        """Compare the checksums; a file that has grown since is compared up to the length that it had."""
        there = await steward.checksums(place.path, list(here), place.tool, follow=follow)
        for name, checksum in here.items():
            if there.get(name) != checksum:
                there[name] = await steward.checksum_of(f"{place.path}/{name}", place.tool, (part / name).stat().st_size)
        _compare(here, there, place.tool)


def _check(source: str, target: str, wishes: TransferOptions) -> None:
    check_paths(source, target)
    if wishes.skip_same and wishes.verify == "no":
        raise UsageError("skip_same=yes compares the checksums of a folder's files. Leave verify=no away.")


def _scanned(source: Path, wishes: TransferOptions) -> list[Entry]:
    if not source.is_dir():
        raise TreeError(
            f"'{source}' is no folder here; use 'Put File To Host'" if source.exists() else f"'{source}' does not exist here"
        )
    return scan(source, follow=wishes.links == "follow")


async def _stream(work: Work, source: Path, entries: list[Entry], place: FolderPlace, moved: Moved) -> None:
    work.protocol = _STREAM
    process = await work.site.execute(f"cd -- {shlex.quote(place.temporary)} && exec tar xpf -")
    try:
        with contextlib.suppress(EndOfStream):  # it ended too early: its status says why
            for piece in packed(source, entries):
                await process.channel.write(piece)
                moved.add(len(piece))
            await process.end_input()
        await _succeeded(process)
    finally:
        await process.close()


async def _unpack_from(process: Process, part: Path, moved: Moved) -> dict[str, int]:
    unpacker = Unpacker(part)
    unpacking = asyncio.create_task(asyncio.to_thread(unpacker.run))
    try:
        with contextlib.suppress(EndOfStream):
            while not unpacking.done():
                piece = await process.channel.read(_CHUNK)
                await asyncio.to_thread(unpacker.feed, piece)
                moved.add(len(piece))
        await _succeeded(process)
        unpacker.feed(b"")
        await unpacking
        return unpacker.locked
    finally:
        unpacker.give_up()
        with contextlib.suppress(TreeError, OSError):
            await asyncio.shield(unpacking)


async def _succeeded(process: Process) -> None:
    """Wait for its end; raise OSError with its last words when it failed."""
    status = await process.wait()
    said = bytearray()
    with contextlib.suppress(EndOfStream):
        while process.errors is not None:
            said += await process.errors.read(_CHUNK)
    # GNU tar ends with 1 when a file changed under it; the checksums tell whether that matters.
    if status.rc == 0 or (status.rc == 1 and b"file changed as we read it" in said):
        return
    lines = [line for line in decode(bytes(said)).strip().splitlines() if "exit" not in line.lower()]
    telling = [line for line in lines if _TELLING.search(line)] or lines
    raise OSError(telling[0].removeprefix("tar: ") if telling else f"tar there ended with {status.rc}")


def _unpack_file(archive: Path, part: Path) -> dict[str, int]:
    unpacker = Unpacker(part)
    with archive.open("rb") as file:
        unpacker.run(file)
    return unpacker.locked


def _local_folder(source: str, target: str, wishes: TransferOptions) -> Path:
    place = Path(target).expanduser()
    if target.endswith("/") or place.is_dir():
        place /= source.rstrip("/").rpartition("/")[2] or "root"
    if place.exists() and not place.is_dir():
        raise UsageError(f"'{place}' is a file here, and cannot be replaced by a folder.")
    if not place.is_dir():
        local_place(place.name, str(place), wishes)
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
async def _told() -> AsyncIterator[None]:
    try:
        yield
    except TreeError as error:
        raise RefusedError(str(error)) from error
