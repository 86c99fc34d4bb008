"""Keywords that watch hosts: start, ask, limit, show and export."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from assertionengine import AssertionOperator, verify_assertion
from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.contracts.metrics import Event
from OttoLibrary.errors import LimitError, UnknownNameError, UsageError
from OttoLibrary.keywords.component import Component, dotted
from OttoLibrary.monitor.limit import clock_text
from OttoLibrary.run.run_monitor import monitor_option, recording_path
from OttoLibrary.text import listed, plural
from OttoLibrary.units import quantity, value_text

_WORDS = {
    "==": "should be",
    "!=": "should not be",
    "<": "should be less than",
    "<=": "should be at most",
    ">": "should be greater than",
    ">=": "should be at least",
}
_EXPRESSIONS = ("validate", "then")
Statistic = Literal["last", "min", "max", "mean", "p50", "p95", "p99", "slope", "delta"]
Relation = Literal["<", "<=", ">", ">=", "==", "!="]
Format = Literal["csv", "jsonl", "prometheus", "influx"]
_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".prom": "prometheus", ".txt": "prometheus", ".influx": "influx", ".lp": "influx"}


class MonitorKeywords(Component):
    """Watch, mark, ask, limit, log and export."""

    @keyword(tags=["Monitor"])
    def start_monitor(
        self,
        hosts: str = "",
        *,
        interval: timedelta | None = None,
        metrics: str = "",
        store: str = "",
        label: str = "",
        dashboard: bool = False,
    ) -> None:
        """Watches hosts in the background until the present suite or test ends.

        Args:
            hosts: Which hosts, a selection; all of the lab by default.
            interval: Time between two readings, at least 100 ms; 2 s by default.
            metrics: What to read, joined by commas: `cpu`, `memory`, `disk`, `disk_io`, `network`, `load`, `processes`,
                `process:NAME`, `tcp`, `temperature`, `pressure`, `snmp:OID` or a metric of the lab; by default `cpu`, `memory`,
                `disk`, `network`, `load` and all of the lab.
            store: Path of the recording, or `none` to keep none; by default `otto/metrics.db` beside the log.
            label: What the recording is called; the name of the suite by default.
            dashboard: Serve a live page on this machine until the monitor ends. Its address, with a key that opens it, is on the
                console and in the log. It needs the packages of `robotframework-ottolibrary[dashboard]`.

        Defaults may be stated in the table `[monitor]` of the settings.

        A run has one monitor. When one runs already (of `--listener OttoLibrary.Metrics`, of a parent suite, or of another import
        of the library with the same recording), this adds hosts, metrics or a finer interval to it until the present suite or
        test ends; readings go into the recording that is open.

        Raises:
            UsageError: The recording cannot be written, or a host of the same name and another lab is watched.
            PluginError: The packages of the dashboard are not installed.
            UnknownNameError: There is no such host or metric.

        Hosts are read in the background, over their own channel, which never touches the shells of tests. A host that does not
        answer becomes a gap and an event, and is tried again. A host behind a single serial line is read between the commands of
        tests, and only once a command has run on it.

        ```robotframework
        Start Monitor    tag:dut    interval=500 ms    metrics=cpu,memory
        Run On Host    dut1    true
        Get Metric    dut1    memory    max    <    99
        Stop Monitor
        ```
        """
        session = self.session
        names = session.lab.select(monitor_option(session.suite, "hosts", hosts, "*"))
        interval_s = monitor_option(session.suite, "interval", None if interval is None else interval.total_seconds(), 2.0)
        place = recording_path(session.suite, store)
        if dashboard:
            _check_dashboard()
        wanted = listed(monitor_option(session.suite, "metrics", metrics, ""))
        joined = session.monitor.start(names, wanted, interval_s, place, label)
        session.scopes.on_end(lambda: session.monitor.give_back(joined))
        recorded = session.monitor.running.store
        kept = f" Recorded in {recorded.path}." if recorded else ""
        if dashboard:
            self._serve_page()
        self.log_html(f"Watching {', '.join(names)} every {interval_s:g} s.{kept}")

    @keyword(tags=["Monitor"])
    def stop_monitor(self) -> dict[str, Any]:
        """Stops what `Start Monitor` began, logs its charts and returns its statistics.

        What others have hosts read for goes on: `--listener OttoLibrary.Metrics`, or a `Start Monitor` of a parent suite.

        Returns:
            A dictionary by host of dictionaries by series, such as `cpu_percent`, of statistics: `last`, `min`, `max`, `mean`,
            `p50`, `p95`, `p99`, `slope` (a second), `delta`, `count`, `unit`.

        Raises:
            NotOpenError: No monitor is running.
            UsageError: Only others have hosts read.

        ```robotframework
        Start Monitor    dut1    interval=100 ms    metrics=load
        Get Metric    dut1    load    last
        ${found}=    Stop Monitor
        Should Be True    ${found}[dut1][load_1min][count] >= 1
        ```
        """
        monitor = self.session.monitor
        hosts, since = monitor.own_hosts, monitor.began
        if not hosts:
            raise UsageError("The monitor that runs was not started with 'Start Monitor' here; it stops when the run ends.")
        self._picture(since, None, hosts)
        rows = monitor.ask(lambda running: running.statistics(since, main_only=False))
        monitor.stop_last()
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            if row.host in hosts:
                found.setdefault(row.host, {})[row.series] = row
        return dotted({host: dotted(series) for host, series in found.items()})

    @keyword(tags=["Monitor"])
    def get_metric(
        self,
        host: str,
        metric: str,
        statistic: Statistic = "last",
        assertion_operator: AssertionOperator | None = None,
        expected: Any = None,
        *,
        message: str | None = None,
        span: str = "",
        last: timedelta | None = None,
        timeout: timedelta = timedelta(seconds=10),
    ) -> float:
        """Returns a statistic of the readings of a host, and optionally checks it.

        Args:
            host: Name of the host.
            metric: A metric (`cpu` means `cpu_percent`), with a label in brackets (`disk[/var]`), or a series
                (`network_sent_bytes_per_s[eth0]`).
            statistic: `last`, `min`, `max`, `mean`, `p50`, `p95`, `p99`, `slope` (growth a second) or `delta` (last minus first).
            assertion_operator: `<`, `<=`, `>`, `>=`, `==`, `!=`, `validate` or `then`.
            expected: What it is compared with: a number, or one with a unit, such as `80 %`, `50 MiB` or `1.5 GB`.
            message: What the error says in place of the usual sentence.
            span: Take the readings of a span, see `Start Monitor Span`.
            last: Take the readings of this long, until now; by default those of the test, or all outside of a test.
            timeout: How long to wait for a first reading when there is none yet.

        Raises:
            LimitError: The check failed, or there is no reading.
            UnknownNameError: There is no such host, metric or span.

        ```robotframework
        Start Monitor    dut1    interval=100 ms    metrics=cpu,memory
        Run On Host    dut1    sleep 0.5
        ${percent}=    Get Metric    dut1    cpu    mean
        Get Metric    dut1    memory_used_bytes    delta    <    500 MiB
        ```
        """
        since, until = self._window(span, last)
        value, at, unit = self.session.monitor.ask(
            lambda monitor: monitor.statistic(host, metric, statistic, since, until, timeout.total_seconds())
        )
        logger.info(f"{metric} {statistic} {value_text(value, unit)} ({self._when(at, since)})")
        if assertion_operator is None:
            return value
        if assertion_operator.value in _EXPRESSIONS:
            return float(verify_assertion(value, assertion_operator, expected, f"Metric '{metric}' of host '{host}'", message))
        if assertion_operator.value not in _WORDS:
            raise UsageError(f"Numbers cannot be compared with '{assertion_operator.name}'. Use one of: {', '.join(_WORDS)}.")
        wanted = quantity(expected, unit)
        try:
            verify_assertion(value, assertion_operator, wanted)
        except AssertionError as error:
            rule = f"{_WORDS[assertion_operator.value]} {value_text(wanted, unit)}"
            said = f"Metric '{metric}' of host '{host}' {statistic} {value_text(value, unit)} {rule} ({self._when(at, since)})."
            raise LimitError(host, metric, message or said) from error
        return value

    @keyword(tags=["Monitor"])
    def fail_if_metric(
        self,
        hosts: str,
        metric: str,
        statistic: Statistic,
        relation: Relation,
        value: str,
        *,
        at_once: bool = False,
    ) -> None:
        """Fails the test when a reading breaks a limit, at its end or immediately.

        Args:
            hosts: Which hosts, a selection; each is watched for itself.
            metric: As in `Get Metric`.
            statistic: As in `Get Metric`, of the readings from now on.
            relation: `<`, `<=`, `>`, `>=`, `==` or `!=`.
            value: A number, or one with a unit, such as `80 %` or `50 MiB`.
            at_once: End the test as soon as the limit is broken: a keyword of this library immediately, others when they are
                over.

        Raises:
            UnknownNameError: There is no such host, metric or statistic.
            UsageError: A host of the selection is not watched.
            NotOpenError: No monitor is running.

        A limit counts until the end of the test; one that had no reading fails it too. The tag `otto:limit=dut1 cpu max < 90`
        says the same, the other way round: what must be.

        ```robotframework
        Start Monitor    dut1    interval=100 ms    metrics=load
        Fail If Metric    dut1    load    max    >    5000
        Get Metric    dut1    load
        ```
        """
        stated, breach = (metric, statistic, relation, value), self.session.breaches.add if at_once else None
        for name in self._all_watched(hosts):
            self.session.monitor.do(lambda monitor, name=name: monitor.limit(name, *stated, at_once=breach))  # type: ignore[misc]

    @keyword(tags=["Monitor"])
    def record_metric(self, host: str, metric: str, value: float) -> None:
        """Records a reading of the test itself, to be shown and checked like any other.

        Args:
            host: Name of a host that is watched.
            metric: Name of the series, with its unit at the end: `latency_ms`, `boot_s`, `sent_bytes`.
            value: The number.

        Raises:
            UnknownNameError: No such host is watched.
            UsageError: The series has no name, or the value is not finite.

        ```robotframework
        Start Monitor    dut1    metrics=load
        Record Metric    dut1    latency_ms    12.3
        Get Metric    dut1    latency_ms    max    <    20
        ```
        """
        if not metric.strip():
            raise UsageError("A reading needs the name of a series, such as 'latency_ms'.")
        if not math.isfinite(value):
            raise UsageError(f"The reading of '{metric}' is {value}. Only finite numbers can be recorded.")
        self.session.monitor.do(lambda monitor: monitor.record(host, metric, value))

    @keyword(tags=["Monitor"])
    def mark_monitor_event(self, text: str, *, host: str = "") -> None:
        """Marks this moment in the charts and the recording.

        Args:
            text: What happens.
            host: The host that it concerns; all by default.

        Raises:
            UnknownNameError: No such host is watched.

        ```robotframework
        Start Monitor    dut1    metrics=load
        Mark Monitor Event    load begins
        ```
        """
        if host:
            self.session.monitor.running.check_host(host)
        self.session.monitor.do(lambda monitor: monitor.mark(Event(time.time(), text, "mark", host)))

    @keyword(tags=["Monitor"])
    def start_monitor_span(self, name: str) -> None:
        """Begins a span: a named stretch of time in charts and recording.

        Args:
            name: Its name.

        Raises:
            UsageError: A span of that name is open.

        ```robotframework
        Start Monitor    dut1    interval=100 ms    metrics=load
        Start Monitor Span    warm-up
        Get Metric    dut1    load    last
        End Monitor Span    warm-up
        Get Metric    dut1    load    max    span=warm-up
        ```
        """
        self.session.monitor.do(lambda monitor: monitor.begin_span(name))

    @keyword(tags=["Monitor"])
    def end_monitor_span(self, name: str) -> None:
        """Ends a span and logs its charts.

        Args:
            name: Its name.

        Raises:
            UnknownNameError: No span of that name is open.

        ```robotframework
        Start Monitor    dut1    metrics=load
        Start Monitor Span    upgrade
        End Monitor Span    upgrade
        ```
        """
        span = self.session.monitor.do(lambda monitor: monitor.end_span(name))
        self._picture(span.at, span.until, ())

    @keyword(tags=["Monitor"])
    def log_metrics(self, hosts: str = "", *, span: str = "", last: timedelta | None = None) -> None:
        """Logs charts and a table of what hosts did.

        Args:
            hosts: Which hosts, a selection; all that are watched by default.
            span: Of a span.
            last: Of this long, until now; by default of the test, or outside of a test of the whole time.

        Raises:
            UsageError: None of the hosts is watched.

        ```robotframework
        Start Monitor    dut1    interval=100 ms    metrics=load
        Get Metric    dut1    load
        Log Metrics    dut1
        ```
        """
        since, until = self._window(span, last)
        names = self._watched(hosts) if hosts else []
        if not self._picture(since, until, names):
            self.log_html("No readings in this time.")

    @keyword(tags=["Monitor"])
    def export_metrics(self, path: str, *, format: Format | None = None, span: str = "", last: timedelta | None = None) -> str:
        """Writes readings and events to a file for other tools.

        Args:
            path: The file; a relative one is beside the log.
            format: `csv`, `jsonl` (JSON lines), `prometheus` (text format) or `influx` (line protocol); by default what the
                ending says: `.csv`, `.jsonl`, `.prom`, `.influx`.
            span: Of a span.
            last: Of this long, until now; by default all.

        Returns:
            The path of the file.

        Raises:
            UsageError: The monitor keeps no recording (`store=none`), or the format is not known.

        ```robotframework
        Start Monitor    dut1    interval=100 ms    metrics=load
        Get Metric    dut1    load
        ${file}=    Export Metrics    metrics.csv
        ```
        """
        form = format or _FORMATS.get(Path(path).suffix.lower())
        if form is None:
            raise UnknownNameError("format of metrics", Path(path).suffix or path, sorted(set(_FORMATS.values())))
        since, until = self._window(span, last) if span or last else (self.session.monitor.began, None)
        target = (self.session.suite.output_folder or Path()) / Path(path).expanduser()
        count = self.session.monitor.ask(lambda monitor: monitor.export(target, form, since, until))
        self.log_html(f"{plural(count, 'reading')} written to {target}.")
        return str(target)

    def _watched(self, hosts: str) -> list[str]:
        watched = self.session.monitor.running.watched
        names = [name for name in self.session.lab.loaded.select(hosts) if name in watched]
        if not names:
            raise UsageError(f"No watched host is selected by '{hosts}'. Watched: {', '.join(watched)}.")
        return names

    def _all_watched(self, hosts: str) -> list[str]:
        """Return the hosts of a selection; raise UsageError when one of them is not watched: it would not be guarded."""
        watched = self._watched(hosts)
        others = [name for name in self.session.lab.select(hosts) if name not in watched]
        if others:
            raise UsageError(f"'{hosts}' selects hosts that are not watched: {', '.join(others)}. Watched: {', '.join(watched)}.")
        return watched

    def _serve_page(self) -> None:
        from OttoLibrary.dashboard.live_page import serve_live

        # It ends by itself when the monitor does.
        url = serve_live(self.session)
        logger.console(f"Dashboard: {url}")
        self.log_html(f'Dashboard: <a href="{url}">{url}</a>')

    def _window(self, span: str, last: timedelta | None) -> tuple[float, float | None]:
        if span:
            return self.session.monitor.running.span(span)
        if last is not None:
            return time.time() - last.total_seconds(), None
        return max(self.session.scopes.test_began or 0.0, self.session.monitor.began), None

    def _when(self, at: float | None, since: float) -> str:
        began = f"test started {clock_text(since)}" if self.session.scopes.test_began == since else f"since {clock_text(since)}"
        return f"at {clock_text(at)}, {began}" if at is not None else began

    def _picture(self, since: float, until: float | None, hosts: Any) -> bool:
        html, _ = self.session.monitor.ask(lambda monitor: monitor.picture(since, until, hosts=hosts))
        if html:
            self.log_html(html)
        return bool(html)


def _check_dashboard() -> None:
    from OttoLibrary.dashboard.server import check_installed

    check_installed()
