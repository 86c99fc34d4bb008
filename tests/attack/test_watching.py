"""Watches cannot die unseen, and what a host answers costs bounded memory, time and no false event."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.contracts.metrics import Event, NetworkMetric
from OttoLibrary.errors import LimitError, PluginError
from OttoLibrary.run.session import Session
from tests.contract.conftest import open_lab, own_home  # noqa: F401 - fixtures
from tests.peers.processes import wait_until

LOCAL = {"transport": "local"}


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Register a metric for this test only."""
    known: dict[str, Any] = dict(registry._registered.get("metric", {}))
    monkeypatch.setitem(registry._registered, "metric", known)
    return lambda name, factory: registry.register("metric", name, factory)


def events(session: Session, kind: str) -> list[Event]:
    return [event for event in session.monitor.do(lambda monitor: monitor.events(0)) if event.kind == kind]


def count(session: Session, series: str) -> int:
    return len(session.monitor.ask(lambda monitor: monitor.readings("box", series, 0))[0])


class Broken(NetworkMetric):
    """Fails twice in a way that nobody foresees, and then gives readings."""

    main = "broken_count"

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, facts: HostFacts, uptime_s: float) -> dict[str, float]:
        self.asked += 1
        if self.asked <= 2:
            raise RuntimeError("no token")
        return {self.main: float(self.asked)}


def test_an_unforeseen_exception_is_an_event_a_warning_and_a_new_beginning(open_lab: Any, metric: Any) -> None:  # noqa: F811
    metric("broken", Broken)
    session = open_lab(box=LOCAL)
    session.monitor.start(["box"], ["broken", "load"], 0.1, None, "")
    wait_until(lambda: count(session, "broken_count") > 0, "a reading after two failures")
    assert [event.text for event in events(session, "error")] == [
        "Watching 'broken' failed: RuntimeError: no token. It begins again in 1 s",
        "Watching 'broken' failed: RuntimeError: no token. It begins again in 2 s",
    ]
    warnings = session.monitor.do(lambda monitor: monitor.take_warnings())
    assert warnings[0] == "Monitor, host 'box': Watching 'broken' failed: RuntimeError: no token. It begins again in 1 s"
    assert count(session, "load_1min") > 10


@pytest.fixture
def silent() -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield listening.getsockname()[1], taken
        listening.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


def test_a_host_that_is_closed_while_the_monitor_connects_is_tried_again(open_lab: Any, silent: Any) -> None:  # noqa: F811
    port, taken = silent
    session = open_lab(box={"address": "127.0.0.1", "port": port, "user": "nobody", "host_key": "ignore"})
    session.monitor.start(["box"], ["load"], 0.1, None, "")
    wait_until(lambda: len(taken) == 1, "the first connection")
    session.engine.call(session.hosts.use("box").close())
    wait_until(lambda: len(taken) >= 2, "another attempt")
    assert [event for kind in ("gap", "error") for event in events(session, kind)]


def test_a_missing_package_is_named_at_the_start(open_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.delitem(sys.modules, "OttoLibrary.monitor.metrics.snmp", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pysnmp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pysnmp", None)
    session = open_lab(box=LOCAL)
    with pytest.raises(PluginError, match=r"Metric 'snmp' needs a package .*robotframework-ottolibrary\[snmp\]"):
        session.monitor.start(["box"], ["snmp:1.3.6.1.2.1.1.3.0"], 0.1, None, "")


def test_a_slow_command_beside_fast_readings_is_no_reboot(open_lab: Any, metric: Any) -> None:  # noqa: F811
    registry.register_metric("slow", "sleep 1.6; echo 1", float)
    session = open_lab(box=LOCAL)
    session.monitor.start(["box"], ["slow", "load"], 0.1, None, "")
    wait_until(lambda: count(session, "slow") >= 2, "two slow readings")
    assert events(session, "reboot") == []


def test_a_followed_file_without_a_newline_is_cut_and_followed_on(open_lab: Any, tmp_path: Path) -> None:  # noqa: F811
    log = tmp_path / "app.log"
    log.write_text("")
    metrics = {"log": {"file": str(log), "pattern": r"depth (?P<depth>\d+)", "event": "ERROR"}}
    session = open_lab(box={**LOCAL, "metrics": metrics})
    session.monitor.start(["box"], ["log"], 0.1, None, "")
    with log.open("a") as out:
        wait_until(lambda: _written(out, "depth 1\n") and count(session, "log_depth") > 0, "the first reading")
        for _ in range(64):
            out.write("x" * (1 << 18))
        out.write(" ERROR depth 5\ndepth 6\n")
        out.flush()
        wait_until(lambda: 6.0 in depths(session), "a reading after the long line")
    (event,) = events(session, "error")
    assert event.text == "Metric 'log': a line longer than 64 KiB was cut"
    assert all(len(event.text) <= 1000 for event in events(session, "log"))


def depths(session: Session) -> list[float]:
    return list(session.monitor.ask(lambda monitor: monitor.readings("box", "log_depth", 0))[1])


def test_a_flood_of_lines_is_read_late_and_holds_up_nobody(
    open_lab: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.watch._MOST_LINES_PER_S", 200)
    log = tmp_path / "app.log"
    log.write_text("")
    session = open_lab(
        box={**LOCAL, "metrics": {"log": {"file": str(log), "pattern": r"depth (?P<depth>\d+)", "event": "ERROR"}}}
    )
    session.monitor.start(["box"], ["log", "load"], 0.1, None, "")
    with log.open("a") as out:
        wait_until(lambda: _written(out, "depth 1\n") and depths(session), "the first reading")
        before = count(session, "load_1min")
        out.writelines(f"ERROR depth {number}\n" for number in range(2, 700))
        out.flush()
        wait_until(lambda: 699.0 in depths(session), "the last line")
    assert [event.text for event in events(session, "error")] == ["Metric 'log': more than 200 lines a second are read late"]
    assert count(session, "load_1min") - before >= 10


def _written(out: Any, text: str) -> bool:
    out.write(text)
    out.flush()
    return True


def test_many_limits_without_a_reading_are_waited_for_together(open_lab: Any) -> None:  # noqa: F811
    session = open_lab(box=LOCAL)
    session.monitor.start(["box"], ["temperature", "load"], 0.1, None, "")
    for _ in range(40):
        session.monitor.do(_limit)
    began = time.monotonic()
    broken = session.monitor.ask(lambda monitor: monitor.take_limits(1.0))
    assert [type(error) for error in broken] == [LimitError] * 40
    assert time.monotonic() - began < 10


def _limit(monitor: Any) -> None:
    monitor.limit("box", "load_never", "max", ">", "1")
