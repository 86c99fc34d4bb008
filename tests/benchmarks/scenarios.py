"""Scenarios: how late events are, what a day costs on a clock that jumps, and what a hundred thousand runs leave in memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.host.host import Host
from OttoLibrary.scenario.events import Phase, Scenario, ScenarioEvent
from OttoLibrary.scenario.ledger import RunFailure
from OttoLibrary.scenario.schedule import Action, Conclusion, EventRun, ScenarioRun
from tests.benchmarks.measure import Row
from tests.peers.sshd import Sshd
from tests.unit.scenario.clocks import jump_through

_RATE, _EVENTS, _LENGTH_S = 200, 20, 10.0


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


async def _late_s(sshd: Sshd, key: Path) -> float:
    """Return how late, in seconds at p99, 200 commands a second on a host begin; each a process of its own there."""
    facts = HostFacts("h", address=sshd.address, port=sshd.port, user=sshd.user, identity_file=str(key), host_key="ignore")
    host = Host("h", ("h",), lambda: facts, None, lambda record: None)
    await host.run_once("true")

    async def ask(run: EventRun) -> None:
        await host.run("true")

    try:
        conclusion = await _run(_scenario(_EVENTS, _EVENTS / _RATE, _LENGTH_S), Action(ask))
    finally:
        await host.close()
    assert conclusion.ledger.is_balanced
    return conclusion.ledger.late_s(99)


def _day_s() -> float:
    """Return how many seconds of CPU a day of an event a second takes on a clock that jumps."""
    began = time.process_time()
    conclusion = jump_through(_run(_scenario(1, 1.0, 86400.0), Action(_nothing)))
    assert conclusion.ledger.total("run") == 86400
    return time.process_time() - began


def _growth_bytes() -> int:
    """Return by how much the process grows over 100 000 runs, after the first thousand."""
    jump_through(_run(_scenario(10, 1.0, 100.0), Action(_nothing)))
    before = _resident_bytes()
    conclusion = jump_through(_run(_scenario(10, 1.0, 10_000.0), Action(_nothing)))
    assert conclusion.ledger.total("run") == 100_000
    return _resident_bytes() - before


def all_rows(sshd: Sshd, key: Path) -> list[Row]:
    """Measure all of it."""
    late_s = asyncio.run(_late_s(sshd, key))
    return [
        Row(f"{_RATE} host events a second, late at p99", late_s * 1000, "", None, 5, absolute=True),
        Row("a day of an event a second, on a clock that jumps", _day_s() * 1000, "", None, 20_000, absolute=True),
        Row("memory over 100 000 runs, MB", _growth_bytes() / 1e6, "", None, 10, absolute=True, unit="MB"),
    ]
