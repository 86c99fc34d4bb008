"""A recording that is damaged, or made to do harm, is answered with a page or with one sentence, in bounded memory and time."""

from __future__ import annotations

import contextlib
import io
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.dashboard.page_source import Window
from OttoLibrary.dashboard.recorded_source import RecordedSource
from OttoLibrary.dashboard.static_page import static_page
from OttoLibrary.errors import OttoError
from OttoLibrary.monitor.recording_writer import Store

BEGAN = 1_795_271_913.0
WAYS = 200
VALUES = [
    *("NULL", "x'00ff'", "'text'", "9e999", "-9e999", "1e300", "-1", "9223372036854775807", "''", "'1795271913'"),
    *("'[]'", "'{}'", "'null'", "'[null]'", "'[1e999, NaN]'", "'[\"a\", {}]'", "'{\"hosts\": 7}'", '\'{"hosts": {"dut1": 7}}\''),
    "'[\"\\ud800\"]'",
    f"'{'[' * 5000}'",
    f"'[{'1,' * 300}1]'",
    f"'[{'9' * 5000}]'",
]
COLUMNS = {
    "session": ("id", "label", "began", "ended", "lab", "versions", "interval_s", "process"),
    "layout": ("id", "session", "series"),
    "tick": ("id", "session", "host", "at", "uptime_s", "layout", "readings"),
    "event": ("id", "session", "at", "until", "host", "kind", "text"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "metrics.db"
    store = Store(path)
    store.begin("night", {"hosts": {"dut1": ["gateway", "dut1"]}, "tags": {"dut1": ["dut"]}}, {"OttoLibrary": "1"}, 2.0)
    for row in range(300):
        for host in ("dut1", "dut2"):
            store.add(Tick(host, BEGAN + 2 * row, 100.0 + row, {"cpu_percent": float(row), "disk_used_percent[/]": 5.0}))
    store.mark(Event(BEGAN + 10, "load begins", "mark"))
    store.mark(Event(BEGAN + 20, "no answer", "gap", "dut1", BEGAN + 30))
    store.close()
    return path.read_bytes()


def _bytes(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 5, 50, 500))):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _head(data: bytearray, chance: random.Random) -> None:
    for _ in range(3):
        data[chance.randrange(100)] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _page(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // 4096) * 4096
    data[at : at + 4096] = bytes(4096) if chance.random() < 0.5 else chance.randbytes(4096)


def _swap(data: bytearray, chance: random.Random) -> None:
    one, other = (chance.randrange(len(data) // 4096) * 4096 for _ in range(2))
    data[one : one + 4096], data[other : other + 4096] = data[other : other + 4096], data[one : one + 4096]


def _loose(database: sqlite3.Connection, table: str) -> None:
    """Make the table one that takes any value."""
    database.execute(f"CREATE TABLE loose AS SELECT {', '.join(COLUMNS[table])} FROM {table}")
    database.execute("DROP VIEW IF EXISTS sample")
    database.execute(f"DROP TABLE {table}")
    database.execute(f"ALTER TABLE loose RENAME TO {table}")


def _value(database: sqlite3.Connection, chance: random.Random) -> None:
    table = chance.choice(list(COLUMNS))
    column, value = chance.choice(COLUMNS[table]), chance.choice(VALUES)
    _loose(database, table)
    some = "" if chance.random() < 0.5 else "WHERE rowid % 3 = 1"
    database.execute(f"UPDATE {table} SET {column} = {value} {some}")


def _table(database: sqlite3.Connection, chance: random.Random) -> None:
    database.execute("DROP VIEW IF EXISTS sample")
    database.execute(f"DROP TABLE {chance.choice(list(COLUMNS))}")


def _column(database: sqlite3.Connection, chance: random.Random) -> None:
    table = chance.choice(list(COLUMNS))
    _loose(database, table)
    database.execute(f"ALTER TABLE {table} DROP COLUMN {chance.choice(COLUMNS[table])}")


def _rows(database: sqlite3.Connection, chance: random.Random) -> None:
    database.execute(f"DELETE FROM {chance.choice(list(COLUMNS))}")


RAW: list[Callable[[bytearray, random.Random], None]] = [_bytes, _head, _cut, _page, _swap]
IN_SQL: list[Callable[[sqlite3.Connection, random.Random], None]] = [
    _value,
    _value,
    _value,
    _value,
    _value,
    _table,
    _column,
    _rows,
]


def damaged(whole: bytes, seed: int, path: Path) -> None:
    chance = random.Random(seed)
    data = bytearray(whole)
    if seed % 2:
        chance.choice(RAW)(data, chance)
        path.write_bytes(data)
        return
    path.write_bytes(data)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        chance.choice(IN_SQL)(database, chance)


def ask_for_everything(path: Path) -> list[str]:
    """Ask for all that a page asks for; return the sentences. Anything but an OttoError is a fault."""
    sentences: list[str] = []

    def asked(work: Callable[[], object]) -> None:
        try:
            work()
        except OttoError as error:
            sentences.append(str(error))

    def all_of(source: RecordedSource) -> None:
        asked(lambda: json.dumps(source.page(), allow_nan=False).encode())
        for host in ("dut1", "dut2"):
            asked(lambda host=host: source.chunk(host))  # type: ignore[misc]
        for form in ("json", "csv", "prom"):
            asked(lambda form=form: source.export(form, Window(), io.StringIO()))  # type: ignore[misc]
        asked(lambda: static_page(source))
        asked(lambda: source.add_event({"text": "seen"}))

    asked(lambda: all_of(RecordedSource([path])))
    return sentences


@pytest.mark.parametrize("seed", range(WAYS))
def test_a_damaged_recording_is_a_page_or_a_sentence(seed: int, whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    damaged(whole, seed, path)
    for sentence in ask_for_everything(path):
        assert sentence
        assert len(sentence) < 1000
        assert "Traceback" not in sentence


HARMFUL = {
    "rows without end": (
        "DROP VIEW sample; DROP TABLE tick; CREATE VIEW tick AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r)"
        " SELECT id, 1 AS session, 'dut1' AS host, 1.0 * id AS at, 1.0 AS uptime_s, 1 AS layout, '[1, 2]' AS readings FROM r"
    ),
    "computed columns": "ALTER TABLE event ADD COLUMN more AS (hex(zeroblob(500000000)))",
    "a huge text": "DROP VIEW sample; UPDATE event SET text = printf('%.60000000c', 'x') WHERE id = 1",
    "a huge blob": "UPDATE session SET lab = hex(zeroblob(30000000))",
    "very many series": (
        "UPDATE layout SET series = '[' || (WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 400000)"
        " SELECT group_concat('\"s' || n || '\"') FROM r) || ']';"
        "UPDATE tick SET readings = '[' || (WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 400000)"
        " SELECT group_concat(n) FROM r) || ']' WHERE id < 3; DELETE FROM tick WHERE id > 2"
    ),
    "large readings in many rows": (
        "UPDATE tick SET readings = '[' || (WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 200000)"
        " SELECT group_concat(n) FROM r) || ']' WHERE id < 100"
    ),
    "a trigger": "CREATE TRIGGER more AFTER INSERT ON event BEGIN INSERT INTO event SELECT NULL, 1, 1.0, NULL, '', '', ''; END",
}
MEASURED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from pathlib import Path
from tests.attack.test_damaged_recordings import ask_for_everything
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sentences = ask_for_everything(Path(sys.argv[1]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
print(*sentences, sep="\\n")
"""


@pytest.mark.parametrize("kind", list(HARMFUL))
def test_a_harmful_recording_takes_little_memory_and_ends(kind: str, whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    path.write_bytes(whole)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(HARMFUL[kind])
    done = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    grown_mib, *sentences = done.stdout.splitlines()
    assert sentences, "It is refused."
    assert int(grown_mib) < 100, sentences[:3]
