"""Recordings of otto's monitor, read. Our own are in test_store."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.recording_reader import Recording


def _local(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_file_of_otto_is_read(otto_s: Path) -> None:
    recording = Recording(otto_s)
    first, second = _local("2026-03-01T12:00:00.250000"), _local("2026-03-01T12:00:05")
    assert recording.hosts() == ["dut1", "dut2"]
    assert recording.series("dut1") == ["Overall CPU", "Load (1m)"]
    assert recording.read("dut1", "Overall CPU") == ([first, second], [10.0, 11.0])
    assert recording.read("dut1", "Overall CPU", since=first + 1) == ([second], [11.0])
    assert recording.all(session=1)["dut2", "Overall CPU"][1].tolist() == [20.0]
    ticks = [(tick.host, tick.at, tick.values) for tick in recording.ticks()]
    assert ticks == [
        ("dut1", first, {"Overall CPU": 10.0, "Load (1m)": 0.5}),
        ("dut2", first, {"Overall CPU": 20.0}),
        ("dut1", second, {"Overall CPU": 11.0}),
    ]
    (session,) = recording.sessions()
    assert (session.began, session.ended, session.interval_s) == (first, second, 0.0)
    at = [_local(f"2026-03-01T12:00:0{number}") for number in (1, 2, 4)]
    assert recording.events() == [Event(at[0], "reboot", "mark"), Event(at[1], "load", "span", until=at[2])]
    assert [event.text for event in recording.events(at[1] + 1)] == ["load"]
    recording.close()


def test_a_file_of_a_newer_otto_has_sessions(otto_s: Path) -> None:
    with sqlite3.connect(otto_s) as database:
        database.execute("ALTER TABLE metrics ADD COLUMN session_id TEXT")
        database.execute("ALTER TABLE metrics ADD COLUMN source TEXT")
        database.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, label TEXT, start TEXT NOT NULL, end TEXT, lab_json TEXT)")
        lab = json.dumps({"hosts": 2})
        rows = [("a", None, "2026-03-01T12:00:00", "2026-03-01T12:00:03", lab), ("b", "two", "2026-03-01T12:00:04", None, "{}")]
        database.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", rows)
        database.execute("UPDATE metrics SET session_id = iif(ts < '2026-03-01T12:00:04', 'a', 'b')")
    database.close()
    recording = Recording(otto_s)
    first, second = recording.sessions()
    assert (first.id, first.label, first.ended, first.lab) == ("a", "", _local("2026-03-01T12:00:03"), {"hosts": 2})
    assert (second.id, second.label, second.ended) == ("b", "two", None)
    assert recording.all(session="b")["dut1", "Overall CPU"][1].tolist() == [11.0]
    assert len(recording.all()) == 3
    recording.close()


def test_a_file_of_an_older_otto_may_lack_hosts_and_events(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, ts TEXT, label TEXT, value REAL)")
        database.execute("INSERT INTO metrics (ts, label, value) VALUES ('2026-03-01T12:00:00', 'Overall CPU', 5.0)")
    database.close()
    recording = Recording(path)
    assert recording.hosts() == [""]
    assert recording.read("", "Overall CPU")[1] == [5.0]
    assert recording.events() == []
    recording.close()


def test_a_damaged_time_is_told_in_one_sentence(otto_s: Path) -> None:
    with sqlite3.connect(otto_s) as database:
        database.execute("UPDATE metrics SET ts = 'yesterday'")
    database.close()
    recording = Recording(otto_s)
    with pytest.raises(UsageError, match="cannot be read: Invalid isoformat string: 'yesterday'"):
        recording.all()
    recording.close()
    with pytest.raises(UsageError, match="cannot be read"):
        recording.hosts()
