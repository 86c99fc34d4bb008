"""What a console wrote as a person reads it, with the way back to what it really wrote."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

# Terminal sequences, and every way to end a line: LF CR unless that CR begins a CR LF, LF behind any number of CR, and CR alone.
_NOISE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-OQ-WYZ\\`-~]|[\x00\x07]"
    r"|\r*\n\r(?!\n)|\r*\n|\r+"
)
# What may go on with the next piece that arrives.
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*|[\]P^_X][^\x07\x1b]{0,1000}\x1b?|[ -/]*)|\r*\n?\r+|\r+)\Z")


@dataclass(frozen=True)
class PlainView:
    """Text without terminal sequences, its lines ended by a newline alone.

    Attributes:
        text: The text.
    """

    text: str
    _plain_ends: list[int]
    _real_ends: list[int]

    def real_position(self, at: int) -> int:
        """Return where in the real text the first ``at`` characters of the plain one end."""
        if at <= 0:
            return 0
        piece = bisect_left(self._plain_ends, at)
        return self._real_ends[piece] - (self._plain_ends[piece] - at)


def plain_view(real: str, *, ended: bool) -> PlainView:
    """Return a view of what was written.

    Args:
        real: What was written.
        ended: Nothing more will come; otherwise what may be the first half of a sequence or of a line's end is left out.
    """
    whole = real
    if not ended and (unfinished := _UNFINISHED.search(real, max(0, len(real) - 1100))):
        whole = real[: unfinished.start()]
    pieces: list[str] = []
    plain_ends: list[int] = []
    real_ends: list[int] = []
    length = 0

    def add(piece: str, real_end: int) -> None:
        nonlocal length
        if piece:
            length += len(piece)
            pieces.append(piece)
            plain_ends.append(length)
            real_ends.append(real_end)

    at = 0
    for noise in _NOISE.finditer(whole):
        add(whole[at : noise.start()], noise.start())
        at = noise.end()
        if noise[0][0] in "\r\n":
            add("\n", at)
    add(whole[at:], len(whole))
    return PlainView("".join(pieces), plain_ends, real_ends)


def real_view(real: str) -> PlainView:
    """Return a view that is the text itself."""
    return PlainView(real, [len(real)], [len(real)])
