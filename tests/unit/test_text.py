"""Secrets, their masking, and text from bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.text import MASK, Secret, decode, incremental_decoder, plural, printable, quoted_path, reveal, some


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == f"{MASK} {MASK} [{MASK}]"
    assert reveal(secret) == reveal("hunter2") == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")


def test_undecodable_bytes_survive() -> None:
    assert decode(b"a\xffb\xc3\xb6\xc3") == "a\\xffb\xf6\\xc3"


@given(st.lists(st.binary(max_size=6)))
def test_pieces_decode_as_the_whole(pieces: list[bytes]) -> None:
    decoder = incremental_decoder()
    assert "".join([*map(decoder.decode, pieces), decoder.decode(b"", True)]) == decode(b"".join(pieces))


def test_of_many_names_some_are_told() -> None:
    assert some([]) == ""
    assert some(["b", "a", "b"]) == "b, a"
    assert some(range(9), 3) == "0, 1, 2 and 6 more"


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


def test_half_a_character_is_shown_as_its_number() -> None:
    assert printable("a\ud800b\udfff \udcff") == "a\\ud800b\\udfff \\xff"


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/a b", "'/a b'"),
        ("~", "~"),
        ("~/", "~/"),
        ("~/a b;$x", "~/'a b;$x'"),
        ("~/~", "~/'~'"),
        ("~user/x", "~user/x"),
        ("~a;b/x", "'~a;b/x'"),
        ("~+/x", "'~+/x'"),
        ("", "''"),
    ],
)
def test_a_path_as_a_word_of_shell_text(path: str, word: str) -> None:
    assert quoted_path(path) == word
