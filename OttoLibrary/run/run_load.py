"""The load of a run: at most one fires; its statistics become readings of the monitor, its results a folder by the log."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotOpenError, OttoError, UsageError
from OttoLibrary.load.hq_process import LoadOrder
from OttoLibrary.load.load_limits import LimitVerdict, judge, parse_limits
from OttoLibrary.load.load_run import LoadFailedError, LoadRun, free_folder
from OttoLibrary.load.report_page import REPORT, write_report
from OttoLibrary.load.result_store import ResultReader
from OttoLibrary.load.turret.batches import RESPONSE, TIMER
from OttoLibrary.run.run_monitor import RunMonitor

Begin = Coroutine[Any, Any, None]


class RemoteTurrets(Protocol):
    """Turrets that the HQ does not start by itself."""

    async def close(self) -> None:
        """End them, and leave nothing of them; idempotent."""


R = TypeVar("R", bound=RemoteTurrets)
# What the monitor calls the load, among the hosts.
SUBJECT = "load"
# When its test or suite is over, users may end what they do in so many seconds.
LEAVE_S = 10.0
_REPORT_S = 30.0


class RunLoad:
    """Starts, asks and stops the load of a run.

    Args:
        engine: Where it is talked to.
        monitor: Whose readings its statistics become.
    """

    def __init__(self, engine: Engine, monitor: RunMonitor) -> None:
        self._engine, self._monitor = engine, monitor
        self._run: LoadRun | None = None
        # Of the scope that started it nothing is left but the results.
        self._left: LoadRun | None = None
        self._on_hosts: RemoteTurrets | None = None
        self._shown_until = 0.0
        self.verdicts: dict[str, LimitVerdict] = {}

    @property
    def is_running(self) -> bool:
        """Whether a load fires."""
        return self._run is not None and not self._run.is_over

    @property
    def last(self) -> LoadRun:
        """The load that fires, or the last one; raise NotOpenError."""
        if self._run is None:
            raise NotOpenError("No load was started. Start one with 'Start Load'.")
        return self._run

    @property
    def present(self) -> LoadRun:
        """The load that the present test, or a suite around it, started; raise NotOpenError."""
        run = self.last
        if run is self._left:
            raise NotOpenError(
                "No load was started in this test; the last one ended with the test or suite that started it. "
                "Start one with 'Start Load' here, or in the setup of the suite."
            )
        return run

    def place(self, output_folder: Path | None) -> Path:
        """Return a new folder for results; raise UsageError while a load fires."""
        if self.is_running:
            raise UsageError("A load is running already. End it with 'Wait For Load' or 'Stop Load' before another is started.")
        return free_folder((output_folder or Path()) / "otto")

    def start(self, order: LoadOrder) -> LoadRun:
        """Start a load, and wait until it fires; raise LoadFailedError, PluginError or UsageError."""
        run = LoadRun(order, self._heard)
        self._run, self._shown_until = run, 0.0
        self.verdicts = {}
        self._engine.call(_started(run))
        return run

    def start_with(self, order: LoadOrder, turrets: Callable[[LoadRun], R], begin: Callable[[R], Begin]) -> LoadRun:
        """Start a load whose turrets the HQ does not start, and wait until it fires; raise what ``start`` raises, or HostError.

        Args:
            order: What is run.
            turrets: Makes the turrets of a run.
            begin: Starts them.
        """
        run = LoadRun(order, self._heard)
        self._run, self._shown_until = run, 0.0
        self.verdicts = {}
        made = turrets(run)
        self._on_hosts = made
        self._engine.call(_started_with(run, made, begin(made)))
        return run

    def wait(self, timeout_s: float) -> bool:
        """Wait until the load is over; return False when it is not in time."""
        return self._engine.call(self.last.wait(timeout_s))

    def stop(self, reason: str = "") -> None:
        """End the load, if one fires."""
        if self._run is not None:
            self._engine.call(self.end(self._run, reason))

    async def end(self, run: LoadRun, reason: str = "") -> None:
        """End one load, on the engine, as soon as its users are ready or its grace is over; idempotent."""
        try:
            if not run.is_over:
                await run.stop(reason)
        finally:
            await self._close(run)

    async def leave(self, run: LoadRun) -> None:
        """End one load whose test or suite is over: nobody waits for it any more, so what hangs is ended by force; idempotent.

        Raises:
            LoadFailedError: It was ended by force.
        """
        self._left = run
        try:
            ended = run.is_over or await run.stop("", LEAVE_S)
        finally:
            await self._close(run)
            await _report(run)
        if not ended:
            raise LoadFailedError(
                f"The load did not end in {LEAVE_S:g} s and was ended by force: its users hang in '{run.title}'. "
                "What they were doing is not counted."
            )

    async def _close(self, run: LoadRun) -> None:
        try:
            await run.close()
        finally:
            if self._on_hosts is not None and run is self._run:
                on_hosts, self._on_hosts = self._on_hosts, None
                await on_hosts.close()

    def results(self) -> ResultReader:
        """Return what was measured up to now."""
        return self.last.results

    def judge(self, texts: Sequence[str]) -> list[LimitVerdict]:
        """Return how limits stand now; raise UsageError or UnknownNameError for those that cannot be judged."""
        limits = parse_limits(texts)
        results = self.results()
        seconds, phases = results.seconds(), results.phases()
        verdicts = [judge(limit, seconds, phases) for limit in limits]
        self.verdicts |= {verdict.limit.text: verdict for verdict in verdicts}
        return verdicts

    def mark_phase(self, name: str) -> None:
        """Begin a phase; raise NotOpenError when no load fires."""
        self._engine.call(self._fires().mark_phase(name))

    def watch_limit(self, text: str) -> None:
        """End the load when a limit is broken for longer than its window."""
        self._engine.call(self._fires().watch_limit(text))

    def _fires(self) -> LoadRun:
        if not self.is_running:
            raise NotOpenError("No load is running. Start one with 'Start Load'.")
        return self.last

    def _heard(self, stands: dict[str, Any]) -> None:
        """Let the monitor have what came of the last second."""
        if not self._monitor.is_running or stands.get("at", 0.0) <= self._shown_until or not stands.get("elapsed_s"):
            return
        self._shown_until = stands["at"]
        values = readings(stands)
        self._monitor.tell(lambda monitor: monitor.record_beside(SUBJECT, stands["at"], values))


async def _report(run: LoadRun) -> None:
    """Write the report of a load that nobody waited for."""
    target = Path(run.order.folder) / REPORT
    if target.exists() or not run.stands.get("stored"):
        return
    try:
        async with asyncio.timeout(_REPORT_S):
            await asyncio.to_thread(write_report, run.results, target)
    except (OttoError, TimeoutError):
        # What is in the file of results can be shown later, too.
        return


async def _started(run: LoadRun) -> None:
    try:
        await run.start()
        await run.until_running()
    except BaseException:
        await run.close()
        raise


async def _started_with(run: LoadRun, turrets: RemoteTurrets, begin: Begin) -> None:
    try:
        await run.start()
        try:
            await begin
        except ExceptionGroup as group:
            # Each host has its own reason; the first is as good as any.
            raise group.exceptions[0] from None
        await run.until_running()
    except BaseException:
        await run.close()
        await turrets.close()
        raise


def readings(stands: dict[str, Any]) -> dict[str, float]:
    """Return the readings of one second: users, rate, times and errors."""
    found = {
        "users": float(stands["users"]),
        "rate_per_s": float(stands["count"]),
        "errors_per_s": float(stands["failed_in_second"]),
    }
    if stands["dropped"]:
        found["dropped_per_s"] = float(stands["dropped_in_second"])
    for kind, (p50, p95, p99) in stands["times"].items():
        if math.isnan(p95):
            continue
        if kind == RESPONSE:
            found |= {"response_p50_ms": p50 * 1000, "response_p95_ms": p95 * 1000, "response_p99_ms": p99 * 1000}
        elif kind.startswith(TIMER):
            found[f"timer_p95_ms[{kind.removeprefix(TIMER)}]"] = p95 * 1000
    return found
