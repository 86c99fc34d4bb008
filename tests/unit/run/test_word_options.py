"""Options of listeners and modifiers, as written on the command line."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import UnknownNameError, UsageError
from OttoLibrary.run.word_options import given_options, joined_words

KNOWN = ("interval", "hosts")


def test_names_and_values_in_their_order() -> None:
    assert given_options("Metrics", ["hosts=tag:dut", " interval = 1 s "], KNOWN) == {"hosts": "tag:dut", "interval": "1 s"}


def test_only_the_first_equals_sign_divides() -> None:
    assert given_options("Metrics", ["hosts=a=b"], KNOWN) == {"hosts": "a=b"}


def test_a_value_may_be_empty() -> None:
    assert given_options("Metrics", ["hosts="], KNOWN) == {"hosts": ""}


@pytest.mark.parametrize("word", ["intervall=1s", "interval", "", "=1s"])
def test_what_is_no_option_is_named_with_its_owner(word: str) -> None:
    with pytest.raises(UnknownNameError, match="option of Metrics"):
        given_options("Metrics", [word], KNOWN)


def test_one_that_is_there_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="Metrics has the option 'hosts' twice"):
        given_options("Metrics", ["hosts=a", "hosts=b"], KNOWN)


def test_words_that_robot_split_are_joined_and_a_mistyped_option_stays_one() -> None:
    assert joined_words(["hosts=tag", "dut", "intervall=1s"]) == ["hosts=tag:dut", "intervall=1s"]
