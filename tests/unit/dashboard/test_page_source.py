"""Parts of the page's data: samples as rows."""

from __future__ import annotations

import math
from array import array

from OttoLibrary.dashboard.page_source import rows


def test_series_with_times_of_their_own_share_the_rows() -> None:
    samples = {
        "cpu_percent": (array("d", [1, 2, 3]), array("d", [10, 20, 30])),
        "disk_used_percent": (array("d", [2.5]), array("d", [7])),
    }
    times, columns = rows(samples)
    assert list(times) == [1, 2, 2.5, 3]
    assert [value for value in columns["disk_used_percent"] if not math.isnan(value)] == [7]
    assert list(columns["cpu_percent"])[3] == 30


def test_a_clock_that_was_set_back_leaves_rows_in_order() -> None:
    times, columns = rows({"cpu_percent": (array("d", [2, 3, 1]), array("d", [20, 30, 10]))})
    assert (list(times), list(columns["cpu_percent"])) == ([1, 2, 3], [10, 20, 30])
