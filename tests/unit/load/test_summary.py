"""Statistics of a run: those of OCT from its own rows, to its rounding."""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
from pathlib import Path

import pytest

from OttoLibrary.load.report_page import octs_columns, render_template, report_page
from OttoLibrary.load.result_store import FILE, ResultReader, ResultWriter
from OttoLibrary.load.second import Second
from OttoLibrary.load.summary import ExactTimes, load_summary
from OttoLibrary.load.turret.batches import RESPONSE

OCT_TABLES = """
CREATE TABLE result (id INTEGER PRIMARY KEY, error TEXT, scriptrun_time REAL NOT NULL, elapsed REAL NOT NULL,
    epoch REAL NOT NULL, custom_timers TEXT, turret_name VARCHAR(255) NOT NULL);
CREATE TABLE turret (id INTEGER PRIMARY KEY, name TEXT NOT NULL, uuid TEXT NOT NULL, cannons INTEGER NOT NULL,
    script TEXT NOT NULL, rampup INTEGER NOT NULL, status TEXT NOT NULL, updated_at DATETIME NOT NULL);
"""


@pytest.fixture
def octs_file(tmp_path: Path) -> tuple[ResultReader, list[float]]:
    """A file as OCT writes it, and the times in it."""
    chance = random.Random(7)
    times = [chance.lognormvariate(-1, 1) for _ in range(1000)]
    with sqlite3.connect(tmp_path / FILE) as db:
        db.executescript(OCT_TABLES)
        rows = [
            ("no" if number % 50 == 0 else "", took, number / 10, 1000.0 + number // 10, json.dumps({"a/b": took / 2}), "Noname")
            for number, took in enumerate(times)
        ]
        db.executemany(
            "INSERT INTO result (error, scriptrun_time, elapsed, epoch, custom_timers, turret_name) VALUES (?,?,?,?,?,?)", rows
        )
        db.execute("INSERT INTO turret VALUES (1, 't', 'u', 3, 's.py', 0, 'ready', '2020-01-01 00:00:00')")
    return ResultReader(tmp_path / FILE), times


def test_columns_of_oct_agree_with_its_own(octs_file: tuple[ResultReader, list[float]]) -> None:
    results, times = octs_file
    quantiles = statistics.quantiles(times, n=100, method="inclusive")
    summary = load_summary(results, 10)
    assert octs_columns(summary.whole) == {
        "min": round(min(times), 2),
        "mean": round(statistics.fmean(times), 2),
        "80%": round(quantiles[79], 2),
        "90%": round(quantiles[89], 2),
        "95%": round(quantiles[94], 2),
        "max": round(max(times), 2),
        "std": round(statistics.stdev(times), 2),
    }
    assert (summary.whole.count, summary.errors, summary.exact) == (1000, 20, True)
    assert [row.at for row in summary.intervals] == list(range(1000, 1100, 10))
    assert [row.times.count for row in summary.intervals] == [100] * 10
    assert [(row.name, row.count) for row in summary.kinds] == [("a/b", 1000)]


def test_octs_file_has_a_report_and_its_template_is_rendered(octs_file: tuple[ResultReader, list[float]], tmp_path: Path) -> None:
    results, times = octs_file
    assert "a/b" in report_page(results)
    template = tmp_path / "report.html"
    template.write_text(
        "{{ report.total_transactions }}|{{ results.all.summary['95%'] }}|{% for i, row in results.all.compiled.iterrows() %}"
        "{{ row['count'] }} {% endfor %}|{% for key, value in results.timers.items() %}{{ key }} "
        "{{ value.raw.count()['scriptrun_time'] }}{% endfor %}|{{ turrets_config[0].canons }}"
    )
    p95 = round(statistics.quantiles(times, n=100, method="inclusive")[94], 2)
    assert render_template(template, results, 100, 10) == f"1000|{p95}|{'100 ' * 10}|a/b 1000|3"


def test_a_template_of_a_project_cannot_reach_out(octs_file: tuple[ResultReader, list[float]], tmp_path: Path) -> None:
    template = tmp_path / "report.html"
    template.write_text("{{ report.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(Exception, match="cannot be rendered"):
        render_template(template, octs_file[0], 100, 10)


def test_histograms_say_the_same_within_one_percent(tmp_path: Path) -> None:
    chance = random.Random(3)
    times = [chance.lognormvariate(-3, 1.5) for _ in range(5000)]
    writer = ResultWriter(tmp_path / FILE)
    second = Second(1000)
    for took in times:
        second.histogram(RESPONSE).add(took)
    writer.commit((), [second], (), (), {"state": "ended", "began": 1000.0, "ended": 1001.0})
    writer.close()
    summary, exact = load_summary(ResultReader(tmp_path / FILE)), ExactTimes(times)
    for percent, found in ((50, summary.whole.p50), (95, summary.whole.p95), (99, summary.whole.p99), (99.9, summary.whole.p999)):
        assert found == pytest.approx(exact.percentile(percent), rel=0.01)
    assert summary.whole.mean == pytest.approx(exact.mean)
    assert summary.whole.stdev == pytest.approx(exact.stdev)
