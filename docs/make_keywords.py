"""Writes the documentation of all keywords: as Libdoc shows it, and as a page of the site, so that search finds them."""

from __future__ import annotations

import re
import urllib.parse
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "keywords"
_LINK = re.compile(r'<a href="#([^"]+)"([^>]*)>(.*?)</a>', re.DOTALL)


def main() -> None:
    """Write ``docs/keywords/OttoLibrary.html`` and ``docs/keywords/index.md``."""
    from robot.libdoc import libdoc
    from robot.libdocpkg import LibraryDocumentation

    FOLDER.mkdir(exist_ok=True)
    libdoc("OttoLibrary", str(FOLDER / "OttoLibrary.html"), quiet=True)
    library: Any = LibraryDocumentation("OttoLibrary")
    library.convert_docs_to_html()
    names = {keyword.name for keyword in library.keywords}
    parts = ["# Keywords", "", "Also [as Libdoc shows them](OttoLibrary.html), with the types of all arguments.", ""]
    parts += [f'<div class="libdoc">{_linked(library.doc, names)}</div>', ""]
    for keyword in sorted(library.keywords, key=lambda keyword: keyword.name):
        arguments = ", ".join(str(argument) for argument in keyword.args)
        parts += [f"## {keyword.name} {{#{_anchor(keyword.name)}}}", ""]
        parts += [f"<p><code>{escape(arguments)}</code></p>" if arguments else "", ""]
        parts += [f'<div class="libdoc">{_linked(keyword.doc, names)}</div>', ""]
    (FOLDER / "index.md").write_text("\n".join(parts), "utf-8")


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _linked(html: str, names: set[str]) -> str:
    """Return HTML whose links lead to the headings of the page; one that leads elsewhere in Libdoc leads there."""

    def link(found: re.Match[str]) -> str:
        name = urllib.parse.unquote(found[1])
        target = f"#{_anchor(name)}" if name in names else f"OttoLibrary.html#{found[1]}"
        return f'<a href="{target}">{found[3]}</a>'

    # Headings of the introduction would stand among the keywords.
    lower = re.sub(r"<(/?)h[1-4](?:\s[^>]*)?>", r"<\1h5>", html)
    # A blank line would end the block for Markdown.
    return _LINK.sub(link, lower).replace("\n\n", "\n&#10;")


if __name__ == "__main__":
    main()
