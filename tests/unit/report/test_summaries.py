"""Summaries: the table and the metadata of a test."""

from __future__ import annotations

import math
import re

from OttoLibrary.report.summaries import metadata, summary
from tests.unit.report.figures import Figures


def test_a_summary_is_a_table_and_a_long_one_is_folded() -> None:
    html = summary([Figures("dut1", "cpu_percent"), Figures("dut2", "network_bytes_per_s", "B/s", last=math.nan)])
    assert html.startswith("<table")
    assert ">42 %<" in html
    assert ">42 B/s<" in html
    assert ">-<" in html
    folded = summary([Figures(f"dut{number}", "cpu_percent") for number in range(20)])
    assert folded.startswith("<details><summary>20 series of 20 hosts</summary><table")
    assert summary([]) == "No readings."


def test_metadata_has_one_line_for_each_series_however_many_hosts() -> None:
    series = ("cpu_percent", "memory_used_percent", "network_bytes_per_s[eth0]", "load_1min")
    rows = [Figures(host, name) for host in ("dut1", "dut2", "dut3") for name in series]
    assert list(metadata(rows)) == ["cpu", "memory used", "network eth0", "load 1min"]
    assert metadata(rows)["cpu"] == "dut1 mean 12 %, max 42 %; dut2 mean 12 %, max 42 %; dut3 mean 12 %, max 42 %"


def test_metadata_has_no_markup_and_no_key_is_lost() -> None:
    odd = "*bold* _x_ [x|y] ``c`` http://a dut_1"
    ((key, text),) = metadata([Figures(odd, f"odd[{odd}]")]).items()
    for said in (key, text):
        assert not re.search(r"\*|``|\||://|(?<!\w)_|(?!\w)_(?!\w)", said)
    assert list(metadata([Figures("dut1", "cpu_percent[a]"), Figures("dut1", "cpu_percent[A]")])) == ["cpu a", "cpu A (2)"]


def test_metadata_of_many_hosts_names_the_worst() -> None:
    rows = [Figures(f"dut{number}", "cpu_percent", max=40.0 + number) for number in range(10)]
    assert metadata(rows) == {"cpu": "mean 12 % on 10 hosts, max 49 % on dut9"}
