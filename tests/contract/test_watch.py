"""Watching real hosts: every way to ask them, what goes wrong, and what is left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.errors import LimitError, PluginError, UnknownNameError, UsageError
from OttoLibrary.monitor.recording_reader import Recording
from OttoLibrary.registry import register_metric
from OttoLibrary.run.session import Session
from tests.peers import consoles, processes
from tests.peers.telnetd import PASSWORD, USER, login_program

_SOON_S = 10.0


def ssh(sshd: Any, keys: Any, **more: Any) -> dict[str, Any]:
    return {
        "address": sshd.address,
        "port": sshd.port,
        "user": sshd.user,
        "identity_file": str(keys.identity_file),
        "host_key": "ignore",
    } | more


def watch(
    session: Session, *metrics: str, hosts: tuple[str, ...] = ("box",), store: Path | None = None, interval_s: float = 0.1
) -> None:
    session.monitor.start(hosts, metrics, interval_s, store, "test")


def readings(session: Session, series: str, host: str = "box", since: float = 0.0) -> list[float]:
    return list(session.monitor.ask(lambda monitor: monitor.readings(host, series, since))[1])


def events(session: Session, kind: str = "") -> list[Event]:
    async def asked(monitor: Any) -> list[Event]:
        found: list[Event] = monitor.events(0)
        return found

    return [event for event in session.monitor.ask(asked) if event.kind == kind or not kind]


def until(true: Callable[[], object], what: str = "what was expected") -> None:
    processes.wait_until(true, what, _SOON_S)


def started(words: str, pid: int) -> set[int]:
    """The processes with these words that a server, or this process, has started."""
    return set(processes.running(words)).intersection(processes.descendants(pid))


def run(session: Session, command: str, name: str = "box") -> Any:
    return session.engine.call(session.hosts.use(name).run(command, timeout_s=15.0))


# -- ways


def test_an_ssh_host_is_read_beside_the_shell_of_the_test(sshd: Any, keys: Any, open_lab: Any) -> None:
    session = open_lab(box=ssh(sshd, keys))
    shell = run(session, "echo $$; cd /tmp; X=1").stdout
    watch(session, "cpu", "memory", "network", "load", "disk")
    until(lambda: len(readings(session, "cpu_percent")) >= 3 and readings(session, "disk_used_percent"))
    assert all(0 <= value <= 100 for value in readings(session, "cpu_percent"))
    assert 0 < readings(session, "memory_used_percent")[-1] < 100
    assert run(session, "echo $$ $PWD $X").stdout == f"{shell.strip()} /tmp 1\n"


def test_readings_carry_the_clock_of_the_host(sshd: Any, keys: Any, open_lab: Any, tmp_path: Path) -> None:
    session = open_lab(box=ssh(sshd, keys))
    watch(session, "load", store=tmp_path / "m.db")
    until(lambda: len(readings(session, "load_1min")) >= 3)
    assert abs(readings(session, "clock_offset_s")[-1]) < 0.5
    session.monitor.end()
    ticks = [tick for tick in Recording(tmp_path / "m.db").ticks() if "load_1min" in tick.values]
    boot = {round(tick.at - tick.uptime_s, 1) for tick in ticks}
    assert max(boot) - min(boot) < 0.5
    assert abs(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - min(boot)) < 1


def test_this_machine_is_asked_without_a_shell(open_lab: Any) -> None:
    session = open_lab(box={"transport": "local"})
    watch(session, "cpu", "memory", "disk", "network", "load", "processes")
    until(lambda: len(readings(session, "cpu_percent")) >= 3 and readings(session, "disk_used_percent"))
    assert not started("otto_wanted", os.getpid())
    assert not events(session)


@pytest.mark.parametrize("kind", ["inetutils", "busybox"])
def test_a_telnet_host_is_read_over_a_login_of_its_own(open_lab: Any, telnetd: Any, kind: str, tmp_path: Path) -> None:
    server = telnetd(kind, login=login_program(tmp_path, "sh -i"))
    session = open_lab(
        box={"transport": "telnet", "address": server.address, "port": server.port, "user": USER, "password": PASSWORD}
    )
    run(session, "X=1")
    watch(session, "cpu", "memory", interval_s=0.25)
    began = time.monotonic()
    assert run(session, "sleep 1.5; echo $X").stdout == "1\n"
    assert time.monotonic() - began < 4
    # While that command had the line, readings came over the other one.
    assert len(readings(session, "cpu_percent")) >= 2
    assert not events(session, "gap")


def test_a_serial_host_is_read_between_commands_and_never_before_the_first(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.shell)
    session = open_lab(box={"transport": "serial", "port": console.device, "profile": "busybox"})
    watch(session, "memory", interval_s=0.2)
    time.sleep(0.8)
    assert not readings(session, "memory_used_percent")
    run(session, "true")
    until(lambda: readings(session, "memory_used_percent"))
    session.engine.call(session.hosts.use("box").send("echo typ", timeout_s=5))
    count = len(readings(session, "memory_used_percent"))
    time.sleep(0.8)
    # Somebody is typing: nothing of ours may come between.
    assert len(readings(session, "memory_used_percent")) == count
    session.engine.call(session.hosts.use("box").send("ed\n", timeout_s=5))
    assert session.engine.call(session.hosts.use("box").expect(["^typed"], timeout_s=5)).text == "typed"
    run(session, "true")
    until(lambda: len(readings(session, "memory_used_percent")) > count)
    assert not events(session, "gap")


def test_a_host_without_a_shell_is_given_up_and_says_so(open_lab: Any, serial_console: Any) -> None:
    console = serial_console(consoles.shell)
    session = open_lab(
        box={"transport": "serial", "port": console.device, "profile": "busybox"},
        router={"transport": "telnet", "address": "127.0.0.1", "port": 9, "user": "x", "password": "no good"},
    )
    watch(session, "cpu", hosts=("router",))
    until(lambda: events(session, "gap") or events(session, "error"))
    assert "no good" not in "".join(event.text for event in events(session))


# -- what goes wrong


def test_a_host_that_stalls_is_a_gap_and_comes_back(proxy: Any, sshd: Any, keys: Any, open_lab: Any) -> None:
    way = proxy(sshd.address, sshd.port)
    session = open_lab(box=ssh(sshd, keys, port=way.port, keepalive="300ms"))
    watch(session, "load")
    until(lambda: readings(session, "load_1min"))
    way.stall()
    until(lambda: events(session, "gap"), "the gap")
    count = len(readings(session, "load_1min"))
    way.resume()
    until(lambda: len(readings(session, "load_1min")) > count, "coming back")
    (gap,) = events(session, "gap")
    assert gap.host == "box"
    assert gap.text.startswith("The host does not answer: ")
    assert gap.until is not None


def test_a_cut_connection_is_a_gap_and_the_loop_ends_on_the_host(proxy: Any, sshd: Any, keys: Any, open_lab: Any) -> None:
    way = proxy(sshd.address, sshd.port)
    session = open_lab(box=ssh(sshd, keys, port=way.port))
    watch(session, "load", "disk")
    until(lambda: readings(session, "load_1min") and readings(session, "disk_used_percent"))
    first = started("otto_wanted", sshd.pid)
    assert first
    way.cut()
    until(lambda: not first.intersection(processes.running("otto_wanted")), "the end of the loops")
    until(lambda: events(session, "gap") and all(gap.until for gap in events(session, "gap")), "coming back")


def test_a_host_that_cannot_be_reached_is_tried_again(sshd: Any, keys: Any, open_lab: Any) -> None:
    port = processes.free_port()
    session = open_lab(box=ssh(sshd, keys), gone=ssh(sshd, keys, port=port))
    watch(session, "load", hosts=("box", "gone"))
    until(lambda: events(session, "gap") and readings(session, "load_1min"))
    assert "refused the connection" in events(session, "gap")[0].text
    assert len(events(session, "gap")) == 1


def test_a_wrong_password_is_not_tried_twice(faulty_ssh: Any, open_lab: Any) -> None:
    server = faulty_ssh("password")
    session = open_lab(box={"address": server.address, "port": server.port, "user": server.user, "password": server.password})
    watch(session, "load")
    until(lambda: events(session, "error"))
    assert "The host is no longer watched: Host 'box' refused the login" in events(session, "error")[0].text
    attempts = server.connections
    time.sleep(1)
    assert server.connections == attempts


def test_closing_leaves_no_process(sshd: Any, keys: Any, open_lab: Any) -> None:
    session = open_lab(box=ssh(sshd, keys, metrics={"slow": {"command": "exec sleep 4711"}}))
    watch(session)
    until(lambda: readings(session, "load_1min") and started("sleep 4711", sshd.pid))
    first = started("otto_wanted", sshd.pid) | started("sleep 4711", sshd.pid)
    session.monitor.end()
    until(lambda: not any(processes.alive(pid) for pid in first), "the end of what it started")


def test_a_command_that_hangs_keeps_nothing_else_waiting(
    sshd: Any, keys: Any, open_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.watch._COMMAND_ANSWER_S", 1.5)
    session = open_lab(box=ssh(sshd, keys, metrics={"stuck": {"command": "sleep 1000"}, "fine": {"command": "echo 1"}}))
    watch(session, "load", "stuck", "fine")
    until(lambda: events(session, "gap"), "the gap of what hangs")
    assert events(session, "gap")[0].text == "Metric 'stuck' does not answer: no answer in 1.5 seconds"
    until(lambda: len(readings(session, "fine")) > 1, "what stands behind it")
    assert len(readings(session, "load_1min")) > 5


# -- metrics of one's own


def test_own_metrics_of_the_lab(sshd: Any, keys: Any, open_lab: Any, tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.write_text("depth=3 age=1.5\n")
    own = {
        "queue": {"command": f"cat {queue}", "pattern": r"depth=(?P<depth>\d+) age=(?P<age_s>[\d.]+)"},
        "plain": {"command": "echo 7"},
    }
    session = open_lab(box=ssh(sshd, keys, metrics=own))
    watch(session, "queue", "plain")
    until(lambda: readings(session, "queue_depth") and readings(session, "plain"))
    assert readings(session, "queue_age_s")[-1] == 1.5
    assert session.monitor.ask(lambda monitor: monitor.statistic("box", "queue", "last", 0))[0] == 3
    queue.write_text("broken\n")
    until(lambda: events(session, "error"))
    time.sleep(0.5)
    (problem,) = events(session, "error")
    assert problem.text.startswith("Metric 'queue' cannot be read: ")
    queue.write_text("depth=9 age=2\n")
    until(lambda: readings(session, "queue_depth")[-1] == 9)


def test_a_file_is_followed_over_its_rotation(sshd: Any, keys: Any, open_lab: Any, tmp_path: Path) -> None:
    log = tmp_path / "app log.txt"
    log.write_text("latency=1 ms\nERROR old\n")
    own = {"app": {"file": str(log), "pattern": r"latency=(?P<latency_ms>\d+)", "event": "ERROR"}}
    session = open_lab(box=ssh(sshd, keys, metrics=own))
    watch(session, "app")

    def say(text: str) -> None:
        with log.open("a") as out:
            out.write(text)

    def said(value: float) -> bool:
        say(f"latency={value:.0f} ms\nnothing\n")
        time.sleep(0.1)
        return value in readings(session, "app_latency_ms")

    until(lambda: said(12))
    say("ERROR disk is full\n")
    until(lambda: events(session, "log"))
    assert [event.text for event in events(session, "log")] == ["ERROR disk is full"]
    assert 1 not in readings(session, "app_latency_ms")
    log.rename(tmp_path / "app.log.1")
    log.write_text("")
    until(lambda: said(34))
    session.monitor.end()
    until(lambda: not processes.running(f"tail -n 0 -F {log}"), "the end of what follows")


def test_a_metric_registered_in_python(sshd: Any, keys: Any, open_lab: Any) -> None:
    register_metric("answer", "echo 41", lambda output: {"answer_count": int(output) + 1})
    session = open_lab(box=ssh(sshd, keys))
    watch(session, "answer")
    until(lambda: readings(session, "answer_count"))
    assert readings(session, "answer_count")[-1] == 42
    with pytest.raises(PluginError, match="'cpu' is claimed by"):
        register_metric("cpu", "echo", float)


# -- questions


def test_what_is_no_longer_remembered_is_read_from_the_recording(
    open_lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.monitor._KEPT", 4)
    session = open_lab(box={"transport": "local"})
    watch(session, "load", "memory", store=tmp_path / "m.db")
    until(lambda: len(readings(session, "load_1min")) >= 12)
    rows = session.monitor.ask(lambda monitor: monitor.statistics(0))
    assert {row.series for row in rows} == {"load_1min", "memory_used_percent"}
    assert all(row.count >= 12 for row in rows)


def test_wrong_names_say_what_there_is(sshd: Any, keys: Any, open_lab: Any) -> None:
    session = open_lab(box=ssh(sshd, keys))
    with pytest.raises(UnknownNameError, match=r"No metric named 'cpuu'\. Did you mean 'cpu'\?"):
        watch(session, "cpuu")
    with pytest.raises(UsageError, match=r"Metric 'process' is not written like this\. Write 'process:NAME'\."):
        watch(session, "process")
    with pytest.raises(UsageError, match=r"An interval of 0\.01 s is too short"):
        watch(session, "cpu", interval_s=0.01)
    watch(session, "load")
    with pytest.raises(UnknownNameError, match=r"No watched host named 'bax'\. Did you mean 'box'\?"):
        session.monitor.ask(lambda monitor: monitor.statistic("bax", "load", "last", 0))
    with pytest.raises(UnknownNameError, match=r"No metric or series named 'lood'\. Did you mean 'load'\?"):
        session.monitor.ask(lambda monitor: monitor.statistic("box", "lood", "last", 0))
    with pytest.raises(LimitError, match=r"Metric 'load_9min' of host 'box' has no reading of 'load_9min' in this period\."):
        session.monitor.ask(lambda monitor: monitor.statistic("box", "load_9min", "last", 0, wait_s=0.2))


def test_a_limit_without_a_reading_is_broken(sshd: Any, keys: Any, open_lab: Any) -> None:
    session = open_lab(gone=ssh(sshd, keys, port=processes.free_port()))
    watch(session, "load", hosts=("gone",))

    async def limit(monitor: Any) -> None:
        monitor.limit("gone", "load", "max", ">", "100")

    session.monitor.ask(limit)
    (broken,) = session.monitor.ask(lambda monitor: monitor.take_limits(wait_s=0.5))
    assert "has no reading of 'load_1min' in this period. The host does not answer: " in str(broken)


def test_limits_without_a_reading_are_waited_for_together(sshd: Any, keys: Any, open_lab: Any) -> None:
    session = open_lab(gone=ssh(sshd, keys, port=processes.free_port()))
    watch(session, "load", hosts=("gone",))

    async def limit(monitor: Any) -> None:
        for bound in range(30):
            monitor.limit("gone", "load", "max", ">", str(bound))

    session.monitor.ask(limit)
    began = time.monotonic()
    assert len(session.monitor.ask(lambda monitor: monitor.take_limits(wait_s=1))) == 30
    assert time.monotonic() - began < 15
