"""The options of listeners and modifiers, as written on the command line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from OttoLibrary.errors import UnknownNameError, UsageError

_OPTION = re.compile(r"\s*[A-Za-z_]+\s*=")


def given_options(owner: str, words: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return the values of words by their names, ``NAME=VALUE`` each.

    Args:
        owner: Whose options they are, for the message.
        words: The words.
        known: The names that there are.

    Raises:
        UnknownNameError: There is no such option.
        UsageError: One is there twice.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or name not in known:
            raise UnknownNameError(f"option of {owner}", name, known)
        if name in given:
            raise UsageError(f"{owner} has the option '{name}' twice.")
        given[name] = value
    return given


def is_option(word: str) -> bool:
    """Return True for a word that looks like ``NAME=VALUE``, whether the name is known or not."""
    return bool(_OPTION.match(word))


def joined_words(words: Iterable[str]) -> list[str]:
    """Return options whole again that Robot split at their colons, such as ``hosts=tag:dut``."""
    joined: list[str] = []
    for word in words:
        if is_option(word) or not joined:
            joined.append(word)
        else:
            joined[-1] += f":{word}"
    return joined
