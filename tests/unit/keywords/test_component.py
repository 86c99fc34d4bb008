"""What all keyword groups share, without Robot Framework around them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from robot.api.types import Secret as RobotSecret

from OttoLibrary.errors import HostError, OttoError
from OttoLibrary.keywords.component import Component, FanoutOptions, dotted, expected
from OttoLibrary.masking import Masker
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.session import Session
from OttoLibrary.text import MASK, Secret


@pytest.fixture
def component() -> Iterator[Component]:
    session = Session("demo", "none", RunContext(masker=Masker()))
    yield Component(session)
    session.close()


@pytest.mark.parametrize(("rc", "right", "wrong"), [(0, [0], [1, -1]), ([0, 3], [0, 3], [1, 2]), ("any", [0, 1, 255, -9], [])])
def test_which_exit_statuses_are_right(rc: Any, right: list[int], wrong: list[int]) -> None:
    assert all(status in expected(rc) for status in right)
    assert not any(status in expected(rc) for status in wrong)


def test_results_are_reached_by_key_and_by_attribute() -> None:
    made = dotted({"dut1": 1, "odd name": 2})
    assert (made.dut1, made["dut1"], made["odd name"], list(made)) == (1, 1, 2, ["dut1", "odd name"])


def test_a_secret_is_masked_from_now_on_and_plain_text_is_not(component: Component) -> None:
    kept = component.secret(RobotSecret("hunter2-long"))
    assert kept == Secret("hunter2-long")
    assert component.secret("plain-text-1") == "plain-text-1"
    assert component.session.masker.mask("hunter2-long plain-text-1") == f"{MASK} plain-text-1"


def test_a_given_timeout_counts_before_the_one_that_was_set(component: Component) -> None:
    assert component.timeout("dut1", None) is None
    component.session.scopes.set_timeout("dut1", 7, "global")
    assert component.timeout("dut1", None) == 7
    assert component.timeout("dut2", None) is None
    assert component.timeout("dut1", timedelta(milliseconds=1500)) == 1.5
    assert component.timeout("dut1", timedelta(0)) == 0


def test_a_call_returns_and_raises_what_the_work_does(component: Component) -> None:
    async def answer() -> int:
        return 42

    async def fail() -> int:
        raise OttoError("it broke")

    assert component.call(answer()) == 42
    with pytest.raises(OttoError, match="it broke"):
        component.call(fail())


def test_work_on_many_hosts_is_tried_on_all_of_them(component: Component) -> None:
    tried: list[str] = []
    tables: list[Any] = []

    async def work(name: str) -> str:
        tried.append(name)
        if name == "dut1":
            raise OttoError("it broke")
        return f"{name} is fine"

    def table(rows: list[Any]) -> str:
        tables.append(rows)
        return ""

    with pytest.raises(HostError, match="it broke") as raised:
        component.on_each("dut*", work, FanoutOptions(2), table, "The command failed")
    assert "dut2" not in str(raised.value)
    assert sorted(tried) == ["dut1", "dut2", "dut3"]
    (rows,) = tables
    assert [name for name, _, _ in rows] == ["dut1", "dut2", "dut3"]
    assert [path[-1] for _, path, _ in rows] == ["dut1", "dut2", "dut3"]
