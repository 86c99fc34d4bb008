"""The same on many hosts: side by side, with a limit, all of them tried."""

from __future__ import annotations

import asyncio

import pytest

from OttoLibrary.errors import HostError, OttoError
from OttoLibrary.run.fanout import FanOut, each, whole

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


def test_a_failure_that_nobody_foresaw_is_one_host_s_error() -> None:
    async def work(name: str) -> str:
        if name == "dut2":
            raise KeyError("odd")
        if name == "dut3":
            asyncio.get_running_loop().create_future().cancel()
            raise asyncio.CancelledError
        return name.upper()

    found = asyncio.run(each(NAMES, work, 5))
    assert str(found["dut2"]) == "Host 'dut2' failed: KeyError: 'odd'"
    assert str(found["dut3"]) == "Host 'dut3' failed: what it waited for was cancelled."
    assert [found[name] for name in ("dut1", "dut4", "dut5")] == ["DUT1", "DUT4", "DUT5"]


def test_after_so_many_failures_no_further_host_is_begun() -> None:
    found = asyncio.run(each(NAMES, Work(1, failing=("dut2",)), 1, stop_after=1))
    assert found["dut1"] == "DUT1"
    assert str(found["dut2"]) == "Host 'dut2' is away."
    assert str(found["dut3"]) == "Host 'dut3' was not tried: 1 host had failed (stop_after=1)."
    assert list(found) == NAMES


def test_what_is_known_can_be_asked_when_it_is_ended_before() -> None:
    async def work(name: str) -> str:
        if name == "dut1":
            return "DUT1"
        if name == "dut2":
            raise OttoError("odd")
        await asyncio.Event().wait()
        return "never"

    async def ended() -> FanOut[str]:
        fan_out = FanOut(NAMES, work, 2)
        task = asyncio.create_task(fan_out.run())
        while not fan_out.take_failures():  # noqa: ASYNC110 - nothing tells when it has failed
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return fan_out

    found = asyncio.run(ended()).outcomes()
    assert found["dut1"] == "DUT1"
    assert {name: str(found[name]) for name in NAMES[1:]} == {
        "dut2": "odd",
        "dut3": "Host 'dut3' had not answered when the keyword was ended.",
        "dut4": "Host 'dut4' had not answered when the keyword was ended.",
        "dut5": "Host 'dut5' was not tried: the keyword was ended before.",
    }


def test_a_failure_names_every_host() -> None:
    found: dict[str, str | OttoError] = {"a": HostError("Host 'a' is away.", host="a"), "b": "B", "c": OttoError("c is odd.")}
    with pytest.raises(HostError) as caught:
        whole(found, "'true' failed on")
    assert str(caught.value) == "'true' failed on 2 of 3 hosts:\nHost 'a' is away.\nc is odd."
    assert caught.value.host == "a"


def test_what_is_whole_is_returned() -> None:
    assert whole({"a": 1, "b": 2}, "Failed on") == {"a": 1, "b": 2}
