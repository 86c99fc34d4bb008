"""The options of listeners and modifiers, as written on the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from OttoLibrary.errors import UnknownNameError


def given_options(owner: str, words: Iterable[str], known: Collection[str]) -> list[tuple[str, str]]:
    """Return names and values of words, ``NAME=VALUE`` each; raise UnknownNameError.

    Args:
        owner: Whose options they are, for the message.
        words: The words.
        known: The names that there are.
    """
    pairs = []
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or name not in known:
            raise UnknownNameError(f"option of {owner}", name, known)
        pairs.append((name, value))
    return pairs
