"""Options of listeners and modifiers, as written on the command line."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import UnknownNameError
from OttoLibrary.run.word_options import given_options

KNOWN = ("interval", "hosts")


def test_names_and_values_in_their_order() -> None:
    assert given_options("Metrics", ["hosts=tag:dut", " interval = 1 s "], KNOWN) == [("hosts", "tag:dut"), ("interval", "1 s")]


def test_only_the_first_equals_sign_divides() -> None:
    assert given_options("Metrics", ["hosts=a=b"], KNOWN) == [("hosts", "a=b")]


def test_a_value_may_be_empty() -> None:
    assert given_options("Metrics", ["hosts="], KNOWN) == [("hosts", "")]


@pytest.mark.parametrize("word", ["intervall=1s", "interval", "", "=1s"])
def test_what_is_no_option_is_named_with_its_owner(word: str) -> None:
    with pytest.raises(UnknownNameError, match="option of Metrics"):
        given_options("Metrics", [word], KNOWN)
