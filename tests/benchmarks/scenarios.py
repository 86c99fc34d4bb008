"""Scenarios: how late events are, what a day costs on a clock that jumps, and what a hundred thousand runs leave in memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent
from OttoLibrary.scenario.ledger import RunFailure
from OttoLibrary.scenario.schedule import Action, Conclusion, EventRun, ScenarioRun
from tests.benchmarks.measure import Row
from tests.unit.scenario.clocks import jump_through


class _Nobody:
    async def before(self, run: EventRun) -> None:
        return

    async def after(self, run: EventRun, failure: RunFailure | None) -> None:
        return

    def left_out(self, event: ScenarioEvent, due_s: float, why: str) -> None:
        return

    def phase(self, phase: Phase, is_begin: bool) -> None:
        return


def _scenario(count: int, every_s: float, duration_s: float) -> Scenario:
    events = tuple(
        ScenarioEvent(f"e{number}", every_s=every_s, start_after_s=every_s * number / count, at_startup=False)
        for number in range(count)
    )
    return Scenario("bench", duration_s, events)


async def _run(scenario: Scenario, action: Action) -> Conclusion:
    return await ScenarioRun(scenario, dict.fromkeys((event.name for event in scenario.events), action), _Nobody()).run()


async def _nothing(run: EventRun) -> None:
    return


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def lateness(host: object) -> float:
    """Return how late, in seconds at p99, 200 commands a second on a host begin."""

    async def ask(run: EventRun) -> None:
        await host.run_once("true")  # type: ignore[attr-defined]

    return (await _run(_scenario(20, 0.1, 10.0), Action(ask))).ledger.late_s(99)


def a_day_s() -> float:
    """Return how many seconds a day of an event a second takes on a clock that jumps."""
    began = time.monotonic()
    conclusion = jump_through(_run(_scenario(1, 1.0, 86400.0), Action(_nothing)))
    assert conclusion.ledger.total("run") == 86400
    return time.monotonic() - began


def growth_bytes() -> int:
    """Return by how much the process grows over 100 000 runs, after the first thousand."""
    jump_through(_run(_scenario(10, 1.0, 100.0), Action(_nothing)))
    before = _resident_bytes()
    conclusion = jump_through(_run(_scenario(10, 1.0, 10_000.0), Action(_nothing)))
    assert conclusion.ledger.total("run") == 100_000
    return _resident_bytes() - before


def report(late_s: float) -> list[Row]:
    """Return the rows of the table."""
    raise NotImplementedError


if __name__ == "__main__":
    print(f"a day of an event a second: {a_day_s():.1f} s; growth over 100 000 runs: {growth_bytes() / 1e6:.1f} MB")
    del asyncio
