"""Makes an action of each event of a scenario: a keyword, a function, a command on hosts, a disturbance."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from OttoLibrary.contracts.connections import Record
from OttoLibrary.errors import ConnectionLostError, HostError, OttoError, ScenarioError, UsageError, did_you_mean
from OttoLibrary.masking import mask
from OttoLibrary.run.event_keywords import EventKeyword, KeywordFailedError, TimeLimit
from OttoLibrary.run.fanout import each, whole
from OttoLibrary.run.folded_log import FoldedLog, KeptRuns
from OttoLibrary.run.host_disturbances import reboot_host
from OttoLibrary.run.journal import records_apart
from OttoLibrary.run.main_thread import MainThread
from OttoLibrary.run.session import Session
from OttoLibrary.scenario import description, functions
from OttoLibrary.scenario.events import DISTURBANCES, Scenario, ScenarioEvent
from OttoLibrary.scenario.healing import Healing
from OttoLibrary.scenario.plan_text import clock_text
from OttoLibrary.scenario.reporter import CURRENT_EVENT, Reporter
from OttoLibrary.scenario.schedule import Action, EventRun
from OttoLibrary.units import duration_text

_OFFERED = ("kill_switch", "reporter")
# A load that has one of these says itself how long it lasts.
_LENGTHS_OF_LOAD = frozenset({"duration", "stages", "iterations"})
_MOST_THREADS = 64
_AT_A_TIME = 20
_MOST_RECORDS = 100


@dataclass(frozen=True)
class ScenarioSurroundings:
    """What actions work with.

    Attributes:
        session: The run.
        main: Where keywords run.
        reporter: Takes results.
        stop: Ends the scenario, with a reason.
        log: The log.
        say: Logs a sentence, in the main thread.
    """

    session: Session
    main: MainThread
    reporter: Reporter
    stop: Callable[[str], None]
    log: FoldedLog
    say: Callable[[str], None]


@dataclass(frozen=True)
class _Deed:
    """One thing that is done: by an event, its undo or its probe.

    Attributes:
        call: Does it once; the second argument is the host, or empty.
        is_keyword: It runs in the main thread.
        sees_kill_switch: It takes the kill switch.
    """

    call: Callable[[EventRun, str], Awaitable[object]]
    is_keyword: bool = False
    sees_kill_switch: bool = False


class ScenarioActions:
    """Finds and checks what the events of a scenario do, in the main thread, before anything starts.

    Args:
        around: What they work with.

    Attributes:
        records: What hosts did in runs that failed, by event; whoever logs a failure takes it.
    """

    def __init__(self, around: ScenarioSurroundings) -> None:
        self._around = around
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="scenario")
        self._stops_on_lost_host = False
        self._kept = KeptRuns()
        self.records: dict[str, list[Record]] = {}

    def make(self, scenario: Scenario) -> dict[str, Action]:
        """Return the action of each event; raise ScenarioError with everything that is wrong."""
        problems: list[str] = []
        self._stops_on_lost_host = scenario.stop_on_lost_host
        made: dict[str, Action] = {}
        for event in scenario.events:
            try:
                made[event.name] = self._action(event)
            except OttoError as error:
                problems.append(f"{scenario.source or scenario.name}: {error} @ {event.path or event.name}")
        if problems:
            raise ScenarioError(problems)
        return made

    async def connect(self, scenario: Scenario) -> None:
        """Connect to the hosts of commands, so that first runs are not late; one that cannot be reached is told by its run."""
        selections = {event.hosts for event in scenario.events if event.kind == "command"}
        names = {name for selection in selections for name in self._around.session.lab.select(selection)}
        await each(sorted(names), self._connect, _AT_A_TIME)

    async def _connect(self, name: str) -> None:
        host = self._around.session.hosts.use(name)
        await host.connection.open(await host.deadline(None))

    def close(self) -> None:
        """Let the threads end; one that does not heed the kill switch is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _action(self, event: ScenarioEvent) -> Action:
        if event.kind in DISTURBANCES:
            return self._disturbance(event)
        if event.kind == "load":
            return self._load(event)
        hosts = tuple(self._around.session.lab.select(event.hosts)) if event.hosts else ()
        deed = self._deed(event, event.target or event.name)
        undo = self._deed(_called(event), event.undo) if event.undo else None
        probe = self._deed(_called(event), event.probe) if event.probe else None
        return Action(
            do=partial(self._do, deed, hosts),
            undo=partial(self._do, undo, hosts) if undo else None,
            probe=partial(self._probe, probe, hosts) if probe else None,
            is_exclusive=deed.is_keyword or bool(undo and undo.is_keyword) or bool(probe and probe.is_keyword),
            sees_kill_switch=deed.sees_kill_switch,
        )

    def _load(self, event: ScenarioEvent) -> Action:
        """Return virtual users that begin, and end after the time that the event lasts, or at the end."""
        which = "script" if event.target.partition(":")[0].endswith(".py") else "keyword"
        params = {which: event.target, **event.params}
        if event.lasts_s is not None and not params.keys() & _LENGTHS_OF_LOAD:
            params["duration"] = f"{event.lasts_s:g} s"
        from OttoLibrary.load.load_run import check_over

        start = self._keyword(replace(event, params=params, hosts=""), "Start Load")
        stop = self._keyword(replace(event, params={}, hosts=""), "Stop Load")
        fires = False

        async def do(run: EventRun) -> None:
            nonlocal fires
            await self._do(start, (), run)
            fires = True

        async def undo(run: EventRun) -> None:
            nonlocal fires
            # What did not begin left nothing.
            if fires:
                fires = False
                await self._do(stop, (), run)
                check_over(self._around.session.load.last)

        return Action(do, undo, is_exclusive=True)

    def _disturbance(self, event: ScenarioEvent) -> Action:
        disturbances = self._around.session.disturbances
        if event.kind == "reboot":
            name = reboot_host(event.target)
            self._around.session.lab.select(name)
            return Action(lambda run: disturbances.reboot(name))
        recipe = disturbances.recipe(event.kind, event.target)
        held: list[Healing] = []

        async def do(run: EventRun) -> None:
            run.host = recipe.host
            # One that was left by an earlier run is undone first.
            await undo(run)
            healing, said = await disturbances.begin(event.kind, recipe)
            held.append(healing)
            self._around.main.tell(lambda: self._around.say(f"Event '{event.name}', run {run.number}: {recipe.what} {said}"))

        async def undo(run: EventRun) -> None:
            run.host = recipe.host
            while held:
                await disturbances.heal(held.pop())

        async def probe(run: EventRun, when: str) -> None:
            run.host = recipe.host
            await disturbances.check(recipe, "disturbed" if when == "during" else "healthy")

        is_once = event.lasts_s is None
        return Action(do, undo, None if is_once else probe)

    async def _probe(self, probe: _Deed, hosts: tuple[str, ...], run: EventRun, when: str) -> None:
        # How the system is while it is disturbed is for the disturbance to say.
        if when != "during":
            await self._do(probe, hosts, run)

    async def _do(self, deed: _Deed, hosts: tuple[str, ...], run: EventRun) -> None:
        """Do it, on each host if there are some; a keyword on one after the other."""
        with self._records_of(run):
            if not hosts:
                await self._on(deed, run, "")
            elif deed.is_keyword or len(hosts) == 1:
                for host in hosts:
                    run.host = host
                    await self._on(deed, run, host)
            else:
                whole(await each(hosts, partial(self._on, deed, run), _AT_A_TIME), "It failed on")

    async def _on(self, deed: _Deed, run: EventRun, host: str) -> None:
        token = CURRENT_EVENT.set((run.event.name, host))
        try:
            await deed.call(run, host)
        except HostError as error:
            run.host = error.host or host
            if isinstance(error, ConnectionLostError) and self._stops_on_lost_host:
                self._around.stop(f"the connection to host '{run.host}' was lost")
            raise
        finally:
            CURRENT_EVENT.reset(token)

    @contextmanager
    def _records_of(self, run: EventRun) -> Iterator[None]:
        """Keep what hosts do in a run that fails, to be logged with the failure."""
        with records_apart() as records:
            try:
                yield
            except Exception:
                self.records[run.event.name] = records[-_MOST_RECORDS:]
                raise

    # -- kinds

    def _deed(self, event: ScenarioEvent, target: str) -> _Deed:
        match event.kind:
            case "command":
                return _Deed(partial(self._command, target, event.timeout_s))
            case "keyword":
                return self._keyword(event, target)
            case "function":
                return self._function(event, target, functions.find(target))
            case "":
                function = functions.find(target)
                return self._function(event, target, function) if function is not None else self._keyword(event, target)
        raise UsageError(f"'{event.kind}' cannot be run by this version")

    async def _command(self, command: str, timeout_s: float | None, run: EventRun, host: str) -> None:
        await self._around.session.hosts.use(host).run_once(command, timeout_s=timeout_s, ends_with_us=True)

    def _keyword(self, event: ScenarioEvent, name: str) -> _Deed:
        offered = dict.fromkeys((*_OFFERED, "host") if event.hosts else _OFFERED)
        try:
            keyword = EventKeyword(
                name, event.params, {**offered, "host": "host"} if event.hosts else offered, description.OPTIONS
            )
        except UsageError as error:
            near = "" if "Did you" in str(error) else did_you_mean(name, functions.known())
            raise UsageError(f"{str(error).rstrip('.')}{near}") from error
        if event.hosts and "host" not in keyword.takes:
            raise UsageError(f"the keyword '{name}' has no argument 'host', so it cannot run on each of '{event.hosts}'")
        return _Deed(partial(self._run_keyword, keyword), is_keyword=True, sees_kill_switch="kill_switch" in keyword.takes)

    async def _run_keyword(self, keyword: EventKeyword, run: EventRun, host: str) -> None:
        limit = TimeLimit(None)
        given = {"kill_switch": run.kill_switch, "reporter": self._around.reporter, "host": host}
        await self._around.main.do(lambda: self._logged(keyword, given, limit, run, host), limit.interrupt)

    def _logged(self, keyword: EventKeyword, given: dict[str, Any], limit: TimeLimit, run: EventRun, host: str) -> None:
        """Run a keyword in the main thread; what passes is folded, but for some samples."""
        failed: list[bool] = []

        def status() -> str:
            return self._kept.status(run.event.name, run.number, has_failed=bool(failed))

        token = CURRENT_EVENT.set((run.event.name, host))
        try:
            with self._around.log.run(_title(run, host), status), limit.around():
                try:
                    keyword.run(given)
                except KeywordFailedError as error:
                    failed.append(True)
                    if error.is_fatal and not limit.is_interrupted:
                        self._around.stop(f"event '{run.event.name}' ended the execution ({error})")
                    raise
        finally:
            CURRENT_EVENT.reset(token)

    def _function(self, event: ScenarioEvent, name: str, function: Callable[..., Any] | None) -> _Deed:
        if function is None:
            known = functions.known()
            listed = ", ".join(sorted(known)) or "none"
            raise UsageError(f"no function is registered as '{name}'.{did_you_mean(name, known)} Registered: {listed}")
        offered = {*_OFFERED, "host"} if event.hosts else set(_OFFERED)
        problem = functions.mistake(function, dict(event.params), offered, description.OPTIONS)
        if problem:
            raise UsageError(problem)
        return _Deed(partial(self._run_function, function, event), sees_kill_switch=functions.takes(function, "kill_switch"))

    async def _run_function(self, function: Callable[..., Any], event: ScenarioEvent, run: EventRun, host: str) -> None:
        offered = {"kill_switch": run.kill_switch, "reporter": self._around.reporter} | ({"host": host} if event.hosts else {})
        given = {key: value for key, value in offered.items() if functions.takes(function, key)} | dict(event.params)
        if inspect.iscoroutinefunction(function):
            await function(**given)
            return
        context = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(self._threads, lambda: context.run(lambda: function(**given)))


def _called(event: ScenarioEvent) -> ScenarioEvent:
    """Return an event whose undo or probe is found as the event itself is, without its arguments."""
    return replace(event, params={})


def _title(run: EventRun, host: str) -> str:
    where = f" on {host}" if host else ""
    late_s = max(0.0, run.began_s - run.due_s)
    return mask(f"{run.event.name}, run {run.number}{where}: due {clock_text(run.due_s)}, late {duration_text(late_s)}")
