"""The page as one file of HTML: without data, as a server hands it out, or with all data of a source."""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from OttoLibrary.dashboard.page_source import Source
from OttoLibrary.report import scales
from OttoLibrary.units import BINARY_PREFIXES, SERIES_ENDINGS

_FOLDER = Path(__file__).parent / "web"
_PLACE = re.compile(r"OTTO-NONCE|/\*OTTO-(?:UPLOT-CSS|CSS|UPLOT|JS)\*/|/\*OTTO-JS:(\w+\.js)\*/|<!--OTTO-(?:DATA|NUMBERS)-->")


def served_page(nonce: str) -> str:
    """Return the page as a server hands it out, without data; ``nonce`` marks its own scripts and styles."""
    return filled_page(nonce, "")


def static_page(source: Source) -> str:
    """Return one HTML file with everything that a source has; it loads nothing else."""
    page = source.page() | {"mode": "static"}
    data = [f'<script type="application/json" id="otto-page">{_harmless(page)}</script>']
    for host in page["series"]:
        chunk = base64.b64encode(source.chunk(host)).decode()
        data.append(f'<script type="application/octet-stream" data-host="{html.escape(host)}">{chunk}</script>')
    return filled_page(secrets.token_urlsafe(16), "\n".join(data))


def _harmless(page: Mapping[str, Any]) -> str:
    # Without a "<" nothing ends the element and nothing begins a comment.
    return json.dumps(page).replace("<", "\\u003c")


def filled_page(nonce: str, data: str) -> str:
    """Return the page with each placeholder replaced; in one pass, since the data may look like a placeholder."""
    known: dict[str, Callable[[], str]] = {
        "OTTO-NONCE": lambda: nonce,
        "/*OTTO-UPLOT-CSS*/": lambda: _part("vendor/uPlot.min.css"),
        "/*OTTO-CSS*/": lambda: _part("page.css"),
        "/*OTTO-UPLOT*/": lambda: _part("vendor/uPlot.iife.min.js"),
        "/*OTTO-JS*/": lambda: _part("page.js"),
        "<!--OTTO-NUMBERS-->": _numbers,
        "<!--OTTO-DATA-->": lambda: data,
    }
    return _PLACE.sub(lambda found: _part(found[1]) if found[1] else known[found[0]](), _part("page.html"))


def _numbers() -> str:
    # One table of units and scales for the log's charts and for the page's.
    table = {"endings": list(SERIES_ENDINGS.items()), "prefixes": BINARY_PREFIXES, **scales.NUMBERS}
    return f'<script type="application/json" id="otto-numbers">{json.dumps(table)}</script>'


@cache
def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
