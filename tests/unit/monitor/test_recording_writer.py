"""What was watched is stored, survives, and is read back; also what otto stored."""

from __future__ import annotations

import fcntl
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.errors import UnknownNameError, UsageError
from OttoLibrary.monitor import recording_writer
from OttoLibrary.monitor.recording_reader import APPLICATION_ID, SCHEMA_VERSION, Recording
from OttoLibrary.monitor.recording_writer import Store, prune

ROOT = Path(__file__).parents[3]
AT = 1_700_000_000.0
KILLED = """
import sys, time
from OttoLibrary.contracts.metrics import Tick
from OttoLibrary.monitor.recording_writer import Store
store = Store(sys.argv[1])
store.begin("killed", {}, {}, 0.1)
for count in range(10_000):
    store.add(Tick("dut1", 1_700_000_000.0 + count, float(count), {"cpu_percent": float(count)}))
    store.flush()
    print(count, flush=True)
    time.sleep(0.1)
"""


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    opened.begin("bench", {"hosts": ["dut1", "dut2"]}, {"python": "3.11"}, 2.0)
    yield opened
    opened.close()


@pytest.fixture
def recording(store: Store, path: Path) -> Iterator[Recording]:
    opened = Recording(path)
    yield opened
    opened.close()


def _tick(host: str = "dut1", after_s: float = 0.0, **values: float) -> Tick:
    return Tick(host, AT + after_s, 100.0 + after_s, values or {"cpu_percent": 12.5})


def _in_database(path: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


# Writing and reading


def test_what_was_added_is_read_back(store: Store, recording: Recording) -> None:
    store.add(_tick(cpu_percent=1.0, memory_percent=40.0))
    store.add(_tick("dut2", cpu_percent=2))
    store.add(_tick("dut1", 2.0, cpu_percent=3.0, memory_percent=41.0))
    store.flush()
    assert recording.hosts() == ["dut1", "dut2"]
    assert recording.series("dut1") == ["cpu_percent", "memory_percent"]
    assert recording.read("dut1", "cpu_percent") == ([AT, AT + 2], [1.0, 3.0])
    found = recording.all()
    assert set(found) == {("dut1", "cpu_percent"), ("dut1", "memory_percent"), ("dut2", "cpu_percent")}
    assert found["dut2", "cpu_percent"][1].tolist() == [2.0]


def test_nothing_is_there_before_a_flush(store: Store, recording: Recording) -> None:
    store.add(_tick())
    assert recording.hosts() == []
    store.flush()
    assert recording.hosts() == ["dut1"]


def test_ticks_come_back_as_they_were(store: Store, recording: Recording) -> None:
    ticks = [_tick("dut1", place, cpu_percent=float(place)) for place in range(3)] + [_tick("dut2", 3)]
    for tick in ticks:
        store.add(tick)
    store.flush()
    assert list(recording.ticks()) == ticks
    assert list(recording.ticks(AT + 1, AT + 2)) == ticks[1:3]


def test_readings_that_come_and_go_are_holes(store: Store, recording: Recording, path: Path) -> None:
    ticks = [_tick(a=1.0, b=2.0, c=3.0), _tick(after_s=1, a=4.0, c=5.0), _tick(after_s=2, c=6.0, b=7.0), _tick(after_s=3, a=8.0)]
    for tick in ticks:
        store.add(tick)
    store.flush()
    assert list(recording.ticks()) == ticks
    assert recording.read("dut1", "b") == ([AT, AT + 2], [2.0, 7.0])
    assert recording.read("dut1", "a") == ([AT, AT + 1, AT + 3], [1.0, 4.0, 8.0])
    # The third is the first in another order; the last one has too few to be a tick with holes.
    assert _in_database(path, "SELECT series FROM layout") == [('["a","b","c"]',), ('["a"]',)]


def test_a_reading_that_is_no_finite_number_is_no_reading(store: Store, recording: Recording) -> None:
    store.add(_tick(a=math.nan, b=math.inf, c=1.0, d="x"))  # type: ignore[arg-type]
    store.flush()
    assert list(recording.ticks()) == [_tick(c=1.0)]
    assert list(recording.all()) == [("dut1", "c")]


def test_uptime_may_be_unknown(store: Store, recording: Recording) -> None:
    store.add(Tick("dut1", AT, math.nan, {"a": 1.0}))
    store.flush()
    (tick,) = recording.ticks()
    assert math.isnan(tick.uptime_s)


def test_names_may_be_odd(store: Store, recording: Recording) -> None:
    tick = Tick('a"b,c=d\n', AT, 1.0, {'x["\n\\]': 1.0, "größe": 2.0})
    store.add(tick)
    store.add(Tick("half\udce4", AT, 1.0, {"a": 1.0}))
    store.mark(Event(AT, "bytes \udce4", "log"))
    store.flush()
    assert next(recording.ticks()) == tick
    assert recording.hosts() == ['a"b,c=d\n', "half\\udce4"]
    assert recording.events()[0].text == "bytes \\udce4"


def test_the_same_names_in_another_order_are_the_same(store: Store, recording: Recording) -> None:
    ticks = [_tick(a=1.0, b=2.0), _tick(after_s=1, b=3.0, a=4.0)]
    for tick in ticks:
        store.add(tick)
    store.flush()
    assert list(recording.ticks()) == ticks


def test_a_tick_may_have_no_readings(store: Store, recording: Recording) -> None:
    ticks = [Tick("dut1", AT, 1.0, {}), _tick(after_s=1, a=1.0, b=2.0), Tick("dut1", AT + 2, 3.0, {})]
    for tick in ticks:
        store.add(tick)
    store.flush()
    assert list(recording.ticks()) == ticks
    assert recording.read("dut1", "a") == ([AT + 1], [1.0])


def test_many_ticks_keep_their_order(store: Store, recording: Recording) -> None:
    for place in range(1300):
        store.add(_tick("dut1", place, cpu_percent=float(place)))
        if place % 7 == 0:
            store.add(_tick("dut1", place + 0.5, cpu_percent=place + 0.5, disk_percent=1.0))
    store.flush()
    times, values = recording.read("dut1", "cpu_percent")
    assert times == sorted(times)
    assert values == [at - AT for at in times]
    assert len(values) == 1486


def test_samples_of_a_time_and_of_a_session(store: Store, recording: Recording) -> None:
    first = recording.sessions()[0].id
    store.add(_tick())
    second = store.begin("again", {}, {}, 1.0)
    store.add(_tick(after_s=10))
    store.flush()
    assert recording.read("dut1", "cpu_percent")[0] == [AT, AT + 10]
    assert recording.read("dut1", "cpu_percent", since=AT + 1)[0] == [AT + 10]
    assert recording.read("dut1", "cpu_percent", until=AT + 1)[0] == [AT]
    assert recording.all(session=first)["dut1", "cpu_percent"][0].tolist() == [AT]
    assert recording.all(session=second)["dut1", "cpu_percent"][0].tolist() == [AT + 10]


def test_sessions_say_what_was_watched(store: Store, recording: Recording) -> None:
    (session,) = recording.sessions()
    assert (session.label, session.interval_s, session.ended) == ("bench", 2.0, None)
    assert session.lab == {"hosts": ["dut1", "dut2"]}
    assert session.versions == {"python": "3.11"}
    assert session.process.endswith(f":{os.getpid()}")
    store.begin("next", {}, {}, 1.0)
    ended, running = recording.sessions()
    assert ended.ended is not None
    assert (running.label, running.ended) == ("next", None)


def test_events_are_marked_and_ended(store: Store, recording: Recording) -> None:
    moment = store.mark(Event(AT, "here", "mark", "dut1"))
    span = store.mark(Event(AT + 1, "load", "span"))
    assert span == moment + 1
    store.flush()
    assert recording.events() == [Event(AT, "here", "mark", "dut1"), Event(AT + 1, "load", "span")]
    store.end_event(span, AT + 5)
    store.flush()
    assert recording.events()[1].until == AT + 5
    assert [event.text for event in recording.events(AT + 2, AT + 3)] == ["load"]
    assert recording.events(AT + 6) == []


def test_a_span_that_lasts_is_in_every_later_time(store: Store, recording: Recording) -> None:
    store.mark(Event(AT, "load", "span"))
    store.flush()
    assert len(recording.events(AT + 100, AT + 200)) == 1


def test_an_event_may_end_before_it_is_written(store: Store, recording: Recording) -> None:
    store.end_event(store.mark(Event(AT, "load", "span")), AT + 1)
    store.flush()
    assert recording.events()[0].until == AT + 1


def test_unknown_names_say_what_there_is(store: Store, recording: Recording) -> None:
    store.add(_tick())
    store.flush()
    with pytest.raises(UnknownNameError, match=r"No host named 'dut9'\. Did you mean 'dut1'\?"):
        recording.series("dut9")
    with pytest.raises(UnknownNameError, match="No host named 'dut9'"):
        recording.read("dut9", "cpu_percent")
    with pytest.raises(UnknownNameError, match=r"No series named 'cpu_procent'\. Did you mean 'cpu_percent'\?"):
        recording.read("dut1", "cpu_procent")
    with pytest.raises(UnknownNameError, match=r"No session named '7'\. Known: 1\."):
        recording.all(session=7)
    assert recording.read("dut1", "cpu_percent", since=AT + 1) == ([], [])


def test_anyone_can_query_the_samples(store: Store, path: Path) -> None:
    store.add(_tick(cpu_percent=1.0, memory_percent=40.0))
    store.add(_tick(after_s=2, memory_percent=41.0))
    store.close()
    assert _in_database(path, "SELECT * FROM sample") == [
        (1, "dut1", AT, 100.0, "cpu_percent", 1.0),
        (1, "dut1", AT, 100.0, "memory_percent", 40.0),
        (1, "dut1", AT + 2, 102.0, "memory_percent", 41.0),
    ]
    assert _in_database(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert _in_database(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_a_session_is_added_to_what_is_there(store: Store, path: Path) -> None:
    store.add(_tick(a=1.0))
    store.mark(Event(AT, "first", "mark"))
    store.close()
    again = Store(path)
    again.begin("again", {}, {}, 1.0)
    again.add(_tick(after_s=1, b=2.0))
    again.mark(Event(AT + 1, "second", "mark"))
    again.close()
    recording = Recording(path)
    assert list(recording.ticks()) == [_tick(a=1.0), _tick(after_s=1, b=2.0)]
    assert [event.text for event in recording.events()] == ["first", "second"]
    recording.close()


def test_one_thread_adds_while_another_flushes(store: Store, recording: Recording) -> None:
    done = threading.Event()

    def flush() -> None:
        while not done.is_set():
            store.flush()

    writer = threading.Thread(target=flush)
    writer.start()
    for place in range(5000):
        store.add(_tick("dut1", place, cpu_percent=float(place)))
    done.set()
    writer.join()
    store.flush()
    assert recording.read("dut1", "cpu_percent")[1] == [float(place) for place in range(5000)]


# Who may write, and what


def test_without_a_session_nothing_is_taken(path: Path) -> None:
    store = Store(path)
    with pytest.raises(UsageError, match="No session has begun"):
        store.add(_tick())
    with pytest.raises(UsageError, match="No session has begun"):
        store.mark(Event(AT, "x", "mark"))
    store.close()


def test_a_closed_store_takes_nothing(store: Store, path: Path) -> None:
    store.close()
    store.close()
    with pytest.raises(UsageError, match="No session has begun"):
        store.add(_tick())
    with pytest.raises(UsageError, match="is closed"):
        store.begin("x", {}, {}, 1.0)
    assert sorted(found.name for found in path.parent.iterdir()) == ["watched.db"]


def test_a_second_writer_is_told_of_the_first(store: Store, path: Path) -> None:
    with pytest.raises(UsageError, match=rf"is being written by process \S+:{os.getpid()}\. Wait until it ends"):
        Store(path)
    store.close()
    Store(path).close()
    assert not Path(f"{path}.lock").exists()


def test_a_killed_writer_leaves_what_it_flushed_and_no_lock(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    flushed = [int(child.stdout.readline()) for _ in range(3)]
    with pytest.raises(UsageError, match=rf"is being written by process \S+:{child.pid}\."):
        Store(path)
    live = Recording(path)
    assert len(live.read("dut1", "cpu_percent")[0]) >= len(flushed)
    live.close()
    child.send_signal(signal.SIGKILL)
    flushed += [int(line) for line in child.stdout]
    child.wait(10)
    recording = Recording(path)
    assert recording.read("dut1", "cpu_percent")[1][: len(flushed)] == [float(count) for count in flushed]
    assert recording.sessions()[0].ended is None
    recording.close()
    store = Store(path)
    store.begin("after", {}, {}, 1.0)
    store.add(_tick())
    store.close()
    after = Recording(path)
    assert [session.label for session in after.sessions()] == ["killed", "after"]
    after.close()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path, otto_s: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("These are my notes, and they are long enough to be read as a header of a file. " * 20)
    for path in (text, otto_s):
        before = path.read_bytes()
        with pytest.raises(UsageError, match=rf"^'{path}' is not a recording of OttoLibrary\.$"):
            Store(path)
        with pytest.raises(UsageError, match="is not a recording of OttoLibrary"):
            prune(path, older_than_s=0)
        assert path.read_bytes() == before
        assert not Path(f"{path}.lock").exists()
    with pytest.raises(UsageError, match=rf"^'{text}' is not a recording of OttoLibrary\.$"):
        Recording(text)


def test_a_newer_version_is_refused(store: Store, path: Path) -> None:
    store.close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()
    for opener in (Store, Recording):
        with pytest.raises(UsageError, match="is of version 2; this OttoLibrary reads versions up to 1"):
            opener(path)


def test_a_database_of_nobody_is_no_recording(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metrics (something)")
    database.close()
    with pytest.raises(UsageError, match="is not a recording"):
        Recording(path)


def test_a_missing_file_is_not_made_by_reading(path: Path) -> None:
    for action in (Recording, prune):
        with pytest.raises(UsageError, match="There is no recording"):
            action(path)
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written: (File exists|Not a directory)\."):
        Store(tmp_path / "file" / "watched.db")


def test_an_empty_file_becomes_a_recording(path: Path) -> None:
    path.touch()
    Store(path).close()
    Recording(path).close()


def test_a_file_whose_name_is_odd(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "50% #1?mode=rw.db"
    store = Store(path)
    store.begin("x", {}, {}, 1.0)
    store.add(_tick())
    store.close()
    recording = Recording(path)
    assert recording.hosts() == ["dut1"]
    recording.close()


# A full disk


def _fill(store: Store) -> None:
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")


def _add_many(store: Store, begin: int, end: int) -> None:
    for place in range(begin, end):
        store.add(_tick("dut1", place, **{f"series_{name}": float(place) for name in range(50)}))


def test_what_a_full_disk_did_not_take_waits(store: Store, recording: Recording) -> None:
    _fill(store)
    _add_many(store, 0, 100)
    store.mark(Event(AT, "here", "mark"))
    for _ in range(2):
        with pytest.raises(UsageError, match=r"full\. 100 ticks and 1 event wait to be written\.$"):
            store.flush()
    assert recording.hosts() == []
    _add_many(store, 100, 110)
    store._database.execute("PRAGMA max_page_count = 1000000")
    store.flush()
    assert recording.read("dut1", "series_7")[1] == [float(place) for place in range(110)]
    assert len(recording.events()) == 1


def test_what_could_not_wait_is_told(store: Store, recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_writer, "QUEUE_LIMIT", 100)
    _fill(store)
    _add_many(store, 0, 90)
    with pytest.raises(UsageError, match="90 ticks and 0 events wait"):
        store.flush()
    _add_many(store, 90, 120)
    with pytest.raises(UsageError, match="100 ticks and 0 events wait to be written, 20 are lost"):
        store.flush()
    store._database.execute("PRAGMA max_page_count = 1000000")
    store.flush()
    assert recording.read("dut1", "series_0")[1][0] == 20.0
    (gap,) = recording.events()
    assert (gap.kind, gap.text) == ("gap", "20 of the ticks and events could not be stored and had to be dropped")
    store.flush()
    assert len(recording.events()) == 1


def test_closing_on_a_full_disk_tells_and_lets_others_write(path: Path) -> None:
    store = Store(path)
    store.begin("x", {}, {}, 1.0)
    _fill(store)
    _add_many(store, 0, 100)
    with pytest.raises(UsageError, match="100 ticks"):
        store.close()
    store.close()
    Store(path).close()


# Retention


def test_old_ticks_and_events_are_pruned(store: Store, recording: Recording) -> None:
    now = time.time()
    store.add(Tick("old", now - 100, 1.0, {"a": 1.0}))
    store.mark(Event(now - 100, "old", "mark"))
    store.mark(Event(now - 100, "lasting", "span"))
    store.add(Tick("new", now, 1.0, {"a": 1.0}))
    assert store.prune(older_than_s=50) == 2
    assert recording.hosts() == ["new"]
    assert [event.text for event in recording.events()] == ["lasting"]
    assert len(recording.sessions()) == 1


def test_a_large_recording_shrinks(store: Store, path: Path) -> None:
    for _ in range(10):
        _add_many(store, 0, 200)
        store.flush()
    _add_many(store, 200, 201)
    store.close()
    before = path.stat().st_size
    assert prune(path, larger_than_bytes=before) == 0
    deleted = prune(path, larger_than_bytes=before // 2)
    assert 800 < deleted < 1300
    assert path.stat().st_size <= before // 2
    recording = Recording(path)
    times = recording.read("dut1", "series_0")[0]
    assert len(times) == 2001 - deleted
    assert times[-1] == AT + 200
    recording.close()


def test_sessions_without_anything_go(store: Store, path: Path) -> None:
    store.add(_tick())
    store.close()
    assert prune(path, older_than_s=1) == 1
    recording = Recording(path)
    assert recording.sessions() == []
    recording.close()
    assert _in_database(path, "SELECT count(*) FROM layout") == [(0,)]


def test_a_store_goes_on_after_pruning_all(store: Store, recording: Recording) -> None:
    store.add(_tick())
    assert prune(store, larger_than_bytes=0) == 1
    store.add(_tick(after_s=1))
    store.flush()
    assert list(recording.ticks()) == [_tick(after_s=1)]


def test_what_is_written_by_another_is_not_pruned(store: Store, path: Path) -> None:
    with pytest.raises(UsageError, match="is being written by process"):
        prune(path, older_than_s=0)


# otto's files


def test_a_lock_that_its_owner_removed_meanwhile_is_taken_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file that was locked is no longer the one that others find under this name: they would write too.
    real = fcntl.flock

    def removed_first(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        Path(f"{path}.lock").unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with closing(Store(path)), pytest.raises(UsageError, match="is being written by process"):
        Store(path)
