"""The timeline: bounded, escaped, and the worst is seen."""

from __future__ import annotations

from xml.etree import ElementTree

from OttoLibrary.report.timelines import Lane, timeline


def test_a_failure_is_seen_among_a_thousand_runs() -> None:
    lane = Lane("a", 1000.0)
    for second in range(1000):
        lane.add(second, second + 0.5, "failed" if second == 500 else "run")
    marks = [mark for _, _, mark in lane.stretches()]
    assert marks == ["run", "failed", "run"]


def test_a_day_of_runs_is_a_small_picture_and_well_formed() -> None:
    lanes = [Lane(f"<event {number}>", 86400.0) for number in range(70)]
    for lane in lanes:
        for second in range(0, 86400, 60):
            lane.add(second, second + (second % 7), ("run", "failed", "out")[second % 3])
    html = timeline(lanes, [("steady & slow", 0.0, 86400.0)], 86400.0)
    ElementTree.fromstring(html[: html.index("</svg>") + 6])
    assert len(html) < 1_000_000
    assert "10 more events" in html
    assert "steady &amp; slow" in html


def test_nothing_takes_no_time() -> None:
    lane = Lane("a", 0.0)
    lane.add(0.0, 5.0, "run")
    assert timeline([lane], [], 0.0)
