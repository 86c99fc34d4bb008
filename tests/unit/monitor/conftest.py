"""The shells that scripts of metrics run in, and files of recordings."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.unit.monitor.shells import SHELLS

OTTO_SCHEMA = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY, ts TEXT NOT NULL, host TEXT NOT NULL, label TEXT NOT NULL, value REAL NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, ts TEXT NOT NULL, end_ts TEXT, label TEXT NOT NULL, source TEXT, color TEXT,
    dash TEXT);
"""


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watched.db"


@pytest.fixture
def otto_s(path: Path) -> Path:
    with sqlite3.connect(path) as database:
        database.executescript(OTTO_SCHEMA)
        rows = [
            ("2026-03-01T12:00:00.250000", "dut1", "Overall CPU", 10.0),
            ("2026-03-01T12:00:00.250000", "dut2", "Overall CPU", 20.0),
            ("2026-03-01T12:00:00.250000", "dut1", "Load (1m)", 0.5),
            ("2026-03-01T12:00:05", "dut1", "Overall CPU", 11.0),
        ]
        database.executemany("INSERT INTO metrics (ts, host, label, value) VALUES (?, ?, ?, ?)", rows)
        marks = [("2026-03-01T12:00:01", None, "reboot"), ("2026-03-01T12:00:02", "2026-03-01T12:00:04", "load")]
        database.executemany("INSERT INTO events (ts, end_ts, label, source) VALUES (?, ?, ?, 'manual')", marks)
    database.close()
    return path
