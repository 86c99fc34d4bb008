r"""What was watched, in an SQLite file: written by one process, read by any.

The file is plain SQLite, so that anyone can query it; `SELECT * FROM sample WHERE host = 'dut1'` is all it takes. Times are
seconds since 1970. ``PRAGMA application_id`` is 0x4F74746F (``Otto``), ``PRAGMA user_version`` the version of this schema, 1::

    session  id, label, began, ended (null while it runs, or when its process was killed), lab (JSON object),
             versions (JSON object), interval_s, process ("host:pid")
    layout   id, session, series (JSON list of names)
    tick     id, session, host, at, uptime_s (null when not known), layout, readings (JSON list, in the order of the layout's
             series; null where there is no reading); one row per host and moment
    event    id, session, at, until (null for a moment), host (empty for all), kind, text
    sample   a view of (session, host, at, uptime_s, series, value), one row per reading

A reading that is not a finite number is stored as null, since JSON has no such numbers.

One process writes: it holds a lock (``flock``) on ``<path>.lock``, which the kernel releases when the process dies. Readers need
no lock. While it is written, ``<path>-wal`` and ``<path>-shm`` belong to the file; after ``Store.close`` all is in the file
alone, unless another process reads it at that moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import socket
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.errors import UsageError
from OttoLibrary.monitor.recording_reader import BUSY_MS, check_exists, check_own, pragma, translated
from OttoLibrary.text import plural

# Of ticks, and of events: about 50 MB with the usual metrics.
QUEUE_LIMIT = 20_000
_LAYOUTS_KEPT = 5000
_SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN IMMEDIATE;
CREATE TABLE session (id INTEGER PRIMARY KEY, label TEXT NOT NULL, began REAL NOT NULL, ended REAL, lab TEXT NOT NULL,
    versions TEXT NOT NULL, interval_s REAL NOT NULL, process TEXT NOT NULL);
CREATE TABLE layout (id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES session (id), series TEXT NOT NULL);
CREATE TABLE tick (id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES session (id), host TEXT NOT NULL,
    at REAL NOT NULL, uptime_s REAL, layout INTEGER NOT NULL REFERENCES layout (id), readings TEXT NOT NULL);
CREATE INDEX tick_at ON tick (session, at);
CREATE INDEX tick_host ON tick (host, layout);
CREATE TABLE event (id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES session (id), at REAL NOT NULL, until REAL,
    host TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE VIEW sample AS SELECT tick.session, tick.host, tick.at, tick.uptime_s, name.value AS series,
    json_extract(tick.readings, name.fullkey) AS value
    FROM tick JOIN layout ON layout.id = tick.layout JOIN json_each(layout.series) AS name
    WHERE json_extract(tick.readings, name.fullkey) IS NOT NULL;
PRAGMA application_id = 0x4F74746F;
PRAGMA user_version = 1;
COMMIT;
"""
_TICKS = "INSERT INTO tick (session, host, at, uptime_s, layout, readings) VALUES (?, ?, ?, ?, ?, ?)"
_EVENTS = "INSERT INTO event (id, session, at, until, host, kind, text) VALUES (?, ?, ?, ?, ?, ?, ?)"
_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class _Lock:
    """The right to write a recording; it ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._path = Path(f"{path}.lock")
        self._file = self._take(path)

    def _take(self, path: Path) -> int:
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(file, 200).decode(errors="replace") or "unknown"
                os.close(file)
                raise UsageError(
                    f"The recording '{path}' is being written by process {owner}. Wait until it ends, or record to another file."
                ) from None
            if self._is_named(file):
                os.ftruncate(file, 0)
                os.write(file, _process().encode())
                return file
            # Its owner removed it between our opening and our locking.
            os.close(file)

    def _is_named(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file))  # noqa: PTH116 - both are compared as the system sees them
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let another process write."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


class _Layouts:
    """Gives the names of a tick's readings a number, so that they are stored once per session."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._known: dict[tuple[int, tuple[str, ...]], int] = {}
        self._widest: dict[tuple[int, str], tuple[str, ...]] = {}
        self.unsaved: list[tuple[int, int, str]] = []

    def place(self, session: int, tick: Tick) -> tuple[int, tuple[str, ...]]:
        """Return the layout for a tick, and its names; a new one is in ``unsaved`` until the caller takes it from there."""
        names = tuple(tick.values)
        known = self._known.get((session, names))
        if known is not None:
            return known, names
        widest = self._widest.get((session, tick.host), ())
        # Series that come and go leave holes; a layout for each of their combinations would be many. A few readings out of
        # many are another matter: their metric has an interval of its own.
        comparable = len(names) * 2 >= len(widest)
        if widest and comparable and set(names) <= set(widest):
            return self._known[session, widest], widest
        if comparable:
            self._widest[session, tick.host] = names
        if len(self._known) >= _LAYOUTS_KEPT:
            # Stored once more when they come again.
            self._known.clear()
            self._widest = {(session, tick.host): names} if comparable else {}
        made = self._known[session, names] = self._next
        self._next += 1
        self.unsaved.append((made, session, _compact(names)))
        return made, names


class Store:
    """Writes what is watched; everything but opening and closing may be called from any thread.

    ``add``, ``mark``, ``end_event`` and ``change_event`` keep things in memory, ``flush`` writes them. What could not be written
    waits for the next ``flush``, at most 20 000 ticks and as many events; an event of kind ``gap`` says how
    much was lost beyond that.

    Args:
        path: The file; it and its folder are made when they do not exist, and sessions are added to one that does.

    Raises:
        UsageError: Another process writes it, it is not a recording or is of a newer version, or it cannot be opened or made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _Lock(self.path)
        except OSError as error:
            raise UsageError(f"The recording '{self.path}' cannot be written: {error.strerror or error}.") from error
        try:
            self._database = _open_own(self.path)
            self._next_event = self._first_free("event")
            self._layouts = _Layouts(self._first_free("layout"))
        except BaseException:
            self._lock.release()
            raise
        self._session: int | None = None
        self._ticks: deque[tuple[int, Tick]] = deque()
        self._events: deque[tuple[int, int, Event]] = deque()
        self._ends: dict[int, float] = {}
        self._changes: dict[int, Event | None] = {}
        self._lost = 0
        self._closed = False
        self._queues, self._writing = threading.Lock(), threading.RLock()

    def begin(self, label: str, lab: Mapping[str, Any], versions: Mapping[str, Any], interval_s: float) -> int:
        """Begin a session and return its number; one that runs is ended first.

        Args:
            label: What it is called, may be empty.
            lab: What the lab looks like, as JSON can hold it; without secrets.
            versions: The versions of what watches.
            interval_s: How often the hosts are asked.

        Raises:
            UsageError: It cannot be written, or the store is closed.
        """
        facts = (_storable(label), time.time(), _as_json(lab), _as_json(versions), interval_s, _process())
        with self._writing:
            self._end_session()
            with self._transaction():
                made = self._database.execute(
                    "INSERT INTO session (label, began, lab, versions, interval_s, process) VALUES (?, ?, ?, ?, ?, ?)", facts
                )
            assert made.lastrowid is not None
            self._session = made.lastrowid
        return made.lastrowid

    def describe(self, lab: Mapping[str, Any]) -> None:
        """Say anew what the lab looks like: more hosts are watched. Raises UsageError as ``begin`` does."""
        session = self._running()
        with self._writing, self._transaction():
            self._database.execute("UPDATE session SET lab = ? WHERE id = ?", (_as_json(lab), session))

    def add(self, tick: Tick) -> None:
        """Keep the readings of a host for the next ``flush``.

        Raises:
            UsageError: No session has begun.
        """
        session = self._running()
        with self._queues:
            self._ticks.append((session, tick))
            self._bound()

    def mark(self, event: Event) -> int:
        """Keep an event for the next ``flush`` and return its number.

        Raises:
            UsageError: No session has begun.
        """
        session = self._running()
        with self._queues:
            number = self._next_event
            self._next_event += 1
            self._events.append((number, session, event))
            self._bound()
        return number

    def end_event(self, number: int, until: float) -> None:
        """Set when an event ended, with the next ``flush``; a number that ``mark`` did not return is ignored."""
        with self._queues:
            self._ends[number] = until

    def change_event(self, number: int, event: Event | None) -> None:
        """Put another event in the place of one with the next ``flush``, or delete it with None; as ``end_event`` otherwise."""
        with self._queues:
            self._changes[number] = event
            # The new event has its own end.
            self._ends.pop(number, None)

    def flush(self) -> None:
        """Write everything that waits, in one transaction.

        Raises:
            UsageError: It cannot be written, such as when the disk is full, or the store is closed. All of it waits for the next
                call; the text says how much waits, and how much was lost because too much was waiting.
        """
        with self._writing:
            with self._queues:
                ticks, self._ticks = self._ticks, deque()
                events, self._events = self._events, deque()
                ends, self._ends = self._ends, {}
                changes, self._changes = self._changes, {}
                lost = self._lost
            if not (ticks or events or ends or changes):
                return
            try:
                self._write(ticks, events, ends, changes, lost)
            except BaseException as error:
                self._keep(ticks, events, ends, changes)
                if isinstance(error, UsageError):
                    raise UsageError(f"{error} {self._waiting()}") from error.__cause__
                raise
            with self._queues:
                self._lost -= lost

    def close(self) -> None:
        """Write everything that waits, end the session and let others write; a second call does nothing.

        Raises:
            UsageError: The last of it could not be written, and is lost; the file is closed nevertheless.
        """
        with self._writing:
            if self._closed:
                return
            try:
                self._end_session()
            finally:
                self._closed, self._session = True, None
                self._leave_one_file()
                self._database.close()
                self._lock.release()

    def prune(self, older_than_s: float | None = None, larger_than_bytes: int | None = None) -> int:
        """Delete the oldest ticks and events and give their space back; return how many were deleted.

        Sessions that have nothing left go with them, but not the one that runs.

        Args:
            older_than_s: Delete what ended longer ago than that; None for no matter how old.
            larger_than_bytes: Then delete the oldest until what is left is no larger; None for no matter how large. An empty
                recording has about 40 KB.

        Raises:
            UsageError: It cannot be written, or the store is closed.
        """
        with self._writing:
            self.flush()
            with self._transaction():
                count = 0 if older_than_s is None else self._delete_before(time.time() - older_than_s)
                if larger_than_bytes is not None:
                    count += self._shrink(larger_than_bytes)
                self._delete_empty()
            with translated(self.path):
                # By execute() it would free one page only. The checkpoint brings it to the file.
                self._database.executescript("PRAGMA incremental_vacuum")
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return count

    def _running(self) -> int:
        if self._session is None:
            raise UsageError(f"No session has begun in the recording '{self.path}'.")
        return self._session

    def _bound(self) -> None:
        while len(self._ticks) > QUEUE_LIMIT:
            self._ticks.popleft()
            self._lost += 1
        while len(self._events) > QUEUE_LIMIT:
            self._events.popleft()
            self._lost += 1

    def _keep(
        self,
        ticks: deque[tuple[int, Tick]],
        events: deque[tuple[int, int, Event]],
        ends: dict[int, float],
        changes: dict[int, Event | None],
    ) -> None:
        with self._queues:
            self._ticks.extendleft(reversed(ticks))
            self._events.extendleft(reversed(events))
            self._ends = {number: end for number, end in ends.items() if number not in self._changes} | self._ends
            self._changes = changes | self._changes
            self._bound()

    def _waiting(self) -> str:
        lost = f", {self._lost} are lost" if self._lost else ""
        return f"{plural(len(self._ticks), 'tick')} and {plural(len(self._events), 'event')} wait to be written{lost}."

    def _write(
        self,
        ticks: deque[tuple[int, Tick]],
        events: deque[tuple[int, int, Event]],
        ends: dict[int, float],
        changes: dict[int, Event | None],
        lost: int,
    ) -> None:
        rows = [self._row(session, tick) for session, tick in ticks]
        marks = [_event_row(number, session, event) for number, session, event in events]
        layouts = list(self._layouts.unsaved)
        with self._transaction():
            self._database.executemany("INSERT INTO layout (id, session, series) VALUES (?, ?, ?)", layouts)
            self._database.executemany(_TICKS, rows)
            self._database.executemany(_EVENTS, marks)
            for number, event in changes.items():
                _replace_event(self._database, number, event)
            self._database.executemany("UPDATE event SET until = ? WHERE id = ?", [(end, number) for number, end in ends.items()])
            if lost:
                self._tell_lost(lost)
        del self._layouts.unsaved[: len(layouts)]

    def _tell_lost(self, lost: int) -> None:
        with self._queues:
            number, self._next_event = self._next_event, self._next_event + 1
        text = f"{lost} of the ticks and events could not be stored and had to be dropped"
        self._database.execute(_EVENTS, (number, self._running(), time.time(), None, "", "gap", text))

    def _row(self, session: int, tick: Tick) -> tuple[int, str, float, float, int, str]:
        layout, names = self._layouts.place(session, tick)
        readings = [tick.values.get(name) for name in names]
        return session, _storable(tick.host), tick.at, tick.uptime_s, layout, _readings(readings)

    def _end_session(self) -> None:
        self.flush()
        if self._session is None:
            return
        with self._transaction():
            self._database.execute("UPDATE session SET ended = ? WHERE id = ?", (time.time(), self._session))
        self._session = None

    def _first_free(self, table: str) -> int:
        with translated(self.path):
            (number,) = self._database.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()  # noqa: S608
            return int(number)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._writing, translated(self.path):
            if self._closed:
                raise UsageError(f"The recording '{self.path}' is closed.")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # A full disk has SQLite roll back by itself.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _leave_one_file(self) -> None:
        # Easier to copy, and readable in a folder that cannot be written. The second may fail while another process reads.
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("PRAGMA busy_timeout = 1000")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._database.execute("PRAGMA journal_mode = DELETE").fetchall()

    def _delete_before(self, moment: float) -> int:
        ticks = self._database.execute("DELETE FROM tick WHERE at < ?", (moment,)).rowcount
        # A span that has not ended is not old.
        old = "coalesce(until, at) < ? AND NOT (kind = 'span' AND until IS NULL)"
        return ticks + self._database.execute(f"DELETE FROM event WHERE {old}", (moment,)).rowcount  # noqa: S608

    def _shrink(self, limit_bytes: int) -> int:
        deleted = 0
        while (used_bytes := self._used_bytes()) > limit_bytes:
            (count,) = self._database.execute("SELECT count(*) FROM tick").fetchone()
            if not count:
                break
            # All rows are of about the same size; what is missing is deleted the next time round.
            excess = min(count, math.ceil(count * (1 - limit_bytes / used_bytes)))
            (moment,) = self._database.execute("SELECT at FROM tick ORDER BY at LIMIT 1 OFFSET ?", (excess - 1,)).fetchone()
            deleted += self._delete_before(math.nextafter(moment, math.inf))
        return deleted

    def _used_bytes(self) -> int:
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _delete_empty(self) -> None:
        self._database.execute(
            "DELETE FROM session WHERE id IS NOT ? AND NOT EXISTS (SELECT 1 FROM tick WHERE tick.session = session.id)"
            " AND NOT EXISTS (SELECT 1 FROM event WHERE event.session = session.id)",
            (self._session,),
        )
        self._database.execute("DELETE FROM layout WHERE session NOT IN (SELECT id FROM session)")


def prune(recording: Store | str | Path, older_than_s: float | None = None, larger_than_bytes: int | None = None) -> int:
    """Delete the oldest of a recording, as ``Store.prune`` does; of a file that is not being written, or of an open store.

    Raises:
        UsageError: There is no such file, it is not a recording of OttoLibrary, or it is being written.
    """
    if isinstance(recording, Store):
        return recording.prune(older_than_s, larger_than_bytes)
    check_exists(Path(recording))
    store = Store(recording)
    try:
        return store.prune(older_than_s, larger_than_bytes)
    finally:
        store.close()


def add_event(path: str | Path, event: Event) -> int:
    """Add an event to a recording that is not being written and return its number; it goes to the session that it is nearest to.

    Raises:
        UsageError: There is no such file, it is not a recording of OttoLibrary, it has no session, or it cannot be written.
    """
    with _editing(path) as (database, made_number):
        row = database.execute(
            "SELECT id FROM session ORDER BY max(began - ?1, ?1 - coalesce(ended, began), 0), id DESC LIMIT 1", (event.at,)
        ).fetchone()
        if row is None:
            raise UsageError(f"The recording '{path}' is empty: there is nothing to mark.")
        database.execute(_EVENTS, _event_row(made_number, row[0], event))
    return made_number


def change_event(path: str | Path, number: int, event: Event | None) -> None:
    """Put another event in the place of one in a recording that is not being written, or delete it with None.

    Raises:
        UsageError: There is no such event, or what ``add_event`` raises.
    """
    with _editing(path) as (database, _):
        if not _replace_event(database, number, event):
            raise UsageError(f"There is no event {number} in the recording '{path}'.")


@contextlib.contextmanager
def _editing(path: str | Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    """Open a recording for one transaction; with it comes the number of the next event."""
    check_exists(Path(path))
    store = Store(path)
    try:
        with store._transaction():
            yield store._database, store._next_event
    finally:
        store.close()


def _replace_event(database: sqlite3.Connection, number: int, event: Event | None) -> bool:
    if event is None:
        return database.execute("DELETE FROM event WHERE id = ?", (number,)).rowcount > 0
    _, _, *values = _event_row(number, 0, event)
    changed = database.execute("UPDATE event SET at = ?, until = ?, host = ?, kind = ?, text = ? WHERE id = ?", (*values, number))
    return changed.rowcount > 0


def _open_own(path: Path) -> sqlite3.Connection:
    """Open a recording of ours to write, and make it when there is none."""
    with translated(path):
        # Callers take a lock; a transaction begins and ends where the code says so.
        database = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        with translated(path):
            if not pragma(database, "application_id") and not pragma(database, "schema_version"):
                database.executescript(_SCHEMA)
            check_own(database, path)
            database.execute("PRAGMA journal_mode = WAL").fetchall()
            database.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database


def _event_row(number: int, session: int, event: Event) -> tuple[int, int, float, float | None, str, str, str]:
    return number, session, event.at, event.until, _storable(event.host), _storable(event.kind), _storable(event.text)


def _storable(text: str) -> str:
    """Return text that UTF-8 can encode: a lone surrogate, such as from a file name, becomes its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def _readings(values: Sequence[float | None]) -> str:
    try:
        return _compact(values)
    except (TypeError, ValueError):
        return _compact([_finite(value) for value in values])


def _finite(value: float | None) -> float | None:
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _as_json(facts: Mapping[str, Any]) -> str:
    # Paths and other objects are stored as their text.
    return json.dumps(dict(facts), default=str)


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
