"""A picture of what happened when: a lane for each thing, over one time, drawn in a bounded number of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from OttoLibrary.report.blocks import plain
from OttoLibrary.report.scales import elapsed_text, time_ticks

_PIECES = 400
_LEFT, _WIDTH, _LANE, _TOP = 150, 640, 18, 20
_GOOD, _BAD, _OUT, _PHASE = "#294", "#d44", "#aaa", "#48c"
_NAME_LENGTH = 24
_MOST_LANES = 60


class Lane:
    """What happened of one kind, in as many pieces as the picture has columns: a million runs take no more than ten.

    Args:
        name: Its name.
        length_s: The whole time.
    """

    def __init__(self, name: str, length_s: float) -> None:
        self.name, self._length_s = name, max(length_s, 1e-9)
        self._marks: dict[int, str] = {}

    def add(self, from_s: float, until_s: float, mark: str) -> None:
        """Note a stretch: ``run``, ``failed`` or ``out``; a worse one hides a better one."""
        first, last = self._piece(from_s), self._piece(until_s)
        for piece in range(first, last + 1):
            if _RANK[mark] >= _RANK.get(self._marks.get(piece, ""), -1):
                self._marks[piece] = mark

    def stretches(self) -> list[tuple[int, int, str]]:
        """Return what is drawn: from which piece to which, and what."""
        found: list[tuple[int, int, str]] = []
        for piece in sorted(self._marks):
            mark = self._marks[piece]
            if found and found[-1][1] == piece - 1 and found[-1][2] == mark:
                found[-1] = (found[-1][0], piece, mark)
            else:
                found.append((piece, piece, mark))
        return found

    def _piece(self, at_s: float) -> int:
        return min(_PIECES - 1, max(0, int(at_s / self._length_s * _PIECES)))


_RANK = {"out": 0, "run": 1, "failed": 2}
_COLORS = {"run": _GOOD, "failed": _BAD, "out": _OUT}
_WORDS = {"run": "ran", "failed": "failed", "out": "was due and did not run"}


def timeline(lanes: Sequence[Lane], phases: Sequence[tuple[str, float, float]], length_s: float) -> str:
    """Return a block of HTML with a lane for each of ``lanes``.

    Args:
        lanes: The lanes, the first at the top.
        phases: Name, beginning and end in seconds of what is shown above them.
        length_s: The whole time.
    """
    shown = lanes[:_MOST_LANES]
    height = _TOP + (_LANE if phases else 0) + _LANE * len(shown) + 16
    parts = [_phase(*phase, length_s) for phase in phases]
    top = _TOP + (_LANE if phases else 0)
    parts += [_lane(lane, top + _LANE * number) for number, lane in enumerate(shown)]
    parts += [_tick(at_s, text, length_s, height) for at_s, text in time_ticks(length_s)]
    more = f"<p>{len(lanes) - len(shown)} more events are in the table.</p>" if len(lanes) > len(shown) else ""
    return (
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + 10} {height}" style="max-width:60em;width:100%;color:inherit" '
        f'font-size="11" fill="currentColor" role="img">{"".join(parts)}</svg>{more}'
    )


def _x(at_s: float, length_s: float) -> float:
    return round(_LEFT + _WIDTH * min(1.0, max(0.0, at_s / max(length_s, 1e-9))), 1)


def _phase(name: str, began_s: float, ended_s: float, length_s: float) -> str:
    left, right = _x(began_s, length_s), _x(ended_s, length_s)
    shown = escape(plain(name)[:_NAME_LENGTH])
    return (
        f'<rect x="{left}" y="{_TOP}" width="{max(1.0, right - left):.1f}" height="{_LANE - 6}" fill="{_PHASE}" opacity=".25"/>'
        f'<text x="{left + 3}" y="{_TOP + 10}">{shown}</text>'
    )


def _lane(lane: Lane, top: int) -> str:
    name = escape(plain(lane.name)[:_NAME_LENGTH])
    step = _WIDTH / _PIECES
    pieces = "".join(
        f'<rect x="{_LEFT + step * first:.1f}" y="{top}" width="{max(1.5, step * (last - first + 1)):.1f}" '
        f'height="{_LANE - 6}" fill="{_COLORS[mark]}"><title>{name} {_WORDS[mark]}</title></rect>'
        for first, last, mark in lane.stretches()
    )
    return f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{name}</text>{pieces}'


def _tick(at_s: float, text: str, length_s: float, height: int) -> str:
    x = _x(at_s, length_s)
    return (
        f'<line x1="{x}" x2="{x}" y1="{_TOP - 4}" y2="{height - 14}" stroke="currentColor" opacity=".2"/>'
        f'<text x="{x}" y="12" text-anchor="middle">{escape(text or elapsed_text(at_s))}</text>'
    )
