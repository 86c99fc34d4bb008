"""Secrets, their masking, and text from bytes."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.text import MASK, Masker, Secret, decode, incremental_decoder, plural, printable, reveal

HARD = "p'a\"s <s>&\\ö$1"


def masker(*secrets: str) -> Masker:
    made = Masker()
    for secret in secrets:
        made.add(secret)
    return made


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == f"{MASK} {MASK} [{MASK}]"
    assert reveal(secret) == reveal("hunter2") == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")


@pytest.mark.parametrize(
    "form",
    [
        HARD,
        shlex.quote(HARD),
        urllib.parse.quote(HARD, safe=""),
        escape(HARD),
        json.dumps(HARD)[1:-1],
        repr(HARD)[1:-1],
        base64.b64encode(HARD.encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_every_form(form: str) -> None:
    assert masker(HARD).mask(f"before {form} after") == f"before {MASK} after"


def test_a_short_secret_is_hidden_only_as_a_word() -> None:
    assert masker("ab").mask("ab cabin (ab)") == f"{MASK} cabin ({MASK})"


def test_the_longest_secret_wins() -> None:
    assert masker("secret", "secret-longer").mask("secret-longer secret") == f"{MASK} {MASK}"


def test_each_line_of_a_secret_is_hidden() -> None:
    assert masker("first line\nsecond line").mask("x second line y") == f"x {MASK} y"


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_hides_nothing(secret: str) -> None:
    assert masker(secret).mask("a b\nc") == "a b\nc"


@given(st.text(min_size=4), st.text(), st.text())
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    if secret.strip() and secret not in MASK:
        assert secret not in masker(secret).mask(before + secret + after).replace(MASK, "\0")


def test_undecodable_bytes_survive() -> None:
    assert decode(b"a\xffb\xc3\xb6\xc3") == "a\\xffb\xf6\\xc3"


@given(st.lists(st.binary(max_size=6)))
def test_pieces_decode_as_the_whole(pieces: list[bytes]) -> None:
    decoder = incremental_decoder()
    assert "".join([*map(decoder.decode, pieces), decoder.decode(b"", True)]) == decode(b"".join(pieces))


def test_plural() -> None:
    assert [plural(count, "host") for count in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("two\n\tlines", "two\n\tlines"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b]52;c;cGF3bmVk\x1b\\", "\\x1b]52;c;cGF3bmVk\\x1b\\"),
        ("\x1b[2J\x9b2J", "\\x1b[2J\\x9b2J"),
        ("good\rbad\x08\x7f", "good\\x0dbad\\x08\\x7f"),
        ("abc\u202edef", "abc\\u202edef"),
        ("caf\udcff", "caf\\xff"),
        ("Grüße 日本", "Grüße 日本"),
    ],
)
def test_no_terminal_obeys_printable_text(said: str, shown: str) -> None:
    assert printable(said) == shown
