"""Files to and from a host: the promises that hold for every protocol.

A protocol (``protocols/``) moves bytes; everything else is here: which protocol is used, where a file goes, its temporary
name, its checksum, mode and time, and that nothing is left behind when something fails.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from OttoLibrary.contracts.transfers import FileResult, Job, Progress, TransferOptions, TransferResult, WithoutShell
from OttoLibrary.errors import LoginError, TransferError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.text import decode
from OttoLibrary.transfer import checksums
from OttoLibrary.transfer.host_file_agent import (
    FilePlace,
    FoundFile,
    HostFileAgent,
    IdleShells,
    RefusedError,
    check_path,
    matches,
)
from OttoLibrary.transfer.received_folder import KEPT_MODE
from OttoLibrary.transfer.transfer import ByteCount, TransferCall, begin, check_paths, guarded, site_of, system_message
from OttoLibrary.transfer.unfinished import noted, temporary_folder

_NEWS_S = 0.1


PLAIN = TransferOptions()
_NEW_MODE = 0o644
_LENGTH_ONLY = "The account gives no shell: the length was checked, and no checksum."


class Files:
    """The files of one host.

    Args:
        host: The host; an attribute too.
        progress: Called now and then with how far each file is; an attribute too.
        patience_s: Returns how many seconds a transfer may make no progress, or None for the host's time-out.

    Attributes:
        shells: Idle shells for its agents.
    """

    def __init__(
        self,
        host: Host,
        progress: Callable[[Progress], None] = lambda news: None,
        patience_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.host = host
        self.progress = progress
        self._patience_s = patience_s
        self.shells = IdleShells()

    async def put(self, sources: Sequence[Path], target: str, options: TransferOptions = PLAIN) -> TransferResult:
        """Copy files of this machine to the host.

        Args:
            sources: The files.
            target: A folder (it ends with ``/`` or exists) in which they keep their names, or the new name of a single one.
            options: How.

        Raises:
            TransferError: One did not arrive whole; then its target is as it was.
            WaitTimeoutError: The time was over.
        """
        check_paths("some", target)
        for source in sources:
            check_path(str(source))
        if len(sources) > 1:
            target = f"{target.rstrip('/')}/"
            if twice := _twice(list(map(str, sources))):
                raise UsageError(f"{twice} would have the same name in '{target}'. Put them one by one, each with its own name.")
        async with self.begin("Put", f"{_names(sources)} → {target}", options) as call:
            for source in sources:
                call.files.append(await self.put_one(call, source, target, options))
        return call.result()

    async def get(self, source: str, target: str, options: TransferOptions = PLAIN) -> TransferResult:
        """Copy files of the host to this machine.

        Args:
            source: A path, or a pattern with ``*``, ``?`` and ``[...]``.
            target: A folder (it ends with ``/`` or exists) in which they keep their names, or the new name of a single one.
            options: How.

        Raises:
            TransferError: One did not arrive whole; then its target is as it was.
            WaitTimeoutError: The time was over.
        """
        check_paths(source, target)
        async with self.begin("Get", f"{source} → {target}", options) as call:
            paths = await self._expanded(call, source)
            if len(paths) > 1:
                target = f"{target.rstrip('/')}/"
                if twice := _twice(paths):
                    raise UsageError(
                        f"{twice} would have the same name in '{target}'. Get them one by one, each with its own name."
                    )
            for path in paths:
                call.files.append(await self.get_one(call, path, local_place(path, target, options), options))
        return call.result()

    async def copy(self, source: str, to: Files, target: str, options: TransferOptions = PLAIN) -> TransferResult:
        """Copy files of this host to another one, by way of this machine; each of the two steps may take the whole time-out.

        Args:
            source: A path, or a pattern.
            to: The files of the other host.
            target: A folder there, or the new name of a single file.
            options: How, for both steps.

        Raises:
            TransferError: One did not arrive whole; then its target is as it was.
            WaitTimeoutError: The time was over.
        """
        check_paths(source, target)
        with temporary_folder("copy") as folder:
            async with self.begin("Get", source, options) as call:
                paths = await self._expanded(call, source)
                here = [folder / str(number) / plain_name(path) for number, path in enumerate(paths)]
                if twice := _twice(paths):
                    raise UsageError(
                        f"{twice} would have the same name in '{target}'. Copy them one by one, each with its own name."
                    )
                for path, file in zip(paths, here, strict=True):
                    file.parent.mkdir(exist_ok=True)
                    got = await self.get_one(call, path, file, options, what=f"did not give '{path}'")
                    call.files.append(replace(got, target=""))
            if len(paths) > 1:
                target = f"{target.rstrip('/')}/"
            async with to.begin("Put", f"{source} of {self.host.name} → {target}", options) as call:
                for path, file in zip(paths, here, strict=True):
                    what = f"did not take '{path}' of host '{self.host.name}' as '{target}'"
                    call.files.append(replace(await to.put_one(call, file, target, options, what=what), source=path))
            return call.result()

    def begin(self, title: str, text: str, options: TransferOptions) -> contextlib.AbstractAsyncContextManager[TransferCall]:
        """Begin a call that moves files of this host."""
        return begin(self.host, self._patience_s(), title, text, options)

    # -- looking and tidying up

    async def matching(self, pattern: str) -> list[str]:
        """Return the paths that a pattern matches, possibly none."""
        async with self._single(f"did not look for '{pattern}'") as agent:
            return await agent.expand(pattern)

    async def checksum(self, path: str) -> str:
        """Return the SHA-256 of a file."""
        async with self._single(f"made no checksum of '{path}'") as agent:
            return await agent.digest(path)

    async def listing(self, path: str, pattern: str) -> list[str]:
        """Return the names in a folder that match a pattern, sorted; a folder's ends with ``/``."""
        async with self._single(f"did not list '{path}'") as agent:
            names = await agent.names(path)
        return sorted(name for name in names if fnmatchcase(name.rstrip("/"), pattern))

    async def read(self, path: str, encoding: str) -> str:
        """Return the text of a file."""
        codec = _codec(encoding)
        with temporary_folder("read") as folder:
            content = Path(folder, "content")
            async with self.begin("Read", path, PLAIN) as call:
                result = await self.get_one(call, path, content, PLAIN, what=f"did not give '{path}'")
                call.files.append(replace(result, target=""))
            data = content.read_bytes()
        if codec == "utf-8":
            return decode(data)
        try:
            return data.decode(codec)
        except UnicodeError as error:
            cause = f"it is not {encoding} text ({error})"
            raise TransferError(self.host.name, self.host.path, f"did not give '{path}' as text", cause) from error

    async def write(self, path: str, text: str, encoding: str, mode: int | None, *, in_place: bool = False) -> None:
        """Write text into a file, replacing its content; without a mode, a new file is readable by all."""
        options = TransferOptions(mode=_NEW_MODE if mode is None and not in_place else mode, in_place=in_place)
        try:
            data = text.encode(_codec(encoding))
        except UnicodeError as error:
            raise UsageError(f"The text for '{path}' cannot be written as {encoding}: {error}.") from error
        with temporary_folder("write") as folder:
            content = folder / "content"
            content.write_bytes(data)
            content.chmod(_NEW_MODE)
            async with self.begin("Write", path, options) as call:
                result = await self.put_one(call, content, path, options, what=f"did not take '{path}'", into_folder=False)
                call.files.append(replace(result, source=""))

    async def remove(self, pattern: str) -> None:
        """Remove the files that a pattern matches."""
        async with self._single(f"did not remove '{pattern}'") as agent:
            for path in await agent.expand(pattern):
                await agent.remove(path)

    async def make_folder(self, path: str) -> None:
        """Make a folder, and those above it."""
        async with self._single(f"did not make the folder '{path}'") as agent:
            await agent.make_folder(path)

    @contextlib.asynccontextmanager
    async def _single(self, what: str) -> AsyncIterator[HostFileAgent]:
        """Give an agent for steps that move no bytes."""
        site = await site_of(self.host, self._patience_s())
        moved = ByteCount(lambda news: None, "", 0)
        async with guarded(self.host, what, moved, site.patience_s), HostFileAgent(site, self.shells) as agent:
            yield agent

    # -- one file

    async def put_one(
        self, call: TransferCall, source: Path, target: str, options: TransferOptions, *, what: str = "", into_folder: bool = True
    ) -> FileResult:
        """Copy one file to the host.

        Args:
            call: The call that it is part of.
            source: The file.
            target: A folder or a name; a folder is refused unless ``into_folder``.
            options: How.
            what: What did not happen when it fails; by default it names both files.
            into_folder: Whether the file keeps its name in a folder.
        """
        if options.links == "keep" and source.is_symlink():
            return await self._put_link(call, source, target, options)
        try:
            return await self._put_with_shell(call, source, target, options, what=what, into_folder=into_folder)
        except LoginError as error:
            alone = _without_shell(call, options, error)
        facts = _local_facts(source, call)
        moved = ByteCount(self.progress, f"{source.name} → {self.host.name}", facts.st_size)
        mode = stat.S_IMODE(facts.st_mode) if options.mode is None else options.mode
        async with call.attempt(what or f"did not take '{source}' as '{target}'", moved):
            job = Job(source, target, facts.st_size, 0, moved.add)
            own_name = source.name if into_folder else ""
            path = await alone.put_alone(call.site, job, own_name, mode, int(facts.st_mtime), parents=options.parents)
        return FileResult(str(source), path, facts.st_size, moved.count, notes=(_LENGTH_ONLY,))

    async def _put_with_shell(
        self, call: TransferCall, source: Path, target: str, options: TransferOptions, *, what: str, into_folder: bool
    ) -> FileResult:
        facts = _local_facts(source, call)
        moved = ByteCount(self.progress, f"{source.name} → {self.host.name}", facts.st_size)
        name = _temporary_name(source.name, facts.st_size, int(facts.st_mtime), options)
        tools = checksums.tools(call.verify(options))
        what = what or f"did not take '{source}' as '{target}'"
        async with call.attempt(what, moved), HostFileAgent(call.site, self.shells) as agent:
            own_name = source.name if into_folder else ""
            place = await agent.place(
                target,
                own_name,
                name,
                facts.st_size,
                parents=options.parents,
                with_tools=tools,
                resume=options.resume,
                in_place=options.in_place,
            )
            moved.stir(facts.st_size)
            summing = asyncio.create_task(checksums.checksum(source, place.tool))
            try:
                if options.skip_same and await _is_there(agent, place, facts, summing):
                    return FileResult(str(source), place.path, facts.st_size, 0, await summing, skipped=True)
                start = place.present if call.transfer.resumes else 0
                moved.begin(start)
                try:
                    await call.put(Job(source, place.temporary, facts.st_size, start, moved.add))
                except ConnectionError:
                    raise  # the host cannot be asked for its free space
                except OSError as error:
                    raise OSError(system_message(error) + await agent.room(place.temporary)) from error
                moved.stir(facts.st_size)
                if _state(source.stat()) != _state(facts):
                    raise RefusedError("it changed on this machine while it was being sent")
                mode, mtime = stat.S_IMODE(facts.st_mode), int(facts.st_mtime)
                notes = await agent.keep(place, await summing, facts.st_size, options.mode, mode, mtime)
                return FileResult(str(source), place.path, facts.st_size, moved.count, await summing, notes=tuple(notes))
            finally:
                summing.cancel()

    async def _put_link(self, call: TransferCall, source: Path, target: str, options: TransferOptions) -> FileResult:
        name = f".otto-{secrets.token_hex(6)}.part"
        moved = ByteCount(self.progress, source.name, 0)
        what = f"did not take the link '{source}' as '{target}'"
        async with call.attempt(what, moved), HostFileAgent(call.site, self.shells) as agent:
            place = await agent.place(target, source.name, name, 0, parents=options.parents, with_tools="", resume=False)
            await agent.link(place, str(source.readlink()))
        return FileResult(str(source), place.path, 0, 0)

    async def get_one(
        self, call: TransferCall, source: str, target: Path, options: TransferOptions, *, what: str = ""
    ) -> FileResult:
        """Copy one file of the host to this machine; arguments as of ``put_one``."""
        try:
            return await self._get_with_shell(call, source, target, options, what=what)
        except LoginError as error:
            alone = _without_shell(call, options, error)
        moved = ByteCount(self.progress, f"{self.host.name} → {target.name}", 0)
        async with call.attempt(what or f"did not give '{source}' as '{target}'", moved):
            path, moved.size, mtime, mode = await alone.look_alone(call.site, source)
            found = FoundFile(path, moved.size, mtime, mode)
            part = target.with_name(f".otto-{secrets.token_hex(6)}.part")
            with _unfinished(part, resume=False):
                _begin_part(part, found.size, resume=False)
                await call.get(Job(part, path, found.size, 0, moved.add))
                if part.stat().st_size != found.size:
                    raise RefusedError(f"{part.stat().st_size} of {found.size} bytes arrived")
                _keep_part(part, target, found, options.mode)
        return FileResult(source, str(target), found.size, moved.count, notes=(_LENGTH_ONLY,))

    async def _get_with_shell(
        self, call: TransferCall, source: str, target: Path, options: TransferOptions, *, what: str
    ) -> FileResult:
        moved = ByteCount(self.progress, f"{self.host.name} → {target.name}", 0)
        what = what or f"did not give '{source}' as '{target}'"
        async with call.attempt(what, moved), HostFileAgent(call.site, self.shells) as agent:
            if options.links == "keep" and (points_to := await agent.points_to(source)):
                _keep_link(points_to, target)
                return FileResult(source, str(target), 0, 0)
            name = f".otto-{secrets.token_hex(6)}"
            found, tool = await agent.look(source, name, checksums.tools(call.verify(options)))
            moved.size = found.size
            if options.skip_same and await _is_here(agent, found, tool, target, moved):
                return FileResult(source, str(target), found.size, 0, skipped=True)
            part = target.with_name(_temporary_name(target.name, found.size, found.mtime, options))
            with _unfinished(part, options.resume):
                start = _begin_part(part, found.size, options.resume and call.transfer.resumes)
                moved.begin(start)
                # The host makes its checksum while the bytes are being moved.
                if tool:
                    await agent.begin_checksum(found.path, tool, found.size)
                await call.get(Job(part, found.path, found.size, start, moved.add))
                moved.stir(part.stat().st_size)
                checksum = await self._checked(agent, part, found, tool)
                _keep_part(part, target, found, options.mode)
        return FileResult(source, str(target), found.size, moved.count, checksum)

    async def _checked(self, agent: HostFileAgent, part: Path, found: FoundFile, tool: str) -> str:
        if part.stat().st_size != found.size:
            raise RefusedError(f"{part.stat().st_size} of {found.size} bytes arrived")
        if not tool:
            return ""
        there, here = await agent.checksum(), await checksums.checksum(part, tool)
        if there != here:
            raise RefusedError(f"the {tool} checksum is {there or 'unknown, because it became shorter'} there and {here} here")
        return here

    async def _expanded(self, call: TransferCall, pattern: str) -> list[str]:
        try:
            return await self._expanded_with_shell(call, pattern)
        except LoginError as error:
            _without_shell(call, PLAIN, error)
            if re.search(r"[*?\[]", pattern):
                raise
        return [pattern]

    async def _expanded_with_shell(self, call: TransferCall, pattern: str) -> list[str]:
        async with (
            call.attempt(f"did not give '{pattern}'", ByteCount(self.progress, pattern, 0)),
            HostFileAgent(call.site, self.shells) as agent,
        ):
            found = await agent.expand(pattern, folders=False)
            wrong = [path for path in found if not matches(pattern, path)]
            if wrong:
                raise RefusedError(f"the host answered with '{wrong[0]}', which was not asked for")
            if not found and re.search(r"[*?\[]", pattern):
                raise RefusedError("no file there matches it")
        return found or [pattern]


def _without_shell(call: TransferCall, options: TransferOptions, error: LoginError) -> WithoutShell:
    """Return the protocol when it can move a file of an account that gives no shell; otherwise raise the error."""
    if isinstance(call.transfer, WithoutShell) and options.verify != "sha256" and not (options.resume or options.in_place):
        return call.transfer
    raise error


def _state(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _local_facts(source: Path, call: TransferCall) -> os.stat_result:
    """Return the facts of a file to send; raise TransferError when it is none, or cannot be read (permission denied)."""
    cause = ""
    try:
        facts = source.stat()
        if stat.S_ISREG(facts.st_mode):
            source.open("rb").close()
            return facts
        cause = "it is a directory; use 'Put Directory To Host'" if stat.S_ISDIR(facts.st_mode) else "it is not a regular file"
    except OSError as error:
        cause = error.strerror or str(error)
    what = f"was sent nothing, because '{source}' cannot be read on this machine"
    raise TransferError(call.host.name, call.host.path, what, cause)


def local_place(source: str, target: str, options: TransferOptions) -> Path:
    """Return where a file of the host goes on this machine; raise UsageError when it cannot go there."""
    try:
        return _local_place(source, target, options)
    except OSError as error:
        raise UsageError(f"'{target}' cannot be written on this machine: {error.strerror}.") from error


def _local_place(source: str, target: str, options: TransferOptions) -> Path:
    place = Path(target).expanduser()
    if target.endswith("/") or place.is_dir():
        place /= plain_name(source)
    if not place.parent.is_dir():
        if not options.parents:
            raise UsageError(f"The folder '{place.parent}' does not exist on this machine. Create it, or use parents=yes.")
        place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        raise UsageError(f"'{place}' is a directory on this machine and cannot be replaced by a file.")
    return place


def plain_name(path: str) -> str:
    """Return the last part of a path; raise UsageError when that is not the name of a file or folder."""
    name = path.rstrip("/").rpartition("/")[2]
    if name in {"", ".", "..", "~"}:
        raise UsageError(f"'{path}' does not end with a name. Give the target a new name, one that does not exist.")
    return name


def _temporary_name(name: str, size: int, mtime: int, options: TransferOptions) -> str:
    """Return a unique name; for ``resume`` it is the same each time for the same state of the same file."""
    identity = hashlib.sha256(f"{name}\0{size}\0{mtime}".encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f".otto-{identity if options.resume else secrets.token_hex(6)}.part"


@contextlib.contextmanager
def _unfinished(part: Path, resume: bool) -> Iterator[None]:
    """Remove the local temporary file in the end, unless it was renamed; one to be resumed stays, unless its content is wrong."""
    if resume:
        try:
            yield
        except RefusedError:
            part.unlink(missing_ok=True)
            raise
        return
    with noted(part):
        try:
            yield
        finally:
            part.unlink(missing_ok=True)


def _begin_part(part: Path, size: int, resume: bool) -> int:
    """Make the local temporary file; return how much of it is there already."""
    # A name that is resumed can be guessed: what is there may be somebody else's, or a link.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | (0 if resume else os.O_EXCL)
    file = os.open(part, flags, 0o600)
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            raise RefusedError(f"'{part}' is not a file of ours")
        if 0 < facts.st_size <= size:
            return facts.st_size
        os.ftruncate(file, 0)
        return 0
    finally:
        os.close(file)


def _keep_part(part: Path, target: Path, found: FoundFile, mode: int | None) -> None:
    part.chmod(found.mode & KEPT_MODE if mode is None else mode)
    os.utime(part, (found.mtime, found.mtime))
    part.replace(target)


def _keep_link(points_to: str, target: Path) -> None:
    part = target.with_name(f".otto-{secrets.token_hex(6)}.part")
    part.symlink_to(points_to)
    part.replace(target)


async def _is_there(agent: HostFileAgent, place: FilePlace, facts: os.stat_result, summing: asyncio.Task[str]) -> bool:
    old = place.old
    if old is None or old.size != facts.st_size:
        return False
    if not place.tool:
        return old.mtime == int(facts.st_mtime)
    await agent.begin_checksum(place.path, place.tool, old.size)
    return await agent.checksum() == await summing


async def _is_here(agent: HostFileAgent, found: FoundFile, tool: str, target: Path, moved: ByteCount) -> bool:
    facts = target.lstat() if target.exists() else None
    if facts is None or not stat.S_ISREG(facts.st_mode) or facts.st_size != found.size:
        return False
    if not tool:
        return int(facts.st_mtime) == found.mtime
    moved.stir(facts.st_size)
    await agent.begin_checksum(found.path, tool, found.size)
    return await agent.checksum() == await checksums.checksum(target, tool)


def _codec(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise UsageError(f"No encoding named '{encoding}'. Use one that Python knows, such as UTF-8 or latin-1.") from error


def _twice(paths: Sequence[str]) -> str:
    """Return two paths whose names are the same, as text, or nothing."""
    seen: dict[str, str] = {}
    for path in paths:
        name = path.rstrip("/").rpartition("/")[2]
        if name in seen:
            return f"'{seen[name]}' and '{path}'"
        seen[name] = path
    return ""


def _names(sources: Sequence[Path]) -> str:
    return str(sources[0]) if len(sources) == 1 else f"{len(sources)} files"
