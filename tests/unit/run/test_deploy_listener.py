"""The options of the listener ``OttoLibrary.Deploy``, as Robot Framework splits them."""

from __future__ import annotations

import pytest

from OttoLibrary.errors import OttoError
from OttoLibrary.run.deploy_listener import _read


def test_words_that_were_split_at_a_colon_are_joined() -> None:
    words = [
        "environment=https",
        "//me",
        "word@host",
        "8443/env.json?a=b",
        "inventory=inv.json",
        "board=bench-1",
        "skip_boot=yes",
    ]
    assert _read(tuple(words)) == {
        "environment": "https://me:word@host:8443/env.json?a=b",
        "inventory": "inv.json",
        "board": "bench-1",
        "skip_boot": "yes",
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("environment=e", "inventory=i"), "needs board="),
        (("environment=e", "inventory=i", "board=b", "skip_bot=yes"), "Did you mean 'skip_boot'"),
        (("environment=e", "inventory=i", "board=b", "on_failure=pass"), "'on_failure=pass' is not fail or skip"),
    ],
)
def test_a_wrong_option_is_named(words: tuple[str, ...], problem: str) -> None:
    with pytest.raises(OttoError, match=problem):
        _read(words)
