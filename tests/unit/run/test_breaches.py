"""What fails the present test: the keyword that runs at once, or the test when it is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from OttoLibrary.engine import Engine
from OttoLibrary.errors import CheckError, OttoError
from OttoLibrary.run.breaches import Breaches


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


async def answer() -> int:
    return 42


def test_an_urgent_breach_ends_the_call_that_runs(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: True)

    async def breach_and_wait() -> None:
        threading.Thread(target=breaches.add, args=(OttoError("too hot"),)).start()
        await asyncio.Event().wait()

    with pytest.raises(OttoError, match="too hot"):
        breaches.call(breach_and_wait())


def test_after_an_urgent_breach_no_call_begins(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: True)
    breaches.add(OttoError("too hot"))
    for _ in range(2):
        with pytest.raises(OttoError, match="too hot"):
            breaches.call(answer())
    breaches.take()
    assert breaches.call(answer()) == 42


def test_a_teardown_runs_to_its_end(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: False)
    breaches.add(OttoError("too hot"))
    assert breaches.call(answer()) == 42
    assert [str(error) for error in breaches.urgent] == ["too hot"]


def test_what_can_wait_ends_no_call(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: True)
    breaches.add_for_end([OttoError("the limit was broken")])
    breaches.add_failed_check("a.robot:3: x")
    assert breaches.call(answer()) == 42
    assert not breaches.urgent


def test_everything_is_taken_once_and_in_order(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: True)
    breaches.add_failed_check("a.robot:3: x")
    breaches.add_for_end([OttoError("limit")])
    breaches.add(OttoError("lease"))
    breaches.add_failed_check("a.robot:4: y")
    taken = breaches.take()
    assert [str(error) for error in taken[:2]] == ["lease", "limit"]
    assert isinstance(taken[2], CheckError)
    assert "a.robot:3: x" in str(taken[2])
    assert "a.robot:4: y" in str(taken[2])
    assert breaches.take() == []


def test_checks_are_taken_alone(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: True)
    breaches.add(OttoError("lease"))
    assert breaches.take_checks() == []
    breaches.add_failed_check("a.robot:3: x")
    assert len(breaches.take_checks()) == 1
    assert [str(error) for error in breaches.take()] == ["lease"]


def test_what_could_not_be_ended_is_taken_once_and_ends_no_later_call(engine: Engine) -> None:
    breaches = Breaches(engine, lambda: True)
    lost = OttoError("the lease was lost")
    breaches.add(lost)
    breaches.add_failed_end(lost)
    assert breaches.take_ends() == [lost]
    assert breaches.take_ends() == []
    assert breaches.call(answer()) == 42
