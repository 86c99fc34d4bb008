"""Samples and events in the forms of other programs, read back by the rules of each form."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.errors import UnknownNameError
from OttoLibrary.monitor.export import FORMS, write

ODD = 'a"b,c=d\n'
AT = 1_700_000_000.123
TICKS = [
    Tick("dut1", AT, 100.5, {"cpu_percent": 12.5, "cpu_percent[0]": 25.0, "temperature_celsius[cpu]": 41.25}),
    Tick("dut1", AT + 2, 102.5, {"cpu_percent": 13.0}),
]
EVENTS = [Event(AT, 'say "hi"\\\nthere', "mark", "dut1"), Event(AT + 1, "load", "span", until=AT + 9)]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = texts | st.text('ab,= \\"\n[]#:', min_size=1, max_size=8)


def _written(form: str, ticks: Iterable[Tick], events: Iterable[Event] = ()) -> tuple[int, str]:
    out = io.StringIO(newline="")
    return write(form, ticks, events, out), out.getvalue()


def test_an_unknown_form_says_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"No export format named 'cvs'\. Did you mean 'csv'\? Known: csv, influx, jsonl"):
        _written("cvs", TICKS)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_written_as_nothing(form: str) -> None:
    count, text = _written(form, [])
    assert count == 0
    assert text == ("host,series,unit,time,uptime_s,value\r\n" if form == "csv" else "")


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_finite_is_no_sample(form: str) -> None:
    ticks = [Tick("dut1", AT, math.nan, {"a": math.nan, "b": math.inf, "c": 1.0})]
    count, text = _written(form, ticks)
    assert count == 1
    assert "nan" not in text.lower()
    assert "inf" not in text.lower()


def test_csv_has_one_line_a_sample() -> None:
    count, text = _written("csv", TICKS, EVENTS)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert count == len(rows) == 4
    assert rows[1]["series"] == "cpu_percent[0]"
    assert (rows[2]["host"], rows[2]["unit"], rows[2]["uptime_s"], rows[2]["value"]) == ("dut1", "°C", "100.5", "41.25")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.123[+-]\d\d:\d\d", rows[0]["time"])
    assert datetime.fromisoformat(rows[0]["time"]).timestamp() == pytest.approx(AT, abs=1e-6)


def test_json_lines_have_samples_and_events() -> None:
    count, text = _written("jsonl", TICKS, EVENTS)
    found = [json.loads(line) for line in text.splitlines()]
    assert count == 4
    assert found[3]["value"] == 13.0
    assert found[0].keys() == {"host", "series", "unit", "time", "uptime_s", "value"}
    assert [shown["event"] for shown in found[4:]] == [EVENTS[0].text, "load"]
    assert found[4]["until"] is None
    assert datetime.fromisoformat(found[5]["until"]).timestamp() == pytest.approx(AT + 9, abs=1e-6)


def test_prometheus_has_the_last_value_of_each_series() -> None:
    count, text = _written("prometheus", TICKS, EVENTS)
    assert count == 3
    assert text == (
        "# HELP otto_cpu_percent cpu_percent of a host, in %\n"
        "# TYPE otto_cpu_percent gauge\n"
        'otto_cpu_percent{host="dut1"} 13.0 1700000002123\n'
        'otto_cpu_percent{host="dut1",label="0"} 25.0 1700000000123\n'
        "# HELP otto_temperature_celsius temperature_celsius of a host, in °C\n"
        "# TYPE otto_temperature_celsius gauge\n"
        'otto_temperature_celsius{host="dut1",label="cpu"} 41.25 1700000000123\n'
    )


def test_series_that_prometheus_cannot_tell_apart_stay_apart() -> None:
    _, text = _written("prometheus", [Tick("dut1", AT, 1.0, {"a.b": 1.0, "a-b": 2.0, "a_b": 3.0})])
    found = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line.partition("}")[0] for line in found] == [
        'otto_a_b{host="dut1",series="a.b"',
        'otto_a_b{host="dut1",series="a-b"',
        'otto_a_b{host="dut1"',
    ]
    assert text.count("# TYPE otto_a_b gauge\n") == 1


def test_influx_has_one_line_a_sample_and_an_event() -> None:
    count, text = _written("influx", TICKS, EVENTS)
    assert count == 4
    assert text == (
        "cpu_percent,host=dut1 value=12.5 1700000000123000000\n"
        "cpu_percent,host=dut1,label=0 value=25.0 1700000000123000000\n"
        "temperature_celsius,host=dut1,label=cpu value=41.25 1700000000123000000\n"
        "cpu_percent,host=dut1 value=13.0 1700000002123000000\n"
        'event,host=dut1,kind=mark text="say \\"hi\\"\\\\\\\\nthere" 1700000000123000000\n'
        'event,kind=span text="load",until=1700000009.123 1700000001123000000\n'
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_odd_host_comes_out_right(form: str) -> None:
    _, text = _written(form, [Tick(ODD, AT, 1.0, {"cpu_percent": 1.0})])
    expected = {
        "csv": '"a""b,c=d\n",cpu_percent,%,',
        "jsonl": '{"host": "a\\"b,c=d\\n", "series": "cpu_percent"',
        "prometheus": 'otto_cpu_percent{host="a\\"b,c=d\\n"} 1.0 1700000000123\n',
        "influx": 'cpu_percent,host=a"b\\,c\\=d\\n value=1.0 1700000000123000000\n',
    }
    assert expected[form] in text


@given(names, names, st.floats(allow_nan=False, allow_infinity=False))
def test_csv_comes_back(host: str, series: str, value: float) -> None:
    _, text = _written("csv", [Tick(host, AT, 1.0, {series: value})])
    _, row = csv.reader(io.StringIO(text, newline=""))
    assert (row[0], row[1], float(row[5])) == (host, series, value)


@given(names, names, st.floats(allow_nan=False, allow_infinity=False))
def test_json_comes_back(host: str, series: str, value: float) -> None:
    _, text = _written("jsonl", [Tick(host, AT, 1.0, {series: value})], [Event(AT, series, "mark", host)])
    sample, event = map(json.loads, text.removesuffix("\n").split("\n"))
    assert (sample["host"], sample["series"], sample["value"]) == (host, series, value)
    assert (event["event"], event["host"]) == (series, host)


@given(names, names, names, st.floats(allow_nan=False, allow_infinity=False))
def test_prometheus_comes_back(host: str, series: str, label: str, value: float) -> None:
    _, text = _written("prometheus", [Tick(host, AT, 1.0, {f"{series}[{label}]": value})])
    about, kind, line = text.removesuffix("\n").split("\n")
    name, labels, number = _exposed(line)
    assert about.startswith(f"# HELP {name} ")
    assert kind == f"# TYPE {name} gauge"
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name)
    assert (labels["host"], number) == (host, value)
    if "series" in labels:
        assert labels["series"] == f"{series}[{label}]"
    else:
        assert f"{name}[{labels['label']}]" == f"otto_{series}[{label}]"


@given(names, names, names, st.floats(allow_nan=False, allow_infinity=False))
def test_influx_comes_back(host: str, series: str, text: str, value: float) -> None:
    # A label only where the series is not split by itself.
    series = re.sub(r"[\[\]]", "_", series)
    _, written = _written("influx", [Tick(host, AT, 1.0, {f"{series}[{text}]": value})], [Event(AT, text, "mark", host)])
    sample, event = written.removesuffix("\n").split("\n")
    name, tags, fields = _points(sample)
    hashed = "\\" if series.startswith("#") else ""
    assert name == hashed + _on_a_line(series)
    assert tags == {"host": _on_a_line(host), "label": _on_a_line(text)}
    assert float(fields.removeprefix("value=")) == value
    _, tags, fields = _points(event)
    assert tags == {"host": _on_a_line(host), "kind": "mark"}
    shown = re.sub(r'\\([\\"])', r"\1", fields.removeprefix('text="').removesuffix('"'))
    assert shown == text.replace("\n", "\\n").replace("\r", "\\r")


def _exposed(line: str) -> tuple[str, dict[str, str], float]:
    """Read a line as Prometheus does: a backslash takes the next character with it."""
    found = re.fullmatch(r'([^{]*)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+) (\d+)', line)
    assert found is not None, line
    pairs = re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', found[2])
    plain = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    labels = {key: re.sub(r'\\[\\"n]', lambda escape: plain[escape[0]], value) for key, value in pairs}
    return found[1], labels, float(found[3])


def _points(line: str) -> tuple[str, dict[str, str], str]:
    """Read a line as InfluxDB does: a backslash counts only before a comma, an equals sign or a space."""
    head, fields, _ = re.fullmatch(r"((?:\\[,= ]|[^ ])*) (.*) (\d+)", line, re.DOTALL).groups()  # type: ignore[union-attr]
    name, *tags = re.split(r"(?<!\\),", head)
    pairs = [re.split(r"(?<!\\)=", tag, maxsplit=1) for tag in tags]
    return re.sub(r"\\([, ])", r"\1", name), {key: re.sub(r"\\([,= ])", r"\1", value) for key, value in pairs}, fields


def _on_a_line(text: str) -> str:
    """Return what the form can hold of a text."""
    shown = text.replace("\n", "\\n").replace("\r", "\\r")
    return f"{shown} " if shown.endswith("\\") else shown
