"""Text from bytes and from foreign hands, values that never show, and the wording of lists and numbers."""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterable

MASK = "<secret>"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
# Newline and tab are none; carriage return is one, since it lets a line overwrite itself.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00\x07]")


class Secret:
    """A value that never shows itself.

    Attributes:
        value: The real text.
    """

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


def reveal(text: str | Secret) -> str:
    """Return the real text of a plain or secret value."""
    return text.value if isinstance(text, Secret) else text


def decode(data: bytes) -> str:
    r"""Return UTF-8 ``data`` as text; a byte that is not UTF-8 is kept as ``\xNN``."""
    return data.decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    r"""Return foreign text, such as a path or what a host said, as text that cannot control a terminal.

    Colours are left out. Bytes that are not UTF-8, and control characters other than newline and tab, show as ``\xNN``;
    characters that change the direction of writing show as ``\uNNNN``.
    """
    # Half characters that are no bytes of a file name come from JSON.
    whole = _HALVES.sub(_visible, text)
    readable = decode(whole.encode("utf-8", "surrogateescape"))
    return _CONTROLS.sub(_visible, _COLOURS.sub("", readable))


def _visible(control: re.Match[str]) -> str:
    code = ord(control[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def incremental_decoder(encoding: str = "utf-8") -> codecs.IncrementalDecoder:
    """Return a decoder that does what ``decode`` does for data which comes in pieces."""
    return codecs.getincrementaldecoder(encoding)("backslashreplace")


def plain_text(text: str) -> str:
    """Return the output of a console without colours, titles and other terminal sequences, lines ended by a newline alone."""
    return re.sub(r"\r+(?=\n|$)|(?<=\n)\r+", "", _SEQUENCES.sub("", text))


def listed(text: str) -> list[str]:
    """Return the names in a text that commas join, without blanks around them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def some(names: Iterable[object], most: int = 8) -> str:
    """Return ``a, b and 3 more``: each name once, and no more of them than a reader looks at."""
    once = list(dict.fromkeys(str(name) for name in names))
    more = f" and {len(once) - most} more" if len(once) > most else ""
    return ", ".join(once[:most]) + more


def plural(count: int, noun: str) -> str:
    """Return ``1 host`` or ``2 hosts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def quoted_path(path: str) -> str:
    """Return a path of a host as one word of shell text, in which ``~/`` and ``~user/`` at its start are home folders."""
    home, rest = split_home(path)
    if not home:
        return shlex.quote(path)
    # The slash stays outside the quotes: a shell would not see the home folder otherwise.
    return home + rest[:1] + (shlex.quote(rest[1:]) if rest[1:] else "")


def split_home(path: str) -> tuple[str, str]:
    """Return ``~`` or ``~user`` at the start of a path, empty when it has none, and the rest."""
    home = re.match(r"~[A-Za-z0-9_.-]*(?=/|$)", path)
    return (home[0], path[home.end() :]) if home else ("", path)
