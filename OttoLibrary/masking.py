"""Hides secrets: one masker for the process knows them all, in every spelling in which they turn up."""

from __future__ import annotations

import base64
import json
import re
import shlex
import threading
import urllib.parse
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape, unescape
from typing import Any

from OttoLibrary.text import MASK, Secret, printable, reveal

# A shorter one is hidden only where it stands as a whole word, or ordinary text would become unreadable.
_SHORTEST = 4
# At the edge of cut text so much of a secret is not left.
_SHORTEST_PIECE = 3
# Of text that is not complete yet so much waits for more at most; what has no place to cut it by then is cut at its end.
_LEAST_HELD, _MOST_HELD, _ENDLESS = 512, 1 << 15, 1 << 20
# A letter that is written by its number has at most so many characters more than it has in the longest spelling.
_LETTER_LENGTH = 4
_MASK = MASK.encode()
_SPECIAL = "&<>\"'"
_HTML_NUMBERS = [{ord(letter): form.format(ord(letter)) for letter in _SPECIAL} for form in ("&#{:d};", "&#x{:x};", "&#x{:X};")]
_JSON_LOWER = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&'"}
_JSON_UPPER = {ord(letter): f"\\u{ord(letter):04X}" for letter in "<>&'"}
_URL_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_URL_UPPER = [chr(byte) if byte in _URL_PLAIN else f"%{byte:02X}" for byte in range(256)]
_URL_LOWER = [chr(byte) if byte in _URL_PLAIN else f"%{byte:02x}" for byte in range(256)]
_URL_MARKS_UPPER = [(f"%{ord(mark):02X}", mark) for mark in "!*'()"]
_URL_MARKS_LOWER = [(f"%{ord(mark):02x}", mark) for mark in "!*'()"]
_IN_DOUBLE_QUOTES = {ord(letter): f"\\{letter}" for letter in '"$`\\'}
_BACKSLASHED = {ord(letter): f"\\{letter}" for letter in " |&;()<>!{}*[]?^$`,'\"\\"}
_NO_WORD = re.compile(r"[^\w@%+=:,./-]")
_C_ESCAPES = {code: f"\\{code:03o}" for code in (*range(0x20), 0x7F)} | str.maketrans({
    "\\": "\\\\", "'": "\\'", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r",
    "\x1b": "\\E",
})  # fmt: skip
# Text of which every letter is written by its number: what each begins with, and the number.
_NUMBERED = [
    (mark, re.compile(b"%b%b%b%b%b%b(?:%b%b)*" % ((re.escape(mark), number) * 4)))
    for mark, number in (
        (b"&#", rb"(?:\d{1,7}|[xX][0-9a-fA-F]{1,6});"),
        (b"%", rb"[0-9a-fA-F]{2}"),
        (b"\\u", rb"[0-9a-fA-F]{4}"),
        (b"\\x", rb"[0-9a-fA-F]{2}"),
        (b"\\", rb"[0-3][0-7]{2}"),
    )
]
# Base64 comes in lines.
_LINE_BREAKS = b"\r\n"
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")


class Masker:
    """Knows secrets and hides them in any text.

    A secret is hidden as it is, in each of its lines, and as shells, URLs, HTML, JSON, Python and Base64 write it; in Base64 also
    within other text, such as ``user:password``. Learning is cheap; the patterns are compiled with the next text.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._forms: set[str] = set()
        self._cores: set[bytes] = set()
        self._patterns: _Patterns | None = None
        self._told: dict[object, Callable[[Sequence[str]], object]] = {}
        self._lock = threading.Lock()

    def add(self, *secrets: str | Secret) -> None:
        """Hide secrets from now on; empty text is ignored."""
        new = []
        with self._lock:
            for value in map(reveal, secrets):
                if value.strip() and value not in self._known:
                    new.append(value)
                    self._known.add(value)
                    self._forms |= spellings(value)
                    self._cores |= base64_cores(value)
                    self._patterns = None
            told = list(self._told.values()) if new else []
        for tell in told:
            tell(new)

    def when_learnt(self, who: object, tell: Callable[[Sequence[str]], object] | None) -> None:
        """Tell someone of each new secret, on the thread that learns it, or with None no more; it must neither wait nor fail."""
        with self._lock:
            if tell is None:
                self._told.pop(who, None)
            else:
                self._told[who] = tell

    def secrets(self) -> list[str]:
        """Return what is hidden, for a process that has to hide it, too."""
        with self._lock:
            return sorted(self._known)

    @property
    def is_empty(self) -> bool:
        """True as long as no secret is known."""
        return not self._known

    def mask(self, text: str) -> str:
        """Return ``text`` with every known secret replaced by ``<secret>``."""
        return self._compiled().mask(text) if self._known and text else text

    def mask_cut(self, text: str, cut: str = "...") -> str:
        """Return masked text that was cut before: what is left of a secret in front of ``cut``, at the end, is hidden too."""
        masked = self.mask(text)
        if not self._known or not masked.endswith(cut):
            return masked
        body = masked[: len(masked) - len(cut)]
        return self._compiled().without_beginning(body) + cut

    def settled(self, text: str) -> int:
        """Return how many characters of the beginning of a text, of which more will come, can be masked by themselves.

        No secret lies across that place, and none that may end in what will come begins before it.
        """
        if not self._known:
            return len(text)
        held = self._compiled().held
        # Where a secret lies across a place, another place is tried, further to the front.
        for at in range(len(text) - held, 0, -held // 2):
            window = max(0, at - 2 * held)
            if self.mask(text[window:]).startswith(self.mask(text[window:at])):
                return at
        return 0 if len(text) < _ENDLESS else len(text)

    def _compiled(self) -> _Patterns:
        with self._lock:
            if self._patterns is None:
                self._patterns = _Patterns(self._forms, self._cores)
            return self._patterns


class _Patterns:
    """Spellings, compiled."""

    def __init__(self, forms: Iterable[str], cores: Iterable[bytes]) -> None:
        long = [form for form in forms if len(form) >= _SHORTEST]
        short = sorted((form for form in forms if len(form) < _SHORTEST), key=len, reverse=True)
        self._sorted = sorted(long)
        self._longest = max(map(len, long), default=0)
        self._search = _automaton([_encoded(form) for form in long])
        self._cores = _automaton(list(cores))
        self._words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, short))})(?!\w)") if short else None

    def mask(self, text: str) -> str:
        data = _encoded(text)
        spans = [(start, end) for _, start, end in self._search.find_matches_as_indexes(data)] if self._search else []
        spans += [*self._base64(data), *self._numbered(data)]
        masked = _decoded(_replaced(data, spans)) if spans else text
        return self._words.sub(MASK, masked) if self._words else masked

    @property
    def held(self) -> int:
        """How many characters at the end of a text may be the beginning of a secret, however it is written."""
        return min(max(_LETTER_LENGTH * self._longest, _LEAST_HELD), _MOST_HELD)

    def without_beginning(self, text: str) -> str:
        """Return text without the beginning of a secret at its end."""
        for length in range(min(self._longest - 1, len(text)), _SHORTEST_PIECE - 1, -1):
            piece = text[-length:]
            at = bisect_left(self._sorted, piece)
            if at < len(self._sorted) and self._sorted[at].startswith(piece):
                return text[:-length] + MASK
        return text

    def _base64(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Give where secrets are in Base64, whatever stands around them in it."""
        if self._cores is None:
            return
        joined = data.translate(None, _LINE_BREAKS)
        matches = self._cores.find_matches_as_indexes(joined)
        places = _Places(data) if len(joined) < len(data) else None
        for _, start, end in matches:
            first, last = _with_neighbours(joined, start, end)
            yield places.of(first, last) if places else (first, last)

    def _numbered(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Give where secrets are in text that is written in numbers."""
        if self._search is None:
            return
        for mark, numbers in _NUMBERED:
            for found in numbers.finditer(data) if mark in data else ():
                if self._search.find_matches_as_indexes(_letters(found[0])):
                    yield found.span()


class _Places:
    """Where pieces of text without its line breaks are in the text with them; asked for from the first to the last.

    Line breaks are counted, not listed: an output may have millions of lines.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = (0, 0)

    def of(self, first: int, last: int) -> tuple[int, int]:
        """Return where a piece begins and ends."""
        self._place = start = self._after(self._place, first)
        return start[1], self._after(start, last - 1)[1] + 1

    def _after(self, place: tuple[int, int], index: int) -> tuple[int, int]:
        joined, at = place
        found, breaks = at + index - joined, -1
        while (count := self._breaks(at, found + 1)) != breaks:
            found, breaks = at + index - joined + count, count
        return index, found

    def _breaks(self, start: int, end: int) -> int:
        return self._data.count(b"\n", start, end) + self._data.count(b"\r", start, end)


_process = Masker()


def process_masker() -> Masker:
    """Return the masker that all runs, listeners and errors of this process share."""
    return _process


def mask(text: str) -> str:
    """Return text with every secret that this process knows replaced by ``<secret>``; to be called before anything is cut."""
    return _process.mask(text)


# -- spellings


def spellings(value: str) -> set[str]:
    """Return how a secret may be written."""
    forms = {value, printable(value), *_in_shells(value), *_in_json(value), *_in_urls(value), *_in_html(value)}
    forms |= {repr(value)[1:-1], value.replace("\\", "\\\\")}
    if not value.isascii():
        forms.add(repr(_encoded(value))[2:-1])
    forms |= {line for line in value.splitlines() if len(line) >= _SHORTEST}
    return {form for form in forms if form.strip()} | _in_base64(value)


def _in_shells(value: str) -> Iterator[str]:
    yield shlex.quote(value)
    # 'set -x', '${x@Q}' and 'set' of bash.
    yield value.replace("'", "'\\''")
    # 'declare -p' and 'export -p'.
    yield value.translate(_IN_DOUBLE_QUOTES)
    # 'printf %q' of bash, with and without the comma of brace expansion; '#' and '~' count at the beginning.
    escaped = ("\\" if value[0] in "#~" else "") + value.translate(_BACKSLASHED)
    yield escaped
    yield escaped.replace("\\,", ",")
    yield _NO_WORD.sub(r"\\\g<0>", value)
    # All of them, when it has control characters, or letters that the locale does not have.
    in_c = value.translate(_C_ESCAPES)
    yield in_c
    if not in_c.isascii():
        yield "".join(chr(byte) if byte < 0x80 else f"\\{byte:03o}" for byte in _encoded(in_c))


def _in_json(value: str) -> Iterator[str]:
    for plain in {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
        for text in (plain, plain.replace("/", "\\/")):
            yield text
            yield text.translate(_JSON_LOWER)
            yield text.translate(_JSON_UPPER)
        if "\\u" in plain:
            yield re.sub(r"\\u[0-9a-f]{4}", lambda found: f"\\u{found[0][2:].upper()}", plain)


def _in_urls(value: str) -> Iterator[str]:
    data = _encoded(value)
    for table, slash, marks in ((_URL_UPPER, "%2F", _URL_MARKS_UPPER), (_URL_LOWER, "%2f", _URL_MARKS_LOWER)):
        quoted = "".join([table[byte] for byte in data])
        yield quoted
        yield quoted.replace(slash, "/")
        yield quoted.replace("%20", "+")
        # What JavaScript leaves as it is.
        for escaped, mark in marks:
            quoted = quoted.replace(escaped, mark)
        yield quoted


def _in_html(value: str) -> Iterator[str]:
    text = escape(value, quote=False)
    for apostrophe in ("'", "&#x27;", "&#39;", "&apos;"):
        for quote in ('"', "&quot;", "&#34;"):
            yield text.replace("'", apostrophe).replace('"', quote)
    for numbers in _HTML_NUMBERS:
        yield value.translate(numbers)


def _in_base64(value: str) -> set[str]:
    if len(value) < _SHORTEST:
        return set()
    texts = {value, f"{value}\n"}
    plain = {base64.b64encode(_encoded(text)).decode() for text in texts}
    return plain | {text.translate(str.maketrans("+/", "-_")) for text in plain}


def base64_cores(value: str) -> set[bytes]:
    """Return what is always there of a secret in the Base64 of a text that it is part of, for each place where it may begin."""
    data = _encoded(value)
    if len(data) < _SHORTEST:
        return set()
    cores = set()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + data)
        core = whole[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        cores |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return cores


# -- bytes


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _letters(numbered: bytes) -> bytes:
    """Return the text that is written in numbers."""
    text = numbered.decode("ascii")
    if text.startswith("&"):
        return _encoded(unescape(text))
    if text.startswith("%"):
        return urllib.parse.unquote_to_bytes(text)
    if text.startswith("\\u"):
        # Also those beyond 16 bits, which come in pairs.
        pairs = bytes.fromhex(text.replace("\\u", ""))
        return _encoded(pairs.decode("utf-16-be", "surrogatepass"))
    if text.startswith("\\x"):
        return bytes.fromhex(text.replace("\\x", ""))
    return bytes(int(number, 8) for number in text[1:].split("\\"))


def _automaton(patterns: list[bytes]) -> Any:
    """Return what finds all patterns in one pass, the longest of those that begin first, or None without any."""
    if not patterns:
        return None
    # Only a run that has secrets needs it.
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    # Secrets are learned one after the other, so what compiles fast is worth more than what searches fastest.
    return BytesAhoCorasick(patterns, matchkind=MatchKind.LeftmostLongest, implementation=Implementation.NoncontiguousNFA)


def _with_neighbours(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return a place in Base64 with the two characters on each side that hold bits of it."""
    first, last = start, end
    while first > max(0, start - 2) and data[first - 1] in _BASE64:
        first -= 1
    while last < min(len(data), end + 2) and data[last] in _BASE64:
        last += 1
    return first, last


def _replaced(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    parts, done = [], 0
    for start, end in sorted(spans):
        if start >= done:
            parts += [data[done:start], _MASK]
        done = max(done, end)
    return b"".join([*parts, data[done:]])
