"""The same on many hosts: side by side, with a limit, all of them tried."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.errors import HostError, OttoError
from OttoLibrary.run.fanout import each, whole

NAMES = ["dut1", "dut2", "dut3", "dut4", "dut5"]


class Work:
    """Waits until as many are at it as the test expects, so that a limit shows."""

    def __init__(self, together: int, failing: tuple[str, ...] = ()) -> None:
        self.running = self.most = 0
        self._failing, self._together = failing, together
        self._full = asyncio.Event()

    async def __call__(self, name: str) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        if self.running == self._together:
            self._full.set()
        await self._full.wait()
        self.running -= 1
        if name in self._failing:
            raise HostError(f"Host '{name}' is away.", host=name)
        return name.upper()


def test_results_are_in_the_order_of_the_names() -> None:
    found = asyncio.run(each(NAMES, Work(len(NAMES)), 10))
    assert found == {name: name.upper() for name in NAMES}
    assert list(found) == NAMES


@pytest.mark.parametrize(("limit", "most"), [(2, 2), (1, 1), (0, 1), (50, 5)])
def test_never_more_than_the_limit_run_at_a_time(limit: int, most: int) -> None:
    work = Work(most)
    asyncio.run(each(NAMES, work, limit))
    assert work.most == most


def test_all_are_tried_when_some_fail() -> None:
    found = asyncio.run(each(NAMES, Work(2, failing=("dut1", "dut4")), 2))
    assert [name for name, outcome in found.items() if isinstance(outcome, OttoError)] == ["dut1", "dut4"]
    assert found["dut5"] == "DUT5"


def test_a_failure_names_every_host() -> None:
    found: dict[str, str | OttoError] = {"a": HostError("Host 'a' is away.", host="a"), "b": "B", "c": OttoError("c is odd.")}
    with pytest.raises(HostError) as caught:
        whole(found, "'true' failed on")
    assert str(caught.value) == "'true' failed on 2 of 3 hosts:\nHost 'a' is away.\nc is odd."
    assert caught.value.host == "a"


def test_what_is_whole_is_returned() -> None:
    assert whole({"a": 1, "b": 2}, "Failed on") == {"a": 1, "b": 2}
