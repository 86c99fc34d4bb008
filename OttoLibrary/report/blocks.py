"""Blocks for the log: one for a command, one table for many commands, one picture for a lab.

Everything that came from a host, a lab or a user is escaped: a script in an HTML message would run in log.html. Colours follow
the page's own text colour, so both themes read well.
"""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from OttoLibrary.contracts.connections import CommandResult, Record
from OttoLibrary.contracts.transfers import TransferResult
from OttoLibrary.errors import CommandError
from OttoLibrary.masking import mask
from OttoLibrary.text import plural
from OttoLibrary.units import duration_text, size_text

_LONG = 12_000
_SHOWN = 4_000
_GOOD, _BAD, _QUIET = "#2e9e44", "#d6453d", "#7a8794"
T = TypeVar("T")
# For each host its name, the path to it, and the result or the error.
Outcomes: TypeAlias = Sequence[tuple[str, tuple[str, ...], T | Exception]]
_BLOCK = "border-left:3px solid {color};padding:1px 0 1px 8px;margin:1px 0"
_PRE = "margin:2px 0 0 0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:32em;overflow:auto"
_CELL = "padding:1px 10px 1px 0;text-align:left;vertical-align:top;border-bottom:1px solid rgba(128,128,128,.35)"
_LABEL = 'text-anchor="middle" fill="currentColor" stroke="none" font-size="12" font-family="sans-serif"'
# Terminal control sequences: ECMA-48 CSI and OSC.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class Attachments:
    """Files beside the log for output that is too long for it.

    Args:
        folder: Where they are written; None keeps nothing, and long output says so.
        mask: Hides secrets in what is written.
        warn: Called with a sentence, once, when there is no room for a file, or no right to write one.
    """

    def __init__(self, folder: Path | None, mask: Callable[[str], str], warn: Callable[[str], None]) -> None:
        self._folder, self._mask, self._warn = folder, mask, warn
        self._warned = False
        self._counter = itertools.count(1)

    def keep(self, name: str, text: str) -> str | None:
        """Write ``text`` to a new file; return its address relative to the log, or None."""
        if self._folder is None:
            return None
        try:
            return log_address(self._folder, self._written(self._folder / "otto", re.sub(r"[^\w.-]+", "_", name), text))
        except OSError as error:
            # What a command printed is no reason to fail it.
            if not self._warned:
                self._warn(f"Long output is not kept beside the log: {error.strerror or error} ({self._folder / 'otto'}).")
            self._warned = True
            return None

    def address(self, path: Path) -> str:
        """Return the address of a file that is there already, relative to the log; a path where it is not below it."""
        try:
            return log_address(self._folder, path) if self._folder is not None else str(path)
        except ValueError:
            return str(path)

    def _written(self, place: Path, name: str, text: str) -> Path:
        place.mkdir(parents=True, exist_ok=True)
        path = self._new_path(place, name)
        try:
            path.write_text(self._mask(text), encoding="utf-8", errors="surrogateescape")
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path

    def _new_path(self, place: Path, name: str) -> Path:
        while (path := place / f"{name}-{next(self._counter)}.txt").exists():
            pass
        return path


def log_address(output: Path, path: Path) -> str:
    """Return the address of a file or folder relative to the log.

    Args:
        output: The output folder of the run.
        path: The file or folder, below it.
    """
    parts = output.parts
    # pabot merges the logs of its children into one beside this folder.
    depth = parts[-3:][::-1].index("pabot_results") + 1 if "pabot_results" in parts[-3:] else 0
    above = parts[len(parts) - depth :]
    return urllib.parse.quote("/".join((*above, *path.relative_to(output).parts)))


def block(record: Record, attachments: Attachments) -> str:
    """Return one block for one thing that a host did."""
    result = record.result
    color = _QUIET if result is None else (_GOOD if result.rc == 0 else _BAD)
    hops = " ← ".join(reversed(record.path[:-1]))
    parts = [f"<b>{escape(record.host)}</b>", f'<span style="opacity:.7">through {escape(hops)}</span>' if hops else ""]
    parts += [
        f'<span style="opacity:.7">{escape(record.title)}</span>',
        f"<code>{escape(_one_line(record.text))}</code>" if record.text else "",
    ]
    parts.append(_verdict(record))
    head = " &nbsp;".join(part for part in parts if part)
    stdout, stderr = (result.stdout, result.stderr) if result else (record.stdout, record.stderr)
    files = (result.stdout_file, result.stderr_file) if result else (record.stdout_file, record.stderr_file)
    body = _notes(record.notes)
    body += _output("", stdout, record, attachments, files[0]) + _output("stderr", stderr, record, attachments, files[1])
    return f'<div style="{_BLOCK.format(color=color)}">{head}{body}</div>'


def fan_out(command: str, outcomes: Outcomes[CommandResult], attachments: Attachments) -> str:
    """Return one table for one command on many hosts."""
    rows = [_fan_out_row(host, path, outcome, attachments) for host, path, outcome in outcomes]
    return _on_hosts(_code(command), outcomes, ("host", "through", "rc", "time", "output"), rows)


def put_table(source: str, target: str, outcomes: Outcomes[TransferResult]) -> str:
    """Return one table for files that were sent to many hosts."""
    rows = [_put_row(host, path, outcome) for host, path, outcome in outcomes]
    titles = ("host", "through", "by", "moved", "time", "file")
    return _on_hosts(f"{_code(source)} → {_code(target)}", outcomes, titles, rows)


def _on_hosts(what: str, outcomes: Outcomes[Any], titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    failed = sum(isinstance(outcome, Exception) for _, _, outcome in outcomes)
    return f"{what} on {plural(len(outcomes), 'host')}{f', {failed} failed' if failed else ''}{table(titles, rows)}"


def _code(text: str) -> str:
    return f"<code>{escape(_one_line(text))}</code>"


def _put_row(host: str, path: tuple[str, ...], outcome: TransferResult | Exception) -> tuple[str, ...]:
    hops = escape(" ← ".join(reversed(path[:-1])))
    if isinstance(outcome, Exception):
        return escape(host), hops, f'<span style="color:{_BAD}">failed</span>', "", "", _clip(str(outcome))
    skipped = all(file.skipped for file in outcome.files)
    moved = "the same already" if skipped else size_text(outcome.sent_bytes)
    targets = "\n".join(file.target for file in outcome.files)
    return escape(host), hops, escape(outcome.protocol), moved, duration_text(outcome.duration_s), _clip(targets)


def table(titles: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are HTML already."""
    head = "".join(f'<th style="{_CELL}">{escape(title)}</th>' for title in titles)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    return f'<table style="border-collapse:collapse;margin:2px 0"><tr>{head}</tr>{body}</table>'


def topology(paths: Sequence[tuple[str, ...]]) -> str:
    """Return a picture of the paths to hosts: this machine on the left, hops as edges to the right."""
    places = _places(paths)
    width, height = 150, 30
    columns = 1 + max((column for column, _ in places.values()), default=0)
    rows = 1 + max((row for _, row in places.values()), default=0)
    edges, boxes = [], []
    for name, (column, row) in places.items():
        x, y = column * width, row * height
        parent = next((path[-2] if len(path) > 1 else "" for path in paths if path[-1] == name), None)
        if parent is not None:
            px, py = places[parent][0] * width + 120, places[parent][1] * height + 11
            edges.append(f'<path d="M{px} {py} C{px + 15} {py} {x - 15} {y + 11} {x} {y + 11}"/>')
        label = escape(name or "this machine")
        boxes.append(
            f'<rect x="{x}" y="{y}" width="120" height="22" rx="4"/><text x="{x + 60}" y="{y + 15}" {_LABEL}>{label[:40]}</text>'
        )
    size = f'width="{columns * width}" height="{rows * height}" viewBox="-2 -2 {columns * width} {rows * height}"'
    return f'<svg {size} role="img" aria-label="topology" fill="none" stroke="currentColor">{"".join(edges + boxes)}</svg>'


def _places(paths: Sequence[tuple[str, ...]]) -> dict[str, tuple[int, int]]:
    """Return column and row of each host; a child takes its parent's row when that is free to the right."""
    places: dict[str, tuple[int, int]] = {"": (0, 0)}
    row = -1
    last_depth = 99
    for path in sorted(paths):
        if len(path) <= last_depth:
            row += 1
        places[path[-1]] = (len(path), row)
        last_depth = len(path)
    return places


def _fan_out_row(
    host: str, path: tuple[str, ...], outcome: CommandResult | Exception, attachments: Attachments
) -> tuple[str, ...]:
    hops = escape(" ← ".join(reversed(path[:-1])))
    result = outcome.result if isinstance(outcome, CommandError) else outcome
    if isinstance(result, Exception):
        return escape(host), hops, f'<span style="color:{_BAD}">failed</span>', "", _clip(str(outcome))
    color = _BAD if isinstance(outcome, Exception) else _GOOD
    rc = f'<span style="color:{color}">{escape(result.signal) if result.signal else result.rc}</span>'
    files = [file for file in (result.stdout_file, result.stderr_file) if file is not None]
    links = " ".join(_link(attachments.address(file), f"all of it, {size_text(_length(file))}") for file in files)
    return escape(host), hops, rc, duration_text(result.duration_s), _clip(result.stdout + result.stderr) + links


def _clip(text: str) -> str:
    text = plain(text).rstrip()
    shown = text if len(text) <= 400 else f"{text[:300]} … {text[-80:]}"
    return f'<pre style="{_PRE}">{escape(shown)}</pre>' if shown else ""


def _verdict(record: Record) -> str:
    result = record.result
    time = f'<span style="opacity:.7">{duration_text(record.duration_s)}</span>'
    if result is None:
        return time if record.duration_s else ""
    said = escape(result.signal) if result.signal else f"rc {result.rc}"
    return f'<span style="color:{_GOOD if result.rc == 0 else _BAD}">{said}</span> {time}'


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<div style="opacity:.8"><i>{escape(plain(note))}</i></div>' for note in notes)


def _output(label: str, text: str, record: Record, attachments: Attachments, file: Path | None = None) -> str:
    if not text.strip() and file is None:
        return ""
    whole = plain(text).rstrip("\n")
    shown, link = escape(whole), ""
    if len(text) > _LONG:
        start, end = escape(whole[:_SHOWN]), escape(whole[-_SHOWN:])
        shown = f"{start}\n<i>… {size_text(len(text) - 2 * _SHOWN)} cut here …</i>\n{end}"
        address = None if file else attachments.keep(f"{record.host}-{label or 'stdout'}", text)
        link = _link(address, f"whole {label or 'output'}, {size_text(len(text))}") if address else ""
    if file is not None:
        link = _link(attachments.address(file), f"{label or 'output'}, {size_text(_length(file))}")
    title = f'<div style="color:{_BAD}">{label}</div>' if label else ""
    shown = f'<pre style="{_PRE}">{shown}</pre>' if shown else ""
    return f"{title}{shown}{link}"


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def plain(text: str) -> str:
    r"""Return text without secrets and terminal escapes; control characters show as ``\xNN``, since XML cannot hold them."""
    text = re.sub(r"\r+(\n|$)", r"\1", _ESCAPES.sub("", mask(text)))
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ud800-\udfff]", lambda found: f"\\x{ord(found[0]):02x}", text)


def _one_line(text: str) -> str:
    first, _, rest = plain(text).partition("\n")
    return f"{first[:200]} …" if rest or len(first) > 200 else first
