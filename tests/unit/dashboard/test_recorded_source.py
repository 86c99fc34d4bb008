"""What a page shows of recordings: data, events that users edit, exports."""

from __future__ import annotations

import io
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.dashboard.chunks import unpack
from OttoLibrary.dashboard.page_source import Window
from OttoLibrary.dashboard.recorded_source import RecordedSource
from OttoLibrary.errors import UnknownNameError, UsageError, ValueFormatError
from OttoLibrary.monitor.recording_reader import Recording
from OttoLibrary.monitor.recording_writer import Store
from tests.unit.dashboard.recordings import BEGAN, EVIL, record, tick

ALL = Window()


def exported(source: RecordedSource, form: str, window: Window = ALL) -> str:
    out = io.StringIO()
    source.export(form, window, out)
    return out.getvalue()


# -- what is shown


def test_the_page_of_a_recording(recording: Path) -> None:
    shown = RecordedSource([recording]).page()
    assert (shown["title"], shown["mode"], shown["interval_s"]) == ("night", "replay", 2.0)
    assert shown["hosts"] == [
        {"name": "dut1", "path": ["gateway", "dut1"], "tags": ["dut"]},
        {"name": EVIL, "path": [EVIL], "tags": []},
    ]
    assert shown["series"]["dut1"] == [{"name": "cpu_percent", "unit": "%"}]
    assert shown["events"][0] == {"id": 1, "at": BEGAN + 1, "until": None, "kind": "mark", "text": "load begins", "host": ""}
    assert shown["ended"] is not None
    json.dumps(shown, allow_nan=False)


def test_a_chunk_of_a_recording(recording: Path) -> None:
    host, times, columns = unpack(RecordedSource([recording]).chunk("dut1"))
    assert (host, times) == ("dut1", [BEGAN + 2 * row for row in range(5)])
    assert columns["cpu_percent"] == pytest.approx([0, 1, 2, 3, 4], abs=0.001)


def test_an_unknown_host_is_told(recording: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"No host named 'dut2'\. Did you mean 'dut1'\?"):
        RecordedSource([recording]).chunk("dut2")


def test_what_comes_later_is_shown_too(tmp_path: Path) -> None:
    path = record(tmp_path / "m.db", tick(0))
    source = RecordedSource([path])
    assert len(unpack(source.chunk("dut1"))[1]) == 1
    record(path, tick(1))
    assert len(unpack(source.chunk("dut1"))[1]) == 2


def test_all_recordings_of_a_run_are_on_one_page(tmp_path: Path) -> None:
    one = record(tmp_path / "1.db", tick(0), tick(2), events=(Event(BEGAN, "one", "mark"),), label="")
    two = record(tmp_path / "2.db", tick(1), tick(0, "dut2"), events=(Event(BEGAN, "two", "mark"),), label="")
    source = RecordedSource([one, two], [{"name": "A", "began": BEGAN, "ended": BEGAN + 1, "status": "PASS", "link": ""}])
    shown = source.page()
    assert [host["name"] for host in shown["hosts"]] == ["dut1", "dut2"]
    assert {event["text"]: event["id"] for event in shown["events"]} == {"one": 2, "two": 3}
    assert (shown["title"], shown["tests"][0]["name"]) == ("1.db", "A")
    assert unpack(source.chunk("dut1"))[1] == [BEGAN, BEGAN + 2, BEGAN + 4]


def test_a_recording_of_ottos_monitor_is_shown(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "otto.db")
    database.executescript(
        "CREATE TABLE metrics (ts TEXT, host TEXT, label TEXT, value REAL);"
        "CREATE TABLE events (ts TEXT, label TEXT);"
        "INSERT INTO metrics VALUES ('2026-11-20T10:00:00+00:00', 'dut1', 'cpu', 5);"
        "INSERT INTO metrics VALUES ('2026-11-20T10:00:02+00:00', 'dut1', 'cpu', 6);"
        "INSERT INTO events VALUES ('2026-11-20T10:00:01+00:00', 'go');"
    )
    database.close()
    source = RecordedSource([tmp_path / "otto.db"])
    shown = source.page()
    assert [event["text"] for event in shown["events"]] == ["go"]
    assert shown["ended"] - shown["began"] == 2
    assert unpack(source.chunk("dut1"))[2]["cpu"] == pytest.approx([5, 6])
    with pytest.raises(UsageError, match="not a recording of OttoLibrary"):
        source.add_event({"text": "mark", "at": shown["began"]})


# -- events


def test_events_are_added_changed_and_deleted(recording: Path) -> None:
    source = RecordedSource([recording])
    made = source.add_event({"at": BEGAN + 3, "until": None, "text": " reboot ", "host": "dut1"})
    assert (made["kind"], made["text"], made["host"]) == ("mark", "reboot", "dut1")
    changed = source.change_event(made["id"], {"until": BEGAN + 6})
    assert (changed["kind"], changed["text"]) == ("span", "reboot")
    assert Recording(recording).numbered_events()[made["id"]] == Event(BEGAN + 3, "reboot", "span", "dut1", BEGAN + 6)
    source.delete_event(made["id"])
    assert made["id"] not in Recording(recording).numbered_events()
    assert source.news() == [("event", made), ("event", changed), ("gone", {"id": made["id"]})]
    assert source.news() == []


def test_an_event_goes_to_the_recording_that_it_is_nearest_to(tmp_path: Path) -> None:
    paths = [record(tmp_path / f"{name}.db", tick(0)) for name in "ab"]
    for index, path in enumerate(paths):
        with sqlite3.connect(path) as database:
            database.execute("UPDATE session SET began = ?, ended = ?", (1000.0 * index, 1000.0 * index + 500))
        database.close()
    source = RecordedSource(paths)
    number = source.add_event({"at": 1400.0, "text": "late"})["id"]
    assert [len(Recording(path).events()) for path in paths] == [0, 1]
    source.delete_event(number)
    assert [len(Recording(path).events()) for path in paths] == [0, 0]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"text": ""}, "a text of 1 to 500 characters"),
        ({"text": "x" * 501}, "a text of 1 to 500 characters"),
        ({"text": 5}, "a text of 1 to 500 characters"),
        ({"text": "x", "at": "now"}, "seconds since 1970"),
        ({"text": "x", "at": math.nan}, "seconds since 1970"),
        ({"text": "x", "at": BEGAN, "until": BEGAN - 1}, "does not end before it begins"),
        ({"text": "x", "host": "dut9"}, "No host named 'dut9'"),
        ({"text": "x", "host": ["dut1"]}, "No host named"),
    ],
)
def test_a_wrong_event_is_refused(recording: Path, facts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueFormatError, match=said):
        RecordedSource([recording]).add_event(facts)


def test_what_the_monitor_found_stays(recording: Path) -> None:
    source = RecordedSource([recording])
    with pytest.raises(UsageError, match="kind 'gap' comes from the monitor and cannot be changed"):
        source.delete_event(2)
    with pytest.raises(UsageError, match="There is no event 77"):
        source.change_event(77, {"text": "x"})


def test_what_somebody_writes_is_not_edited(tmp_path: Path) -> None:
    store = Store(tmp_path / "m.db")
    store.begin("", {}, {}, 1.0)
    try:
        with pytest.raises(UsageError, match="is being written by process"):
            RecordedSource([tmp_path / "m.db"]).add_event({"text": "x"})
    finally:
        store.close()


def test_a_change_before_and_after_it_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "m.db")
    store.begin("", {}, {}, 1.0)
    first, second, third = (store.mark(Event(BEGAN, name, "span")) for name in ("first", "second", "third"))
    store.end_event(first, BEGAN + 1)
    store.change_event(first, Event(BEGAN, "first", "span", until=BEGAN + 9))
    store.change_event(second, Event(BEGAN, "renamed", "span"))
    store.end_event(second, BEGAN + 2)
    store.flush()
    store.change_event(third, None)
    store.close()
    found = Recording(tmp_path / "m.db").numbered_events()
    assert {number: (event.text, event.until) for number, event in found.items()} == {
        first: ("first", BEGAN + 9),
        second: ("renamed", BEGAN + 2),
    }


def test_a_change_that_could_not_be_written_waits(tmp_path: Path) -> None:
    store = Store(tmp_path / "m.db")
    store.begin("", {}, {}, 1.0)
    number = store.mark(Event(BEGAN, "before", "mark"))
    store.flush()
    store.change_event(number, Event(BEGAN, "after", "mark"))
    with sqlite3.connect(tmp_path / "m.db") as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        other.commit()
        with pytest.raises(UsageError, match="disk full"):
            store.flush()
        other.execute("DROP TRIGGER full")
    other.close()
    store.close()
    assert Recording(tmp_path / "m.db").events()[0].text == "after"


# -- exports


def test_exports(recording: Path) -> None:
    source = RecordedSource([recording])
    found = json.loads(exported(source, "json"))
    assert (len(found["samples"]), len(found["events"])) == (10, 2)
    assert found["samples"][1]["value"] == 1.0
    window = Window("dut1", BEGAN + 2, BEGAN + 4)
    found = json.loads(exported(source, "json", window))
    assert [sample["value"] for sample in found["samples"]] == [1.0, 2.0]
    assert [event["event"] for event in found["events"]] == ["no answer"]
    assert exported(source, "csv", window).count("\r\n") == 3
    assert 'otto_cpu_percent{host="dut1"} 2.0' in exported(source, "prom", window)


def test_an_export_of_nothing_is_json_too(recording: Path) -> None:
    assert json.loads(exported(RecordedSource([recording]), "json", Window(until=1.0))) == {"samples": [], "events": []}


def test_wrong_exports_are_told(recording: Path) -> None:
    with pytest.raises(UnknownNameError, match="No host named"):
        exported(RecordedSource([recording]), "csv", Window("dut9"))
    with pytest.raises(UnknownNameError, match="No export format named 'xml'"):
        exported(RecordedSource([recording]), "xml")
