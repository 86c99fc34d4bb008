"""Regular expressions of suites: found as re finds them, wrong ones told, and slow ones ended."""

from __future__ import annotations

import re

import pytest

from OttoLibrary.errors import UsageError
from OttoLibrary.shell.search_pattern import SearchPattern


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^b(\\d+)$", "a\nb42\nc"),
        ("(?i)READY|done", "x ready"),
        ("[[]x", "[x"),
        ("é.", "caf\u00e9!"),
        ("nothing", "text"),
        ("", "a"),
    ],
)
def test_it_finds_what_re_finds(pattern: str, text: str) -> None:
    ours, theirs = SearchPattern(pattern).search(text), re.compile(pattern, re.MULTILINE).search(text)
    assert (ours and (ours.span(), ours.groups())) == (theirs and (theirs.span(), theirs.groups()))


def test_it_begins_where_it_is_told() -> None:
    found = SearchPattern("a").search("a-a", 1)
    assert found
    assert found.start() == 2


def test_a_wrong_one_is_told() -> None:
    with pytest.raises(UsageError, match=r"'\(' is not a regular expression: missing \)"):
        SearchPattern("(")


@pytest.mark.parametrize(("pattern", "text"), [("x.*done", "x" * 300_000), ("(x|xx)+y", "x" * 300)])
def test_a_slow_one_is_ended(pattern: str, text: str) -> None:
    with pytest.raises(UsageError, match="takes too long to find in what was printed"):
        SearchPattern(pattern).search(text)
