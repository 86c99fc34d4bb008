"""Labs from OpenSSH client configurations: every name of a ``Host`` line is a host, every ``ProxyJump`` a hop.

Format: ssh_config(5). AsyncSSH reads the settings of a name, as it does for a connection. It cannot say which names there are,
and it runs what ``Match exec`` says, so the lines are checked first.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import LabError, UnknownNameError
from OttoLibrary.lab.lab import MOST_HOPS
from OttoLibrary.lab.plain_file import read_plain_file
from OttoLibrary.schema.source_position import expanded, shown_path

_FOLDER = "~/.ssh"
_DEEPEST = 16
_MOST_FILES = 1000
_LARGEST_BYTES = 4 << 20
# AsyncSSH reads the files again for each name.
_LONGEST_S = 60.0
_PATTERN = re.compile("[*?!]")
# The criteria of Match that would run programs, ask the network, or read everything a second time.
_NOT_EVALUATED = ("exec", "final", "canonical", "localnetwork")
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<literal>[^\]]+)\]|(?P<name>[^:]+))(?::(?P<port>\d+))?/?")
_NO_NAME = re.compile(r"[^\w.@+-]")
# Keywords of the file, and the keys of a host's 'ssh' that mean the same.
_ALGORITHMS = {"Ciphers": "ciphers", "KexAlgorithms": "kex", "MACs": "mac", "HostKeyAlgorithms": "host_key_algorithms"}


class SshConfigLabs:
    """The lab source ``ssh_config``: a lab is a file, by its path or by its name in ``~/.ssh`` or ``~/.ssh/config.d``."""

    def load_lab(self, name: str, preferences: Mapping[str, Any] | None = None) -> object:
        """Return its hosts."""
        if preferences:
            raise LabError([f"The lab source 'ssh_config' takes no preferences, such as '{next(iter(preferences))}'."])
        file = self.file_of(name)
        try:
            return {"name": file.stem, "hosts": _Hosts(file, list(dict.fromkeys(_Reader().names(file)))).hosts()}
        except (OSError, ValueError) as error:
            raise LabError([_problem(file, error)]) from error

    def list_labs(self) -> list[str]:
        """Return the files by name."""
        home = expanded(_FOLDER)
        found = [home / "config", *(home / "config.d").glob("*")]
        return sorted({file.name for file in found if file.is_file()})

    def file_of(self, name: str) -> Path:
        """Return the file of a lab."""
        home = expanded(_FOLDER)
        for file in [expanded(name)] if "/" in name else [home / name, home / "config.d" / name]:
            if file.is_file():
                return file.absolute()
        raise UnknownNameError("OpenSSH configuration", name, self.list_labs(), "Or give its path.")


def _problem(file: Path, error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"{shown_path(Path(error.filename or file))}: cannot be read: {error.strerror}."
    # AsyncSSH names the file itself.
    return str(error) if str(error).startswith("/") else f"{shown_path(file)}: {error}."


# -- which names there are


@dataclass
class _Reader:
    """The lines of a file and of those that it includes, in words as AsyncSSH reads them, before AsyncSSH does."""

    files: int = 0
    left_bytes: int = _LARGEST_BYTES

    def names(self, file: Path, depth: int = 0) -> Iterator[str]:
        """Yield the names of ``Host`` lines that are no patterns; raise ValueError for what would run a program or not end."""
        self.files += 1
        if depth > _DEEPEST:
            raise ValueError(f"Include goes deeper than {_DEEPEST} files")
        if self.files > _MOST_FILES:
            raise ValueError(f"Include names more than {_MOST_FILES} files")
        text = read_plain_file(file, self.left_bytes)
        self.left_bytes -= len(text)
        for number, line in enumerate(io.StringIO(text.decode("utf-8", "surrogateescape"), newline=None), 1):
            where = f"{file} line {number}"
            keyword, words = _words(line, where)
            if keyword == "host":
                # A comment ends the names; AsyncSSH takes its words for names that nobody asks for.
                names = takewhile(lambda word: not word.startswith("#"), words)
                yield from (word for word in names if not _PATTERN.search(word))
            elif keyword == "include":
                for included in chain.from_iterable(_included(pattern, where) for pattern in words):
                    yield from self.names(included, depth + 1)
            elif keyword == "match":
                _check_match(words, where)


def _words(line: str, where: str) -> tuple[str, list[str]]:
    """Return the keyword, in lower case, and its arguments, as AsyncSSH does."""
    line = line.strip()
    if not line or line.startswith("#"):
        return "", []
    try:
        first, *others = shlex.split(line) or [""]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    keyword, _, value = first.partition("=")
    words = [value, *others] if value else others
    # In 'Match' a criterion may have its value behind a '=' too.
    words = [part for word in words for part in (word.split("=", 1) if keyword.lower() == "match" else [word.removeprefix("=")])]
    return keyword.lower(), list(filter(None, words))


def _included(pattern: str, where: str) -> list[Path]:
    """Return the files that AsyncSSH includes for a pattern."""
    if "**" in pattern:
        raise ValueError(f"{where}: 'Include {pattern}' would look into all folders. Write * for the files of one")
    path = expanded(pattern)
    start, rest = (Path(path.anchor), str(Path(*path.parts[1:]))) if path.anchor else (expanded(_FOLDER), pattern)
    return sorted(found for found in start.glob(rest) if found.is_file())


def _check_match(words: Sequence[str], where: str) -> None:
    for word in words:
        if word.lstrip("!").lower() in _NOT_EVALUATED:
            raise ValueError(
                f"{where}: 'Match {word}' is not evaluated by a lab source. Match host, originalhost, user, localuser and "
                "all are; move the rest to a file that the lab does not include"
            )


# -- what they mean


@dataclass
class _Hosts:
    """The hosts of one file and the hops to them; a hop that no ``Host`` line names becomes a host too."""

    file: Path
    names: list[str]
    _found: dict[str, dict[str, Any]] = field(default_factory=dict)
    _end: Deadline = field(default_factory=lambda: Deadline(_LONGEST_S))

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return the fields of all hosts, those with a ``Host`` line first."""
        for name in self.names:
            self._add(name, ())
        return {name: self._found[name] for name in [*self.names, *self._found]}

    def _add(self, name: str, way: tuple[str, ...]) -> None:
        if self._end.expired:
            raise ValueError(f"its {len(self.names)} hosts cannot be read in {_LONGEST_S:g} seconds; split the file")
        if name not in self._found:
            options = _options(self.file, name)
            hop = self._last_hop(options, (*way, name))
            self._found[name] = _fields(self.file, name, options, hop)

    def _last_hop(self, options: Any, way: tuple[str, ...]) -> str | None:
        """Return the host behind which the last one of ``way`` is; the first of several jumps is the first hop."""
        before: str | None = None
        jumps = options.tunnel.split(",") if options.tunnel else []
        if len(jumps) > MOST_HOPS:
            raise ValueError(f"'{way[-1]}' is behind more than {MOST_HOPS} ProxyJumps")
        for jump in jumps:
            before = self._hop(jump.strip(), before, way)
        return before

    def _hop(self, jump: str, before: str | None, way: tuple[str, ...]) -> str:
        found = _JUMP.fullmatch(jump)
        if found is None:
            raise ValueError(f"'{jump}' in ProxyJump of '{way[-1]}' is not [user@]host[:port]")
        alias = found["literal"] or found["name"]
        if len(way) > MOST_HOPS:
            raise ValueError(f"'{way[0]}' is behind more than {MOST_HOPS} ProxyJumps")
        if alias in way:
            raise ValueError(f"the ProxyJumps run in a circle: {' -> '.join([*way[way.index(alias) :], alias])}")
        if alias in self.names:
            self._add(alias, way)
        options = _options(self.file, alias)
        fields = _fields(self.file, alias, options, before or self._last_hop(options, (*way, alias)))
        given = {"user": found["user"], "port": int(found["port"]) if found["port"] else None}
        return self._named(alias, jump, fields | {key: value for key, value in given.items() if value})

    def _named(self, alias: str, jump: str, fields: dict[str, Any]) -> str:
        """Return the name of the hop: its own, unless a host of that name is reached in another way."""
        plain, full = (_NO_NAME.sub("-", text) for text in (alias, jump))
        for name in (plain, full, f"{full}-via-{fields.get('hop')}"):
            if self._found.setdefault(name, fields) == fields:
                return name
        raise ValueError(f"the hop '{jump}' stands for several hosts, and no name is left to tell them apart")


def _options(file: Path, name: str) -> Any:
    import asyncssh

    return asyncssh.SSHClientConnectionOptions(config=[str(file)], host=name, client_keys=None, known_hosts=None, agent_path=None)


def _fields(file: Path, name: str, options: Any, hop: str | None) -> dict[str, Any]:
    """Return the fields of a host. Its connection reads the file again, for what a lab cannot say."""
    keys = [expanded(key) for key in options.config.get("IdentityFile") or ()]
    algorithms = {ours: options.config.get(theirs) for theirs, ours in _ALGORITHMS.items()}
    fields = {
        # The connection looks up its ProxyCommand, and the address for it, by the name.
        "address": name if options.proxy_command and not hop else options.host,
        "port": options.port,
        "user": options.username,
        "identity_file": str(next((key for key in keys if key.is_file()), keys[0])) if keys else None,
        "hop": hop,
        "connect_timeout": options.connect_timeout,
        "keepalive": options.config.get("ServerAliveInterval") or None,
        "ssh": {"config_file": _reread(file, options, hop), **{key: value for key, value in algorithms.items() if value}},
    }
    return {key: value for key, value in fields.items() if value is not None}


def _reread(file: Path, options: Any, hop: str | None) -> str:
    """Return the file that a connection reads: none when a pattern that fits the address would send it another way."""
    if hop or options.proxy_command:
        return str(file)
    by_address = _options(file, options.host)
    return os.devnull if by_address.tunnel or by_address.proxy_command else str(file)
