"""What a console wrote, as a person reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.shell.plain_view import plain_view


@pytest.mark.parametrize(
    ("real", "plain"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\n\rb\n\r", "a\nb\n"),
        ("a\n\r\n\rb", "a\n\nb"),
        ("a\r\n\r\nb", "a\n\nb"),
        ("a\rb\r", "a\nb\n"),
        ("a\r\r\nb", "a\nb"),
        ("\x1b[01;32muser@host\x1b[00m:\x1b[01;34m~\x1b[00m$ ", "user@host:~$ "),
        ("\x1b]0;title\x07now\x1b]2;t\x1b\\then", "nowthen"),
        ("\x1b[?2004hbash\x1b(B\x1b=", "bash"),
        ("\x00a\x07", "a"),
    ],
)
def test_sequences_go_and_lines_end_alike(real: str, plain: str) -> None:
    view = plain_view(real, ended=True)
    assert view.text == plain
    assert view.real_position(0) == 0
    assert plain_view(real[: view.real_position(len(plain))], ended=True).text == plain


@pytest.mark.parametrize("real", ["a\r", "a\x1b", "a\x1b[3", "a\x1b]0;ti", "a\x1b]0;ti\x1b", "a\n\r"])
def test_what_may_go_on_waits(real: str) -> None:
    assert plain_view(real, ended=False).text == "a"


@given(st.text(alphabet="ab\r\n\x1b[]0m;\x07", max_size=40), st.integers(0, 40))
def test_every_place_is_found_again(real: str, at: int) -> None:
    view = plain_view(real, ended=True)
    at = min(at, len(view.text))
    assert 0 <= view.real_position(at) <= len(real)
    assert view.real_position(at) <= view.real_position(len(view.text))
