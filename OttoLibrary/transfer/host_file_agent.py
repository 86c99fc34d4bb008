"""The agent: a script on the host that works for one transfer.

It finds where a file goes, creates a temporary name beside it, checks what arrived and renames it. Where processes
run side by side it is a shell that lives as long as the transfer and reads its steps from us: when the connection breaks, or
this process dies, its input ends and its exit trap removes what is unfinished. On a host with one line each step is a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType

from OttoLibrary.contracts.connections import EndOfStream, Process
from OttoLibrary.contracts.transfers import Site
from OttoLibrary.errors import UsageError
from OttoLibrary.masking import mask
from OttoLibrary.text import decode, quoted_path, split_home
from OttoLibrary.transfer import agent_scripts
from OttoLibrary.transfer.checksums import is_plain, parsed, tools
from OttoLibrary.units import size_text

_CHUNK = 1 << 18
_GOODBYE_S = 5.0
_DISMISS_S = 0.3
# A listing with checksums of some 100 000 files.
_MOST_REPLY = 16 << 20
_SHOWN = 80
# Of the classes that a shell knows in brackets, those that names are made of.
_CLASSES = {b"digit": b"0-9", b"lower": b"a-z", b"upper": b"A-Z", b"alpha": b"a-zA-Z", b"alnum": b"a-zA-Z0-9"}


class RefusedError(Exception):
    """The host refused a step; carries its reason."""


class Reply:
    """What the host said in one step, by key; whatever is not as agreed is a RefusedError, for the host may be broken into.

    Args:
        values: By key.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def read(cls, output: str, mark: str) -> Reply:
        """Read what stands behind each mark, as ``key:value``."""
        values: dict[str, str] = {}
        for part in output.split(mark)[1:]:
            key, colon, value = part.partition(":")
            if not colon or "\0" in value:
                raise _unexpected(part)
            values[key] = value
        return cls(values)

    def __contains__(self, key: str) -> bool:
        """Return True when the host said something under this key."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Return what the host said under a key."""
        value = self._values.get(key, default)
        if value is None:
            raise RefusedError(f"the host's reply is not what was agreed: it has no '{key}'")
        return value

    def number(self, key: str) -> int:
        """Return a number that is not negative."""
        return _number(self.text(key))

    def facts(self, path: str, key: str) -> FoundFile:
        """Return size, time and mode of a file."""
        found = re.fullmatch("([0-9]{1,18}) (-?[0-9]{1,12}) ([0-7]{1,4})", self.text(key).strip())
        if found is None:
            raise _unexpected(self.text(key))
        return FoundFile(path, int(found[1]), int(found[2]), int(found[3], 8))

    def counted(self) -> list[str]:
        """Return what the host said under 1, 2, and so on."""
        return [value for key, value in self._values.items() if key.isdigit()]


@dataclass(frozen=True)
class FoundFile:
    """A file on the host.

    Attributes:
        path: Its absolute path.
        size: In bytes.
        mtime: Seconds since 1970.
        mode: Its permission bits.
    """

    path: str
    size: int
    mtime: int
    mode: int


@dataclass(frozen=True)
class FolderPlace:
    """Where a folder goes, or is.

    Attributes:
        path: Its absolute path.
        temporary: The folder that receives the content.
        exists: True when it already exists.
        has_tar: True when the host can make and unpack archives.
        tool: The checksum tool; empty when none was asked for.
    """

    path: str
    temporary: str
    exists: bool
    has_tar: bool
    tool: str


@dataclass(frozen=True)
class FilePlace:
    """Where a file will go.

    Attributes:
        path: Its absolute path.
        temporary: The name that receives the bytes, in the same folder.
        present: How many bytes an earlier try left there.
        old: The file that it replaces, if there is one.
        tool: The checksum tool; empty when none was asked for.
        in_place: True when the content goes into the file that exists.
    """

    path: str
    temporary: str
    present: int
    old: FoundFile | None
    tool: str
    in_place: bool = False


class IdleShells:
    """Shells kept for the next transfer: starting one may cost more than moving a small file."""

    def __init__(self) -> None:
        self._shells: list[tuple[str, Process]] = []

    async def take(self, site: Site) -> Process:
        """Return a shell of the site's present user, an idle one when there is one."""
        while self._shells:
            user, process = self._shells.pop()
            if user == site.user and not process.channel.closed:
                return process
            await process.close()
        process = await site.execute("exec sh")
        try:
            await process.channel.write((agent_scripts.HELD + agent_scripts.WORDS).encode())
        except BaseException:
            await process.close()
            raise
        return process

    def give_back(self, site: Site, process: Process) -> None:
        """Keep a shell for later."""
        self._shells.append((site.user, process))


class HostFileAgent:
    """The agent of one transfer; an async context manager that removes what is unfinished."""

    def __init__(self, site: Site, shells: IdleShells) -> None:
        self._site, self._shells = site, shells
        self._asked = False
        self._nonce = secrets.token_hex(6)
        self._process: Process | None = None
        self._script = ""
        self._said = bytearray()
        self._holds = self._scratch = ""

    async def __aenter__(self) -> HostFileAgent:
        if self._site.parallel:
            self._process = await self._shells.take(self._site)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.shield(self._leave(failed=error is not None))

    async def _leave(self, *, failed: bool) -> None:
        with contextlib.suppress(EndOfStream, OSError, TimeoutError, RefusedError):
            async with asyncio.timeout(_GOODBYE_S):
                if self._may_hold(failed):
                    await self._step(agent_scripts.DROP, Z=self._holds, W=self._scratch)
        process, self._process = self._process, None
        if process is not None and not self._asked and not process.channel.closed:
            self._shells.give_back(self._site, process)
        elif process is not None:
            await _dismiss(process)

    def _may_hold(self, failed: bool) -> bool:
        if self._process is not None:
            return bool(self._holds) and not self._asked
        # On a line no exit trap cleans up after a step that was cut, and it may not have reported yet what it made.
        return bool(self._holds) or (failed and bool(self._scratch))

    # -- writing a file

    async def place(
        self,
        target: str,
        name: str,
        temporary: str,
        size: int,
        *,
        parents: bool,
        with_tools: str,
        resume: bool,
        in_place: bool = False,
    ) -> FilePlace:
        """Find out where a file goes, and make its temporary name.

        Args:
            target: The path as the user gave it: a folder, or a name to have.
            name: The name when it is a folder.
            temporary: The temporary name, without a folder.
            size: How many bytes it will take.
            parents: Make missing folders.
            with_tools: Checksum tools, best first.
            resume: Continue with what is under the temporary name; it then stays when the transfer fails.
            in_place: Write into a file that exists; the temporary one is then in the folder for those.
        """
        words = {"T": target, "N": name, "W": temporary, "P": _yes(parents), "TOOLS": with_tools, "R": _yes(resume), "SIZE": size}
        words["INTO"] = _yes(in_place)
        reply = await self._step(agent_scripts.PLACE, **words)
        path, present = reply.text("path"), reply.number("present")
        if present > size:
            raise _unexpected(str(present))
        old = reply.facts(path, "old") if reply.text("old", "") else None
        return FilePlace(path, reply.text("temporary"), present, old, _tool(reply, with_tools), in_place and old is not None)

    async def keep(
        self, place: FilePlace, checksum: str, size: int, mode: int | None, default_mode: int, mtime: int
    ) -> list[str]:
        """Check what is under the temporary name and give it its real one; return what could not be kept.

        Raises:
            RefusedError: Size or checksum differ, or it could not be renamed.
        """
        words = {
            "Z": place.temporary,
            "T": place.path,
            "SIZE": size,
            "TOOL": place.tool if checksum else "",
            "SUM": checksum,
            "MODE": f"{default_mode if mode is None else mode:o}",
            "STRICT": _yes(mode is not None),
            "STAMP": _stamp(mtime),
            "INTO": _yes(place.in_place),
        }
        reply = await self._step(agent_scripts.KEEP, **words)
        self._holds = ""
        return [note for key in ("mode", "time") if (note := reply.text(key, "").strip())]

    async def link(self, place: FilePlace, points_to: str) -> None:
        """Create a symbolic link there."""
        await self._step(agent_scripts.LINK, Z=place.temporary, T=place.path, L=points_to)
        self._holds = ""

    async def room(self, path: str) -> str:
        """Return why a file may not have fitted beside ``path``, or nothing."""
        with contextlib.suppress(RefusedError, EndOfStream, ValueError):
            free = (await self._step(agent_scripts.ROOM, Z=path)).number("free")
            if free < 64:
                return f"; only {free} KiB are free there"
        return ""

    # -- reading a file

    async def look(self, path: str, temporary: str, with_tools: str) -> tuple[FoundFile, str]:
        """Return the file to read, and the checksum tool; one without a size of its own, as in /proc, is copied first."""
        self._scratch = temporary
        reply = await self._step(agent_scripts.LOOK, T=path, W=temporary, TOOLS=with_tools)
        return reply.facts(reply.text("path"), "facts"), _tool(reply, with_tools)

    async def points_to(self, path: str) -> str:
        """Return the target of a symbolic link; nothing when it is not one."""
        return (await self._step(agent_scripts.POINTS_TO, T=path)).text("link")

    async def begin_checksum(self, path: str, tool: str, size: int) -> None:
        """Begin to make the checksum of the first ``size`` bytes of a file; ``checksum`` returns it."""
        await self._begin(agent_scripts.SUM, T=path, TOOL=tool, SIZE=size)

    async def checksum(self) -> str:
        """Return the checksum that was begun; nothing when the file is shorter now."""
        return (await self._answer()).text("sum")

    async def expand(self, pattern: str, *, folders: bool = True) -> list[str]:
        """Return the paths that a pattern matches, ``folders`` too; a path that exists literally is returned as it is."""
        check_path(pattern)
        exact = quoted_path(pattern)
        reply = await self._step(
            f"if [ -e {exact} ]; then set -- {exact}; D=yes; else set -- {glob(pattern)}; fi\n{agent_scripts.EXPAND}",
            D=_yes(folders),
        )
        return reply.counted()

    # -- folders

    async def place_folder(self, target: str, name: str, temporary: str, *, parents: bool, with_tools: str) -> FolderPlace:
        """Find out where a folder goes, and make a temporary one: beside it, or in it when it exists."""
        words = {"T": target, "N": name, "W": temporary, "P": _yes(parents), "TOOLS": with_tools}
        reply = await self._step(agent_scripts.PLACE_FOLDER, **words)
        return FolderPlace(
            reply.text("path"), reply.text("temporary"), "exists" in reply, "tar" in reply, _tool(reply, with_tools)
        )

    async def make_folders(self, path: str, names: Sequence[str]) -> None:
        """Make folders below a folder."""
        await self._step(agent_scripts.MAKE_FOLDERS.replace("NAMES", " ".join(map(shlex.quote, names))), T=path)

    async def touch(self, path: str) -> None:
        """Make an empty file."""
        await self._step(agent_scripts.TOUCH, T=path)

    async def unpack(self, archive: str, folder: str) -> None:
        """Unpack an archive into a folder, and remove it."""
        await self._step(agent_scripts.UNPACK, A=archive, Z=folder)

    async def pack(self, folder: str, temporary: str, *, follow: bool) -> FoundFile:
        """Make an archive of a folder under a temporary name."""
        self._scratch = temporary
        reply = await self._step(agent_scripts.PACK, T=folder, W=temporary, FLAGS="chf" if follow else "cf")
        return reply.facts(reply.text("path"), "facts")

    async def checksums(self, folder: str, names: Sequence[str], tool: str, *, follow: bool) -> dict[str, str]:
        """Return the checksums of the files in a folder, by name; those with unusual names one by one."""
        reply = await self._step(agent_scripts.SUMS, T=folder, TOOL=tool, FOLLOW="-L" if follow else "")
        found = parsed(reply.text("sums"))
        for name in names:
            if not is_plain(name):
                found[name] = await self.checksum_of(f"{folder}/{name}", tool)
        return found

    async def checksum_of(self, path: str, tool: str, size: int | None = None) -> str:
        """Return the checksum of a file, or of its first ``size`` bytes."""
        await self._begin(agent_scripts.SUM, T=path, TOOL=tool, SIZE=-1 if size is None else size)
        return await self.checksum()

    async def keep_folder(self, place: FolderPlace, later_modes: Mapping[str, int]) -> None:
        """Give a temporary folder its real name, or move what is in it into the one that exists.

        Args:
            place: Where.
            later_modes: Modes for folders that could not be filled with them.
        """
        modes = "".join(f'chmod {mode:o} "$T"/{shlex.quote(name)}\n' for name, mode in later_modes.items())
        await self._step(agent_scripts.KEEP_FOLDER + modes, Z=place.temporary, T=place.path)
        self._holds = ""

    async def look_folder(self, path: str, with_tools: str) -> FolderPlace:
        """Return the folder to read."""
        reply = await self._step(agent_scripts.LOOK_FOLDER, T=path, TOOLS=with_tools)
        return FolderPlace(reply.text("path"), "", True, "tar" in reply, _tool(reply, with_tools))

    async def measure(self, folder: str, *, follow: bool) -> tuple[int, int, list[str]]:
        """Return how much is in a folder, how many bytes that are together, and the names of pipes, sockets and devices."""
        reply = await self._step(agent_scripts.SIZES, T=folder, FOLLOW="-L" if follow else "")
        sizes, odd = reply.text("sizes").split(), reply.text("odd").splitlines()
        return len(sizes), sum(map(_number, sizes)), [name.removeprefix("./") for name in odd if name]

    async def tree(self, folder: str, *, follow: bool) -> list[tuple[str, str]]:
        """Return kind (``folder``, ``file``, ``link``, ``broken`` or ``other``) and name of all that is in a folder."""
        reply = await self._step(agent_scripts.TREE, T=folder, FOLLOW="-L" if follow else "")
        lines = reply.text("tree").split(f"\n@{self._nonce}-")[1:]
        kinds = {"d": "folder", "f": "file", "l": "link", "b": "broken"}
        return [(kinds.get(line[:1], "other"), line[2:]) for line in lines if line[2:]]

    # -- one step each

    async def digest(self, path: str) -> str:
        """Return the SHA-256 of a file."""
        found, tool = await self.look(path, f".otto-{self._nonce}", tools("sha256"))
        return await self.checksum_of(found.path, tool, found.size)

    async def names(self, folder: str) -> list[str]:
        """Return the names in a folder; a folder's ends with ``/``."""
        reply = await self._step(agent_scripts.NAMES, T=folder)
        return reply.counted()

    async def remove(self, path: str) -> None:
        """Remove a file."""
        await self._step(agent_scripts.REMOVE, T=path)

    async def make_folder(self, path: str) -> None:
        """Make a folder, and those above it."""
        await self._step(agent_scripts.MAKE_FOLDER, T=path)

    # -- talking

    async def _step(self, body: str, **words: object) -> Reply:
        await self._begin(body, **words)
        return await self._answer()

    async def _begin(self, body: str, **words: object) -> None:
        for word in words.values():
            check_path(str(word))
        # T is the path that a user gave.
        quoted = {name: (quoted_path if name == "T" else shlex.quote)(str(word)) for name, word in words.items()}
        variables = "".join(f"{name}={word}\n" for name, word in quoted.items())
        self._asked = True
        self._script = f"K=@{self._nonce}\n{variables}step() {{\n{body}\n}}\nstep\n{agent_scripts.BACK}say .\n"
        if self._process is not None:
            # One word, so that the shell has read all of a step before the step itself can read from the same input.
            line = f"eval {shlex.quote(self._script)} </dev/null\n"
            await self._process.channel.write(line.encode("utf-8", "surrogateescape"))

    async def _answer(self) -> Reply:
        end = f"\n@{self._nonce}:.:\n".encode()
        if self._process is None:
            self._said += (await self._site.run(f"{agent_scripts.PLAIN}{agent_scripts.WORDS}{self._script}")).stdout
        searched = 0
        while (at := self._said.find(end, searched)) < 0:
            if self._process is None:
                raise EndOfStream(f"the shell did not finish a step: {mask(decode(bytes(self._said)))[-200:].strip()}")
            if len(self._said) > _MOST_REPLY:
                raise RefusedError(f"the host's reply is longer than {size_text(_MOST_REPLY)}")
            searched = max(0, len(self._said) - len(end))
            self._said += await self._process.channel.read(_CHUNK)
        output = self._said[:at].decode("utf-8", "surrogateescape")
        del self._said[: at + len(end)]
        self._asked = False
        reply = Reply.read(output, f"\n@{self._nonce}:")
        self._holds = reply.text("holds", self._holds)
        if "fail" in reply:
            raise RefusedError(_reason(reply.text("fail")))
        return reply


def check_path(path: str) -> None:
    """Raise UsageError for a path that cannot be: a shell would leave the character out, and take another file."""
    if "\0" in path:
        raise UsageError(f"The path {path!r} has a NUL character, which no path can have.")


async def _dismiss(process: Process) -> None:
    """End its input, so that its exit trap removes what is unfinished; a step that takes too long is stopped.

    Closing it would not be enough: a shell that waits for input runs no trap, and is killed in the end.
    """
    with contextlib.suppress(EndOfStream, OSError, TimeoutError):
        async with asyncio.timeout(_DISMISS_S):
            await process.end_input()
            await process.wait()
    await process.close()


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise _unexpected(text)
    return int(text)


def _tool(reply: Reply, offered: str) -> str:
    """Return the checksum tool that the host chose among those offered."""
    tool = reply.text("tool", "")
    if tool not in {"", *offered.split()} or bool(tool) != bool(offered):
        raise _unexpected(tool)
    return tool


def _unexpected(text: str) -> RefusedError:
    return RefusedError(f"the host's reply is not what was agreed: '{text[:_SHOWN]}'")


def _reason(said: str) -> str:
    """Return a tool's error message, without its name in front and the full stop at the end."""
    line = said.strip().splitlines()[-1] if said.strip() else "no reason was given"
    return re.sub(r"^(\S*sh: |eval: |line \d+: |\d+: )*(mkdir: |mv: |chmod: |touch: |ln: |rm: |cat: )?", "", line).removesuffix(
        "."
    )


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _stamp(mtime: int) -> str:
    import time

    return time.strftime("%Y%m%d%H%M.%S", time.gmtime(mtime))


def glob(pattern: str) -> str:
    """Return a pattern as shell text in which nothing but ``*``, ``?`` and ``[...]`` is special."""
    home, rest = split_home(pattern)
    return home + re.sub(
        r"[^\w./*?\[\]!^-]", lambda found: shlex.quote(found[0]) if found[0] != "'" else "\\'", rest, flags=re.ASCII
    )


def matches(pattern: str, path: str) -> bool:
    """Return True when a path may be what a shell makes of a pattern: part by part, as bytes, hidden names by their dot only."""
    if path == pattern:
        return True
    home, rest = split_home(pattern)
    wanted = os.fsencode(rest.removeprefix("/") if home else rest).split(b"/")
    parts = os.fsencode(path).split(b"/")
    if len(parts) < len(wanted) or (len(parts) > len(wanted) and not home) or parts[-1] in {b"", b".", b".."}:
        return False
    return all(map(_matches_part, wanted, parts[-len(wanted) :]))


def _matches_part(wanted: bytes, part: bytes) -> bool:
    if part == wanted:
        return True
    if part.startswith(b".") and not wanted.startswith(b"."):
        return False
    for name, characters in _CLASSES.items():
        wanted = wanted.replace(b"[:%b:]" % name, characters)
    return fnmatchcase(part, wanted.replace(b"[^", b"[!"))
