"""The journal: what it says after each moment at which a process may be killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from OttoLibrary import masking
from OttoLibrary.errors import UsageError
from OttoLibrary.scenario.durable_journal import DurableJournal, unfinished
from OttoLibrary.scenario.events import Scenario, ScenarioEvent
from OttoLibrary.scenario.kill_switch import KillSwitch
from OttoLibrary.scenario.ledger import EventLedger, ScenarioLedger
from OttoLibrary.scenario.schedule import EventRun

EVENT = ScenarioEvent("a", every_s=10.0)
SCENARIO = Scenario("s", 100.0, (EVENT,))


def written(path: Path, runs: int, close: bool = False, last_open: bool = False) -> ScenarioLedger:
    ledger = ScenarioLedger([EventLedger("a")])

    async def go() -> None:
        journal = DurableJournal(path, SCENARIO, ledger, 1000.0, pytest.fail)
        await journal.begin({})
        row = ledger.events["a"]
        for number in range(1, runs + 1):
            row.due += 1
            row.run += 1
            run = EventRun(EVENT, number, 10.0 * number, KillSwitch())
            await journal.note_begin(run)
            if number < runs or not last_open:
                row.failed += 1
                await journal.note_end(run, "broken")
        if close:
            await journal.end()

    asyncio.run(go())
    return ledger


def test_what_was_not_ended_is_found_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "otto" / "s.journal"
    written(path, 3, last_open=True)
    found = unfinished(path)
    assert found is not None
    row = found.ledgers["a"]
    assert (row.due, row.run, row.failed, row.last_error) == (3, 3, 2, "broken")
    assert (found.last_due_s, found.interrupted) == ({"a": 30.0}, {"a": 3})
    assert found.resumption(SCENARIO, 1055.0).elapsed_s == 55.0
    with pytest.raises(UsageError, match="its description has changed"):
        found.resumption(Scenario("s", 99.0, (EVENT,)), 1055.0)


def test_what_was_ended_and_what_is_no_journal_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    assert unfinished(path) is None
    written(path, 2, close=True)
    assert unfinished(path) is None
    path.write_bytes(b"\0\xff{}\n[]")
    assert unfinished(path) is None


def test_every_cut_of_the_file_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    written(path, 4)
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    for length in range(head, len(whole)):
        path.write_bytes(whole[:length])
        found = unfinished(path)
        assert found is not None
        assert found.ledgers["a"].run <= 4


def test_a_long_one_is_replaced_by_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("OttoLibrary.scenario.durable_journal._LONGEST", 20)
    path = tmp_path / "s.journal"
    ledger = written(path, 200)
    assert len(path.read_bytes().splitlines()) <= 22
    found = unfinished(path)
    assert found is not None
    assert found.ledgers["a"].run == ledger.events["a"].run == 200
    assert [file.name for file in tmp_path.iterdir()] == ["s.journal"]


def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "otto").write_text("a file in the way")
    told: list[str] = []

    async def go() -> None:
        journal = DurableJournal(tmp_path / "otto" / "s", SCENARIO, ScenarioLedger([EventLedger("a")]), 0.0, told.append)
        await journal.begin({})
        for number in range(3):
            await journal.note_begin(EventRun(EVENT, number, 0.0, KillSwitch()))
        await journal.end()

    asyncio.run(go())
    assert len(told) == 1
    assert "cannot be written" in told[0]


def test_the_file_has_no_secret_and_goes_on_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process", masking.Masker())
    secret = "S3cretRoot99"
    masking._process.add(secret)
    event = ScenarioEvent(f"ask {secret}", every_s=10.0)
    scenario = Scenario(f"soak {secret}", 100.0, (event,))
    ledger = ScenarioLedger([EventLedger(event.name)])

    async def go() -> None:
        journal = DurableJournal(tmp_path / "s.journal", scenario, ledger, 1000.0, pytest.fail)
        await journal.begin({event.name: 0.0})
        ledger.events[event.name].due = 1
        run = EventRun(event, 1, 10.0, KillSwitch())
        await journal.note_begin(run)
        await journal.note_end(run, f"it said {secret}")

    asyncio.run(go())
    assert secret not in (tmp_path / "s.journal").read_text()
    found = unfinished(tmp_path / "s.journal")
    assert found is not None
    resumption = found.resumption(scenario, 1055.0)
    assert resumption.last_due_s == {event.name: 10.0}
    assert (resumption.ledgers[event.name].due, resumption.ledgers[event.name].name) == (1, event.name)
