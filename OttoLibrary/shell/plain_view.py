"""What a console wrote as a person reads it, with the way back to what it really wrote."""

from __future__ import annotations

import re
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
    _real: str

    def real_position(self, at: int) -> int:
        """Return where in the real text the first ``at`` characters of the plain one end."""
        if at <= 0:
            return 0
        # Walked through for a match only: the places of each line of a view would be many times as large as the view.
        plain = real = 0
        for noise in _NOISE.finditer(self._real):
            kept = noise.start() - real
            if plain + kept >= at:
                break
            real = noise.end()
            plain += kept + len(_plain(noise))
            if plain == at:
                break
        return real + at - plain


def plain_view(real: str, *, ended: bool) -> PlainView:
    """Return a view of what was written.

    Args:
        real: What was written.
        ended: Nothing more will come; otherwise what may be the first half of a sequence or of a line's end is left out.
    """
    whole = real
    if not ended and (unfinished := _UNFINISHED.search(real, max(0, len(real) - 1100))):
        whole = real[: unfinished.start()]
    return PlainView(_NOISE.sub(_plain, whole), whole)


def _plain(noise: re.Match[str]) -> str:
    return "\n" if noise[0][0] in "\r\n" else ""


def real_view(real: str) -> PlainView:
    """Return a view that is the text itself."""
    return _RealView(real, real)


class _RealView(PlainView):
    def real_position(self, at: int) -> int:
        return max(0, at)
