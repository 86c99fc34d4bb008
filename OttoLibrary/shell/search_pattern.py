"""Regular expressions that are searched in what a host prints, for a bounded time: the host chooses what they meet."""

from __future__ import annotations

import re
from typing import Any, Protocol, cast

from OttoLibrary.errors import UsageError

_LONGEST_S = 0.5


class Pattern(Protocol):
    """What is searched for; ``re.Pattern`` is one."""

    @property
    def pattern(self) -> str:
        """The regular expression."""

    def search(self, string: str, pos: int = 0, /) -> re.Match[str] | None:
        """Return the first match from a position on."""


class SearchPattern:
    """A regular expression of a suite; raises UsageError that says what is wrong with it.

    ``re`` cannot be interrupted, and some expressions take it hours for a long line; ``regex`` takes a bound.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._expression: Any = None
        try:
            re.compile(pattern, re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"'{pattern}' is not a regular expression: {error}. Escape literals with a backslash.") from error

    def search(self, string: str, pos: int = 0, /) -> re.Match[str] | None:
        """Return the first match from a position on; raise UsageError when it takes too long to find."""
        if self._expression is None:
            import regex

            self._expression = regex.compile(self.pattern, regex.MULTILINE)
        try:
            return cast("re.Match[str] | None", self._expression.search(string, pos, timeout=_LONGEST_S))
        except TimeoutError:
            advice = "Look for less, or anchor it with ^: it has too many ways to match a long line."
            raise UsageError(f"'{self.pattern}' takes too long to find in what was printed. {advice}") from None
