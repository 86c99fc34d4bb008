"""The dashboard's server, real and on loopback: its door, its data, its stream, and its end."""

from __future__ import annotations

import http.client
import json
import math
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import httpx
import pytest

from OttoLibrary.contracts.metrics import Event, Tick
from OttoLibrary.dashboard.chunks import unpack
from OttoLibrary.dashboard.live_source import LiveSource
from OttoLibrary.dashboard.page_source import Source, Window, write
from OttoLibrary.dashboard.recorded_source import RecordedSource
from OttoLibrary.dashboard.server import Dashboard
from OttoLibrary.errors import PluginError, UsageError
from OttoLibrary.monitor.recording_reader import Recording
from OttoLibrary.monitor.recording_writer import Store
from OttoLibrary.run.session import Session
from tests.peers.ftp import make_certificate
from tests.peers.processes import running, wait_until

BEGAN = 1_795_271_913.0
EVIL = "<script>alert(1)</script>"
LOG = "<html><script>var log = 1</script></html>"


class FakeSource:
    """A page of one host, whose news a test decides."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Any]] = []
        self.endless = 0
        self.ended: Callable[[], None] = lambda: None

    def page(self) -> dict[str, Any]:
        return {"title": EVIL, "mode": "live", "hosts": [], "series": {}, "events": [], "tests": []}

    def chunk(self, host: str) -> bytes:
        raise RuntimeError("broken")

    def export(self, form: str, window: Window, out: TextIO) -> None:
        ticks = (Tick("dut1", BEGAN + row, 0.0, {"cpu_percent": 1.0}) for row in range(self.endless))
        write(form, ticks, [], out)

    def events(self) -> dict[int, Event]:
        return {}

    def add_event(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        raise UsageError("The source says no.")

    def change_event(self, number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError

    def delete_event(self, number: int) -> None:
        raise AssertionError

    def news(self) -> list[tuple[str, Any]]:
        news, self.waiting = self.waiting, []
        return news

    def on_end(self, callback: Callable[[], None]) -> None:
        self.ended = callback


class Browser:
    """A client with the key."""

    def __init__(self, dashboard: Dashboard, **options: Any) -> None:
        address, _, query = dashboard.url.partition("?")
        self.key = query.removeprefix("key=")
        self.client = httpx.Client(base_url=address, params={"key": self.key}, trust_env=False, timeout=10, **options)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.client.get(path, params={"key": self.key} | parameters)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path, **options)


class Stream:
    """The messages of a client's stream, as they come."""

    def __init__(self, browser: Browser) -> None:
        self.found: list[tuple[str, Any]] = []
        self.over = threading.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(browser,), daemon=True)
        self._thread.start()
        assert self._opened.wait(10)

    def _read(self, browser: Browser) -> None:
        with browser.client.stream("GET", "api/stream") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = ""
            for line in answer.iter_lines():
                self._opened.set()
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.found.append((kind, json.loads(line.removeprefix("data: "))))
        self.over.set()

    def of(self, kind: str) -> list[Any]:
        return [data for found, data in self.found if found == kind]


@pytest.fixture
def serve() -> Iterator[Callable[..., Dashboard]]:
    with ExitStack() as ending:

        def started(source: Source, **options: Any) -> Dashboard:
            dashboard = Dashboard(source, **options)
            dashboard.start()
            ending.callback(dashboard.stop)
            return dashboard

        yield started


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """News are handed out at once, more or less."""
    monkeypatch.setattr("OttoLibrary.dashboard.server._PULSE_S", 0.02)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    store = Store(tmp_path / "otto" / "metrics.db")
    store.begin("night", {"hosts": {"dut1": ["gateway", "dut1"]}}, {}, 2.0)
    for row in range(100):
        for host in ("dut1", EVIL):
            store.add(Tick(host, BEGAN + 2 * row, 100.0 + row, {"cpu_percent": float(row), "memory_used_bytes": 1e9}))
    store.mark(Event(BEGAN + 10, "load begins", "mark"))
    store.mark(Event(BEGAN + 20, "no answer", "gap", "dut1", BEGAN + 30))
    store.close()
    return tmp_path / "otto" / "metrics.db"


@pytest.fixture
def watched(open_lab: Any, tmp_path: Path) -> Iterator[Session]:
    """A session that watches this machine."""
    session: Session = open_lab(box={"transport": "local", "tags": ["dut"]})
    session.monitor.start(["box"], ["load"], 0.1, tmp_path / "live.db", "test")
    yield session
    session.monitor.end()


def port_of(dashboard: Dashboard) -> int:
    port = urlsplit(dashboard.url).port
    assert port is not None
    return port


def is_open(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("OttoLibrary dashboard")]


def asked(port: int, host: str, path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.putrequest("GET", path, skip_host=True)
        if host:
            connection.putheader("Host", host)
        connection.endheaders()
        return connection.getresponse().status


# -- the door


@pytest.mark.parametrize("path", ["", "api/page", "api/data?host=dut1", "api/stream", "api/export.csv", "log.html", "other"])
@pytest.mark.parametrize("key", [None, "", "wrong", "ä"])
def test_nothing_without_the_key(serve: Any, recording: Path, path: str, key: str | None) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    answer = httpx.get(browser.client.base_url.join(path), params={} if key is None else {"key": key}, trust_env=False)
    assert answer.status_code == 403
    assert answer.text == "The access key is missing or wrong. Open the address that was printed when the dashboard was started."
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_nothing_is_changed_without_the_key(serve: Any, recording: Path, method: str) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    path = "api/events" if method == "POST" else "api/events/1"
    answer = httpx.request(method, browser.client.base_url.join(path), json={"text": "x"}, trust_env=False)
    assert answer.status_code == 403
    assert len(Recording(recording).events()) == 2


def test_each_dashboard_has_a_key_of_its_own(serve: Any) -> None:
    keys = {Browser(serve(FakeSource())).key for _ in range(3)}
    assert len(keys) == 3
    assert all(len(key) >= 30 for key in keys)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
        ("evil.example", 403),
        ("evil.example:80", 403),
        ("127.0.0.1.evil.example", 403),
        ("10.0.0.1", 403),
        ("", 400),
    ],
)
def test_only_under_its_own_name(serve: Any, host: str, status: int) -> None:
    dashboard = serve(FakeSource())
    assert asked(port_of(dashboard), host, f"/?key={Browser(dashboard).key}") == status


def test_one_that_is_open_to_all_answers_to_addresses_and_its_name(serve: Any) -> None:
    dashboard = serve(FakeSource(), address="0.0.0.0")
    path = f"/?key={Browser(dashboard).key}"
    assert urlsplit(dashboard.url).hostname == socket.gethostname().lower()
    assert asked(port_of(dashboard), "192.168.7.7:80", path) == 200
    assert asked(port_of(dashboard), socket.gethostname(), path) == 200
    assert asked(port_of(dashboard), "evil.example", path) == 403


def test_headers_that_keep_others_out(serve: Any, recording: Path) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    page, data = browser.get(""), browser.get("api/page")
    for answer in (page, data, browser.get("other")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert "server" not in answer.headers
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].startswith("'nonce-")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert f'nonce="{rules["script-src"].split("nonce-")[1][:-1]}"' in page.text
    assert browser.get("").headers["content-security-policy"] != page.headers["content-security-policy"]
    assert data.headers["content-security-policy"].startswith("default-src 'none'")


def test_over_tls(serve: Any, tmp_path: Path) -> None:
    make_certificate(tmp_path / "cert.pem", "127.0.0.1")
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    dashboard = serve(FakeSource(), certificate=tmp_path / "cert.pem")
    assert dashboard.url.startswith("https://127.0.0.1:")
    assert Browser(dashboard, verify=trusted).get("api/page").json()["title"] == EVIL


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_wrong_certificate_is_told(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "cert.pem"
    if text:
        path.write_text(text)
    with pytest.raises(UsageError, match=f"The certificate '{path}' cannot be used: .*private key"):
        Dashboard(FakeSource(), certificate=path).start()


def test_a_taken_port_and_a_wrong_address_are_told(serve: Any) -> None:
    port = port_of(serve(FakeSource()))
    with pytest.raises(UsageError, match=f"cannot bind port {port} of '127.0.0.1': Address already in use. Choose another"):
        Dashboard(FakeSource(), port=port).start()
    with pytest.raises(UsageError, match=r"cannot bind '256\.1\.1\.1'"):
        Dashboard(FakeSource(), address="256.1.1.1").start()


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PluginError) as caught:
        Dashboard(FakeSource())
    assert str(caught.value).startswith("The dashboard needs a package that is not installed (")
    assert str(caught.value).endswith(f"{sys.executable} -m pip install 'robotframework-ottolibrary[dashboard]'")


# -- data of a stored run


def test_a_stored_run(serve: Any, recording: Path) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    page = browser.get("api/page").json()
    assert [host["name"] for host in page["hosts"]] == ["dut1", EVIL]
    for host in ("dut1", EVIL):
        name, times, columns = unpack(browser.get("api/data", host=host).content)
        assert (name, len(times), columns["cpu_percent"][99]) == (host, 100, 99.0)


def test_the_page_says_nothing_that_a_host_says(serve: Any, recording: Path) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    assert EVIL not in browser.get("").text
    assert browser.get("api/page").headers["content-type"] == "application/json"
    refused = browser.get("api/data", host=f"{EVIL}x")
    assert (refused.status_code, refused.headers["content-type"]) == (404, "text/plain; charset=utf-8")


def test_exports(serve: Any, recording: Path) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    found = browser.get("api/export.json", host="dut1", since=BEGAN + 2, until=BEGAN + 4)
    assert [sample["value"] for sample in found.json()["samples"]] == [1.0, 1e9, 2.0, 1e9]
    assert found.headers["content-disposition"] == 'attachment; filename="metrics.json"'
    assert browser.get("api/export.csv").text.count("\n") == 401
    assert "otto_cpu_percent{" in browser.get("api/export.prom", host="dut1").text
    assert browser.get("api/export.xml").status_code == 404
    assert browser.get("api/export.csv", host="dut9").status_code == 404
    assert browser.get("api/export.csv", since="yesterday").status_code == 400


def test_an_export_that_a_client_leaves_ends(serve: Any) -> None:
    source = FakeSource()
    source.endless = 10**9
    browser = Browser(serve(source))
    with browser.client.stream("GET", "api/export.csv") as answer:
        assert next(answer.iter_bytes())
    wait_until(lambda: "OttoLibrary export" not in [thread.name for thread in threading.enumerate()], "the export's end")


def test_events_of_a_stored_run(serve: Any, recording: Path, quick: None) -> None:
    browser = Browser(serve(RecordedSource([recording])))
    stream = Stream(browser)
    made = browser.send("POST", "api/events", json={"at": BEGAN + 5, "until": None, "text": EVIL, "host": "dut1"})
    assert made.status_code == 201
    number = made.json()["id"]
    changed = browser.send("PATCH", f"api/events/{number}", json={"text": "other", "until": BEGAN + 8})
    assert (changed.json()["kind"], changed.json()["text"]) == ("span", "other")
    assert Recording(recording).numbered_events()[number].text == "other"
    assert browser.send("DELETE", f"api/events/{number}").status_code == 204
    assert browser.send("DELETE", f"api/events/{number}").status_code == 404
    wait_until(lambda: stream.of("gone"), "the news")
    assert stream.found == [("event", made.json()), ("event", changed.json()), ("gone", {"id": number})]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"content": b"text=x"}, 415),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"json": ["text"]}, 400),
        ({"json": {"text": "x", "at": "now"}}, 400),
        ({"json": {"text": "x" * 100_000}}, 413),
        ({"json": {"text": "x", "host": "dut9"}}, 400),
    ],
)
def test_a_wrong_event_is_refused(serve: Any, recording: Path, options: dict[str, Any], status: int) -> None:
    answer = Browser(serve(RecordedSource([recording]))).send("POST", "api/events", **options)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert answer.text.endswith(".")


def test_what_the_monitor_found_is_not_changed(serve: Any, recording: Path) -> None:
    answer = Browser(serve(RecordedSource([recording]))).send("DELETE", "api/events/2")
    assert (answer.status_code, "comes from the monitor and cannot be changed" in answer.text) == (409, True)


def test_what_is_not_there_and_what_breaks(serve: Any) -> None:
    browser = Browser(serve(FakeSource()))
    assert (browser.get("other").status_code, browser.get("other").text) == (404, "There is no such page here.")
    assert browser.send("POST", "api/page").status_code == 405
    assert browser.send("PATCH", "api/events/x", json={}).status_code == 404
    assert browser.send("POST", "api/events", json={}).text == "The source says no."
    assert browser.get("api/data", host="dut1").text == "The dashboard could not answer: RuntimeError: broken"


def test_the_log_has_a_key_of_its_own(serve: Any, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "log.html").write_text(LOG)
    tests = [{"name": "A", "began": BEGAN, "ended": BEGAN + 1, "status": "PASS", "link": "log.html#s1-t1"}]
    browser = Browser(serve(RecordedSource([recording], tests), log=tmp_path / "log.html"))
    link = browser.get("api/page").json()["tests"][0]["link"]
    address, _, place = link.partition("#")
    assert (address.startswith("log.html?key="), place) == (True, "s1-t1")
    log_key = address.partition("=")[2]
    assert log_key != browser.key
    answer = browser.get("log.html", key=log_key)
    assert answer.text == LOG
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert browser.get("log.html").status_code == 403
    assert browser.get("api/page", key=log_key).status_code == 403


# -- the stream


def test_readings_are_streamed_once_a_second_at_most(serve: Any, watched: Session) -> None:
    browser = Browser(serve(LiveSource(watched)))
    streams = [Stream(browser), Stream(browser)]
    time.sleep(3.3)
    for stream in streams:
        assert 2 <= len(stream.of("ticks")) <= 4
        ticks = [tick for message in stream.of("ticks") for tick in message]
        assert {tick["host"] for tick in ticks} == {"box"}
        assert len(ticks) >= 10
        assert all(math.isfinite(tick["values"]["load_1min"]) for tick in ticks)


def test_the_page_and_chunk_of_a_running_monitor(serve: Any, watched: Session) -> None:
    browser = Browser(serve(LiveSource(watched)))
    wait_until(lambda: len(browser.get("api/page").json()["series"]["box"]) > 1, "the first reading")
    page = browser.get("api/page").json()
    assert (page["mode"], page["ended"], page["interval_s"]) == ("live", None, 0.1)
    assert page["hosts"] == [{"name": "box", "path": ["box"], "tags": ["dut"]}]
    host, times, columns = unpack(browser.get("api/data", host="box").content)
    assert host == "box"
    assert len(columns["load_1min"]) == len(times) > 0
    assert browser.get("api/data", host="other").status_code == 404
    assert len(browser.get("api/export.json").json()["samples"]) > 0


def test_tests_while_hosts_are_watched(serve: Any, watched: Session) -> None:
    watched.tests.tell("Suite.One", 1000.0, None, "RUNNING")
    browser = Browser(serve(LiveSource(watched)))
    stream = Stream(browser)
    watched.tests.tell("Suite.One", 1000.0, 1002.5, "PASS")
    watched.tests.tell("Suite.Two <b>", 1003.0, None, "RUNNING")
    one = {"name": "Suite.One", "began": 1000.0, "ended": 1002.5, "status": "PASS", "link": ""}
    two = {"name": "Suite.Two <b>", "began": 1003.0, "ended": None, "status": "RUNNING", "link": ""}
    assert browser.get("api/page").json()["tests"] == [one, two]
    wait_until(lambda: len(stream.of("test")) >= 2, "the tests")
    assert stream.of("test")[-2:] == [one, two]


def test_what_is_no_longer_remembered_comes_from_the_recording(
    serve: Any, watched: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.monitor._KEPT", 3)
    browser = Browser(serve(LiveSource(watched)))
    wait_until(lambda: len(unpack(browser.get("api/data", host="box").content)[1]) > 15, "15 rows")


def test_a_monitor_without_a_recording_is_shown_too(serve: Any, open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})
    session.monitor.start(["box"], ["load"], 0.1, None, "")
    browser = Browser(serve(LiveSource(session)))
    wait_until(lambda: browser.get("api/export.csv").text.count("load_1min") > 3, "readings")
    assert len(unpack(browser.get("api/data", host="box").content)[1]) > 3
    made = browser.send("POST", "api/events", json={"at": time.time(), "text": "x"})
    assert made.status_code == 201


def test_events_while_hosts_are_watched(serve: Any, watched: Session, tmp_path: Path, quick: None) -> None:
    watched.masker.add("s3cret-word")
    browser = Browser(serve(LiveSource(watched)))
    stream = Stream(browser)
    made = browser.send("POST", "api/events", json={"at": time.time(), "until": None, "text": "s3cret-word begins", "host": ""})
    number = made.json()["id"]
    assert "s3cret" not in made.text
    changed = browser.send("PATCH", f"api/events/{number}", json={"text": "load begins"}).json()
    wait_until(lambda: len(stream.of("event")) >= 2, "the news")
    assert stream.of("event")[-1] == changed
    kept = browser.send("POST", "api/events", json={"at": time.time(), "text": "kept"}).json()["id"]
    assert browser.send("DELETE", f"api/events/{number}").status_code == 204
    wait_until(lambda: stream.of("gone") == [{"id": number}], "the news")
    watched.monitor.end()
    events = Recording(tmp_path / "live.db").numbered_events()
    assert (events[kept].text, number in events) == ("kept", False)


def test_a_span_that_a_test_has_open_is_left_alone(serve: Any, watched: Session) -> None:
    async def begin(monitor: Any) -> None:
        monitor.begin_span("upgrade")

    watched.monitor.ask(begin)
    browser = Browser(serve(LiveSource(watched)))
    number = next(event["id"] for event in browser.get("api/page").json()["events"] if event["text"] == "upgrade")
    answer = browser.send("DELETE", f"api/events/{number}")
    assert (answer.status_code, "The span 'upgrade' is open." in answer.text) == (409, True)


def test_a_slow_client_lapses_and_the_others_do_not_wait(serve: Any, quick: None) -> None:
    source = FakeSource()
    dashboard = serve(source)
    browser = Browser(dashboard)
    with closing(socket.create_connection(("127.0.0.1", port_of(dashboard)), timeout=10)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        slow.sendall(f"GET /api/stream?key={browser.key} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b"200" in slow.recv(200)
        stream = Stream(browser)
        tracemalloc.start()
        for number in range(200):
            source.waiting.append(("ticks", [{"number": number, "fill": "x" * 100_000}]))
            wait_until(lambda: not source.waiting, "the pulse")
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        # All of it is 20 MB, and the quick client of this test keeps its own.
        kept = sum(len(message[0]["fill"]) for message in stream.of("ticks"))
        assert used - kept < 6_000_000
        wait_until(lambda: [message[0]["number"] for message in stream.of("ticks")][-1:] == [199], "the last message")
        assert "resync" not in dict(stream.found)
        read = bytearray()
        while b"event: resync" not in read:
            read += slow.recv(1 << 20)
        source.waiting.append(("ticks", "after all"))
        while b"after all" not in read:
            read += slow.recv(1 << 20)
        assert len(read) < 6_000_000
    wait_until(lambda: len(dashboard._clients) == 1, "the slow client's end")


def test_a_client_that_leaves_is_forgotten(serve: Any, quick: None) -> None:
    dashboard = serve(FakeSource())
    browser = Browser(dashboard)
    for _ in range(3):
        with browser.client.stream("GET", "api/stream") as answer:
            next(answer.iter_lines())
    wait_until(lambda: not dashboard._clients, "the clients' end")


# -- the end


def test_stop_ends_streams_threads_and_the_port(serve: Any) -> None:
    dashboard = serve(FakeSource())
    stream = Stream(Browser(dashboard))
    began = time.monotonic()
    dashboard.stop()
    assert time.monotonic() - began < 5
    assert stream.over.wait(5)
    assert stream.of("end") == [{}]
    assert not threads()
    assert not is_open(port_of(dashboard))
    dashboard.stop()


def test_stop_does_not_wait_for_a_client_that_does_not_read(serve: Any, quick: None) -> None:
    source = FakeSource()
    dashboard = serve(source)
    with closing(socket.create_connection(("127.0.0.1", port_of(dashboard)), timeout=10)) as slow:
        slow.sendall(f"GET /api/stream?key={Browser(dashboard).key} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for _ in range(100):
            source.waiting.append(("ticks", "x" * 100_000))
            wait_until(lambda: not source.waiting, "the pulse")
        began = time.monotonic()
        dashboard.stop()
        assert time.monotonic() - began < 4
    assert not threads()


def test_it_ends_with_the_monitor(serve: Any, watched: Session) -> None:
    dashboard = serve(LiveSource(watched))
    stream = Stream(Browser(dashboard))
    watched.monitor.end()
    assert stream.over.wait(5)
    assert stream.found[-1] == ("end", {})
    wait_until(lambda: not threads() and not is_open(port_of(dashboard)), "the dashboard's end")


# -- the command line


def started(*arguments: str, cwd: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "OttoLibrary", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Dashboard: http://127.0.0.1:"), line + process.stdout.read()
    return process, line.removeprefix("Dashboard: ").strip()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_serves_a_recording_until_it_is_ended(recording: Path, tmp_path: Path, end: signal.Signals) -> None:
    process, url = started("dashboard", str(recording), cwd=tmp_path)
    assert httpx.get(url, trust_env=False).status_code == 200
    process.send_signal(end)
    assert process.wait(10) == (0 if end != signal.SIGKILL else -signal.SIGKILL)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.read() == ""
    assert not is_open(urlsplit(url).port or 0)
    assert not running(str(recording))


def test_the_command_watches_with_a_page(tmp_path: Path) -> None:
    lab = tmp_path / "lab.json"
    lab.write_text('{"hosts": {"box": {"transport": "local"}}}')
    process, url = started("monitor", str(lab), "--interval", "200ms", "--metrics", "load", "--web", cwd=tmp_path)
    address = url.replace("/?", "/api/page?")
    wait_until(lambda: httpx.get(address, trust_env=False).json()["series"]["box"], "the first reading")
    assert process.stdout is not None
    out = ""
    while "box: load_1min" not in out:
        out += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out += process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert url.partition("key=")[2] not in out
    assert not running(str(lab))


def test_the_command_writes_one_file_of_a_run_without_the_extra(recording: Path, tmp_path: Path) -> None:
    suite = tmp_path / "Suite.robot"
    suite.write_text("*** Test Cases ***\nOne & <Two>\n    No Operation\n")
    subprocess.run(
        [sys.executable, "-m", "robot", "--outputdir", str(tmp_path), str(suite)], check=True, stdout=subprocess.DEVNULL
    )
    child = tmp_path / "pabot_results" / "0" / "otto"
    child.mkdir(parents=True)
    (child / "metrics.db").write_bytes(recording.read_bytes())
    without = "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None"
    script = f"{without}; from OttoLibrary.cli.main import main; sys.exit(main())"
    target = tmp_path / "pages" / "out.html"
    done = subprocess.run(
        [sys.executable, "-c", script, "dashboard", str(tmp_path), "--static", str(target)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Written to {target} (")
    text = target.read_text()
    page = json.loads(text.partition('id="otto-page">')[2].partition("</script>")[0])
    assert [(test["name"], test["status"], test["link"]) for test in page["tests"]] == [
        ("Suite.One & <Two>", "PASS", "../log.html#s1-t1")
    ]
    assert abs(page["tests"][0]["began"] - time.time()) < 60
    assert len([event for event in page["events"] if event["text"] == "load begins"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dashboard", "nothing.db"], "There is no recording 'nothing.db'."),
        (["dashboard", "."], "There is no recording 'otto/metrics.db' in the folder '.' or below it."),
        (["monitor", "lab", "--port", "80"], "--port, --bind and --tls are for the page: add --web."),
    ],
)
def test_a_wrong_command_is_told(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "OttoLibrary", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", said)


def test_start_monitor_serves_a_page(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text('{"hosts": {"box": {"transport": "local"}}}')
    (tmp_path / "ask.py").write_text(
        "import re, urllib.request\n"
        "def ask(path):\n"
        "    url = re.search(r'Dashboard: (http\\S+)', open(path).read())[1]\n"
        "    return urllib.request.urlopen(url.replace('/?', '/api/page?')).read().decode()\n"
    )
    (tmp_path / "suite.robot").write_text(
        "*** Settings ***\nLibrary    OttoLibrary    lab=lab.json\nLibrary    ask.py\n*** Test Cases ***\nWatched\n"
        "    Start Monitor    box    interval=100 ms    metrics=load    dashboard=yes\n"
        "    ${page}=    Ask    console.txt\n    Should Contain    ${page}    box\n"
        '    Should Contain    ${page}    "name":"Suite.Watched"\n    Should Contain    ${page}    RUNNING\n'
        "    Stop Monitor\n    Sleep    2 s\n    Run Keyword And Expect Error    *refused*    Ask    console.txt\n"
    )
    with (tmp_path / "console.txt").open("w") as console:
        done = subprocess.run(
            [sys.executable, "-u", "-m", "robot", "--pythonpath", str(tmp_path), "suite.robot"],
            stdout=console,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            timeout=60,
        )
    assert done.returncode == 0, (tmp_path / "console.txt").read_text()
    assert "Dashboard: " in (tmp_path / "output.xml").read_text()
