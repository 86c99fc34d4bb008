"""How quick the dashboard is with an hour of 50 hosts, replayed, as a file, and live."""

from __future__ import annotations

import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from OttoLibrary.contracts.metrics import Tick
from OttoLibrary.dashboard.live_source import LiveSource
from OttoLibrary.dashboard.recorded_source import RecordedSource
from OttoLibrary.dashboard.server import Dashboard
from OttoLibrary.dashboard.static_page import static_page
from OttoLibrary.monitor.monitor import open_store
from OttoLibrary.run.session import Session
from tests.benchmarks.measure import Row
from tests.peers.requirements import find
from tests.peers.sshd import Sshd

_HOSTS, _SERIES, _TICKS, _INTERVAL_S = 50, 30, 1800, 2.0
_CLIENTS, _LIVE_S = 5, 20
_PAN_S = 3
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# It pans over the whole time as fast as the browser draws, and returns frames a second.
_PAN = """seconds => new Promise(resolve => {
  const [begin, end] = app.view.whole(), length = (end - begin) / 3;
  const first = performance.now();
  let frames = 0;
  const step = now => {
    frames += 1;
    const share = (now - first) / 1000 / seconds;
    if (share >= 1) return resolve(frames / seconds);
    const from = begin + share * (end - begin - length);
    app.view.choose(from, from + length);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
_VIEWS = {"all hosts": "", "one host": "#host=h4", "one metric": "#metric=cpu_percent"}
# A client that reads the stream to its end.
_CLIENT = "import sys, urllib.request\nfor line in urllib.request.urlopen(sys.argv[1]): pass\n"


def all_rows(sshd: Sshd, key: Path) -> list[Row]:
    """Measure the page from a server and from a file, and the server while tests run."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=_ARGUMENTS)
        source = RecordedSource([_hour(Path(folder) / "metrics.db")])
        file = Path(folder) / "hour.html"
        file.write_text(static_page(source), encoding="utf-8")
        rows = [
            *_replay(browser, source),
            Row("a static file of the hour", file.stat().st_size / 1e6, "", None, 12, absolute=True, unit="MB"),
            Row("the static file: drawn after opening", _drawn(browser, file.as_uri())[0], "", None, 3000, absolute=True),
        ]
        browser.close()
    return [*rows, _live(sshd, key)]


def _hour(path: Path) -> Path:
    """Record an hour of random walks and counters: 2.7 million readings."""
    moods = random.Random(5)
    store = open_store(path, "hour", {"hosts": {f"h{host}": [f"h{host}"] for host in range(_HOSTS)}}, _INTERVAL_S)
    names = ["cpu_percent", "memory_used_percent", "network_bytes_per_s", "load_1min"]
    names += [f"cpu_percent[{core}]" for core in range(_SERIES - len(names))]
    levels = [[moods.uniform(10, 60) for _ in names] for _ in range(_HOSTS)]
    began = time.time() - _TICKS * _INTERVAL_S
    for tick in range(_TICKS):
        for host, level in enumerate(levels):
            for index in range(_SERIES):
                level[index] = min(100.0, max(0.0, level[index] + moods.uniform(-3, 3)))
            values = {name: round(value, 3) for name, value in zip(names, level, strict=True)}
            store.add(Tick(f"h{host}", began + tick * _INTERVAL_S + host / 1000, tick * _INTERVAL_S, values))
        if tick % 50 == 49:
            store.flush()
    store.close()
    return path


def _replay(browser: Browser, source: RecordedSource) -> list[Row]:
    dashboard = Dashboard(source)
    dashboard.start()
    try:
        rows = [Row("replay: first byte of the page", _first_byte(dashboard.url), "", None, 100, absolute=True)]
        for name, place in _VIEWS.items():
            drawn_ms, rate = _drawn(browser, dashboard.url + place)
            rows.append(Row(f"replay, {name}: drawn after navigation", drawn_ms, "", None, 2000, absolute=True))
            rows.append(Row(f"replay, {name}: a frame while panning", 1000 / rate, "", None, 33.4, absolute=True))
        return rows
    finally:
        dashboard.stop()


def _first_byte(url: str) -> float:
    """Return the median of the time to the first byte of an answer, in milliseconds."""
    parts = urlsplit(url)
    times = []
    for _ in range(7):
        client = http.client.HTTPConnection(str(parts.hostname), parts.port)
        began = time.perf_counter()
        client.request("GET", f"{parts.path or '/'}?{parts.query}")
        answer = client.getresponse()
        answer.read(1)
        times.append(time.perf_counter() - began)
        assert answer.status == http.HTTPStatus.OK, answer.status
        client.close()
    return statistics.median(times) * 1000


def _drawn(browser: Browser, address: str) -> tuple[float, float]:
    """Return when all that is visible was drawn, in milliseconds after navigation, and the frames a second while panning."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.locator("main[aria-busy=false]").wait_for(timeout=60_000)
    drawn_ms = page.evaluate("performance.getEntriesByName('drawn')[0].startTime")
    page.wait_for_timeout(300)
    rate = page.evaluate(_PAN, _PAN_S)
    page.close()
    return float(drawn_ms), float(rate)


def _live(sshd: Sshd, key: Path) -> Row:
    """Measure what a server with clients adds to watching 50 hosts at 1 s, in milliseconds of processor time a second."""
    facts = {"address": sshd.address, "port": sshd.port, "user": sshd.user, "identity_file": str(key), "host_key": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab.json"
        lab.write_text(json.dumps({"hosts": {f"h{host}": facts for host in range(_HOSTS)}}))
        session = Session(str(lab))
        try:
            session.monitor.start(session.lab.loaded.names(), (), 1.0, Path(folder) / "metrics.db", "benchmark")
            while not all(session.monitor.do(lambda monitor: monitor.latest(0)).values()):
                time.sleep(0.1)
            alone = _processor_time()
            dashboard = Dashboard(LiveSource(session))
            dashboard.start()
            stream = dashboard.url.replace("/?", "/api/stream?")
            clients = [subprocess.Popen([sys.executable, "-c", _CLIENT, stream]) for _ in range(_CLIENTS)]
            time.sleep(2)
            served = _processor_time()
            dashboard.stop()
            for client in clients:
                assert client.wait(10) == 0, "A client did not get the stream."
        finally:
            session.close()
    return Row(
        f"live, 50 hosts at 1 s, {_CLIENTS} clients: processor for the server in a second", served - alone, "", None, 100, True
    )


def _processor_time() -> float:
    began = time.process_time()
    time.sleep(_LIVE_S)
    return (time.process_time() - began) / _LIVE_S * 1000
