"""Scopes: what is set in one ends with it, and what was started in it is cleaned up."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from OttoLibrary.engine import Engine
from OttoLibrary.errors import HostError, UsageError
from OttoLibrary.run.scopes import CleanUp, Scopes


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def scopes(warnings: list[str]) -> Iterator[Scopes]:
    engine = Engine()
    yield Scopes(engine, warnings.append)
    engine.close()


def noting(seen: list[str], name: str) -> CleanUp:
    async def clean_up() -> None:
        seen.append(name)

    return clean_up


def test_clean_ups_run_newest_first_and_once(scopes: Scopes) -> None:
    seen: list[str] = []
    scopes.begin("suite")
    for name in ("first", "second", "third"):
        scopes.on_end(noting(seen, name))
    scopes.end()
    scopes.end()
    assert seen == ["third", "second", "first"]


def test_a_scope_cleans_up_what_is_its_own(scopes: Scopes) -> None:
    seen: list[str] = []
    scopes.on_end(noting(seen, "run"))
    scopes.begin("suite")
    scopes.on_end(noting(seen, "suite"))
    scopes.begin("test")
    scopes.on_end(noting(seen, "test"))
    scopes.end()
    assert seen == ["test"]
    scopes.close()
    assert seen == ["test", "suite", "run"]


def test_a_clean_up_that_fails_is_a_warning_and_hides_no_other(scopes: Scopes, warnings: list[str]) -> None:
    seen: list[str] = []

    async def fail() -> None:
        raise HostError("the host is gone")

    scopes.on_end(noting(seen, "older"))
    scopes.on_end(fail)
    scopes.on_end(noting(seen, "newer"))
    scopes.close()
    assert seen == ["newer", "older"]
    assert warnings == ["A clean-up failed: the host is gone"]


def test_the_innermost_time_out_counts(scopes: Scopes) -> None:
    assert scopes.set_timeout("dut1", 60, "global") is None
    scopes.begin("suite")
    scopes.begin("test")
    assert scopes.set_timeout("dut1", 5, "test") == 60
    assert scopes.set_timeout("dut1", 30, "suite") == 5
    assert scopes.timeout("dut1") == 5
    scopes.end()
    assert scopes.timeout("dut1") == 30
    scopes.end()
    assert scopes.timeout("dut1") == 60
    assert scopes.timeout("dut2") is None


def test_a_time_out_needs_its_scope(scopes: Scopes) -> None:
    scopes.begin("suite")
    with pytest.raises(UsageError, match=r"There is no test scope here\. Use one of: global, suite\."):
        scopes.set_timeout("dut1", 5, "test")


def test_options_count_until_their_scope_ends(scopes: Scopes) -> None:
    scopes.begin("suite")
    scopes.keep_options("suite")
    scopes.begin("test")
    scopes.keep_options(7)
    assert scopes.options(str) == "suite"
    scopes.keep_options("test")
    assert scopes.options(str) == "test"
    scopes.end()
    assert (scopes.options(str), scopes.options(int)) == ("suite", None)


def test_when_the_present_test_began(scopes: Scopes) -> None:
    assert scopes.test_began is None
    scopes.begin("suite")
    assert scopes.test_began is None
    before = time.time()
    scopes.begin("test")
    test = scopes.test_began
    assert test is not None
    assert before <= test <= time.time()
    scopes.begin("test")  # a run of a repeated test
    assert scopes.test_began is not None
    assert scopes.test_began >= test
    scopes.end()
    assert scopes.test_began == test
    scopes.end()
    assert scopes.test_began is None


def test_the_run_itself_is_left_only_by_closing(scopes: Scopes) -> None:
    seen: list[str] = []
    scopes.on_end(noting(seen, "run"))
    scopes.end()
    assert seen == []
    scopes.close()
    scopes.close()
    assert seen == ["run"]
