"""Which hosts of a lab an expression selects."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import chain, pairwise

from OttoLibrary.errors import UnknownNameError, ValueFormatError, did_you_mean
from OttoLibrary.lab.host_entry import HostEntry

_GLOB = re.compile(r"[*?\[]")
_OPERATORS = {"AND", "OR", "NOT"}
_KINDS = ("tag", "lab")
# What no name of a host has; a glob has brackets.
_IN_NO_NAME = re.compile(r"""[,;={}$'"<>/\\]""")


def select(hosts: Mapping[str, HostEntry], *expressions: str) -> list[str]:
    """Return the hosts that any of the expressions selects, in lab order; without expressions all of them.

    An expression is a name, a glob, ``tag:x`` or ``lab:x``, joined by ``AND``, ``OR`` and ``NOT``. As in Robot's tag
    patterns, AND binds closest and NOT least: ``tag:dut OR tag:rig NOT dut2`` leaves dut2 out of both.

    Raises:
        UnknownNameError: An exact name is no host.
        ValueFormatError: A word stands where none can.
    """
    chosen = set(chain.from_iterable(_chosen(hosts, expression) for expression in expressions)) if expressions else hosts
    return [name for name in hosts if name in chosen]


def mistake(expression: str) -> tuple[str, str, Collection[str]]:
    """Return what is wrong with a selection whatever hosts there are: a sentence, the word that was meant and those known for it.

    All are empty for one that is right.
    """
    try:
        words = _words(expression)
    except ValueFormatError as error:
        return str(error).removesuffix("."), "", ()
    if not words:
        return "the selection is empty", "", ()
    parts = [part for operator in _split(words, "NOT") for either in _split(operator, "OR") for part in _split(either, "AND")]
    return next((found for part in parts if part and (found := _wrong_pattern(part))[0]), ("", "", ()))


def _wrong_pattern(words: list[str]) -> tuple[str, str, Collection[str]]:
    pattern = " ".join(words)
    kind, colon, _ = pattern.partition(":")
    if colon and kind not in _KINDS:
        return f"'{pattern}' selects no hosts: only tag:x and lab:x have a colon", f"{kind}:", [f"{known}:" for known in _KINDS]
    operator = next((word for word in words if word.upper() in _OPERATORS), "")
    if operator:
        return f"'{operator}' in '{pattern}' has to be in capitals", operator.upper(), sorted(_OPERATORS)
    if pattern.startswith("(") or (pattern.endswith(")") and "(" not in pattern):
        return f"'{pattern}' selects no hosts: a selection has no parentheses", "", ()
    if colon:
        return "", "", ()
    if len(words) > 1:
        unknown = max(words[1:], key=lambda word: bool(did_you_mean(word.upper(), _OPERATORS)))
        return f"'{pattern}' is not the name of one host: AND, OR or NOT is missing", unknown.upper(), sorted(_OPERATORS)
    if _IN_NO_NAME.search(pattern):
        return f"'{pattern}' is not the name of a host", "", ()
    return "", "", ()


def meant(hosts: Mapping[str, HostEntry], expression: str) -> str:
    """Return `` Did you mean 'tag:dut'?`` for the first tag or lab of a selection that no host has, or an empty string."""
    words = [f"tag:{tag}" for entry in hosts.values() for tag in entry.tags]
    words += [f"lab:{lab}" for entry in hosts.values() for lab in entry.labs]
    unknown = (word for word in expression.split() if word.startswith(("tag:", "lab:")) and word not in words)
    return next(filter(None, (did_you_mean(word, words) for word in unknown)), "")


def _chosen(hosts: Mapping[str, HostEntry], expression: str) -> set[str]:
    wanted, *unwanted = _split(_words(expression), "NOT")
    chosen = _any_of(hosts, wanted) if wanted else set(hosts)
    return chosen.difference(*(_any_of(hosts, part) for part in unwanted))


def _any_of(hosts: Mapping[str, HostEntry], words: list[str]) -> set[str]:
    return set().union(*(_all_of(hosts, part) for part in _split(words, "OR")))


def _all_of(hosts: Mapping[str, HostEntry], words: list[str]) -> set[str]:
    return set.intersection(*(_matching(hosts, " ".join(part)) for part in _split(words, "AND")))


def _matching(hosts: Mapping[str, HostEntry], pattern: str) -> set[str]:
    kind, colon, value = pattern.partition(":")
    if colon and kind in _KINDS:
        return {name for name, entry in hosts.items() if _any_match(entry.tags if kind == "tag" else entry.labs, value)}
    if _GLOB.search(pattern):
        return {name for name in hosts if fnmatchcase(name, pattern)}
    if pattern not in hosts:
        raise UnknownNameError("host", pattern, hosts)
    return {pattern}


def _any_match(words: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(word, pattern) for word in words)


def _words(expression: str) -> list[str]:
    """Return the words of a selection, checked, with ``AND NOT`` as ``NOT``."""
    words = expression.split()
    words = [word for word, after in pairwise([*words, ""]) if (word, after) != ("AND", "NOT")]
    bounded = [*([] if words[:1] == ["NOT"] else ["AND"]), *words, "AND"]
    if any(_OPERATORS.issuperset(neighbours) for neighbours in pairwise(bounded)):
        form = "a name, a glob, tag:x or lab:x stands on each side of AND, OR and NOT"
        raise ValueFormatError(f"'{expression}' selects no hosts: {form}, and NOT may come first.")
    return words


def _split(words: list[str], operator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == operator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
