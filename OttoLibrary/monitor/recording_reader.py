"""Reads recordings: ours, also while another process writes them, and those of otto's monitor.

The file is described in ``OttoLibrary.monitor.recording_writer``, which writes it. A file may be damaged, or made by others to
do harm: what is read from it is checked and bounded, and anything that a recording does not have is one sentence.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.errors import UnknownNameError, UsageError
from OttoLibrary.text import printable

APPLICATION_ID = 0x4F74746F
SCHEMA_VERSION = 1
BUSY_MS = 5000
_BLOCK_ROWS = 500
_BLOCK_CHARACTERS = 1 << 20
# Of one value in the file: a description of a lab is the largest.
_LONGEST_VALUE_BYTES = 4 << 20
_MOST_SERIES = 10_000
# The year 5000.
_LATEST_S = 1e11
_LONGEST_REASON = 200
_MAKING_S = 1.0
_Kind = TypeVar("_Kind", dict[str, Any], list[Any])
# Times and values of each series of each host.
Samples: TypeAlias = dict[tuple[str, str], tuple["array[float]", "array[float]"]]


@dataclass(frozen=True)
class RecordedSession:
    """One session of watching.

    Attributes:
        id: Its number in the file; a text in a file of otto.
        label: What it was called, may be empty.
        began: When, in seconds since 1970.
        ended: When it ended; None while it runs, or when its process was killed.
        lab: What the lab looked like.
        versions: The versions of what watched.
        interval_s: How often it asked the hosts; 0 when that is not known.
        process: The process that watched, as ``host:pid``; empty when that is not known.
    """

    id: int | str
    label: str
    began: float
    ended: float | None
    lab: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    interval_s: float = 0.0
    process: str = ""


class Recording:
    """Reads what was watched, also while another process writes it; files of otto's monitor as well.

    In a file of otto (tables ``metrics`` and ``events``), times are taken as this machine's local time, labels are the series,
    ``uptime_s`` is NaN, and what has no sessions is one.

    Args:
        path: The file.

    Raises:
        UsageError: There is no such file, it is not a recording, or one of a newer version. Every method raises it too, when the
            file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check_exists(self.path)
        self._database = _open_to_read(self.path)
        try:
            with translated(self.path, "read"):
                self._file = _reader(self._database, self.path)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._database.close()

    def sessions(self) -> list[RecordedSession]:
        """Return the sessions, oldest first."""
        with translated(self.path, "read"):
            return self._file.sessions()

    def hosts(self) -> list[str]:
        """Return the names of the hosts that have samples, sorted."""
        with translated(self.path, "read"):
            return self._file.hosts()

    def series(self, host: str) -> list[str]:
        """Return the names of a host's series, in the order in which they came up.

        Raises:
            UnknownNameError: The host has no samples.
        """
        with translated(self.path, "read"):
            found = self._file.series(host)
        if not found:
            raise UnknownNameError("host", host, self.hosts())
        return found

    def read(self, host: str, series: str, since: float = -math.inf, until: float = math.inf) -> tuple[list[float], list[float]]:
        """Return the times and the values of one series, oldest first; both empty when there are none in that time.

        Raises:
            UnknownNameError: The host has no samples, or no such series.
        """
        with translated(self.path, "read"):
            found = self._file.samples(since, until, host=host).get((host, series))
        if found is None:
            known = self.series(host)
            if series not in known:
                raise UnknownNameError("series", series, known)
            return [], []
        return found[0].tolist(), found[1].tolist()

    def all(
        self, since: float = -math.inf, until: float = math.inf, session: int | str | None = None, host: str | None = None
    ) -> Samples:
        """Return the times and values of each series of each host, by ``(host, series)``, oldest first.

        Args:
            since: The earliest time, in seconds since 1970.
            until: The latest time.
            session: Only those of this session; None for those of all.
            host: Only those of this host; None for those of all.

        Raises:
            UnknownNameError: There is no such session.
        """
        known = [found.id for found in self.sessions()]
        if session is not None and session not in known:
            raise UnknownNameError("session", str(session), map(str, known))
        with translated(self.path, "read"):
            return self._file.samples(since, until, session, host)

    def events(self, since: float = -math.inf, until: float = math.inf) -> list[Event]:
        """Return the events that happened or lasted in that time, in the order in which they began."""
        return list(self.numbered_events(since, until).values())

    def numbered_events(self, since: float = -math.inf, until: float = math.inf) -> dict[int, Event]:
        """Return the events as ``events`` does, by their numbers in the file."""
        with translated(self.path, "read"):
            return self._file.events(since, until)

    def reach(self) -> tuple[float, float] | None:
        """Return the times of the first and the last reading; None when there is none."""
        with translated(self.path, "read"):
            return self._file.reach()

    def ticks(self, since: float = -math.inf, until: float = math.inf, host: str | None = None) -> Iterator[Tick]:
        """Yield the readings of that time, of all hosts or of one, oldest first; those of a host at one moment together."""
        with translated(self.path, "read"):
            yield from self._file.ticks(since, until, host)


class _OwnFile:
    """Reads the schema of ``Store``."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def sessions(self) -> list[RecordedSession]:
        rows = self._database.execute(
            "SELECT id, label, began, ended, lab, versions, interval_s, process FROM session ORDER BY began, id"
        )
        return [
            RecordedSession(
                _whole(number),
                _text(label),
                _time(began),
                None if ended is None else _time(ended),
                _parsed(lab, dict),
                _parsed(versions, dict),
                _number(interval_s),
                _text(process),
            )
            for number, label, began, ended, lab, versions, interval_s, process in rows
        ]

    def hosts(self) -> list[str]:
        return [_text(host) for (host,) in self._database.execute("SELECT DISTINCT host FROM tick ORDER BY host")]

    def series(self, host: str) -> list[str]:
        used = "SELECT series FROM layout WHERE id IN (SELECT layout FROM tick WHERE host = ?) ORDER BY id"
        found: dict[str, None] = {}
        for (names,) in self._database.execute(used, (host,)):
            found |= dict.fromkeys(_series_names(names))
            _check_count(found)
        return list(found)

    def samples(self, since: float, until: float, session: int | str | None = None, host: str | None = None) -> Samples:
        found: Samples = {}
        names = self._names()
        for name, layout, times, texts in self._blocks(since, until, session, host):
            # One call of the JSON parser for many rows takes a fraction of one call for each.
            columns = zip(*json.loads(f"[{','.join(texts)}]"), strict=True)
            for series, column in zip(names(layout), columns, strict=True):
                _extend(found.setdefault((name, series), (array("d"), array("d"))), times, column)
            _check_count(found)
        return {key: kept for key, kept in found.items() if kept[0]}

    def ticks(self, since: float, until: float, host: str | None = None) -> Iterator[Tick]:
        names = self._names()
        for name, at, uptime_s, layout, readings in self._rows(since, until, host=host):
            pairs = zip(names(layout), _parsed(readings, list), strict=True)
            values = {series: float(value) for series, value in pairs if value is not None and math.isfinite(value)}
            yield Tick(name, at, math.nan if uptime_s is None else _number(uptime_s), values)

    def reach(self) -> tuple[float, float] | None:
        # Each by itself is one step in the index; both in one query would read all of it.
        ends = [
            self._database.execute(f"SELECT {end}(at) FROM tick WHERE session = ?", (found.id,)).fetchone()[0]  # noqa: S608
            for found in self.sessions()
            for end in ("min", "max")
        ]
        moments = [_time(moment) for moment in ends if moment is not None]
        return (min(moments), max(moments)) if moments else None

    def events(self, since: float, until: float) -> dict[int, Event]:
        rows = self._database.execute(
            "SELECT id, at, text, kind, host, until FROM event WHERE at <= ? AND"
            " (at >= ? OR until >= ? OR (kind = 'span' AND until IS NULL)) ORDER BY at, id",
            (until, since, since),
        )
        return {
            _whole(number): Event(_time(at), _text(text), _text(kind), _text(host), None if until is None else _time(until))
            for number, at, text, kind, host, until in rows
        }

    def _blocks(
        self, since: float, until: float, session: int | str | None, host: str | None
    ) -> Iterator[tuple[str, int, array[float], list[str]]]:
        """Yield rows of one host and one layout, each host's in the order of time: host, layout, times, readings."""
        waiting: dict[str, tuple[str, int, array[float], list[str]]] = {}
        characters = 0
        for name, at, _, layout, readings in self._rows(since, until, session, host):
            if characters > _BLOCK_CHARACTERS:
                yield from waiting.values()
                waiting, characters = {}, 0
            block = waiting.get(name)
            if block is None or block[1] != layout or len(block[3]) >= _BLOCK_ROWS:
                if block is not None:
                    yield block
                block = waiting[name] = (name, layout, array("d"), [])
            block[2].append(at)
            block[3].append(readings)
            characters += len(readings)
        yield from waiting.values()

    def _rows(
        self, since: float, until: float, session: int | str | None = None, host: str | None = None
    ) -> Iterator[tuple[str, float, float | None, int, str]]:
        # Session by session is the order of one index: nothing needs to be sorted. The rows of one host are found by the other.
        chosen = "+session = ?1 AND host = ?4" if host is not None else "session = ?1 AND ?4 IS NULL"
        for found in self.sessions():
            if session is None or found.id == session:
                rows = self._database.execute(
                    f"SELECT host, at, uptime_s, layout, readings FROM tick WHERE {chosen}"  # noqa: S608
                    " AND at BETWEEN ?2 AND ?3 ORDER BY at, id",
                    (found.id, since, until, host),
                )
                for name, at, uptime_s, layout, readings in rows:
                    yield _text(name), _time(at), uptime_s, layout, _text(readings)

    def _names(self) -> Callable[[int], tuple[str, ...]]:
        """Return a function that looks up the names of a layout; for one call only, since pruned numbers may be used again."""

        @functools.cache
        def names(layout: int) -> tuple[str, ...]:
            row = self._database.execute("SELECT series FROM layout WHERE id = ?", (layout,)).fetchone()
            if row is None:
                raise ValueError(f"layout {layout!r} is missing")
            return _series_names(row[0])

        return names


class _OttoFile:
    """Reads what otto's monitor wrote; only the columns that all its versions have are needed."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        columns = _columns(database, "metrics")
        self._host = "host" if "host" in columns else "''"
        self._has_sessions = "session_id" in columns and {"id", "start"} <= _columns(database, "sessions")

    def sessions(self) -> list[RecordedSession]:
        if not self._has_sessions:
            first, last = self._database.execute("SELECT min(ts), max(ts) FROM metrics").fetchone()
            return [RecordedSession(1, "", _moment(first), _moment(last))] if first else []
        rows = self._database.execute("SELECT * FROM sessions ORDER BY start")
        names = [column[0] for column in rows.description]
        return [_otto_session(dict(zip(names, row, strict=True))) for row in rows]

    def hosts(self) -> list[str]:
        return [_text(host) for (host,) in self._database.execute(f"SELECT DISTINCT {self._host} FROM metrics ORDER BY 1")]  # noqa: S608

    def series(self, host: str) -> list[str]:
        query = f"SELECT label FROM metrics WHERE {self._host} = ? GROUP BY label ORDER BY min(rowid)"  # noqa: S608
        found = [_text(label) for (label,) in self._database.execute(query, (host,))]
        _check_count(found)
        return found

    def samples(self, since: float, until: float, session: int | str | None = None, host: str | None = None) -> Samples:
        found: Samples = {}
        for at, name, series, value in self._rows(since, until, session, host):
            key = (name, series)
            if key not in found:
                found[key] = (array("d"), array("d"))
                _check_count(found)
            times, values = found[key]
            times.append(at)
            values.append(value)
        return found

    def ticks(self, since: float, until: float, host: str | None = None) -> Iterator[Tick]:
        for at, rows in itertools.groupby(self._rows(since, until, host=host), key=lambda row: row[0]):
            hosts: dict[str, dict[str, float]] = {}
            for _, name, series, value in rows:
                hosts.setdefault(name, {})[series] = value
            yield from (Tick(name, at, math.nan, values) for name, values in hosts.items())

    def reach(self) -> tuple[float, float] | None:
        ends = [
            self._database.execute(f"SELECT ts FROM metrics ORDER BY rowid {order} LIMIT 1").fetchone()  # noqa: S608
            for order in ("ASC", "DESC")
        ]
        return (_moment(ends[0][0]), _moment(ends[1][0])) if all(ends) else None

    def events(self, since: float, until: float) -> dict[int, Event]:
        columns = _columns(self._database, "events")
        if not {"ts", "label"} <= columns:
            return {}
        end = "end_ts" if "end_ts" in columns else "NULL"
        rows = self._database.execute(f"SELECT rowid, ts, {end}, label FROM events ORDER BY ts, rowid")  # noqa: S608
        found = {number: _otto_event(*row) for number, *row in rows}
        return {number: event for number, event in found.items() if event.at <= until and (event.until or event.at) >= since}

    def _rows(
        self, since: float, until: float, session: int | str | None = None, host: str | None = None
    ) -> Iterator[tuple[float, str, str, float]]:
        # The order of writing is the order of time; to sort by it would take longer than all the rest.
        chosen = "session_id = ?2" if self._has_sessions and session is not None else "?2 IS ?2"
        rows = self._database.execute(
            f"SELECT ts, {self._host}, label, value FROM metrics WHERE {chosen}"  # noqa: S608
            f" AND (?1 IS NULL OR {self._host} = ?1) ORDER BY rowid",
            (host, session),
        )
        said, at = None, math.nan
        for text, name, series, value in rows:
            if text != said:
                said, at = text, _moment(text)
            if since <= at <= until:
                yield at, _text(name), _text(series), _number(value)


def _otto_session(row: Mapping[str, Any]) -> RecordedSession:
    ended = row.get("end")
    lab = _parsed(row.get("lab_json") or "{}", dict)
    number = row["id"] if isinstance(row["id"], str) else _whole(row["id"])
    return RecordedSession(number, _text(row.get("label") or ""), _moment(row["start"]), _moment(ended) if ended else None, lab)


def _otto_event(began: str, ended: str | None, label: str) -> Event:
    if not ended:
        return Event(_moment(began), _text(label), "mark")
    return Event(_moment(began), _text(label), "span", until=_moment(ended))


def _moment(text: str) -> float:
    # Without an offset it is this machine's local time.
    return _time(datetime.fromisoformat(text).timestamp())


# -- what a value of the file must be


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"there is {type(value).__name__} in place of a text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"there is {type(value).__name__} in place of a whole number")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"there is {type(value).__name__} in place of a number")
    return value


def _time(value: object) -> float:
    moment = _number(value)
    if not 0 <= moment < _LATEST_S:
        raise ValueError(f"{moment:g} is not a time in seconds since 1970")
    return moment


def _parsed(text: object, kind: type[_Kind]) -> _Kind:
    """Return the JSON value in a text, which must be of a kind."""
    found = json.loads(_text(text))
    if not isinstance(found, kind):
        raise ValueError(f"there is {type(found).__name__} in place of {kind.__name__}")
    return found


def _series_names(text: object) -> tuple[str, ...]:
    names = tuple(_text(name) for name in _parsed(text, list))
    _check_count(names)
    return names


def _check_count(series: Sized) -> None:
    if len(series) > _MOST_SERIES:
        raise ValueError(f"there are more than {_MOST_SERIES} series")


def _extend(kept: tuple[array[float], array[float]], times: array[float], column: Sequence[float | None]) -> None:
    if None in column or not math.isfinite(sum(cast("Sequence[float]", column))):
        pairs = [(at, value) for at, value in zip(times, column, strict=True) if value is not None and math.isfinite(value)]
        times, column = array("d", [at for at, _ in pairs]), [value for _, value in pairs]
    kept[0].extend(times)
    kept[1].extend(array("d", cast("Sequence[float]", column)))


def _open_to_read(path: Path) -> sqlite3.Connection:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with translated(path, "read"):
        try:
            return _connect_to_read(address)
        except sqlite3.OperationalError:
            # In a folder that cannot be written, SQLite cannot share the file with a writer; where there is none, it need not.
            if Path(f"{path}-wal").exists():
                raise
            return _connect_to_read(f"{address}&immutable=1")


def _connect_to_read(address: str) -> sqlite3.Connection:
    database = sqlite3.connect(address, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        pragma(database, "schema_version")
        # Functions that a schema calls are not trusted, and no value is larger than a recording has.
        database.execute("PRAGMA trusted_schema = OFF")
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    except BaseException:
        database.close()
        raise
    return database


def check_exists(path: Path) -> None:
    """Raise UsageError when there is no such file."""
    if not path.is_file():
        raise UsageError(f"There is no recording '{path}'.")


def check_own(database: sqlite3.Connection, path: Path) -> None:
    """Raise UsageError when it is not a recording of ours, or one of a newer version."""
    if pragma(database, "application_id") != APPLICATION_ID:
        raise UsageError(f"'{path}' is not a recording of OttoLibrary.")
    version = pragma(database, "user_version")
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"The recording '{path}' is of version {version}; this OttoLibrary reads versions up to {SCHEMA_VERSION}. "
            "Use a newer OttoLibrary."
        )
    _check_tables(database, path, ("session", "layout", "tick", "event"))


def _check_tables(database: sqlite3.Connection, path: Path, names: Sequence[str]) -> None:
    """Raise UsageError when there is something that computes, and could do so without end, in place of plain tables."""
    found = database.execute("SELECT name, type, sql FROM sqlite_schema WHERE type IN ('table', 'view', 'trigger')").fetchall()
    for name, kind, sql in found:
        computes = name in names and (
            kind == "view" or str(sql).upper().startswith("CREATE VIRTUAL") or _is_computed(database, name)
        )
        if kind == "trigger" or computes:
            raise UsageError(f"'{path}' is not a recording of OttoLibrary: {kind} '{printable(str(name))}' is not part of one.")


def _is_computed(database: sqlite3.Connection, table: str) -> bool:
    hidden = database.execute("SELECT count(*) FROM pragma_table_xinfo(?) WHERE hidden > 0", (table,)).fetchone()[0]
    return bool(hidden)


def _reader(database: sqlite3.Connection, path: Path) -> _OwnFile | _OttoFile:
    # A writer makes a file and then all that is in it, in one transaction.
    end = time.monotonic() + _MAKING_S
    while not pragma(database, "schema_version") and time.monotonic() < end:
        time.sleep(0.02)
    if pragma(database, "application_id") != APPLICATION_ID and {"ts", "label", "value"} <= _columns(database, "metrics"):
        _check_tables(database, path, ("metrics", "events", "sessions"))
        return _OttoFile(database)
    check_own(database, path)
    return _OwnFile(database)


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def pragma(database: sqlite3.Connection, name: str) -> int:
    """Return a number that SQLite keeps about the file."""
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


@contextlib.contextmanager
def translated(path: Path, done: str = "written") -> Iterator[None]:
    """Turn errors of SQLite, and those that a damaged row causes, into one clear sentence."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise UsageError(f"'{path}' is not a recording of OttoLibrary.") from error
        raise UsageError(f"The recording '{path}' cannot be {done}: {printable(str(error))[:_LONGEST_REASON]}.") from error
    except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        reason = printable(str(error) or type(error).__name__)[:_LONGEST_REASON]
        raise UsageError(f"The recording '{path}' cannot be {done}: {reason}.") from error
