"""The page of the dashboard in a real browser, as one file and against a server."""

from __future__ import annotations

import functools
import math
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from OttoLibrary.report.scales import value_scale
from OttoLibrary.units import SERIES_ENDINGS, unit_of
from tests.page import packer
from tests.page.packer import BEGAN, Host, Lab
from tests.page.server import KEY, PageServer
from tests.peers.requirements import find, install_command

VIEWS = {
    "grid": "",
    "host": "#host=dut4",
    "metric": "#metric=cpu_percent",
    "labels": "#metric=network_received_bytes_per_s",
    "topology": "#topology",
    "events": "#events",
}
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HOSTILE = "<script>alert(1)</script>"
PATIENCE_MS = 10_000

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find("chromium")
    assert path, f"chromium is missing. Install it: {install_command(['chromium'])}"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; what it throws fails the test, and so does what its own policy refuses."""
    contexts, troubles = [], []

    def opened(address: str, *, wait: bool = True, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("console", lambda said: troubles.append(said.text) if "Content Security" in said.text else None)
        page.goto(address)
        if wait:
            drawn(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


@functools.cache
def bench() -> Lab:
    return packer.lab(hosts=8, rows=600)


@pytest.fixture(scope="session")
def bench_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "bench.html"
    path.write_text(packer.static(bench()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[Lab], str]:
    def written(lab: Lab) -> str:
        path = tmp_path / "page.html"
        path.write_text(packer.static(lab), encoding="utf-8")
        return path.as_uri()

    return written


def small(mode: str, rows: int = 60, *, interval_s: float = 1.0) -> Lab:
    """Two hosts whose newest readings are of now, so that a live page can go on with them."""
    began = float(int(time.time()) - rows)
    times = [began + row * interval_s for row in range(rows)]
    hosts = [
        Host(
            name,
            [name],
            [name],
            list(times),
            {"cpu_percent": [10.0 + row % 50 for row in range(rows)], "load_1min": [1.0] * rows},
        )
        for name in ("dut1", "dut2")
    ]
    return Lab(hosts, mode=mode, interval_s=interval_s, began=began, ended=None if mode == "live" else times[-1])


@pytest.fixture
def live() -> Iterator[PageServer]:
    with PageServer(small("live")) as server:
        yield server


@pytest.fixture
def replay() -> Iterator[PageServer]:
    lab = packer.lab(hosts=3, rows=300)
    lab.mode = "replay"
    with PageServer(lab) as server:
        yield server


def drawn(page: Page) -> None:
    """Wait until everything on the screen is drawn and its numbers are there."""
    expect(page.locator("main")).to_have_attribute("aria-busy", "false")
    until(page, "!app.stage || (app.stage.frame === null && (app.stage.unsettledSince ?? null) === null)")


def until(page: Page, condition: str, arg: Any = None) -> None:
    """Wait for a condition in the page; Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition, arg):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def range_of(page: Page) -> tuple[float, float]:
    begin, end = page.evaluate("[app.view.from, app.view.to]")
    return begin, end


def number(text: str) -> float:
    """Return what a cell says, in the units of the data."""
    value, unit = re.fullmatch(r"(-?[\d.]+)\s*([kMGTKi]*)\D*", text).groups()  # type: ignore[union-attr]
    return float(value) * {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6}[unit]


def numbers_of(values: list[float]) -> dict[str, float]:
    ordered = sorted(value for value in values if not math.isnan(value))
    return {
        "min": ordered[0],
        "mean": statistics.fmean(ordered),
        "p95": ordered[max(0, math.ceil(len(ordered) * 0.95) - 1)],
        "max": ordered[-1],
    }


def cell(page: Page, host: str, series: str) -> Any:
    return page.locator(f'tr[data-name="{host}"] td[data-series="{series}"]')


def card(page: Page, metric: str) -> Any:
    return page.locator(f'section[data-metric="{metric}"]')


def drag(page: Page, plot: Any, begin: float, end: float, *, key: str | None = None) -> None:
    box = plot.bounding_box()
    middle = box["y"] + box["height"] / 2
    if key:
        page.keyboard.down(key)
    page.mouse.move(box["x"] + begin * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + (begin + end) / 2 * box["width"], middle)
    page.mouse.move(box["x"] + end * box["width"], middle)
    page.mouse.up()
    if key:
        page.keyboard.up(key)


def inked_columns(page: Page, selector: str) -> list[bool]:
    """Return for each column of pixels of a canvas whether there is a line in it."""
    return page.evaluate(
        """selector => {
          const canvas = document.querySelector(selector);
          const {width, height} = canvas;
          const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
          return Array.from({length: width}, (_, x) => {
            for (let y = 0; y < height; y++) if (pixels[4 * (y * width + x) + 3] > 100) return true;
            return false;
          });
        }""",
        selector,
    )


def change(page: Page, field: str, time_s: float) -> None:
    page.fill(field, page.evaluate("fieldTime", time_s))


# --- what it shows


def test_the_grid_shows_the_numbers_of_the_data(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    expect(page.locator("table.grid tbody tr")).to_have_count(8)
    for series in ("cpu_percent", "memory_used_percent", "network_bytes_per_s", "load_1min"):
        column = bench().hosts[0].columns[series]
        place = cell(page, "controller", series)
        assert number(place.locator(".value").inner_text()) == pytest.approx(column[-1], rel=0.04, abs=0.06)
        for which, value in numbers_of(column).items():
            assert number(place.locator(f'[data-number="{which}"]').inner_text()) == pytest.approx(value, rel=0.04, abs=0.06)


@pytest.mark.parametrize(("offset_s", "shown"), [(0.02, ["cpu", "memory used"]), (-5.0, ["cpu", "memory used", "clock offset"])])
def test_a_column_says_something_that_no_other_says(
    show: Callable[..., Page], file_of: Callable[[Lab], str], offset_s: float, shown: list[str]
) -> None:
    lab = packer.lab(hosts=2, rows=50)
    for host in lab.hosts:
        host.columns = {name: host.columns[name] for name in ("cpu_percent", "memory_used_percent", "memory_used_bytes")}
        host.columns["clock_offset_s"] = [offset_s] * 50
    page = show(file_of(lab))
    expect(page.locator("table.grid thead th a")).to_have_text(shown)


def test_a_host_shows_all_its_series_with_labels_in_one_chart(show: Callable[..., Page], bench_file: str) -> None:
    page = show(f"{bench_file}#host=dut4")
    host = next(host for host in bench().hosts if host.name == "dut4")
    metrics = {name.partition("[")[0] for name in host.columns}
    assert set(page.locator("[data-metric]").evaluate_all("nodes => nodes.map(node => node.dataset.metric)")) == metrics
    table = card(page, "network_received_bytes_per_s").locator("table")
    assert table.locator("tbody tr").count() == 3
    for label in ("eth0", "eth1", "wlan0"):
        for which, value in numbers_of(host.columns[f"network_received_bytes_per_s[{label}]"]).items():
            shown = table.locator(f'tr[data-name="{label}"] [data-number="{which}"]').inner_text()
            assert number(shown) == pytest.approx(value, rel=0.06, abs=1)
    assert "this machine → gateway → dut4" in page.inner_text("main")


def test_titles_leave_out_units(show: Callable[..., Page], bench_file: str) -> None:
    page = show(f"{bench_file}#host=dut4")
    assert card(page, "cpu_percent").locator("h3").inner_text() == "cpu %"
    assert card(page, "network_bytes_per_s").locator("h3").inner_text() == "network B/s"
    assert card(page, "temperature_celsius").locator("h3").inner_text() == "temperature °C"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12.34, "%", "12.3 %"), (1536, "B", "1.5 KiB"), (3 * 2**20, "B/s", "3.0 MiB/s"), (0.8, "ms", "0.8 ms"),
        (2.5, "s", "2.5 s"),
        (51.26, "celsius", "51.3 °C"), (180, "", "180"), (1_250_000, "", "1.25M"), (math.nan, "%", "\u2013"), (-5, "B", "-5 B"),
    ],
)  # fmt: skip
def test_values_are_said_in_units_that_people_use(
    show: Callable[..., Page], bench_file: str, value: float, unit: str, text: str
) -> None:
    page = show(bench_file)
    assert page.evaluate("([value, unit]) => valueText(value, unit)", [value, unit]) == text


def test_one_metric_of_all_hosts_sorts_by_its_numbers(show: Callable[..., Page], bench_file: str) -> None:
    page = show(f"{bench_file}#metric=cpu_percent")
    rows = page.locator(".numbers-table tbody tr")
    expect(rows).to_have_count(8)
    page.get_by_role("button", name="max").click()
    order = rows.evaluate_all("nodes => nodes.map(node => node.dataset.name)")
    most = {host.name: max(host.columns["cpu_percent"]) for host in bench().hosts}
    said = [most[name] for name in order]
    assert said == sorted(said, reverse=True)
    expect(page.locator("th[aria-sort=descending]")).to_have_text("max")


def test_a_metric_is_chosen_from_the_list(show: Callable[..., Page], bench_file: str) -> None:
    page = show(f"{bench_file}#metric=cpu_percent")
    page.get_by_label("Metric", exact=True).select_option("network_received_bytes_per_s")
    expect(page.locator("main h2")).to_have_text("network received")
    expect(page.locator(".numbers-table tbody tr")).to_have_count(24)


def test_tests_are_links_into_the_log(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    failed = page.get_by_role("link", name="Lab.Update Firmware, FAIL")
    assert failed.get_attribute("href") == "log.html#s1-t4"
    assert failed.evaluate("node => getComputedStyle(node).color") != page.get_by_role("link", name="Lab.Boot, PASS").evaluate(
        "node => getComputedStyle(node).color"
    )


def test_tests_at_the_same_time_stand_above_each_other(show: Callable[..., Page], file_of: Callable[[Lab], str]) -> None:
    lab = packer.lab(hosts=2, rows=300)
    lab.tests = [
        {"name": f"Suite.T{index}", "began": BEGAN + 10 * index, "ended": BEGAN + 200, "status": "PASS", "link": "log.html"}
        for index in range(3)
    ]
    page = show(file_of(lab))
    assert len(set(page.locator(".strip-tests li").evaluate_all("nodes => nodes.map(node => node.style.top)"))) == 3


# --- moving in time


def test_zoom_pan_and_reset_are_shared(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    whole = range_of(page)
    drag(page, cell(page, "controller", "cpu_percent").locator(".spark"), 0.25, 0.5)
    begin, end = range_of(page)
    length = whole[1] - whole[0]
    assert begin == pytest.approx(whole[0] + 0.25 * length, abs=0.01 * length)
    assert end == pytest.approx(whole[0] + 0.5 * length, abs=0.01 * length)
    drawn(page)
    host = bench().hosts[1]
    column = [value for at, value in zip(host.times, host.columns["load_1min"], strict=True) if begin <= at <= end]
    shown = cell(page, "gateway", "load_1min").locator('[data-number="max"]').inner_text()
    assert number(shown) == pytest.approx(max(column), rel=0.04, abs=0.06)

    drag(page, cell(page, "gateway", "load_1min").locator(".spark"), 0.8, 0.4, key="Shift")
    moved = range_of(page)
    assert moved[1] - moved[0] == pytest.approx(end - begin)
    assert moved[0] == pytest.approx(begin + 0.4 * (end - begin), abs=0.02 * length)

    page.click('nav a[data-view="metric"]')
    drawn(page)
    assert range_of(page) == pytest.approx(moved)
    page.locator(".u-over").dblclick()
    assert range_of(page) == pytest.approx(whole)


def test_a_chart_with_axes_is_zoomed_by_a_drag(show: Callable[..., Page], bench_file: str) -> None:
    page = show(f"{bench_file}#host=controller")
    whole = range_of(page)
    drag(page, card(page, "memory_used_percent").locator(".u-over"), 0.5, 0.75)
    begin, end = range_of(page)
    length = whole[1] - whole[0]
    assert (begin - whole[0]) / length == pytest.approx(0.5, abs=0.01)
    assert (end - whole[0]) / length == pytest.approx(0.75, abs=0.01)


def test_the_wheel_scrolls_the_page_unless_it_goes_sideways(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    drag(page, cell(page, "controller", "cpu_percent").locator(".spark"), 0.4, 0.6)
    before = range_of(page)
    page.mouse.wheel(0, 200)
    until(page, "scrollY > 100")
    assert range_of(page) == before
    page.mouse.wheel(150, 0)
    until(page, "before => app.view.from > before", arg=before[0])
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    until(page, "before => app.view.length < before", arg=before[1] - before[0])
    page.keyboard.up("Control")


def test_keys_move_zoom_and_reset(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    whole = range_of(page)
    page.keyboard.press("+")
    page.keyboard.press("+")
    near = range_of(page)
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 2.25)
    page.keyboard.press("ArrowRight")
    assert range_of(page)[0] == pytest.approx(near[0] + 0.2 * (near[1] - near[0]))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert range_of(page) == pytest.approx(whole)


def test_the_cursor_is_moved_by_keys(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    page.keyboard.press(",")
    page.keyboard.press("<")
    host = bench().hosts[0]
    value = cell(page, "controller", "cpu_percent").locator(".value")
    expect(value).to_have_text(f"{host.columns['cpu_percent'][-12]:.1f} %")
    page.keyboard.press("Escape")
    expect(value).to_have_text(f"{host.columns['cpu_percent'][-1]:.1f} %")


def test_search_and_help_have_keys_that_can_be_turned_off(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    page.uncheck("#single-keys")
    page.click("#help-close")
    whole = range_of(page)
    page.keyboard.press("+")
    assert range_of(page) == whole
    page.keyboard.press("ArrowLeft")


def test_values_at_the_pointer_are_shown_everywhere(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    spark = cell(page, "controller", "cpu_percent").locator(".spark")
    box = spark.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 10)
    host = bench().hosts[1]
    at = page.evaluate("app.view.hover")
    row = min(range(len(host.times)), key=lambda row: abs(host.times[row] - at))
    expect(cell(page, "gateway", "memory_used_percent").locator(".value")).to_have_text(
        f"{host.columns['memory_used_percent'][row]:.1f} %"
    )
    places = page.locator("table.grid tr:nth-child(-n+3) .cursor").evaluate_all(
        "nodes => nodes.map(node => node.hidden ? 0 : node.style.transform)"
    )
    assert len(places) == 12
    assert len(set(places)) <= 2  # columns may differ by a fraction of a pixel
    assert all(places)
    expect(page.locator("#tip")).to_contain_text("controller · cpu")
    expect(page.locator(".strip-now")).to_be_visible()
    page.mouse.move(2, 2)
    expect(page.locator("#tip")).to_be_hidden()


def test_events_are_told_where_they_are(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    box = cell(page, "controller", "cpu_percent").locator(".spark").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 10)
    expect(page.locator("#tip")).to_contain_text("firmware is written")


# --- gaps


def test_a_line_ends_where_a_host_was_away(show: Callable[..., Page], file_of: Callable[[Lab], str]) -> None:
    times = [BEGAN + 2.0 * row for row in range(300)]
    seldom = [50.0 if row % 15 == 0 else math.nan for row in range(300)]
    host = Host("dut1", ["dut1"], [], times, {"cpu_percent": [50.0] * 300, "disk_used_percent": seldom})
    packer.away(host, 100, 200)
    page = show(file_of(Lab([host], ended=times[-1])))
    often = inked_columns(page, 'td[data-series="cpu_percent"] canvas')
    width = len(often)
    assert all(often[2 : width // 3 - 3])
    assert not any(often[width // 3 + 4 : width * 2 // 3 - 4])
    assert all(often[width * 2 // 3 + 4 : width - 3])
    # A reading every 30 seconds is no gap; its own interval counts.
    rare = inked_columns(page, 'td[data-series="disk_used_percent"] canvas')
    assert all(rare[2 : width * 90 // 300])
    assert not any(rare[width * 100 // 300 : width * 2 // 3 - 4])
    box = page.locator('td[data-series="cpu_percent"] .spark').bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    expect(cell(page, "dut1", "cpu_percent").locator(".value")).to_have_text("away")


def test_a_chunk_without_rows_is_a_host_without_readings(show: Callable[..., Page], file_of: Callable[[Lab], str]) -> None:
    hosts = [Host("dut1", ["dut1"], [], [], {"cpu_percent": []}), Host("dut2", ["dut2"], [], [], {})]
    page = show(file_of(Lab(hosts, ended=BEGAN + 60)))
    expect(cell(page, "dut1", "cpu_percent").locator(".value")).to_have_text("away")
    for place in ("#host=dut1", "#host=dut2", "#metric=cpu_percent", "#topology", "#events", "#host=nobody"):
        page.evaluate("place => { location.hash = place; }", place)
        drawn(page)


# --- events


def test_a_mark_is_added_changed_and_deleted(show: Callable[..., Page], replay: PageServer) -> None:
    page = show(f"{replay.address}#events")
    page.click("#add")
    page.fill("#event-text", "power <b>cut</b>")
    page.select_option("#event-host", "dut3")
    change(page, "#event-at", BEGAN + 100.5)
    page.click("#event-save")
    row = page.locator("tr[data-event='3']")
    expect(row).to_contain_text("power <b>cut</b>")
    changes = [request for request in replay.requests if request[0] != "GET"]
    assert changes == [("POST", "/api/events", {"at": BEGAN + 100.5, "until": None, "text": "power <b>cut</b>", "host": "dut3"})]

    row.get_by_role("button", name="Edit").click()
    expect(page.locator("#event-title")).to_have_text("Edit mark")
    change(page, "#event-until", BEGAN + 160.5)
    page.click("#event-save")
    expect(row).to_contain_text("1 min")
    assert replay.requests[-1] == (
        "PATCH",
        "/api/events/3",
        {"at": BEGAN + 100.5, "until": BEGAN + 160.5, "text": "power <b>cut</b>", "host": "dut3"},
    )

    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert replay.requests[-1] == ("DELETE", "/api/events/3", None)


def test_a_time_that_was_not_touched_stays_exact(show: Callable[..., Page], replay: PageServer) -> None:
    replay.lab.events[0]["at"] = BEGAN + 10.123456
    page = show(f"{replay.address}#events")
    page.locator("tr[data-event='1']").get_by_role("button", name="Edit").click()
    page.fill("#event-text", "another word")
    page.click("#event-save")
    expect(page.locator("tr[data-event='1']")).to_contain_text("another word")
    assert replay.requests[-1][2]["at"] == BEGAN + 10.123456


def test_a_span_is_drawn_with_ctrl(show: Callable[..., Page], replay: PageServer) -> None:
    page = show(replay.address)
    begin, end = range_of(page)
    drag(page, cell(page, "dut3", "cpu_percent").locator(".spark"), 0.2, 0.4, key="Control")
    expect(page.locator("#event-title")).to_have_text("Add a span")
    page.fill("#event-text", "soak")
    page.click("#event-save")
    expect(page.locator("#event-dialog")).to_be_hidden()
    body = next(request[2] for request in replay.requests if request[0] == "POST")
    assert (body["text"], body["host"]) == ("soak", "dut3")
    assert (body["at"] - begin) / (end - begin) == pytest.approx(0.2, abs=0.01)
    assert (body["until"] - begin) / (end - begin) == pytest.approx(0.4, abs=0.01)
    assert range_of(page) == (begin, end)


def test_a_refused_change_says_why_and_keeps_what_was_written(show: Callable[..., Page], replay: PageServer) -> None:
    replay.refuses = True
    page = show(f"{replay.address}#events")
    page.keyboard.press("m")
    page.fill("#event-text", "late")
    page.click("#event-save")
    expect(page.locator("#event-error")).to_have_text("It was not saved. The recording is being closed.")
    assert page.input_value("#event-text") == "late"
    page.click("#event-range")
    page.evaluate("byId('event-until').value = byId('event-at').value; byId('event-at').value = fieldTime(app.view.to)")
    page.click("#event-save")
    expect(page.locator("#event-error")).to_have_text("It ends before it begins.")
    page.click("#event-cancel")
    page.locator("tr[data-event='1']").get_by_role("button", name="Delete").click()
    expect(page.locator(".notice.bad")).to_contain_text("was not deleted")


def test_events_of_another_client_arrive(show: Callable[..., Page], replay: PageServer) -> None:
    page = show(f"{replay.address}#events")
    replay.send("event", {"id": 9, "at": BEGAN + 5, "until": None, "kind": "mark", "text": "from elsewhere", "host": ""})
    expect(page.locator("tr[data-event='9']")).to_contain_text("from elsewhere")
    replay.send("gone", {"id": 9})
    expect(page.locator("tr[data-event='9']")).to_have_count(0)


def test_a_file_only_shows_events(show: Callable[..., Page], bench_file: str) -> None:
    page = show(f"{bench_file}#events")
    expect(page.locator("table.events tbody tr")).to_have_count(4)
    expect(page.locator("#add")).to_be_hidden()
    expect(page.locator("#downloads")).to_be_hidden()
    assert page.locator(".row-actions button").count() == 0
    expect(page.locator("#state-text")).to_have_text("file")
    page.keyboard.press("m")
    expect(page.locator("#event-dialog")).to_be_hidden()
    page.get_by_role("button", name="firmware").or_(page.locator(".as-link").nth(1)).first.click()
    expect(page.locator("main h2")).to_have_text("Hosts")
    assert range_of(page)[1] - range_of(page)[0] < 400


# --- server


def test_a_stored_run_is_replayed_and_downloaded(show: Callable[..., Page], replay: PageServer) -> None:
    page = show(f"{replay.address}#host=dut3")
    expect(page.locator("#state-text")).to_have_text("replay")
    expect(page.locator("#live-controls")).to_be_hidden()
    page.click("#downloads summary")
    for form in ("json", "csv", "prom"):
        wanted = re.escape(f"api/export.{form}?host=dut3&since={BEGAN:.3f}&until=") + r"[\d.]+" + re.escape(f"&key={KEY}")
        expect(page.locator(f'#downloads a[data-form="{form}"]')).to_have_attribute("href", re.compile(f"^{wanted}$"))
    page.keyboard.press("Escape")
    expect(page.locator(".menu-list")).to_be_hidden()


def test_a_wrong_key_is_said(show: Callable[..., Page], replay: PageServer) -> None:
    page = show(replay.address.replace(KEY, "wrong"))
    expect(page.locator("main")).to_contain_text("The access key in the address is missing or wrong.")


def test_only_what_is_on_the_screen_is_fetched(show: Callable[..., Page]) -> None:
    with PageServer(packer.lab(hosts=30, rows=50)) as server:
        server.lab.mode = "replay"
        page = show(server.address)
        fetched = sum(path == "/api/data" for _, path, _ in server.requests)
        assert 4 < fetched < 20
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(cell(page, "dut30", "cpu_percent").locator(".value")).to_contain_text("%")


def test_a_line_costs_no_more_than_its_width_and_keeps_its_peaks(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    points, top = page.evaluate(
        """() => {
          const history = new History(1, false);
          for (let at = 0; at < 100000; at++) history.append(at, {load: at === 54321 ? 100 : Math.sin(at)});
          let points = 0, top = Infinity;
          const line = {moveTo: () => points++, lineTo: (x, y) => { points++; top = Math.min(top, y); }};
          const view = {from: 0, to: 100000, length: 100000};
          trace(history, 'load', view, {left: 0, top: 0, width: 300, height: 40}, {low: 0, high: 100}, line);
          return [points, top];
        }"""
    )
    assert points < 4 * 300 + 10
    assert top == 0


def test_live_readings_arrive_and_are_drawn(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    expect(page.locator("#state-text")).to_have_text("live")
    value = cell(page, "dut1", "cpu_percent").locator(".value")
    at = live.lab.hosts[0].times[-1] + 1
    live.tick(at, {"dut1": {"cpu_percent": 77.0, "load_1min": 3.0}, "dut2": {"cpu_percent": 11.0}})
    expect(value).to_have_text("77.0 %")
    expect(cell(page, "dut1", "cpu_percent").locator('[data-number="max"]')).to_have_text("77.0")
    assert range_of(page)[1] == pytest.approx(at)


def test_live_draws_once_a_second_at_most(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    page.evaluate(
        """() => {
          window.draws = 0;
          const draw = Spark.prototype.draw;
          Spark.prototype.draw = function () { window.draws += 1; draw.call(this); };
        }"""
    )
    begin, at = time.monotonic(), live.lab.hosts[0].times[-1]
    for step in range(30):
        live.tick(at + (step + 1) * 0.1, {"dut1": {"cpu_percent": float(step)}})
        page.wait_for_timeout(100)
    seconds = time.monotonic() - begin
    assert 4 <= page.evaluate("window.draws") <= 4 * (seconds + 2)  # four sparks on the screen


def test_following_ends_with_a_pan_and_begins_again(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    follow = page.locator("#follow")
    expect(follow).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("+")
    expect(follow).to_have_attribute("aria-pressed", "false")
    before = range_of(page)
    live.tick(live.lab.hosts[0].times[-1] + 5, {"dut1": {"cpu_percent": 91.0}})
    until(page, "before => app.store.newest > before", before[1])
    page.wait_for_timeout(1200)
    assert range_of(page) == before
    page.select_option("#follow-length", "60")
    expect(follow).to_have_attribute("aria-pressed", "true")
    begin, end = range_of(page)
    assert end == pytest.approx(live.lab.hosts[0].times[-1])
    assert end - begin == pytest.approx(60)


def test_pause_stands_still_and_loses_nothing(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    page.click("#pause")
    expect(page.locator("#state-text")).to_have_text("paused")
    before, value = range_of(page), cell(page, "dut1", "cpu_percent").locator(".value").inner_text()
    at = live.lab.hosts[0].times[-1]
    for step in (1, 2, 3):
        live.tick(at + step, {"dut1": {"cpu_percent": 80.0 + step}})
    until(page, "before => app.store.newest > before", before[1])
    page.wait_for_timeout(1200)
    assert range_of(page) == before
    assert cell(page, "dut1", "cpu_percent").locator(".value").inner_text() == value
    page.click("#pause")
    expect(page.locator("#state-text")).to_have_text("live")
    expect(cell(page, "dut1", "cpu_percent").locator(".value")).to_have_text("83.0 %")
    assert page.evaluate("app.store.hosts.get('dut1').history.count") == 63


def test_a_lost_connection_is_said_and_what_was_missed_is_fetched(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    live.stop()
    expect(page.locator("#state-text")).to_have_text("connection lost, trying again")
    at = live.lab.hosts[0].times[-1]
    live.tick(at + 1, {"dut1": {"cpu_percent": 64.0}})
    live.start()
    expect(page.locator("#state-text")).to_have_text("live", timeout=20_000)
    expect(cell(page, "dut1", "cpu_percent").locator(".value")).to_have_text("64.0 %")
    live.tick(at + 2, {"dut1": {"cpu_percent": 65.0}})
    expect(cell(page, "dut1", "cpu_percent").locator(".value")).to_have_text("65.0 %")
    assert page.evaluate("app.store.hosts.get('dut1').history.count") == 62


def test_a_client_that_was_too_slow_asks_again(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    host = live.lab.hosts[0]
    host.times.append(host.times[-1] + 1)
    host.columns["cpu_percent"].append(42.5)
    host.columns["load_1min"].append(1.0)
    live.lab.events.append({"id": 1, "at": host.times[-1], "until": None, "kind": "mark", "text": "missed", "host": ""})
    live.send("resync", {})
    expect(cell(page, "dut1", "cpu_percent").locator(".value")).to_have_text("42.5 %")
    page.click('nav a[data-view="events"]')
    expect(page.locator("tr[data-event='1']")).to_contain_text("missed")


def test_new_hosts_series_and_tests_show_up(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    at = live.lab.hosts[0].times[-1] + 1
    live.lab.hosts.append(Host("dut3", ["dut3"], [], [at], {"cpu_percent": [5.0]}))
    live.send("ticks", [{"host": "dut3", "at": at, "values": {"cpu_percent": 5.0}}])
    live.send("test", {"name": "Suite.New", "began": at - 20, "ended": at - 10, "status": "PASS", "link": "log.html#s1-t1"})
    expect(cell(page, "dut3", "cpu_percent").locator(".value")).to_have_text("5.0 %")
    expect(page.get_by_role("link", name="Suite.New")).to_be_attached()


def test_the_end_of_the_watching_is_no_lost_connection(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address)
    live.send("end", {})
    expect(page.locator("#state-text")).to_have_text("the watching is over")
    live.stop()
    page.wait_for_timeout(1500)
    expect(page.locator("#state-text")).to_have_text("the watching is over")


def test_a_page_that_stays_open_keeps_its_size(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    rows, first, last, gaps = page.evaluate(
        """() => {
          const history = new History(1, true);
          for (let at = 0; at < 30 * 3600; at++) history.append(at, at % 15 ? {often: at} : {often: at, seldom: at});
          const {times, count} = history;
          let gaps = 0;
          const gap = row => history.gapAt(history.gapOf('often'), row);
          for (let row = 1; row < count; row++) if (times[row] - times[row - 1] > gap(row)) gaps++;
          return [count, times[0], times[count - 1], gaps];
        }"""
    )
    assert last == 30 * 3600 - 1
    assert rows < 8000 + 24 * 360
    assert first >= 5 * 3600 - 800
    assert gaps == 0


# --- finding


@pytest.mark.parametrize(
    ("words", "hosts"),
    [
        ("dut4", {"dut4"}),
        ("tag:infra", {"controller", "gateway"}),
        ("arm", {"dut4", "dut6", "dut8"}),
        ("metric:cpu_core", None),
        ("dut4 temperature", {"dut4"}),
        ("nothing-like-it", set()),
    ],
)
def test_search_by_host_tag_and_metric(show: Callable[..., Page], bench_file: str, words: str, hosts: set[str] | None) -> None:
    page = show(bench_file)
    page.fill("#search", words)
    names = {host.name for host in bench().hosts} if hosts is None else hosts
    expect(page.locator("table.grid tbody tr")).to_have_count(len(names))
    assert set(page.locator("table.grid tbody tr").evaluate_all("nodes => nodes.map(node => node.dataset.name)")) == names
    if "cpu_core" in words:
        expect(page.locator("table.grid thead a").first).to_have_text("cpu core")
    page.locator("#search").press("Escape")
    expect(page.locator("table.grid tbody tr")).to_have_count(8)


def test_a_tag_is_a_search(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    page.get_by_role("button", name="infra").first.click()
    expect(page.locator("#search")).to_have_value("tag:infra")
    expect(page.locator("table.grid tbody tr")).to_have_count(2)


def test_the_way_back_leads_to_the_view_before(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    page.get_by_role("link", name="dut4").click()
    expect(page.locator("main h2")).to_have_text("dut4")
    card(page, "cpu_percent").locator("h3 a").click()
    expect(page.locator("main h2")).to_have_text("cpu")
    page.go_back()
    expect(page.locator("main h2")).to_have_text("dut4")
    page.go_back()
    expect(page.locator("main h2")).to_have_text("Hosts")
    page.go_forward()
    expect(page.locator("main h2")).to_have_text("dut4")
    page.reload()
    expect(page.locator("main h2")).to_have_text("dut4")


def test_topology_is_coloured_by_a_metric(show: Callable[..., Page], file_of: Callable[[Lab], str]) -> None:
    times = [BEGAN + row for row in range(100)]
    levels = {
        "cold": ([5.0] * 100, ["cold"]),
        "hot": ([95.0] * 50 + [5.0] * 50, ["hop", "hot"]),
        "gone": ([50.0] * 100, ["hop", "gone"]),
    }
    hosts = [
        Host(name, path, [], list(times), {"cpu_percent": column, "load_1min": column}) for name, (column, path) in levels.items()
    ]
    packer.away(hosts[2], 50, 100)
    page = show(f"{file_of(Lab(hosts, interval_s=1, ended=times[-1]))}#topology")

    def fill(name: str) -> str:
        return page.locator(f'.node[data-name="{name}"] rect').evaluate("node => getComputedStyle(node).fill")

    assert page.locator(".node.hop").all_inner_texts() == ["hop", "this machine"] or page.locator(".node.hop").count() == 2
    assert fill("hot") == fill("cold")
    expect(page.locator('.node[data-name="gone"]')).to_have_class(re.compile("away"))
    box = page.locator("#strip").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 5)
    expect(page.locator('.node[data-name="hot"]')).to_contain_text("95.0 %")
    assert fill("hot") != fill("cold")
    expect(page.locator('.node[data-name="gone"]')).not_to_have_class(re.compile("away"))
    expect(page.locator(".legend")).to_contain_text("100.0 %")
    page.get_by_label("Metric that colours the hosts").select_option("load_1min")
    expect(page.locator("summary", has_text="The same as a table")).to_be_visible()
    page.click(".as-table summary")
    expect(page.locator(".as-table thead")).to_contain_text("load 1min")
    page.click('.node[data-name="hot"]')
    expect(page.locator("main h2")).to_have_text("hot")


# --- for everyone


def test_what_hosts_and_users_say_is_text(show: Callable[..., Page], file_of: Callable[[Lab], str]) -> None:
    times = [BEGAN + row for row in range(50)]
    host = Host(
        HOSTILE,
        ["<img src=x onerror=alert(2)>", HOSTILE],
        ["<b>tag</b>"],
        times,
        {"<i>cpu</i>_percent": [1.0] * 50, f"net[{HOSTILE}]": [2.0] * 50},
    )
    lab = Lab([host], title="</title><script>alert(3)</script>", ended=times[-1])
    lab.events = [
        {"id": 1, "at": BEGAN + 10, "until": BEGAN + 40, "kind": "span", "text": "<script>alert(4)</script>", "host": HOSTILE}
    ]
    lab.tests = [
        {
            "name": "<script>alert(5)</script>",
            "began": BEGAN,
            "ended": BEGAN + 30,
            "status": 'PASS"><script>',
            "link": "javascript:alert(6)",
        }
    ]
    page = show(file_of(lab))
    assert page.get_by_role("link", name=HOSTILE, exact=True).is_visible()
    box = page.locator(".spark").first.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 5)
    expect(page.locator("#tip")).to_contain_text(HOSTILE)
    page.get_by_role("link", name=HOSTILE, exact=True).click()
    expect(page.locator("main h2")).to_have_text(HOSTILE)
    for place in ("#topology", "#events", "#metric=net"):
        page.evaluate("place => { location.hash = place; }", place)
        drawn(page)
        assert HOSTILE in (page.locator("main").text_content() or "")
    assert page.locator(".test").evaluate("node => node.tagName") == "SPAN"
    assert page.locator("main img, main i, main script").count() == 0


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_needs_no_sideways_scrolling(show: Callable[..., Page], bench_file: str, view: str) -> None:
    page = show(bench_file + VIEWS[view], viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.click("#help")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_dark_follows_the_system_and_can_be_chosen(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file, color_scheme="dark")

    def brightness() -> float:
        return sum(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"))

    assert brightness() < 150
    line = page.evaluate("app.stage.palette.get('line-0')")
    page.click("#theme")
    assert brightness() > 600
    assert page.evaluate("app.stage.palette.get('line-0')") != line
    page.reload()
    drawn(page)
    assert brightness() > 600
    page.click("#theme")
    assert brightness() < 150
    page.emulate_media(color_scheme="light")
    until(page, "document.documentElement.dataset.theme === 'light'")


def test_everything_is_reached_by_tab_and_the_focus_is_seen(show: Callable[..., Page], replay: PageServer) -> None:
    page = show(replay.address)
    reached, unseen = [], []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(
            """() => {
              const node = document.activeElement, style = getComputedStyle(node);
              const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
              return [node.id || node.textContent.trim(), outlined || node.id === 'skip'];
            }"""
        )
        if page.evaluate("document.activeElement === document.body") or name in reached[:1]:
            break
        reached.append(name)
        unseen += [] if outlined else [name]
    for wanted in (
        "skip",
        "Hosts",
        "Topology",
        "search",
        "theme",
        "help",
        "earlier",
        "reset",
        "add",
        "Download",
        "controller",
        "infra",
        "dut3",
    ):
        assert wanted in reached
    assert any("Lab.Boot, PASS" in name for name in reached)
    assert not unseen


def test_motion_is_left_out_where_it_is_not_wanted(show: Callable[..., Page], live: PageServer) -> None:
    page = show(live.address, reduced_motion="reduce")
    assert page.locator(".state-dot").evaluate("node => getComputedStyle(node).animationName") == "none"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(show: Callable[..., Page], bench_file: str, theme: str, width: int) -> None:
    page = show(bench_file, color_scheme=theme, viewport={"width": width, "height": 800}, bypass_csp=True)
    page.add_script_tag(path=AXE)
    faults = []
    for name, place in VIEWS.items():
        page.evaluate("place => { location.hash = place; }", place)
        until(page, "place => app.address === place", arg=place)
        drawn(page)
        faults += [(name, *fault) for fault in axe(page)]
    page.click("#help")
    faults += [("help", *fault) for fault in axe(page)]
    assert not faults


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_what_only_a_server_has(show: Callable[..., Page], live: PageServer, theme: str) -> None:
    live.lab.events = [{"id": 1, "at": live.lab.began + 10, "until": None, "kind": "mark", "text": "m", "host": ""}]
    page = show(f"{live.address}#events", color_scheme=theme, bypass_csp=True)
    page.add_script_tag(path=AXE)
    page.click("#downloads summary")
    faults = axe(page)
    page.click("#pause")
    faults += axe(page)
    page.click("#add")
    faults += axe(page)
    page.click("#event-cancel")
    live.stop()
    expect(page.locator("#state-text")).to_have_text("connection lost, trying again")
    assert not faults + axe(page)


def axe(page: Page) -> list[tuple[str, str]]:
    """Return what axe-core finds that is serious or critical, and where."""
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (fault["id"], node["html"][:160])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


def test_scales_and_units_are_those_of_the_log(show: Callable[..., Page], bench_file: str) -> None:
    page = show(bench_file)
    spans = [
        (0.0, high)
        for high in (0.0, 1e-12, 0.003, 0.31, 1, 2.9, 3, 59, 60, 61, 99.9, 100, 101, 1023, 1024, 5e5, 3 * 2.0**40, 9e15)
    ]
    spans += [(-5.0, 5.0), (-2048.0, 100.0), (-1e-3, 0.0)]
    asked = [(low, high, unit) for low, high in spans for unit in ("%", "B", "B/s", "ms", "")]
    drawn = page.evaluate("(asked) => asked.map(([low, high, unit]) => valueScale(low, high, unit))", asked)
    for words, axis in zip(asked, drawn, strict=True):
        scale = value_scale(*words)
        assert [axis["low"], axis["high"], axis["step"]] == pytest.approx([scale.low, scale.high, scale.step]), words
    series = [f"x{ending}{label}" for ending in (*SERIES_ENDINGS, "_count", "_1min") for label in ("", "[a_percent]")]
    assert page.evaluate("(names) => names.map(unitOf)", series) == [unit_of(name) for name in series]
