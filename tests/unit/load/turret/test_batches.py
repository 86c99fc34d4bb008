"""Batches: nothing of what users noted is missing in them."""

from __future__ import annotations

import json

from OttoLibrary.load.turret.batches import RESPONSE, SERVICE, IterationTally, Note, merged, rows_of


def note(ended: float, failure: tuple[str, str] | None = None, timers: dict[str, float] | None = None) -> Note:
    return Note(ended, ended - 100, 0.25, 0.5, failure, timers)


def test_a_batch_has_every_iteration_by_itself_and_in_its_second() -> None:
    first, second = IterationTally(rows=True, is_open=True), IterationTally(rows=True, is_open=True)
    first.add(note(100.5))
    first.add(note(101.5, ("ValueError", "no"), {"a/b": 0.1}))
    second.add(note(101.75, ("ValueError", "no")))
    batch = json.loads(json.dumps(merged([first, second], rows=True, is_open=True).to_plain()))
    assert batch["count"] == 3
    assert [(at, failed) for at, failed, _ in batch["seconds"]] == [(100, 0), (101, 2)]
    assert set(batch["seconds"][1][2]) == {RESPONSE, SERVICE, "timer:a/b"}
    assert batch["errors"] == [["ValueError", "no", 2, 101.5, 101.75]]
    assert rows_of(batch) == [("", 0.25, 0.5, {}), ("no", 0.25, 1.5, {"a/b": 0.1}), ("no", 0.25, 1.75, {})]


def test_without_rows_the_counts_are_the_same() -> None:
    tally = IterationTally(rows=False, is_open=False)
    for _ in range(10):
        tally.add(note(100.0, None, {"a": 1.0}))
    batch = tally.to_plain()
    assert (batch["count"], rows_of(batch)) == (10, [])


def test_there_are_not_arbitrarily_many_errors_and_timers() -> None:
    tally = IterationTally(rows=False, is_open=False)
    for number in range(1000):
        tally.add(note(100.0, ("E", f"message {number}"), {f"timer {number}": 1.0}))
    batch = tally.to_plain()
    assert len(batch["errors"]) <= 201
    assert sum(error[2] for error in batch["errors"]) == 1000
    assert len(batch["seconds"][0][2]) <= 201
