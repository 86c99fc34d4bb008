"""The results of a run in SQLite: OCT's two tables, and beside them what OCT did not keep."""

from __future__ import annotations

import json
import os
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from OttoLibrary.errors import UsageError
from OttoLibrary.load.second import Second
from OttoLibrary.load.turret.batches import RESPONSE, TIMER
from OttoLibrary.load.turret.counters import counters_path, read_counts
from OttoLibrary.load.turret.histogram import Histogram

FILE = "results.sqlite"
COUNTERS = "counters"
# The last states of a run whose HQ ended by itself, and of one whose HQ did not.
ENDED, KILLED = ("ended", "aborted"), "killed"
# The first two are OCT's, as its HQ makes them; other programs read them.
_TABLES = """
CREATE TABLE "result" ("id" INTEGER NOT NULL PRIMARY KEY, "error" TEXT, "scriptrun_time" REAL NOT NULL, "elapsed" REAL NOT NULL,
    "epoch" REAL NOT NULL, "custom_timers" TEXT, "turret_name" VARCHAR(255) NOT NULL);
CREATE TABLE "turret" ("id" INTEGER NOT NULL PRIMARY KEY, "name" TEXT NOT NULL, "uuid" TEXT NOT NULL, "cannons" INTEGER NOT NULL,
    "script" TEXT NOT NULL, "rampup" INTEGER NOT NULL, "status" TEXT NOT NULL, "updated_at" DATETIME NOT NULL);
CREATE TABLE otto_run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE otto_second (at INTEGER PRIMARY KEY, failed INTEGER NOT NULL, dropped INTEGER NOT NULL, users INTEGER NOT NULL);
CREATE TABLE otto_histogram (at INTEGER NOT NULL, kind TEXT NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (at, kind)) WITHOUT ROWID;
CREATE TABLE otto_error (type TEXT NOT NULL, message TEXT NOT NULL, count INTEGER NOT NULL, first REAL NOT NULL,
    last REAL NOT NULL, PRIMARY KEY (type, message)) WITHOUT ROWID;
CREATE TABLE otto_turret (uuid TEXT PRIMARY KEY, name TEXT NOT NULL, own INTEGER NOT NULL, begun INTEGER NOT NULL,
    done INTEGER NOT NULL, stored INTEGER NOT NULL, lost INTEGER NOT NULL, planned INTEGER, dropped INTEGER, late TEXT);
CREATE TABLE otto_status (uuid TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL);
CREATE TABLE otto_phase (name TEXT NOT NULL, began REAL NOT NULL, ended REAL);
"""
# Where text of others is; of errors and turrets the HQ has all in memory.
_TEXTS = (("result", "error"), ("result", "turret_name"), ("otto_status", "status"), ("otto_phase", "name"))
_ROWS_AT_ONCE = 50_000
_NO_NAME = "Noname"


@dataclass(frozen=True)
class TurretRow:
    """A turret and what became of its results.

    Attributes:
        uuid: Who it is.
        name: What its configuration calls it.
        cannons: How many users it has.
        script: What it fires.
        rampup: Its ramp in seconds.
        status: What it said last.
        updated_at: When it said so.
        own: Whether it is one of ours, whose results are counted at both ends.
        begun: Iterations that began.
        done: Iterations that became a result.
        stored: Results that are stored.
        lost: Results that never came.
        planned: Iterations that were to start, open model.
        dropped: Iterations that could not start, open model.
    """

    uuid: str
    name: str
    cannons: int = 0
    script: str = ""
    rampup: float = 0.0
    status: str = ""
    updated_at: str = ""
    own: bool = False
    begun: int = 0
    done: int = 0
    stored: int = 0
    lost: int = 0
    planned: int | None = None
    dropped: int | None = None
    late: Histogram | None = None


@dataclass(frozen=True)
class LoadPhase:
    """A named stretch of a run; one that lasts has no end."""

    name: str
    began: float
    ended: float | None = None


@dataclass(frozen=True)
class ErrorRow:
    """Failures of one type with one message."""

    type: str
    message: str
    count: int
    first: float
    last: float


class ResultWriter:
    """Writes the results of one run; everything of one ``commit`` is kept together.

    Args:
        path: A file that does not exist.

    Raises:
        UsageError: It exists, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise UsageError(f"'{path}' has results already. Name another folder for those of this run.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # After a kill of this process nothing is missing; after a power cut, the last moments may be.
            self._db.execute("PRAGMA synchronous=NORMAL")
            # What is replaced, since it has become a secret, is not left in free pages of the file.
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.executescript(f"BEGIN;{_TABLES}COMMIT;")
            self._db.execute("INSERT INTO otto_run VALUES ('written_by', ?)", (json.dumps(_this_process()),))
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"Results cannot be written to '{path}': {error}.") from error

    def commit(
        self,
        rows: Sequence[tuple[Any, ...]],
        seconds: Iterable[Second],
        errors: Iterable[ErrorRow],
        turrets: Iterable[TurretRow],
        run: dict[str, Any],
    ) -> None:
        """Write all that is new since the last time.

        Args:
            rows: Error, time of the run, elapsed, epoch, timers as JSON, and name of the turret of each result.
            seconds: All seconds that changed, whole.
            errors: All errors that changed.
            turrets: All turrets that changed.
            run: What changed about the run.
        """
        db = self._db
        db.execute("BEGIN")
        try:
            db.executemany(
                'INSERT INTO "result" (error, scriptrun_time, elapsed, epoch, custom_timers, turret_name) VALUES (?,?,?,?,?,?)',
                rows,
            )
            for second in seconds:
                self._write_second(second)
            db.executemany(
                "INSERT OR REPLACE INTO otto_error VALUES (?,?,?,?,?)",
                [(each.type, each.message, each.count, each.first, each.last) for each in errors],
            )
            for turret in turrets:
                self._write_turret(turret)
            db.executemany(
                "INSERT OR REPLACE INTO otto_run VALUES (?,?)", [(key, json.dumps(value)) for key, value in run.items()]
            )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def mask_again(self, mask: Callable[[str], str]) -> None:
        """Hide what has become a secret in the texts of results; errors and turrets are to be written again."""
        self._db.execute("BEGIN")
        self._db.execute("DELETE FROM otto_error")
        for table, column in _TEXTS:
            texts = [text for (text,) in self._db.execute(f"SELECT DISTINCT {column} FROM \"{table}\" WHERE {column} != ''")]  # noqa: S608 - names of ours
            changed = [(masked, text) for text in texts if (masked := mask(text)) != text]
            self._db.executemany(f'UPDATE "{table}" SET {column} = ? WHERE {column} = ?', changed)  # noqa: S608 - names of ours
        self._mask_timers(mask)
        values = [
            (masked_plain(json.loads(value), mask), key) for key, value in self._db.execute("SELECT key, value FROM otto_run")
        ]
        self._db.executemany("UPDATE otto_run SET value = ? WHERE key = ?", [(json.dumps(value), key) for value, key in values])
        self._db.execute("COMMIT")

    def _mask_timers(self, mask: Callable[[str], str]) -> None:
        kinds = [kind for (kind,) in self._db.execute("SELECT DISTINCT kind FROM otto_histogram")]
        changed = [(masked, kind) for kind in kinds if (masked := mask(kind)) != kind]
        if not changed:
            return
        self._db.executemany("UPDATE OR REPLACE otto_histogram SET kind = ? WHERE kind = ?", changed)
        rows = self._db.execute("SELECT id, custom_timers FROM \"result\" WHERE custom_timers != '{}'").fetchall()
        timers = [(json.dumps(masked_plain(json.loads(text), mask)), row) for row, text in rows]
        self._db.executemany('UPDATE "result" SET custom_timers = ? WHERE id = ?', timers)

    def note_status(self, uuid: str, at: float, status: str) -> None:
        """Keep that a turret has a new status."""
        self._db.execute("INSERT INTO otto_status VALUES (?,?,?)", (uuid, at, status))

    def write_phases(self, phases: Iterable[LoadPhase]) -> None:
        """Write all phases in place of those that were."""
        self._db.execute("BEGIN")
        self._db.execute("DELETE FROM otto_phase")
        self._db.executemany("INSERT INTO otto_phase VALUES (?,?,?)", [(each.name, each.began, each.ended) for each in phases])
        self._db.execute("COMMIT")

    def close(self) -> None:
        """End writing; idempotent."""
        self._db.close()

    def _write_second(self, second: Second) -> None:
        values = second.at, second.failed, second.dropped, second.users
        self._db.execute("INSERT OR REPLACE INTO otto_second VALUES (?,?,?,?)", values)
        kinds = [(second.at, kind, json.dumps(histogram.to_plain())) for kind, histogram in second.kinds.items()]
        self._db.executemany("INSERT OR REPLACE INTO otto_histogram VALUES (?,?,?)", kinds)

    def _write_turret(self, row: TurretRow) -> None:
        known = self._db.execute('SELECT id FROM "turret" WHERE uuid = ?', (row.uuid,)).fetchone()
        values = row.name, row.uuid, row.cannons, row.script, row.rampup, row.status, row.updated_at
        if known is None:
            self._db.execute(
                'INSERT INTO "turret" (name, uuid, cannons, script, rampup, status, updated_at) VALUES (?,?,?,?,?,?,?)', values
            )
        else:
            self._db.execute(
                'UPDATE "turret" SET name=?, uuid=?, cannons=?, script=?, rampup=?, status=?, updated_at=? WHERE id=?',
                (*values, known[0]),
            )
        late = json.dumps(row.late.to_plain()) if row.late is not None else None
        counts = row.begun, row.done, row.stored, row.lost, row.planned, row.dropped, late
        self._db.execute(
            "INSERT OR REPLACE INTO otto_turret VALUES (?,?,?,?,?,?,?,?,?,?)", (row.uuid, row.name, row.own, *counts)
        )


@dataclass(frozen=True)
class ResultColumns:
    """Results by columns: a million of them take 17 MB.

    Attributes:
        epochs: When each ended, in seconds since 1970; the earliest first.
        taken: How long each took.
        failed: Whether each failed, 0 or 1.
    """

    epochs: array[float]
    taken: array[float]
    failed: bytearray

    def spans(self, length_s: float) -> Iterator[tuple[int, slice]]:
        """Yield the begin of each stretch of that length in which something ended, and which results those are."""
        first = 0
        while first < len(self.epochs):
            number = self.epochs[first] // length_s
            last = bisect_left(self.epochs, (number + 1) * length_s, first)
            # Rounding never keeps it at one place.
            last = max(last, first + 1)
            yield int(number * length_s), slice(first, last)
            first = last


class ResultReader:
    """Reads the results of a run, of one that goes on too, or of a file that OCT wrote.

    Args:
        path: The file.

    Raises:
        UsageError: There is no such file, or it has no results.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: ResultColumns | None = None
        if not path.is_file():
            raise UsageError(f"There are no results at '{path}'.")
        try:
            tables = {name for (name,) in self._ask("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise UsageError(f"'{path}' is no file of results: {error}.") from error
        if not {"result", "turret"} <= tables:
            raise UsageError(f"'{path}' is no file of results: it has no tables 'result' and 'turret'.")
        self.is_octs = "otto_run" not in tables

    def _ask(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return list(self._each(question, values))

    def _each(self, question: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, timeout=10)) as db:
            db.execute("PRAGMA query_only=1")
            yield from db.execute(question, values)

    def run(self) -> dict[str, Any]:
        """Return what is known about the run; of one whose HQ is gone before its end the state is ``killed``."""
        if self.is_octs:
            return {}
        found = {key: json.loads(value) for key, value in self._ask("SELECT key, value FROM otto_run")}
        if found.get("state") not in ENDED and found.get("written_by") and not _is_there(str(found["written_by"])):
            found |= {"state": KILLED, "reason": "its HQ was killed; what it had not stored is counted as lost"}
        return found

    def seconds(self, since: float = 0.0, until: float = 1e12) -> list[Second]:
        """Return the seconds of a time, in order."""
        if self.is_octs:
            return self._seconds_of_rows(since, until)
        with closing(sqlite3.connect(self.path, timeout=10)) as db:
            # Both tables as they were at one moment.
            db.execute("BEGIN")
            rows = db.execute(
                "SELECT at, failed, dropped, users FROM otto_second WHERE at >= ? AND at < ? ORDER BY at", (since, until)
            )
            found = {at: Second(at, {}, failed, dropped, users) for at, failed, dropped, users in rows}
            for at, kind, counts in db.execute("SELECT * FROM otto_histogram WHERE at >= ? AND at < ?", (since, until)):
                if at in found:
                    found[at].kinds[kind] = Histogram.from_plain(json.loads(counts))
        return list(found.values())

    def _seconds_of_rows(self, since: float, until: float) -> list[Second]:
        columns = self.columns()
        found: dict[int, Second] = {}
        for at, part in columns.spans(1):
            if since <= at < until:
                second = found[at] = Second(at)
                second.histogram(RESPONSE).add_many([max(0.0, took) for took in columns.taken[part]])
                second.failed = sum(columns.failed[part])
        for epoch, timers in self.timers():
            if int(epoch) in found:
                for name, value in timers.items():
                    found[int(epoch)].histogram(TIMER + name).add(max(0.0, value))
        return list(found.values())

    def columns(self) -> ResultColumns:
        """Return moment, duration and success of each result that is kept by itself, the earliest first."""
        if self._columns is None:
            found = ResultColumns(array("d"), array("d"), bytearray())
            question = "SELECT epoch, scriptrun_time, error IS NOT NULL AND error != '' FROM \"result\" ORDER BY epoch"
            with closing(sqlite3.connect(self.path, timeout=10)) as db:
                rows = db.execute(question)
                while some := rows.fetchmany(_ROWS_AT_ONCE):
                    epochs, taken, failed = zip(*some, strict=True)
                    found.epochs.extend(epochs)
                    found.taken.extend(taken)
                    found.failed.extend(failed)
            self._columns = found
        return self._columns

    def timers(self) -> Iterator[tuple[float, dict[str, float]]]:
        """Yield moment and timers of each result that is kept by itself and has some."""
        question = "SELECT epoch, custom_timers FROM \"result\" WHERE custom_timers NOT IN ('', '{}') ORDER BY id"
        for epoch, timers in self._each(question):
            yield epoch, _timers(timers)

    def rows(self) -> Iterator[tuple[str, float, float, float, dict[str, float], str]]:
        """Yield error, time of the run, elapsed, epoch, timers and turret of each result that is kept by itself."""
        question = 'SELECT error, scriptrun_time, elapsed, epoch, custom_timers, turret_name FROM "result" ORDER BY id'
        for error, took, elapsed, epoch, timers, turret in self._each(question):
            yield error or "", took, elapsed, epoch, _timers(timers), turret or _NO_NAME

    def row_count(self) -> int:
        """Return how many results are kept by themselves."""
        return int(self._ask('SELECT COUNT(*) FROM "result"')[0][0])

    def errors(self) -> list[ErrorRow]:
        """Return the errors, the most frequent first."""
        if self.is_octs:
            question = "SELECT '', error, COUNT(*), MIN(epoch), MAX(epoch) FROM \"result\" WHERE error != '' GROUP BY error"
        else:
            question = "SELECT type, message, count, first, last FROM otto_error"
        return sorted((ErrorRow(*row) for row in self._ask(question)), key=lambda row: -row.count)

    def turrets(self) -> list[TurretRow]:
        """Return the turrets; results of a process that is gone are counted from what it left."""
        rows = self._ask('SELECT uuid, name, cannons, script, rampup, status, updated_at FROM "turret" ORDER BY id')
        if self.is_octs:
            return [TurretRow(*row) for row in rows]
        counts = {
            row[0]: (bool(row[1]), *row[2:8], Histogram.from_plain(json.loads(row[8])) if row[8] else None)
            for row in self._ask("SELECT uuid, own, begun, done, stored, lost, planned, dropped, late FROM otto_turret")
        }
        found = [TurretRow(*row, *counts.get(row[0], ())) for row in rows]
        if self.run().get("state") in ENDED:
            return found
        return [self._counted(turret) if turret.own else turret for turret in found]

    def _counted(self, turret: TurretRow) -> TurretRow:
        """Return a turret of an HQ that has not ended, or was ended, with what the turret itself counted."""
        begun, done = read_counts(counters_path(self.path.parent / COUNTERS, turret.uuid))
        done = max(done, turret.done)
        return replace(turret, begun=max(begun, turret.begun), done=done, lost=max(0, done - turret.stored))

    def statuses(self) -> list[tuple[str, float, str]]:
        """Return who said which status when."""
        return [] if self.is_octs else [(who, at, said) for who, at, said in self._ask("SELECT * FROM otto_status ORDER BY at")]

    def phases(self) -> list[LoadPhase]:
        """Return the phases in order."""
        return [] if self.is_octs else [LoadPhase(*row) for row in self._ask("SELECT * FROM otto_phase ORDER BY began")]


def _this_process() -> str:
    """Return what no other process was or will be: this boot of this machine, this number, and when it began."""
    return _mark_of(os.getpid())


def _mark_of(pid: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # One that has ended, and that nobody has asked for, is still listed.
    return "" if words[0] == "Z" else f"{boot} {pid} {words[19]}"


def _is_there(mark: str) -> bool:
    """Whether the process with this mark lives."""
    words = mark.split()
    return len(words) == 3 and words[1].isdigit() and _mark_of(int(words[1])) == mark


def _timers(text: Any) -> dict[str, float]:
    if not text or text == "{}":
        return {}
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def masked_plain(value: Any, mask: Callable[[str], str]) -> Any:
    """Return plain data with each text in it masked; numbers stay."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(str(key)): masked_plain(each, mask) for key, each in value.items()}
    return [masked_plain(each, mask) for each in value] if isinstance(value, (list, tuple)) else value


def now_text() -> str:
    """Return the present moment as OCT's table has it."""
    return datetime.now().isoformat(" ")  # noqa: DTZ005 - OCT's table has the time of the machine, without a zone
