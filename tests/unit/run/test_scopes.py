"""Scopes: what is set in one ends with it, and what was started in it is cleaned up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

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


class Interrupted(BaseException):
    """Like Robot's TimeoutExceeded."""


def failing(error: BaseException) -> CleanUp:
    async def clean_up() -> None:
        raise error

    return clean_up


@pytest.mark.parametrize(
    ("error", "warning"),
    [
        (HostError("the host is gone"), "A clean-up failed: the host is gone"),
        (TimeoutError(), "A clean-up failed: it took longer than 20 seconds"),
        (RuntimeError("no token"), "A clean-up failed: RuntimeError: no token"),
        (KeyError("x"), "A clean-up failed: KeyError: 'x'"),
        (asyncio.CancelledError(), "A clean-up failed: CancelledError: "),
        (ExceptionGroup("two", [OSError("a"), OSError("b")]), "A clean-up failed: ExceptionGroup: two (2 sub-exceptions)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_clean_up_that_fails_is_a_warning_and_hides_no_other(
    scopes: Scopes, warnings: list[str], error: BaseException, warning: str
) -> None:
    seen: list[str] = []
    scopes.on_end(noting(seen, "run"))
    scopes.begin("test")
    scopes.on_end(noting(seen, "older"))
    scopes.on_end(failing(error))
    scopes.on_end(noting(seen, "newer"))
    scopes.close()
    assert seen == ["newer", "older", "run"]
    assert warnings == [warning]


def test_a_clean_up_that_cannot_even_begin_hides_no_other(scopes: Scopes, warnings: list[str]) -> None:
    seen: list[str] = []

    def broken() -> Any:
        raise LookupError("not there")

    scopes.on_end(noting(seen, "older"))
    scopes.on_end(broken)
    scopes.close()
    assert seen == ["older"]
    assert warnings == ["A clean-up failed: LookupError: not there"]


def test_an_interrupt_during_clean_up_comes_after_the_others(scopes: Scopes) -> None:
    seen: list[str] = []
    scopes.begin("suite")
    scopes.on_end(noting(seen, "oldest"))
    scopes.on_end(failing(Interrupted()))
    scopes.on_end(noting(seen, "newest"))
    with pytest.raises(Interrupted):
        scopes.end()
    assert seen == ["newest", "oldest"]
    scopes.close()
    assert seen == ["newest", "oldest"]


def test_what_cleans_up_while_the_run_ends_is_in_no_test(scopes: Scopes) -> None:
    seen: list[float | None] = []

    async def look() -> None:
        seen.append(scopes.test_began)

    scopes.begin("test")
    scopes.on_end(look)
    scopes.close()
    assert seen == [None]


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


def test_what_ends_early_ends_once_and_settings_stay(scopes: Scopes, warnings: list[str]) -> None:
    order: list[str] = []
    scopes.begin("suite")
    scopes.set_timeout("dut1", 5.0, "suite")
    scopes.on_end(noting(order, "first"))
    scopes.on_end(noting(order, "second"))
    scopes.end_early()
    assert (order, scopes.timeout("dut1")) == (["second", "first"], 5.0)
    scopes.end()
    assert (order, warnings) == (["second", "first"], [])
