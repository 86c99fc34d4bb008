"""What a run has to say is taken once."""

from __future__ import annotations

from OttoLibrary.contracts.connections import Record
from OttoLibrary.run.journal import Journal


def record(title: str) -> Record:
    return Record(title, "dut1", ("dut1",), title, None, "")


def test_records_are_taken_once_and_in_order() -> None:
    journal = Journal()
    journal.add(record("first"))
    journal.add(record("second"))
    assert [taken.title for taken in journal.take_records()] == ["first", "second"]
    assert journal.take_records() == []


def test_warnings_are_taken_once_and_in_order() -> None:
    journal = Journal()
    journal.warn("one", "two")
    journal.warn("three")
    assert journal.take_warnings() == ["one", "two", "three"]
    assert journal.take_warnings() == []
