"""The site: it builds, search knows every keyword, and no link or anchor is dead, those into the keyword documentation too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zensical")
ROOT = Path(__file__).parents[2]
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
MARKDOWN_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
MADE = "docs/keywords/"


class Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [link for key in ("href", "src") if (link := given.get(key)) is not None]
        self.anchors |= {name for key in ("id", "name") if (name := given.get(key))}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("keywords"))
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in (["docs/make_keywords.py"], ["-m", "zensical", "build", "--clean"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site"


def test_no_link_and_no_anchor_of_the_site_is_dead(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 20
    assert not dead_links(site)


def test_search_finds_every_keyword(site: Path) -> None:
    from robot.libdocpkg import LibraryDocumentation

    searched = (site / "search.json").read_text()
    library: Any = LibraryDocumentation("OttoLibrary")
    missing = [keyword.name for keyword in library.keywords if keyword.name not in searched]
    assert not missing


def test_nothing_of_the_site_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        if path.name != "OttoLibrary.html":
            fetched = re.findall(r'<(?:script|img|link)\b[^>]*(?:src|href)="(https?:[^"]+)"', path.read_text())
            assert not [link for link in fetched if "canonical" not in link], path


def test_no_link_of_the_repository_is_dead() -> None:
    dead = []
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        if MADE in path.as_posix():
            continue
        for found in MARKDOWN_LINK.finditer(without_code(path.read_text())):
            link = found[1] or found[2]
            target, _, anchor = urllib.parse.unquote(link).partition("#")
            to = (path.parent / target).resolve() if target else path
            if ELSEWHERE.match(link) or to.is_relative_to(ROOT / MADE):
                continue
            if not to.exists() or (anchor and anchor not in headings(to)):
                dead.append(f"{path.relative_to(ROOT)}: {link}")
    assert not dead


def test_the_cookbook_lists_every_suite() -> None:
    listed = re.findall(r"`(\w+\.robot)`", (ROOT / "docs" / "cookbook.md").read_text())
    assert sorted(listed) == sorted(path.name for path in (ROOT / "suites" / "cookbook").glob("*.robot"))
    assert len(listed) >= 20


def test_pictures_are_small_and_shown() -> None:
    pages = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) >= 6
    assert [path.name for path in pictures if path.stat().st_size > 200_000 or path.name not in pages] == []


@pytest.mark.parametrize(
    ("html", "is_dead"),
    [
        ('<a href="b.html">', False),
        ('<a href="c.html">', True),
        ('<a href="b.html#there">', False),
        ('<a href="b.html#gone">', True),
        ('<a href="#gone">', True),
        ('<img src="gone.png">', True),
        ('<a href="OttoLibrary.html#Run%20On%20Host">', False),
        ('<a href="OttoLibrary.html#Run%20On%20Ghost">', True),
        ('<a href="https://example.com/x#y">', False),
    ],
)
def test_what_is_dead_is_noticed(html: str, is_dead: bool, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<p id="there">')
    (tmp_path / "OttoLibrary.html").write_text(
        '<script>\nlibdoc = {"keywords": [{"name": "Run On Host"}], "typedocs": []}\n</script>'
    )
    assert bool(dead_links(tmp_path)) is is_dead


def dead_links(site: Path) -> list[str]:
    """Return the links of all pages whose file or anchor is not there."""
    dead = []
    for path in sorted(site.rglob("*.html")):
        if path.name in {"OttoLibrary.html", "404.html"}:
            continue
        for link in page(path).links:
            target, _, anchor = urllib.parse.unquote(link).partition("#")
            if ELSEWHERE.match(link) or "?" in target:
                continue
            to = (path.parent / target).resolve() if target else path
            to = to / "index.html" if to.is_dir() else to
            is_there = to.is_file() and (not anchor or to.suffix != ".html" or anchor in page(to).anchors)
            if not is_there:
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


@cache
def page(path: Path) -> Page:
    html = path.read_text()
    read = Page(html)
    documented = re.search(r"^libdoc = (\{.*\});?$", html, re.MULTILINE)
    if documented:
        content = json.loads(documented[1].replace("\\x3c", "<"))
        read.anchors |= {entry["name"] for key in ("keywords", "typedocs", "inits") for entry in content.get(key, ())}
        read.anchors |= {"Introduction", "Importing", "Keywords", "Data types"}
        read.anchors |= set(re.findall(r"<h[2-4] id=\\?\"([^\"\\]+)", content.get("doc", "")))
    return read


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def headings(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a Markdown file."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_a_page_for_newcomers_names_only_keywords_that_are_there() -> None:
    from robot.libdocpkg import LibraryDocumentation

    library: Any = LibraryDocumentation("OttoLibrary")
    known = {keyword.name for keyword in library.keywords}
    rows = [line.split(" | ") for line in (ROOT / "docs" / "coming-from.md").read_text().splitlines() if line.startswith("| ")]
    named = {name for row in rows if len(row) == 3 for name in re.findall(r"`([A-Z][a-z]*(?: [A-Z]\w*)+)`", row[1])}
    assert len(named) > 40
    assert named <= known, f"No keywords: {', '.join(sorted(named - known))}"


def test_a_page_for_newcomers_names_only_commands_that_are_there() -> None:
    from OttoLibrary.cli.command_parser import commands_of
    from OttoLibrary.cli.main import command_parser

    known = {name for name, _ in commands_of(command_parser())}
    named = re.findall(r"python -m OttoLibrary ([a-z]+)", (ROOT / "docs" / "coming-from.md").read_text())
    assert named
    assert set(named) <= known
