"""What the log shows of a bench: a line for each step, a timeline, what devices said."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from OttoLibrary.masking import mask

if TYPE_CHECKING:
    from OttoLibrary.run.bench import Bench
    from OttoLibrary.testbed.life_cycle import Step

_MOST_NOTES = 50
_WIDTH, _ROW, _NAME = 640, 18, 180
_COLOURS = {"ok": "#4a9", "failed": "#d55", "left out": "#bbb"}


def step_line(step: Step) -> str:
    """Return a step as the console shows it."""
    tail = f": {step.message}" if step.message else ""
    return f"{step.device}: {step.phase} {step.status} in {step.duration_s:.2f} s{tail}"


def bench_html(bench: Bench) -> str:
    """Return the steps of a bench that were not shown yet, with a timeline and what the devices said meanwhile."""
    steps = bench.steps[bench.published :]
    bench.published += len(steps)
    if not steps:
        return ""
    from OttoLibrary.report.blocks import table

    titles = ("phase", "device", "duration", "status", "what it said")
    notes = bench.deployment.notes
    rows = []
    for step in steps:
        said = [
            note.text for note in notes if note.device == step.device and step.began <= note.time <= step.began + step.duration_s
        ]
        shown = "\n".join([*([step.message] if step.message else []), *said[-_MOST_NOTES:]])
        cells = (step.phase, step.device, f"{step.duration_s:.2f} s", step.status, shown)
        rows.append([escape(mask(cell)) for cell in cells])
    return f"<b>{escape(bench.environment.board)}</b>{_timeline(steps)}{table(titles, rows)}"


def _timeline(steps: Sequence[Step]) -> str:
    """Return a picture: a row for each device, a bar for each step."""
    names = list(dict.fromkeys(step.device for step in steps))
    start, end = min(step.began for step in steps), max(step.began + step.duration_s for step in steps)
    scale = _WIDTH / max(end - start, 0.001)
    parts = [
        f'<text x="0" y="{index * _ROW + 13}" font-size="12">{escape(mask(name))}</text>' for index, name in enumerate(names)
    ]
    for step in steps:
        left, width = _NAME + (step.began - start) * scale, max(2.0, step.duration_s * scale)
        top = names.index(step.device) * _ROW + 3
        title = escape(f"{step.phase}: {step.status}, {step.duration_s:.2f} s")
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_ROW - 5}" fill="{_COLOURS[step.status]}">'
            f"<title>{title}</title></rect>"
        )
    size = f'width="{_NAME + _WIDTH + 4}" height="{len(names) * _ROW + 4}"'
    return f'<br/><svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">{"".join(parts)}</svg>'
