"""Keywords that run scenarios: events that come due during a long test."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.errors import CheckError, NotOpenError, UsageError, did_you_mean
from OttoLibrary.keywords.component import Component, dotted
from OttoLibrary.text import some
from OttoLibrary.units import duration_text, seconds

if TYPE_CHECKING:
    from OttoLibrary.run.scenarios import Performance, SessionScenarios
    from OttoLibrary.run.session import Session

_CONDITION = re.compile(r"(?:(?P<event>.+)\.)?(?P<name>\w+)\s*(?P<relation><=|>=|<|>|!=|==|=)\s*(?P<value>.+)", re.DOTALL)
_COUNTS = {"failures": "failed", "failed": "failed", "due": "due", "run": "run", "skipped": "skipped", "missed": "missed"}
_TIMES = {"late_p50": 50, "late_p95": 95, "late_p99": 99, "late_max": 100}
_RELATIONS = {
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
    "!=": lambda value, wanted: value != wanted,
    "=": lambda value, wanted: value == wanted,
}


class ScenarioKeywords(Component):
    """Add events, run scenarios, report, and check what became of them."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._loaded: SessionScenarios | None = None

    @property
    def _scenarios(self) -> SessionScenarios:
        if self._loaded is None:
            from OttoLibrary.run.scenarios import SessionScenarios

            self._loaded = SessionScenarios(self.session)
        return self._loaded

    @keyword(tags=["Scenario"])
    def add_scenario_event(
        self,
        name: str,
        *,
        keyword: str = "",
        function: str = "",
        command: str = "",
        impairment: str = "",
        service: str = "",
        fill: str = "",
        clock: str = "",
        reboot: str = "",
        power: str = "",
        load: str = "",
        hosts: str = "",
        every: str = "",
        cron: str = "",
        time_zone: str = "",
        start_after: str = "",
        jitter: str = "",
        times: int | None = None,
        at_startup: bool | None = None,
        at_teardown: bool | None = None,
        timeout: str = "",
        overlap: str = "",
        on_error: str = "",
        max_failures: int | None = None,
        depends_on: list[str] | str = "",
        undo: str = "",
        probe: str = "",
        params: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        """Adds an event to the scenario that `Run Scenario` runs next in this test.

        Args:
            name: What it is called; also the keyword or function, unless another argument says what it does.
            keyword: A keyword that it runs.
            function: A Python function that was registered with `@scenario_event`.
            command: A command that it runs on `hosts`.
            impairment: A worse network: `HOST [INTERFACE] delay=20 ms loss=1 %`.
            service: A process that is disturbed: `HOST stop|kill|pause NAME`.
            fill: A bounded hog: `HOST disk|memory|cpu AMOUNT`.
            clock: A step of a clock: `HOST +1 h`.
            reboot: A host that reboots.
            power: A host whose power is cut.
            load: A load plan.
            hosts: A selection; it runs on each, a keyword one after the other with the argument `host`.
            every: Time from start to start.
            cron: When, by the wall clock: five fields, or six with seconds in front, or a word such as `@hourly`.
            time_zone: Where that clock hangs; by default this machine's.
            start_after: The first time is so long after the start.
            jitter: Each is late by a random time of at most this.
            times: How often at most.
            at_startup: The first time is at once; yes, unless `cron` or `start_after` says when.
            at_teardown: It runs once more after the end, however that came.
            timeout: How long a run may take.
            overlap: When it is due while it still runs, `skip` this time, `queue` until it has ended, or `allow` both.
            on_error: A failure may `continue`, `fail` the test at the end, or `stop` the scenario.
            max_failures: After so many failures it is not run again, and the test fails.
            depends_on: It starts only after these events have passed.
            undo: The keyword or command that undoes it: after the time `for`, or at the end.
            probe: The keyword or command that fails when the system is not as it should be; asked before, and after the undo.
            params: Its arguments by name, for names that mean something here, or nearly do.
            **arguments: Its arguments by name; `for` is how long it lasts.

        Raises:
            ScenarioError: Something is wrong in it; the message has every mistake.

        A keyword, or function, that has an argument `kill_switch` gets an object whose `is_set()` is true once it has to end; one
        that has an argument `reporter` an object whose `report(name, value, unit)` takes results.

        ```robotframework
        Add Scenario Event    ask     command=~/fw --version    hosts=dut1    every=200 ms
        Add Scenario Event    done    keyword=Log    message=It is over.    at_startup=no    at_teardown=yes
        Run Scenario    duration=1 s
        ```
        """
        given = {
            "keyword": keyword,
            "function": function,
            "command": command,
            "impairment": impairment,
            "service": service,
            "fill": fill,
            "clock": clock,
            "reboot": reboot,
            "power": power,
            "load": load,
            "hosts": hosts,
            "every": every,
            "cron": cron,
            "time_zone": time_zone,
            "start_after": start_after,
            "jitter": jitter,
            "times": times,
            "at_startup": at_startup,
            "at_teardown": at_teardown,
            "timeout": timeout,
            "overlap": overlap.lower(),
            "on_error": on_error.lower(),
            "max_failures": max_failures,
            "depends_on": depends_on,
            "undo": undo,
            "probe": probe,
            "for": arguments.pop("for", None),
            "phase": arguments.pop("phase", None),
        }
        from OttoLibrary.run.event_keywords import check_free_arguments

        check_free_arguments(keyword or function or name, arguments)
        values = {key: value for key, value in given.items() if value not in ("", None)}
        self._scenarios.add({"name": name, **values, "params": {**(params or {}), **arguments}})

    @keyword(tags=["Scenario"])
    def run_scenario(
        self, description: str = "", *, duration: timedelta | None = None, resume: bool = False, name: str = ""
    ) -> dict[str, Any]:
        """Runs a scenario: its events come due until its time is over.

        Args:
            description: The file that describes it, beside the suite or in the current folder. Events of `Add Scenario Event` are
                run with it, or without a description by themselves.
            duration: How long it takes, in place of what the description says; the events of the end come on top.
            resume: Go on where an earlier run of the same scenario with the same output folder was ended by `kill -9` or a
                reboot, and count what was missed meanwhile. Without such a run it starts anew.
            name: What it is called, in place of the description's name.

        Returns:
            By event, a dictionary of `due`, `run`, `failed`, `skipped`, `missed`, `late_p50`, `late_p99`, `late_max`,
            `mean` and `max`, times in seconds.

        Raises:
            ScenarioError: The description is wrong, or an event cannot be run; the message has every mistake. Nothing starts.
            ScenarioFailedError: Events failed, or it ended early; the message names each with run, time and host.

        Keywords run one at a time; functions, commands and disturbances beside them. What is due and cannot run is counted:
        due = run + skipped + missed. When it ends, on whatever way, everything that it started is ended, what was disturbed is
        undone, and the events of the end are run. The log has each failed run in full; those that passed are counted, with a few
        samples. What events report is in `otto/scenario-NAME-results.jsonl` and `.csv` beside the log.

        ```robotframework
        Add Scenario Event    selftest    command=~/fw selftest    hosts=tag:dut    every=300 ms
        &{found}=    Run Scenario    duration=1 s
        Should Be Equal    ${found.selftest.failed}    ${0}
        ```
        """
        from OttoLibrary.run.scenarios import verdict

        file = self._file(description) if description else None
        scenario = self._scenarios.chosen(file, duration.total_seconds() if duration is not None else None, name)
        try:
            self._scenarios.run(scenario, resume, self.log_html)
        finally:
            self.session.journal.take_records()
            if self._scenarios.last is not None:
                self._show(self._scenarios.last)
        performance = self._scenarios.last
        assert performance is not None
        verdict(performance)
        return _numbers(performance)

    @keyword(tags=["Scenario"])
    def scenario_should_meet(self, *conditions: str) -> None:
        """Fails unless the last scenario of this test meets all conditions.

        Args:
            *conditions: A number (`failures`, `due`, `run`, `skipped`, `missed`) or a time (`late_p50`, `late_p95`, `late_p99`,
                `late_max`, `duration`) of all events or, with its name in front, of one: `failures=0`, `late_p99<50 ms`,
                `play.failures<3`.

        A scenario that the setup of a suite ran serves the tests that run none themselves.

        Raises:
            CheckError: Some do not hold; the message has each.
            UsageError: One is not written like this.
            NotOpenError: No scenario has run in this test, nor in the setup of a suite around it.

        ```robotframework
        Add Scenario Event    ask    command=true    hosts=dut1    every=200 ms
        Run Scenario    duration=1 s
        Scenario Should Meet    failures=0    run>=3    late_p99<10 s    ask.missed=0
        ```
        """
        performance = self._scenarios.last
        if performance is None:
            raise NotOpenError("No scenario has run in this test, nor in the setup of its suite. 'Run Scenario' runs one.")
        if not conditions:
            raise UsageError("There is no condition. Write some, such as 'failures=0' or 'late_p99<50 ms'.")
        failed = [said for text in conditions if (said := _broken(performance, text))]
        if failed:
            raise CheckError(failed)
        logger.info(f"{performance.scenario.name}: {', '.join(conditions)}")

    @keyword(tags=["Scenario"])
    def report_from_event(self, *, host: str = "", **results: str) -> None:
        """Reports what an event of the scenario that runs has measured.

        Args:
            host: The host that it is about; the event's own by default.
            **results: Numbers by name, with their units: `fps=24 1/s`. Anything else is kept as text.

        Raises:
            NotOpenError: No scenario is running.

        Results are readings of the monitor, when one runs, and are in the files `otto/scenario-NAME-results.jsonl` and `.csv`
        beside the log.

        ```robotframework
        Add Scenario Event    measure    keyword=Report From Event    params=${{{'fps': '24 1/s', 'host': 'dut1'}}}
        Run Scenario    duration=500 ms
        ```
        """
        from OttoLibrary.errors import ValueFormatError
        from OttoLibrary.scenario.reporter import parsed

        for name, text in results.items():
            try:
                value, unit = parsed(str(text))
            except ValueFormatError:
                self._scenarios.reporter.report(name, text, host=host)
            else:
                self._scenarios.reporter.report(name, value, unit, host)

    def _file(self, given: str) -> Path:
        folders = [self.session.suite.folder or Path(), Path()]
        found = next((folder / given for folder in folders if (folder / given).is_file()), None)
        if found is None:
            searched = some(folder.absolute() for folder in folders)
            raise UsageError(f"There is no description '{given}'. Searched: {searched}.")
        return found

    def _show(self, performance: Performance) -> None:
        from OttoLibrary.run.scenario_report import summary_html, summary_text

        watch, conclusion = performance.watch, performance.conclusion
        logger.info(f"Scenario '{performance.scenario.name}': {summary_text(conclusion)}. {conclusion.reason}.")
        lanes = list(watch.lanes.values())
        self.log_html(summary_html(conclusion, lanes, performance.scenario.phases, watch.length_s))
        for file in performance.files:
            logger.info(f"Results are in {file}.")


def _numbers(performance: Performance) -> dict[str, Any]:
    rows = {}
    for name, row in performance.conclusion.ledger.events.items():
        rows[name] = dotted(
            {
                **{key: getattr(row, key) for key in ("due", "run", "failed", "skipped", "missed")},
                **{key: row.late.percentile_s(percent) for key, percent in _TIMES.items()},
                "mean": row.took.mean_s,
                "max": row.took.max_s,
            }
        )
    return dotted(rows)


def _broken(performance: Performance, text: str) -> str:
    """Return what is wrong when a condition does not hold, or nothing; raise UsageError for one that means nothing."""
    found = _CONDITION.fullmatch(text.strip())
    names = [*_COUNTS, *_TIMES, "duration"]
    if found is None or found["name"] not in names:
        near = did_you_mean(found["name"], names) if found else ""
        raise UsageError(
            f"'{text}' is no condition.{near} Write a name ({', '.join(names)}), a relation and a value: 'failures=0'."
        )
    value, is_time = _value(performance, found["event"], found["name"])
    wanted = seconds(found["value"]) if is_time else _number(text, found["value"])
    relation = "=" if found["relation"] == "==" else found["relation"]
    if _RELATIONS[relation](value, wanted):
        return ""
    return f"{text}: it is {duration_text(value) if is_time else f'{value:g}'}"


def _number(condition: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"'{condition}' is no condition: '{text}' is not a number. Write one, such as 'failures=0'.") from None


def _value(performance: Performance, event: str | None, name: str) -> tuple[float, bool]:
    ledger = performance.conclusion.ledger
    if name == "duration":
        return performance.conclusion.lasted_s, True
    if event is None:
        return (ledger.late_s(_TIMES[name]), True) if name in _TIMES else (float(ledger.total(_COUNTS[name])), False)
    if event not in ledger.events:
        raise UsageError(f"No event is called '{event}'.{did_you_mean(event, ledger.events)} Known: {', '.join(ledger.events)}.")
    row = ledger.events[event]
    return (row.late.percentile_s(_TIMES[name]), True) if name in _TIMES else (float(getattr(row, _COUNTS[name])), False)
