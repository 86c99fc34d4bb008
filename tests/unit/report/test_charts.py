"""Charts and summaries: strict markup, a promise of size, and nothing cut in silence."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.report.charts import ChartLine, charts
from OttoLibrary.report.summaries import summary
from tests.unit.report.figures import Figures

BEGAN = 1_791_208_000.0
EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&b'c", "\x00\x1b[31mred\x07\ud800")
SERIES = ("cpu_percent", "memory_used_percent", "network_bytes_per_s", "load_1min", "disk_io_bytes_per_s")
DRAWN = re.compile(r'<path stroke="#\w+"[^>]* d="([^"]*)"')


def _line(host: str = "dut1", series: str = "cpu_percent", count: int = 60, value: float = 20.0) -> ChartLine:
    values = [value + 10 * math.sin(index / 3) for index in range(count)]
    return ChartLine(host, series, [BEGAN + index for index in range(count)], values)


def _lab(hosts: int, kinds: int, count: int = 60) -> list[ChartLine]:
    """Return restless readings of a lab, one a second."""
    chance = random.Random(7)
    return [
        ChartLine(
            f"dut{number}",
            series,
            [BEGAN + index for index in range(count)],
            [chance.uniform(0, 5e6 if "bytes" in series else 80) for _ in range(count)],
        )
        for series in SERIES[:kinds]
        for number in range(1, hosts + 1)
    ]


def _draw(*lines: ChartLine, events: tuple[Event, ...] = (), length_s: float = 60.0, limit_bytes: int = 6000) -> str:
    return charts(lines, events, BEGAN, BEGAN + length_s, 1.0, limit_bytes)


def _pictures(html: str) -> list[ElementTree.Element]:
    ElementTree.fromstring(html)  # the block as a whole is strict, too
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def _titles(picture: ElementTree.Element) -> list[str]:
    return [title.text or "" for title in picture.iter("title")]


def _places(data: str) -> list[tuple[int, int, str]]:
    """Return the absolute places of relative commands, each with its command."""
    places, x, y = [], 0, 0
    for command, numbers in re.findall(r"([a-z])([^a-z]*)", data.lower()):
        steps = [int(number) for number in re.findall(r"-?\d+", numbers)]
        if command in "hvz":
            continue  # the sides of a dot
        for index in range(0, len(steps), 2):
            x, y = x + steps[index], y + steps[index + 1]
            places.append((x, y, command))
    return places


def _time_axis(picture: ElementTree.Element) -> list[tuple[str | None, str | None]]:
    return [(tick.get("x"), tick.text) for tick in picture.iter("tspan")]


def test_each_kind_of_readings_has_one_chart_over_the_same_time() -> None:
    html = _draw(
        _line(), _line("dut2"), _line(series="load_1min", count=30), _line(series="network_bytes_per_s[eth0]", value=5e6)
    )
    pictures = _pictures(html)
    assert len(pictures) == 3
    assert len({tuple(_time_axis(picture)) for picture in pictures}) == 1
    assert [text for _, text in _time_axis(pictures[0])] == ["0", "20", "40", "60 s"]
    assert "<b>cpu</b> in %" in html
    assert "<b>load 1min</b><svg" in html
    assert "<b>network eth0</b> in MiB/s" in html


def test_labels_of_a_series_share_its_chart() -> None:
    html = _draw(_line(series="cpu_percent[0]"), _line(series="cpu_percent[1]"))
    (picture,) = _pictures(html)
    assert [title.partition(":")[0] for title in _titles(picture)] == ["dut1 0", "dut1 1"]
    assert html.count('stroke="#28d"') == 2
    assert html.count("stroke-dasharray") == 1
    assert "<b>cpu</b> in %; ━\u00a00 ╍\u00a01<svg" in html


def test_a_line_tells_its_numbers_and_a_chart_can_be_heard() -> None:
    html = _draw(ChartLine("dut1", "cpu_percent", [BEGAN, BEGAN + 1, BEGAN + 2], [10, 20, 60]))
    (picture,) = _pictures(html)
    assert _titles(picture) == ["dut1: max 60 %"]
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == "cpu up to 60 % on dut1"


def test_a_gap_is_not_drawn_over() -> None:
    times = [BEGAN + index for index in range(60) if not 20 <= index < 30]
    (data,) = DRAWN.findall(_draw(ChartLine("dut1", "cpu_percent", times, [50.0 + index % 7 for index in range(len(times))])))
    assert [command for _, _, command in _places(data)].count("m") == 2


@pytest.mark.parametrize("hole", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_number_is_a_gap(hole: float) -> None:
    html = _draw(ChartLine("dut1", "cpu_percent", [BEGAN + index for index in range(5)], [1, 2, hole, 4, 5]))
    (data,) = DRAWN.findall(html)
    assert [command for _, _, command in _places(data)] == ["m", "l", "m", "l"]
    assert "max 5 %" in html


def test_a_slow_metric_is_measured_by_its_own_pace() -> None:
    (data,) = DRAWN.findall(
        _draw(ChartLine("dut1", "cpu_percent", [BEGAN + 10 * index for index in range(6)], [1, 2, 3, 4, 5, 6]))
    )
    assert data.lower().count("m") == 1


def test_without_an_interval_only_missing_numbers_are_gaps() -> None:
    line = ChartLine("dut1", "cpu_percent", [BEGAN, BEGAN + 50], [1, 2])
    assert DRAWN.findall(charts([line], [], BEGAN, BEGAN + 60, 0))[0].lower().count("m") == 1


def test_a_single_sample_is_a_dot_and_a_constant_a_line() -> None:
    constant, single = DRAWN.findall(
        _draw(
            ChartLine("dut1", "cpu_percent", [BEGAN], [50]),
            ChartLine("dut2", "cpu_percent", [BEGAN + index for index in range(60)], [70] * 60),
        )
    )
    assert single.endswith("h2v2h-2z")
    assert len(_places(constant)) == 2


def test_a_peak_survives_a_small_budget() -> None:
    values = [10.0 + index % 3 for index in range(5000)]
    values[3333] = 99.0
    line = ChartLine("dut1", "cpu_percent", [BEGAN + index for index in range(5000)], values)
    for limit in (1500, 2000, 6000):
        html = _draw(line, length_s=5000, limit_bytes=limit)
        (data,) = DRAWN.findall(html)
        places = _places(data)
        assert len(html.encode()) <= limit
        assert 15 < len(places) <= 300
        assert min(y for _, y, _ in places) == 11
        assert "max 99 %" in html


def test_the_percent_axis_ends_at_100_only_when_values_come_near() -> None:
    def axis(value: float) -> list[str | None]:
        (picture,) = _pictures(_draw(ChartLine("dut1", "cpu_percent", [BEGAN, BEGAN + 1], [value, value])))
        return [text.text for text in picture.iter("text") if not list(text)]

    assert axis(94) == ["0", "50", "100"]
    assert axis(17) == ["0", "10", "20"]
    assert axis(0.1) == ["0", "2", "4", "6"]


def test_a_wild_reading_does_not_ask_for_endless_ticks() -> None:
    (picture,) = _pictures(_draw(ChartLine("dut1", "cpu_percent", [BEGAN, BEGAN + 1], [-1e20, 100])))
    assert len([text for text in picture.iter("text") if not list(text)]) < 8


def test_events_are_marked_and_lasting_ones_are_bands() -> None:
    events = (
        Event(BEGAN + 6, "was started again", "reboot", "dut1"),
        Event(BEGAN + 10, "no answer", "gap", "dut2"),
        Event(BEGAN + 12, "load", "span", until=BEGAN + 30),
        Event(BEGAN + 3, "Deploy", "keyword"),
        Event(BEGAN - 500, "before", "mark"),
        Event(math.nan, "never", "mark"),
    )
    (picture,) = _pictures(_draw(_line(), events=events))
    assert sorted(_titles(picture))[:4] == [
        "10 s: dut2 gap (50 s): no answer",
        "12 s: span (18 s): load",
        "3 s: keyword: Deploy",
        "6 s: dut1 reboot: was started again",
    ]
    assert len(_titles(picture)) == 5


def test_events_without_room_are_counted_and_the_graver_ones_stay() -> None:
    events = [Event(BEGAN + index / 4, f"Keyword number {index}", "keyword") for index in range(200)]
    html = _draw(_line(), _line(series="load_1min"), events=(*events, Event(BEGAN + 50, "cpu is 95 %", "limit", "dut1")))
    assert "dut1 limit: cpu is 95 %" in html
    shown = html.count(": keyword: ")
    assert f"{200 - shown} more events not shown" in html
    assert len(html.encode()) <= 6000


FIVE_EVENTS = (
    Event(BEGAN + 5, "Deploy Software", "keyword"),
    Event(BEGAN + 12, "Run Load", "keyword"),
    Event(BEGAN + 20, "no answer", "gap", "dut2", BEGAN + 26),
    Event(BEGAN + 33, "was started again", "reboot", "dut1"),
    Event(BEGAN + 48, "cpu is 95 %", "limit", "dut1"),
)


@pytest.mark.parametrize(
    ("hosts", "kinds", "count", "points"), [(3, 4, 60, 25), (8, 4, 60, 7), (3, 5, 60, 20), (3, 5, 10, 6), (2, 4, 300, 50)]
)
def test_a_small_lab_is_drawn_in_full(hosts: int, kinds: int, count: int, points: int) -> None:
    html = _draw(*_lab(hosts, kinds, count), events=FIVE_EVENTS, length_s=count)
    drawn = DRAWN.findall(html)
    assert len(drawn) == hosts * kinds
    assert " more host" not in html
    assert min(len(_places(data)) for data in drawn) >= points
    assert len(html.encode()) <= 6000


def test_one_legend_serves_all_charts() -> None:
    html = _draw(*_lab(3, 4))
    assert [html.count(f'style="color:{color}"') for color in ("#28d", "#d60", "#294")] == [1, 1, 1]
    assert html.count("\u00a0dut1 ") == 1
    for picture in re.findall(r"<svg.*?</svg>", html):
        assert dict(re.findall(r'stroke="(#\w+)"[^>]*><title>(\w+)', picture)) == {"#28d": "dut1", "#d60": "dut2", "#294": "dut3"}


def test_events_have_words_in_the_first_chart_and_the_same_marks_in_all() -> None:
    first, second = _pictures(_draw(_line(), _line(series="load_1min"), events=FIVE_EVENTS))
    assert len(_titles(first)) == 1 + len(FIVE_EVENTS)
    assert _titles(second) == ["dut1: max 30"]
    data = "".join(path.get("d", "") for path in second.iter("path"))
    assert [f"M{x} 104V10" in data for x in (34, 74, 195, 281)] == [True] * 4
    assert "M120 10h34v94H120z" in data


def test_what_was_read_once_has_no_chart_beside_others() -> None:
    disk = ChartLine("dut1", "disk_percent", [BEGAN + 9], [5])
    html = _draw(_line(), disk)
    assert len(_pictures(html)) == 1
    assert "Only one reading of disk." in html
    assert len(DRAWN.findall(_draw(disk))) == 1


def test_the_line_with_a_peak_is_shown_rather_than_a_busy_one() -> None:
    busy = [ChartLine(f"dut{number}", "cpu_percent", line.times, line.values) for number, line in enumerate(_lab(80, 1))]
    calm = ChartLine(
        "calm", "cpu_percent", [BEGAN + index for index in range(60)], [99.0 if index == 30 else 1.0 for index in range(60)]
    )
    html = _draw(*busy, calm)
    assert "more hosts, max" in html
    assert "<title>calm: max 99 %</title>" in html


def test_a_step_stays_where_it_was() -> None:
    values = [5.0] * 200 + [80.0] * 30 + [5.0] * 70
    lines = [
        ChartLine(f"dut{number}", series, [BEGAN + i for i in range(300)], values) for series in SERIES[:4] for number in range(8)
    ]
    data = DRAWN.findall(_draw(*lines, length_s=300))[0]
    assert [x for x, _, _ in _places(data)] == [5, 234, 235, 268, 270, 349]


def test_many_gaps_leave_pieces_all_over_the_time() -> None:
    times = [BEGAN + index for index in range(300) if index % 10 < 6]
    lines = [ChartLine(f"dut{number}", series, times, [9.0] * len(times)) for series in SERIES[:4] for number in range(8)]
    for data in DRAWN.findall(_draw(*lines, length_s=300)):
        places = [x for x, _, _ in _places(data)]
        assert max(after - before for before, after in pairwise(places)) < 150
        assert len(places) >= 6


def test_more_lines_than_fit_are_counted_and_the_highest_are_shown() -> None:
    html = _draw(
        *[_line(f"dut{number}", series, value=20.0 + number) for series in ("cpu_percent", "load_1min") for number in range(50)]
    )
    shown = len(DRAWN.findall(html)) // 2
    assert 2 <= shown < 50
    assert html.count(f"and {50 - shown} more hosts") == 2
    assert all(f"dut{number}: max" in html for number in range(50 - shown, 50))
    assert len(html.encode()) <= 6000


def test_colours_repeat_with_dashes() -> None:
    html = _draw(*[_line(f"dut{number}") for number in range(10)], limit_bytes=20_000)
    looks = re.findall(r'<path stroke="(#\w+)"( stroke-dasharray="[^"]*")? d=', html)
    assert len(set(looks)) == 10
    assert [bool(dashes) for _, dashes in looks] == [False] * 8 + [True] * 2


def test_a_host_without_readings_is_named() -> None:
    html = _draw(_line(), ChartLine("dut2", "cpu_percent", [], []), ChartLine("dut1", "disk_percent", [BEGAN - 9], [5]))
    assert "no readings of dut2<svg" in html
    assert "No readings of disk." in html


@pytest.mark.parametrize(
    "lines", [(), (ChartLine("dut1", "cpu_percent", [], []),), (ChartLine("dut1", "cpu_percent", [BEGAN], [math.nan]),)]
)
def test_no_readings_are_one_sentence(lines: tuple[ChartLine, ...]) -> None:
    html = _draw(*lines)
    assert html.startswith("No readings from ")
    assert len(html) < 80
    assert "<" not in html


def test_what_does_not_fit_at_all_is_said() -> None:
    html = _draw(*[_line(series=f"kind{number}_percent") for number in range(20)])
    assert re.search(r"No room for kind\d+ and \d+ more\.", html)
    assert _draw(_line(), limit_bytes=300) == "No room for 1 chart in 300 bytes."


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_from_outside_is_markup(evil: str) -> None:
    html = _draw(
        _line(evil, f"cpu_percent[{evil}]"), _line("dut2", f"{evil}_percent"), events=(Event(BEGAN + 5, evil, evil, evil),)
    )
    html += summary([Figures(evil, evil, "%")])
    assert len(_pictures(html.partition("<table")[0])) == 2
    assert "<script" not in html
    assert "<img" not in html
    assert "\x00" not in html
    html.encode()


_NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-100, 1e7) | st.integers(0, 100).map(float)
_NAMES = st.text(max_size=60) | st.sampled_from(["dut1", "dut2", *EVIL])
_LINES = st.builds(
    lambda host, series, start, step, values: ChartLine(host, series, [start + step * i for i in range(len(values))], values),
    _NAMES,
    st.sampled_from(["cpu_percent", "network_bytes_per_s[eth0]", "load_1min", "temperature_celsius[\x00]"])
    | st.text(max_size=20),
    st.floats(BEGAN - 10, BEGAN + 100),
    st.floats(-5, 50),
    st.lists(_NUMBERS, max_size=400),
)
_EVENTS = st.builds(Event, st.floats(BEGAN - 100, BEGAN + 1000), _NAMES, _NAMES | st.just("gap"), _NAMES, st.none() | st.floats())


@settings(max_examples=150)
@given(
    st.lists(_LINES, max_size=12),
    st.integers(1, 20),
    st.lists(_EVENTS, max_size=30),
    st.floats(0, 1e6),
    st.floats(0, 20),
    st.integers(300, 12_000),
)
def test_the_size_is_kept_and_the_markup_strict(
    lines: list[ChartLine], times: int, events: list[Event], length_s: float, interval_s: float, limit_bytes: int
) -> None:
    html = charts(lines * times, events, BEGAN, BEGAN + length_s, interval_s, limit_bytes)
    assert len(html.encode()) <= limit_bytes
    if html.startswith("<"):
        _pictures(html)
        assert all(DRAWN.findall(html))
