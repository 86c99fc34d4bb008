"""The page as one file of HTML: what stands in it, and that no text of a host or user runs there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.dashboard import static_page as static_page_module
from OttoLibrary.dashboard.recorded_source import RecordedSource
from OttoLibrary.dashboard.static_page import served_page, static_page
from tests.unit.dashboard.recordings import BEGAN, EVIL, record, tick

TEMPLATE = """<html><head><style nonce="OTTO-NONCE">/*OTTO-UPLOT-CSS*/ /*OTTO-CSS*/</style></head><body><!--OTTO-DATA-->
<script nonce="OTTO-NONCE">/*OTTO-UPLOT*/</script>
<script nonce="OTTO-NONCE">/*OTTO-JS:data.js*/ /*OTTO-JS*/</script></body></html>
"""


@pytest.fixture
def small_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page of which every byte is known."""
    folder = tmp_path / "page"
    (folder / "vendor").mkdir(parents=True)
    parts = {
        "page.html": TEMPLATE,
        "page.css": "page-css",
        "page.js": "page-js",
        "data.js": "data-js",
        "vendor/uPlot.min.css": "uplot-css",
        "vendor/uPlot.iife.min.js": "uplot-js",
    }
    for name, text in parts.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(static_page_module, "_FOLDER", folder)
    static_page_module._part.cache_clear()
    yield
    static_page_module._part.cache_clear()


class Elements(HTMLParser):
    """The script elements of a page: attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._attributes: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
            self._attributes = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._attributes is not None:
            attributes, before = self.scripts.pop()
            self.scripts.append((attributes, before + data))

    def handle_endtag(self, tag: str) -> None:
        self._attributes = None


@pytest.mark.usefixtures("small_page")
def test_the_served_page_has_all_but_data() -> None:
    text = served_page("n0nce")
    assert "OTTO" not in text
    assert text.count('nonce="n0nce"') == 3
    assert all(part in text for part in ("uplot-css page-css", "uplot-js", "data-js page-js"))


@pytest.mark.usefixtures("small_page")
def test_a_static_page_holds_page_and_chunks(recording: Path) -> None:
    source = RecordedSource([recording])
    scripts = Elements(static_page(source)).scripts
    assert [attributes.get("id") or attributes.get("data-host") for attributes, _ in scripts[:3]] == ["otto-page", EVIL, "dut1"]
    assert json.loads(scripts[0][1]) == source.page() | {"mode": "static"}
    assert base64.b64decode(scripts[1][1]) == source.chunk(EVIL)


@pytest.mark.usefixtures("small_page")
@pytest.mark.parametrize(
    "text", [EVIL, "</script><b>", "<!--<script>", "/*OTTO-JS*/", "OTTO-NONCE", "<!--OTTO-DATA-->", "\u2028"]
)
def test_nothing_that_a_host_or_user_says_is_run(tmp_path: Path, text: str) -> None:
    path = record(tmp_path / "m.db", tick(0, text), events=(Event(BEGAN, text, "mark", text),), hosts={text: [text]})
    html = static_page(RecordedSource([path]))
    scripts = Elements(html).scripts
    assert len(scripts) == 4
    assert json.loads(scripts[0][1])["events"][0]["text"] == text
    assert scripts[1][0]["data-host"] == text
    assert html.count("page-js") == 1
    assert not re.search(r"<script>", html)


def test_the_page_of_the_package_is_whole(recording: Path) -> None:
    for text in (served_page("n0nce"), static_page(RecordedSource([recording]))):
        assert "OTTO-" not in text
        assert "src=" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        assert "uPlot" in text
