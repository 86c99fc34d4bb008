"""Where something stands in a checked file, and the references ``${kind:argument}`` in its text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from OttoLibrary import registry
from OttoLibrary.errors import PluginError, did_you_mean

# A file with more mistakes than this is something else than was thought: guesses take long then, and help nobody.
_MOST_HINTS = 50
_PLAIN_KEY = re.compile(r"[\w-]+")
# The argument has a bound, since each of many beginnings without an end would look through all that follows.
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w-]*):([^}]{0,1000})\}")


@dataclass(frozen=True)
class SourcePosition:
    """Where something stands in checked data, and where the mistakes about it go.

    Attributes:
        source: What messages call the whole: the path of its file, or what gave the data and the name there.
        folder: Where relative paths in it start.
        problems: Takes the mistakes.
        path: The JSON path, such as ``hosts.dut1.port``.
        resolver: Returns the value of a reference by kind and argument; None while references stay as they are.
    """

    source: str
    folder: Path
    problems: list[str] = field(default_factory=list, compare=False)
    path: str = ""
    resolver: Callable[[str, str], str] | None = None

    @classmethod
    def in_file(cls, file: Path, problems: list[str] | None = None) -> SourcePosition:
        """Return the top of a file."""
        return cls(shown_path(file), file.absolute().parent, [] if problems is None else problems)

    def at(self, key: str | int) -> SourcePosition:
        """Return the position of an entry of the object or list that stands here."""
        if isinstance(key, int) or not _PLAIN_KEY.fullmatch(key):
            path = f"{self.path}[{key!r}]"
        else:
            path = f"{self.path}.{key}" if self.path else key
        # Not by 'replace', which takes three times as long: there is a position for each value of a file.
        return SourcePosition(self.source, self.folder, self.problems, path, self.resolver)

    def wrong(self, what: str, name: str = "", known: Collection[str] = ()) -> None:
        """Note a mistake; ``name`` and ``known`` are for the did-you-mean."""
        near = did_you_mean(name, known).strip() if len(self.problems) < _MOST_HINTS else ""
        hint = f" (d{near[1:]})" if near else ""
        self.problems.append(f"{self.source}: {what} @ {self.path or 'top level'}{hint}")

    def resolve(self, text: str) -> str | None:
        """Return ``text`` with its references replaced; None when one is unknown, has no value or is not to be resolved yet."""
        known, before, resolver = registry.names("reference"), len(self.problems), self.resolver
        for kind in dict.fromkeys(kind for kind, _ in references_in(text) if kind not in known):
            self.wrong(f"unknown reference kind {kind!r}", kind, known)
        if resolver is None or len(self.problems) > before:
            return None
        resolved = _REFERENCE.sub(lambda found: self._value(resolver, found[1], found[2]), text)
        return resolved if len(self.problems) == before else None

    def _value(self, resolver: Callable[[str, str], str], kind: str, argument: str) -> str:
        try:
            return resolver(kind, argument)
        except (LookupError, PluginError) as error:
            self.wrong(str(error).removesuffix("."))
            return ""


def shown_path(file: Path) -> str:
    """Return a path as a message shows it: relative to the current folder when it is inside."""
    return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)


def expanded(path: str) -> Path:
    """Return the path with ``~`` as the home folder; the one of an unknown user stays."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_path(text: str) -> bool:
    """Return True when what names a file, such as a lab, is a path, not a plain name."""
    return text.endswith(".json") or "/" in text or text in {".", ".."}


def has_references(value: object) -> bool:
    """Return True when a ``${kind:argument}`` stands in any JSON value."""
    return any(references_in(value))


def references_in(value: object) -> Iterator[tuple[str, str]]:
    """Yield kind and argument of each ``${kind:argument}`` in any JSON value."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from references_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from references_in(entry)
