"""Others on the network cannot use up the dashboard, nor the run that it belongs to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from OttoLibrary.dashboard.server import Dashboard
from tests.contract.test_webserver import Browser, FakeSource, Stream, quick, serve  # noqa: F401 - fixtures
from tests.peers.ftp import make_certificate
from tests.peers.processes import wait_until

# A run that opens files all the time, as a log does, with few descriptors.
RUN = """
import resource, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from OttoLibrary.dashboard.server import Dashboard
from tests.contract.test_webserver import FakeSource
dashboard = Dashboard(FakeSource(), certificate=sys.argv[1] if sys.argv[1:] else None)
dashboard.start()
print(dashboard.url, flush=True)
while sys.stdin.readline():
    try:
        files = [open("/dev/null") for _ in range(100)]
        print("fine", flush=True)
    except OSError as error:
        print(error, flush=True)
    files = []
dashboard.stop()
"""


@pytest.fixture
def open_sockets() -> Iterator[Callable[[str, int], list[socket.socket]]]:
    """Connect many times and say nothing."""
    with ExitStack() as ending:

        def opened(url: str, count: int) -> list[socket.socket]:
            place = urlsplit(url)
            assert place.hostname is not None
            return [
                ending.enter_context(closing(socket.create_connection((place.hostname, place.port or 0), 10)))
                for _ in range(count)
            ]

        yield opened


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_silent_connections_end_neither_the_run_nor_the_page(tls: bool, open_sockets: Any, tmp_path: Path) -> None:
    certificate = tmp_path / "own.pem"
    make_certificate(certificate, "127.0.0.1")
    arguments = [str(certificate)] if tls else []
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        url = run.stdout.readline().strip()
        for _ in range(4):
            open_sockets(url, 100)
            print("open", file=run.stdin, flush=True)
            assert run.stdout.readline() == "fine\n"
            assert httpx.get(url, trust_env=False, verify=False, timeout=10).status_code == 200
        run.stdin.close()
        assert run.wait(20) == 0


def test_a_connection_that_shows_no_key_ends_in_time(
    serve: Any,  # noqa: F811
    open_sockets: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("OttoLibrary.dashboard.visitors._STRANGER_S", 0.3)
    dashboard: Dashboard = serve(FakeSource())
    silent, slow, wrong = open_sockets(dashboard.url, 3)
    slow.sendall(b"GET / HT")
    wrong.sendall(b"GET /?key=wrong HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert silent.recv(100) == b""
    assert slow.recv(100) == b""
    answer = b"".join(iter(lambda: wrong.recv(10_000), b""))
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in answer


def test_one_with_the_key_stays_longer_than_a_stranger(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("OttoLibrary.dashboard.visitors._STRANGER_S", 0.3)
    monkeypatch.setattr("OttoLibrary.dashboard.server._PULSE_S", 0.05)
    source = FakeSource()
    stream = Stream(Browser(serve(source)))
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 0.8, "some time")
    source.waiting = [("event", {"id": 1})]
    wait_until(lambda: stream.of("event"), "news")


def test_an_event_that_never_arrives_ends_in_time(serve: Any, open_sockets: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("OttoLibrary.dashboard.server._BODY_S", 0.3)
    dashboard: Dashboard = serve(FakeSource())
    query = urlsplit(dashboard.url).query
    (slow,) = open_sockets(dashboard.url, 1)
    head = f"POST /api/events?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    slow.sendall(head.encode() + b"{")
    assert b"".join(iter(lambda: slow.recv(10_000), b"")).startswith(b"HTTP/1.1 408")


def test_too_many_with_the_key_are_told_so(serve: Any, open_sockets: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("OttoLibrary.dashboard.visitors._MOST_GUESTS", 3)
    dashboard: Dashboard = serve(FakeSource())
    streams = [Stream(Browser(dashboard)) for _ in range(3)]
    answer = Browser(dashboard).get("")
    assert (answer.status_code, answer.text) == (503, "Too many pages of this dashboard are open. Close some of them.")
    assert not any(stream.over.is_set() for stream in streams)


def test_much_news_at_once_is_no_slow_client(serve: Any, quick: None) -> None:  # noqa: F811
    source = FakeSource()
    stream = Stream(Browser(serve(source)))
    source.waiting = [("event", {"id": number}) for number in range(500)]
    wait_until(lambda: len(stream.of("event")) == 500, "all events")
    assert stream.of("resync") == []
    assert json.dumps(stream.of("event")[-1]) == '{"id": 499}'


def test_exports_at_a_time_are_bounded_and_one_that_ends_makes_room(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("OttoLibrary.dashboard.server._MOST_EXPORTS", 2)
    source = FakeSource()
    source.endless = 10**9
    dashboard: Dashboard = serve(source)
    with ExitStack() as ending:
        answers = [ending.enter_context(Browser(dashboard).client.stream("GET", "api/export.csv")) for _ in range(2)]
        # Kept: one that nobody refers to is closed.
        blocks = [answer.iter_bytes() for answer in answers]
        assert all(next(block) for block in blocks)
        refused = Browser(dashboard).get("api/export.csv")
        assert (refused.status_code, refused.text) == (503, "Too many exports are running. Try again when one has ended.")
    source.endless = 3
    wait_until(lambda: Browser(dashboard).get("api/export.csv").status_code == 200, "room for another")
