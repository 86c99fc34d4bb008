"""Keywords that put load on a system: start, wait, ask, and judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robot.api import logger
from robot.api.deco import keyword

from OttoLibrary.errors import LimitError, UnknownNameError, UsageError
from OttoLibrary.keywords.component import Component, dotted

if TYPE_CHECKING:
    from OttoLibrary.load.hq_process import LoadOrder
    from OttoLibrary.load.load_run import LoadRun
    from OttoLibrary.load.plan import LoadShape
    from OttoLibrary.report.charts import ChartLine
    from OttoLibrary.run.load_on_locust import LocustTarget
    from OttoLibrary.run.load_target import LoadTarget

_SHOWN_OPTIONS = ("timer", "phase", "message")
_NONE = timedelta()
# For so long at most a load is ended with its test: its users, its HQ, and what is on hosts.
_LEAVE_S = 60.0


class LoadKeywords(Component):
    """Fire, wait, ask, judge."""

    @keyword(tags=["Load"])
    def start_load(
        self,
        *arguments: Any,
        keyword: str = "",
        script: str = "",
        command: str = "",
        locust: str = "",
        users: int | None = None,
        ramp: timedelta = _NONE,
        duration: timedelta | None = None,
        stages: str = "",
        rate: str = "",
        pacing: timedelta = _NONE,
        think_time: str = "",
        iterations: int = 0,
        hosts: str = "",
        turrets: int = 1,
        engine: Literal["otto", "locust"] = "otto",
        locust_python: str = "",
        grace: timedelta = timedelta(seconds=30),
        keep_results: int = 1_000_000,
    ) -> str:
        """Lets virtual users do the same again and again, beside what the test does next.

        Args:
            arguments: Arguments of the keyword or function.
            keyword: What a user does: a user keyword, which runs in a process of its own for each user, or a keyword of a Python
                library, which runs in a thread for each.
            script: In place of it, a Python file beside the suite with a class `Transaction` (as OCT has it), or `file.py:name`
                with another class or a function, sync or async.
            command: In place of both, a command that users run on `hosts`, which they take in turns; it has to exit with 0.
            locust: In place of all these, a file for Locust, whose own processes run it. The number of users, or the shape of the
                file when no number is given, is from Locust; each request counts, and has a timer with its name, such as
                `GET /books`.
            users: How many users; with `rate`, how many may be busy at once.
            ramp: In which time they begin, one after the other; all at once by default.
            duration: How long the load lasts, the ramp in it.
            stages: In place of `ramp` and `duration`: `50 in 10 s, 50 for 1 min, 0 in 10 s`.
            rate: Start iterations at this rate, `50/s` or `600/min`, whether or not earlier ones have ended.
            pacing: Time from the start of an iteration of a user to the start of the next, at least.
            think_time: Pause of a user after each iteration: `1 s`, or by chance from `1 s..3 s`.
            iterations: End after so many iterations of all users together.
            hosts: From which hosts users of Python fire, a selection; from this machine by default. A host needs Python 3.8 and
                nothing else; it is reached through its hops, and nothing stays on it.
            turrets: In how many processes users of Python, or of Locust, run on this machine.
            engine: `locust` lets users of Locust do what `script` or `keyword` of a Python library says; they share one thread of
                each process, and there is no `rate` and no `iterations`.
            locust_python: The Python that has Locust, here and on hosts; by default the one that runs this, on hosts `python3`.
            grace: How long what is in flight at the end may take.
            keep_results: How many results are kept one by one; statistics are of all.

        Returns:
            The folder of the results.

        Raises:
            UsageError: A load runs already, or the plan makes no sense.
            LoadFailedError: The users cannot begin.

        It returns when the users have begun. The load ends by itself, with `Stop Load`, or with the suite or test that started
        it, which gives users 10 seconds to end what they do; what hangs then is ended by force, with a warning. While a monitor
        runs, its charts show users, rate, times and errors of the load, too. It needs the packages of
        `robotframework-ottolibrary[load]`.

        ```robotframework
        VAR    ${pause}    50 ms
        Start Load    ${pause}    keyword=Sleep    users=2    duration=2 s
        Wait For Load
        Load Should Meet    p(95)<2s    error_rate<1%
        ```
        """
        from OttoLibrary.load.plan import shape

        if bool(command) + bool(keyword) + bool(script) + bool(locust) != 1:
            raise UsageError("Say what users do with one of 'keyword', 'script', 'command' and 'locust'.")
        if command and (not hosts or arguments):
            raise UsageError("A command runs on hosts: say which with 'hosts', and put its arguments into the command.")
        on_locust = bool(locust) or engine == "locust"
        if on_locust:
            _check_for_locust(locust, arguments, command=command, rate=rate, iterations=iterations, pause=pacing or think_time)
        fired = shape(
            users=users,
            ramp=ramp.total_seconds(),
            duration=duration.total_seconds() if duration is not None else None,
            stages=stages,
            rate=rate,
            pacing=pacing.total_seconds(),
            think_time=think_time,
            iterations=iterations,
            grace=grace.total_seconds(),
        )
        load = self.session.load
        folder = load.place(self.session.suite.output_folder)
        if on_locust:
            on = self._locust_target(locust, users is None and not stages, keyword, script, arguments)
            run = self._start_on_locust(folder, replace(on, python=locust_python), fired, hosts, turrets, keep_results)
        elif command:
            run = self._start_commands(folder, command, fired, hosts, keep_results)
        elif hosts:
            run = self._start_on_hosts(folder, self._target(keyword, script, arguments), fired, hosts, keep_results)
        else:
            target = self._target(keyword, script, arguments)
            run = load.start(self._order(folder, target, fired, turrets, keep_results))
        self.session.scopes.on_end(lambda: load.leave(run), _LEAVE_S)
        logger.info(f"The load fires. Results: {folder}")
        return str(folder)

    @keyword(tags=["Load"])
    def wait_for_load(self, *, timeout: timedelta | None = None) -> dict[str, Any]:
        """Waits until the load is over, logs what it did and returns its statistics.

        Args:
            timeout: For how long at most; by default a minute longer than the load is planned to take.

        Returns:
            A dictionary with `count`, `errors`, `error_rate`, `rate`, `dropped`, `lost`, `folder`, and times in seconds: `min`,
            `mean`, `p50`, `p80`, `p90`, `p95`, `p99`, `p999`, `max`, `stdev`.

        Raises:
            LoadFailedError: The load was aborted, also by a limit with `abort`.
            NotOpenError: No load was started in this test, nor in a suite around it.

        ```robotframework
        Start Load    0.01    keyword=Sleep    users=2    duration=1 s
        ${found}=    Wait For Load
        Should Be True    ${found.errors} == 0
        ```
        """
        from OttoLibrary.load.load_run import LoadFailedError, check_over

        run = self.session.load.present
        wait_s = timeout.total_seconds() if timeout is not None else _planned_s(run)
        if not self.session.load.wait(wait_s):
            raise LoadFailedError(f"The load was not over in {wait_s:g} s. End it with 'Stop Load', or give it more time.")
        self.session.load.stop()
        found = self._conclude(run)
        check_over(run)
        return found

    @keyword(tags=["Load"])
    def stop_load(self) -> dict[str, Any]:
        """Ends the load, collects all results, logs and returns them.

        What users are doing is ended first, as long as the plan's `grace` allows.

        Returns:
            What `Wait For Load` returns.

        Raises:
            NotOpenError: No load was started in this test, nor in a suite around it.

        ```robotframework
        Start Load    0.01    keyword=Sleep    users=2    duration=10 min
        Sleep    1 s
        ${found}=    Stop Load
        Should Be True    ${found.count} > 0
        ```
        """
        run = self.session.load.present
        self.session.load.stop()
        return self._conclude(run)

    @keyword(tags=["Load"])
    def get_load_statistic(self, statistic: str, *terms: str) -> float:
        """Returns a statistic of the load up to now, and optionally checks it.

        Args:
            statistic: `p95` or any other percentile, `min`, `mean`, `med`, `max` and `stdev` (in seconds), `count`, `rate`,
                `errors`, `error_rate` (a share of one), `dropped`, `dropped_rate` or `users`.
            terms: `timer=NAME` for a custom timer, `timer=service` for the time without the wait for a start, `phase=NAME` for
                a part of the run, `message=TEXT` for the error; and a check such as `<    300 ms`.

        Raises:
            LimitError: The check failed, or nothing was measured.
            UnknownNameError: There is no such statistic, timer or phase.
            NotOpenError: No load was started.

        ```robotframework
        Start Load    0.01    keyword=Sleep    users=2    duration=1 s
        Wait For Load
        Get Load Statistic    p95    <    2 s
        ${errors}=    Get Load Statistic    errors    phase=steady
        ```
        """
        from OttoLibrary.load.load_limits import (
            LimitVerdict,
            LoadLimit,
            check_kind,
            in_phase,
            kind_of_load,
            limit_value,
            load_value_text,
            measured,
            statistic_name,
        )

        options, check = _terms(terms)
        name = statistic_name(statistic)
        kind = kind_of_load(options.get("timer", ""), name)
        results = self.session.load.results()
        found = results.seconds()
        check_kind(kind, found)
        stretches = in_phase(found, results.phases(), options.get("phase", ""))
        value = measured(kind, name, [each for stretch in stretches for each in stretch])
        logger.info(f"{statistic} {load_value_text(name, value)}")
        if check:
            text = " ".join([f"{options['timer']}:{statistic}" if "timer" in options else statistic, *check])
            limit = LoadLimit(kind, name, check[0], limit_value(name, check[1]), text=text)
            if not limit.holds(value):
                raise LimitError("load", statistic, options.get("message") or f"Load {LimitVerdict(limit, value, False)}.")
        return value

    @keyword(tags=["Load"])
    def load_should_meet(self, *limits: str, abort: bool = False) -> None:
        """Fails unless all limits hold, for the whole load, a window or a phase.

        Args:
            limits: Such as `p(95)<300ms`, `checkout:p(99)<1s` for a custom timer, `error_rate<1%`, `rate>100/s`, `dropped==0`.
                `window=10s` after one means in every stretch of that length, `phase=steady` in that part of the run: `ramp`,
                `steady`, `ramp-down`, or what `Mark Load Phase` named.
            abort: While the load runs: end it as soon as a limit is broken for longer than its window, 10 s when it has none,
                in place of judging now.

        Raises:
            LimitError: A limit is broken, or there was nothing to measure; the message names each with its value.
            UnknownNameError: There is no such statistic, timer or phase.
            UsageError: Limits cannot be understood; the message names each.

        ```robotframework
        Start Load    0.01    keyword=Sleep    users=2    duration=2 s
        Load Should Meet    error_rate<5% window=10s    abort=yes
        Wait For Load
        Load Should Meet    p(95)<2s    error_rate<1% window=1s phase=steady
        ```
        """
        from OttoLibrary.load.load_limits import parse_limits

        if not limits:
            raise UsageError("A limit is missing. Write such as 'p(95)<300ms'.")
        if abort:
            texts = [limit.text for limit in parse_limits(limits)]
            if not self.session.load.is_running:
                raise UsageError("'abort' ends a load that runs, and none does. Say it between 'Start Load' and 'Wait For Load'.")
            for text in texts:
                self.session.load.watch_limit(text)
            return
        verdicts = self.session.load.judge(limits)
        self._log_verdicts()
        broken = [verdict for verdict in verdicts if not verdict.passed]
        if broken:
            lines = "".join(f"\n  {verdict}" for verdict in broken)
            said = f"Load {broken[0]}." if len(broken) == 1 else f"{len(broken)} limits of the load are broken:{lines}"
            raise LimitError("load", broken[0].limit.statistic, said)

    @keyword(tags=["Load"])
    def mark_load_phase(self, name: str) -> None:
        """Begins a named phase of the load, and ends the one that was marked before.

        Args:
            name: Its name; limits and statistics refer to it with `phase=`.

        Raises:
            NotOpenError: No load runs.

        ```robotframework
        Start Load    0.01    keyword=Sleep    users=2    duration=4 s
        Sleep    1 s
        Mark Load Phase    backup
        Wait For Load
        Load Should Meet    p(95)<2s phase=backup
        ```
        """
        self.session.load.mark_phase(name.strip())

    # -- steps

    def _target(self, keyword: str, script: str, arguments: tuple[Any, ...]) -> LoadTarget:
        from OttoLibrary.run import load_target

        if keyword:
            return load_target.of_keyword(keyword, arguments)
        folder = self.session.suite.folder or Path()
        return load_target.with_arguments(load_target.of_script(script, folder), arguments)

    def _start_on_hosts(self, folder: Path, target: LoadTarget, fired: LoadShape, hosts: str, rows: int) -> LoadRun:
        from OttoLibrary.run.load_on_hosts import TurretsOnHosts, of_script

        session, token = self.session, _new_token()
        script, sources = target.for_hosts()
        names = session.lab.select(hosts)
        order = self._order(folder, target, fired, 1, rows)
        plan = {**order.plan, "turrets": len(names), "script": script, "tokens": [token]}
        return session.load.start_with(
            replace(order, plan=plan, turrets=()),
            lambda run: TurretsOnHosts(session.hosts, session.files, run, token),
            lambda turrets: turrets.start(names, of_script(script, sources)),
        )

    def _locust_target(self, file: str, own_shape: bool, keyword: str, script: str, arguments: tuple[Any, ...]) -> LocustTarget:
        from OttoLibrary.run import load_on_locust

        if file:
            return load_on_locust.of_file(file, self.session.suite.folder or Path(), own_shape)
        return load_on_locust.of_target(self._target(keyword, script, arguments))

    def _start_on_locust(
        self, folder: Path, target: LocustTarget, fired: LoadShape, hosts: str, turrets: int, rows: int
    ) -> LoadRun:
        from OttoLibrary.run.load_on_hosts import TurretsOnHosts
        from OttoLibrary.run.load_on_locust import check_installed, free_port
        from OttoLibrary.run.load_target import LoadTarget

        check_installed(target.python)
        session, port = self.session, free_port()
        names = session.lab.select(hosts) if hosts else []
        here = 0 if names else max(1, turrets)
        workers = len(names) or here
        order = self._order(folder, LoadTarget(target.title), fired, 1, rows)
        grace_s = float(fired.firing["grace_s"])
        order = replace(order, plan={**order.plan, "turrets": workers + 1}, turrets=target.here(port, grace_s, here, workers))
        if not names:
            return session.load.start(order)
        token = _new_token()
        program = target.on_hosts(port, grace_s)
        return session.load.start_with(
            replace(order, plan={**order.plan, "tokens": [token]}),
            lambda run: TurretsOnHosts(session.hosts, session.files, run, token),
            lambda on_hosts: on_hosts.start(names, program),
        )

    def _start_commands(self, folder: Path, command: str, fired: LoadShape, hosts: str, rows: int) -> LoadRun:
        from OttoLibrary.run.load_by_commands import CommandUsers
        from OttoLibrary.run.load_target import LoadTarget

        session, token = self.session, _new_token()
        names = session.lab.select(hosts)
        order = self._order(folder, LoadTarget(session.masker.mask(command)), fired, 1, rows)
        return session.load.start_with(
            replace(order, plan={**order.plan, "turrets": 1, "tokens": [token]}, turrets=()),
            lambda run: CommandUsers(session.engine, session.hosts, run, token, session.masker.mask),
            lambda users: users.start(names, command),
        )

    def _order(self, folder: Path, target: LoadTarget, fired: LoadShape, turrets: int, rows: int) -> LoadOrder:
        from OttoLibrary.load.hq_process import LoadOrder, TurretOrder
        from OttoLibrary.run import load_target

        count = fired.users if target.keyword else max(1, min(turrets, fired.users))
        plan = {
            "duration_s": fired.duration_s,
            "turrets": count,
            "grace_s": fired.firing["grace_s"],
            "firing": fired.firing,
            "script": target.script,
            "phases": fired.phases,
            "most_rows": rows,
            "described": {"title": target.title, **fired.firing},
        }
        if target.keyword:
            config = {
                "name": "user",
                "users": count,
                "source": str(load_target.suite_source()),
                "keyword": target.keyword,
                "arguments": list(target.arguments),
                "variables": load_target.suite_variables(),
                "output_folder": str(folder),
            }
            orders = [TurretOrder(config, load_target.ROBOT_COMMAND)]
        else:
            orders = [TurretOrder({"name": f"turret {number + 1}", "script": target.title}) for number in range(count)]
        return LoadOrder(
            str(folder),
            plan,
            orders,
            secrets=self.session.masker.secrets(),
            folder_of_scripts=str(self.session.suite.folder or ""),
        )

    def _conclude(self, run: LoadRun) -> dict[str, Any]:
        """Log and return what a load did, and write its report."""
        from OttoLibrary.load.report_page import write_report
        from OttoLibrary.load.summary import load_block, load_summary

        results = run.results
        summary = load_summary(results)
        verdicts = list(self.session.load.verdicts.values())
        report = write_report(
            results, Path(run.order.folder) / "report.html", verdicts, self._beside(summary.began, summary.ended)
        )
        self.log_html(load_block(results, summary, self._link(report)))
        for warning in results.run().get("warnings", []):
            logger.warn(self.session.masker.mask(warning))
        return dotted({**summary.as_dictionary(), "folder": run.order.folder})

    def _beside(self, began: float, ended: float) -> list[ChartLine]:
        """Return what the monitor, if one runs, read of hosts while the load ran."""
        from OttoLibrary.run.run_load import SUBJECT

        if not self.session.monitor.is_running:
            return []
        lines = self.session.monitor.ask(lambda monitor: monitor.lines(began, ended))
        return [line for line in lines if line.host != SUBJECT]

    def _link(self, path: Path) -> str:
        folder = self.session.suite.output_folder
        return path.relative_to(folder).as_posix() if folder is not None and path.is_relative_to(folder) else path.as_posix()

    def _log_verdicts(self) -> None:
        from OttoLibrary.load.report_page import write_report
        from OttoLibrary.load.summary import verdict_block

        load = self.session.load
        verdicts = list(load.verdicts.values())
        self.log_html(verdict_block(verdicts))
        if not load.is_running:
            results = load.results()
            run = results.run()
            beside = self._beside(float(run.get("began") or 0.0), float(run.get("ended") or 0.0))
            write_report(results, Path(load.last.order.folder) / "report.html", verdicts, beside)


def _check_for_locust(file: str, arguments: tuple[Any, ...], command: str, rate: str, iterations: int, pause: object) -> None:
    """Raise UsageError for what Locust cannot do, or what a locust file says itself."""
    if command:
        raise UsageError("Locust runs no command on hosts. Leave out 'engine=locust'.")
    if rate or iterations:
        raise UsageError("Locust has no 'rate' and no 'iterations'. Say how many users and for how long, or leave out Locust.")
    if file and (arguments or pause):
        raise UsageError("A locust file says itself what its users do and how long they wait. Leave out arguments and pauses.")


def _new_token() -> str:
    import uuid

    return uuid.uuid4().hex


def _planned_s(run: LoadRun) -> float:
    plan = run.order.plan
    elapsed_s = float(run.stands.get("elapsed_s") or 0.0)
    return max(0.0, float(plan["duration_s"]) - elapsed_s) + float(plan["grace_s"]) + 60.0


def _terms(terms: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Return options and check of the further arguments."""
    from OttoLibrary.monitor.limit import RELATIONS

    options, rest = {}, []
    for term in terms:
        name, equals, value = str(term).partition("=")
        if equals and name.strip() in _SHOWN_OPTIONS:
            options[name.strip()] = value.strip()
        else:
            rest.append(str(term).strip())
    if rest and (len(rest) != 2 or rest[0] not in RELATIONS):
        if len(rest) == 2:
            raise UnknownNameError("relation", rest[0], RELATIONS)
        raise UsageError(f"'{' '.join(rest)}' is not a check. Write such as '<    300 ms'.")
    return options, rest
