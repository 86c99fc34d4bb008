"""What a monitor remembers and answers, with readings that the test gives: no host is asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts.facts import HostFacts, OwnMetric
from OttoLibrary.contracts.metrics import CommandMetric, Event, FollowedMetric, Tick
from OttoLibrary.errors import LimitError, PluginError, UnknownNameError, UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.monitor import Monitor, WatchedHost
from OttoLibrary.monitor.registered_metrics import make_metrics
from OttoLibrary.monitor.watching import watch_request

AT = 1_700_000_000.0


class Audience:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.events: list[tuple[int, Event | None]] = []

    def tick(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def event(self, number: int, event: Event | None) -> None:
        self.events.append((number, event))

    def end(self) -> None:
        return


def monitor(*names: str, mask: Any = str) -> Monitor:
    host = Host("dut1", ("dut1",), lambda: HostFacts("dut1", address="127.0.0.1"), None, lambda record: None)
    made = Monitor(2.0, mask)
    request = asyncio.run(watch_request([host], names or ("cpu", "load"), 2.0))
    made.admit(request, {"dut1": WatchedHost(host.path)})
    return made


def tick(after_s: float, **values: float) -> Tick:
    return Tick("dut1", AT + after_s, 100.0 + after_s, values)


def answered(question: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(question)


def test_a_metric_stands_for_its_main_series_and_a_label_for_one_of_them() -> None:
    made = monitor()
    assert made.series_of("dut1", "cpu") == "cpu_percent"
    assert made.series_of("dut1", "cpu[0]") == "cpu_percent[0]"
    assert made.series_of("dut1", "cpu_user_percent") == "cpu_user_percent"
    with pytest.raises(UnknownNameError, match="No metric or series named 'cpux'"):
        made.series_of("dut1", "cpux")
    with pytest.raises(UnknownNameError, match="No watched host named 'dut2'"):
        made.series_of("dut2", "cpu")


def test_statistics_are_of_the_period_that_is_asked_for() -> None:
    made = monitor()
    for second in range(10):
        made.tick(tick(second, load_1min=float(second)))
    assert answered(made.statistic("dut1", "load", "max", AT + 2, AT + 5)) == (4.0, AT + 4, "")
    with pytest.raises(LimitError, match=r"Metric 'load' of host 'dut1' has no reading of 'load_1min' in this period\."):
        answered(made.statistic("dut1", "load", "max", AT + 100, AT + 200))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reading_that_is_not_finite_is_left_out_and_warned_about_once(value: float) -> None:
    made, audience = monitor(), Audience()
    made.subscribe(audience)
    for second in range(3):
        made.tick(tick(second, load_1min=value, load_5min=1.0))
    assert [heard.values for heard in audience.ticks] == [{"load_5min": 1.0}] * 3
    assert made.known("dut1") == ["load_5min"]
    assert [event.kind for _, event in audience.events if event is not None] == ["error"]
    assert made.take_warnings() == [
        f"Monitor, host 'dut1': 'load_1min' was read as {value}, which is not a finite number, and was left out"
    ]


def test_secrets_are_hidden_in_events_and_warnings() -> None:
    made = monitor(mask=lambda text: text.replace("hunter2", "<secret>"))
    number = made.mark(Event(AT, "login hunter2", "error", "dut1"))
    assert made.numbered_events()[number].text == "login <secret>"
    assert made.take_warnings() == ["Monitor, host 'dut1': login <secret>"]
    assert made.take_warnings() == []


def test_a_span_is_open_until_it_is_ended() -> None:
    made = monitor()
    made.begin_span("load")
    with pytest.raises(UsageError, match="The span 'load' is open already"):
        made.begin_span("load")
    ended = made.end_span("load")
    assert ended.until is not None
    with pytest.raises(UnknownNameError, match="No open span named 'load'"):
        made.end_span("load")


def test_a_limit_is_reported_when_it_is_broken_and_only_once() -> None:
    made, broken = monitor(), list[LimitError]()
    made.limit("dut1", "load", "max", ">", "3", since=AT, at_once=broken.append)
    for second, value in enumerate((1.0, 4.0, 5.0)):
        made.tick(tick(second, load_1min=value))
    assert [str(error).partition(" (")[0] for error in broken] == ["Metric 'load' of host 'dut1' max 4 must not be > 3"]
    assert answered(made.take_limits(0.0)) == []


def test_a_limit_without_a_reading_is_broken() -> None:
    made = monitor()
    made.limit("dut1", "load", "max", ">", "3", since=AT)
    (error,) = answered(made.take_limits(0.0))
    assert "has no reading of 'load_1min'" in str(error)


def test_metrics_of_a_lab_come_with_the_usual_ones() -> None:
    owned = {"queue": OwnMetric(command="echo 1"), "log": OwnMetric(file="/var/log/x", pattern=r"(?P<n>\d+)")}
    made = make_metrics((), owned)
    assert list(made) == ["cpu", "memory", "disk", "network", "load", "queue", "log"]
    assert isinstance(made["queue"], CommandMetric)
    assert isinstance(made["log"], FollowedMetric)


def test_a_metric_without_its_argument_and_an_unknown_one_are_mistakes() -> None:
    with pytest.raises(UsageError, match=r"Metric 'process' is not written like this\. Write 'process:NAME'"):
        make_metrics(["process"], {})
    with pytest.raises(UsageError, match=r"Metric 'cpu:0' is not written like this\. Write 'cpu'"):
        make_metrics(["cpu:0"], {})
    with pytest.raises(UnknownNameError, match=r"No metric named 'cpux'\. Did you mean 'cpu'\?"):
        make_metrics(["cpux"], {})


def test_a_plug_in_that_does_not_say_how_it_is_asked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._registered, "metric", {"odd": (object, "odd")})
    with pytest.raises(PluginError, match=r"Metric 'odd' \(object\) is not a subclass of contracts\.metrics\.Metric"):
        make_metrics(["odd"], {})


def test_names_and_events_cannot_control_a_terminal() -> None:
    made, audience = monitor(), Audience()
    made.subscribe(audience)
    made.tick(Tick("dut1", AT, 100.0, {"disk_used_bytes[/mnt/\x1b]0;owned\x07]": 1.0}))
    made.mark(Event(AT, "\x1b[31mERROR\x1b[0m \x1b]52;c;b3duZWQ=\x07\u202egpj.exe", "log", "dut1"))
    texts = [*made.known("dut1"), *(event.text for event in made.numbered_events().values()), *audience.ticks[0].values]
    assert all(text.isprintable() for text in texts), texts


def test_a_secret_with_escapes_inside_is_hidden() -> None:
    made = monitor(mask=lambda text: text.replace("hunter2", "<secret>").replace("tab\x01key", "<secret>"))
    number = made.mark(Event(AT, "password hun\x1b[0mter2 and tab\x01key", "log", "dut1"))
    assert made.numbered_events()[number].text == "password <secret> and <secret>"


def test_a_long_event_is_cut_after_secrets_are_hidden() -> None:
    made = monitor(mask=lambda text: text.replace("hunter2", "<secret>"))
    number = made.mark(Event(AT, "x" * 495 + "hunter2" + "y" * 100_000, "log", "dut1"))
    text = made.numbered_events()[number].text
    assert len(text) == 500
    assert text.endswith("<sec…")


def test_series_without_end_are_bounded_and_warned_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.monitor._MOST_SERIES", 10)
    made, audience = monitor(), Audience()
    made.subscribe(audience)
    for number in range(30):
        made.tick(tick(number, load_1min=1.0, **{f"log_count[{number}]": 1.0}))
    assert len(made.known("dut1")) == 10
    assert all("load_1min" in heard.values for heard in audience.ticks)
    assert [event.kind for _, event in audience.events if event is not None] == ["error"]
    assert made.take_warnings() == [
        "Monitor, host 'dut1': There are more than 10 series; 'log_count[9]' and all further ones are left out"
    ]


def test_readings_of_very_many_series_are_kept_for_less_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.monitor._KEPT_OF_ALL", 1000)
    monkeypatch.setattr("OttoLibrary.monitor.monitor._LEAST_KEPT", 5)
    made = monitor()
    for second in range(300):
        made.tick(tick(second, **{f"log_count[{number}]": float(second) for number in range(100)}))
    kept, is_whole = made.remembered("dut1")
    assert not is_whole
    assert sum(len(times) for times, _ in kept.values()) <= 2 * 1000
    assert all(values[-1] == 299.0 for _, values in kept.values())


def test_warnings_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("OttoLibrary.monitor.monitor._WARNINGS_KEPT", 20)
    made = monitor()
    for number in range(100):
        made.mark(Event(AT, f"problem {number}", "error", "dut1"))
    assert len(made.take_warnings()) == 20
    assert len(made._warned) <= 20
