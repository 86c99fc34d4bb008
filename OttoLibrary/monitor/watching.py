"""Who wants which hosts read, and the watches that read them: each host once, for all who asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from OttoLibrary.contracts.metrics import Event, Metric, Tick
from OttoLibrary.engine import BackOff, Engine, Failure, supervise
from OttoLibrary.errors import UsageError
from OttoLibrary.host.host import Host
from OttoLibrary.monitor.registered_metrics import make_metrics
from OttoLibrary.monitor.watch import Clock, Sink, Watch

SHORTEST_INTERVAL_S = 0.1


@dataclass(frozen=True, eq=False)
class WatchRequest:
    """What one caller wants read, until it is given back.

    Attributes:
        metrics: The metrics by name, of each host by its name.
        interval_s: Seconds between two readings, at most.
    """

    metrics: Mapping[str, Mapping[str, Metric]]
    interval_s: float

    def part(self, hosts: Sequence[str]) -> WatchRequest:
        """Return the same for some of its hosts."""
        return WatchRequest({host: self.metrics[host] for host in hosts}, self.interval_s)


async def watch_request(hosts: Sequence[Host], names: Sequence[str], interval_s: float) -> WatchRequest:
    """Return a request; raise UsageError for an interval that is too short, and what a wrong name raises.

    Args:
        hosts: The hosts.
        names: The metrics, none for the usual ones and all that the lab defines.
        interval_s: Seconds between two readings.
    """
    if not interval_s >= SHORTEST_INTERVAL_S:
        raise UsageError(f"An interval of {interval_s:g} s is too short. The shortest is {SHORTEST_INTERVAL_S:g} s.")
    return WatchRequest({host.name: make_metrics(names, (await host.connection.facts()).metrics) for host in hosts}, interval_s)


def interval_of(host: str, requests: Sequence[WatchRequest]) -> float | None:
    """Return how often requests together want a host read: as the one that wants it most often, or None when none does."""
    return min((request.interval_s for request in requests if host in request.metrics), default=None)


class Watching:
    """Reads hosts for those who asked, until the last of them has given its request back; everything is called on one loop.

    A host is read with all metrics that are asked for, as often as the one who wants it most often.

    Args:
        sink: Takes what is read.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        # All beats are counted from here, so that hosts are read at the same moments however often.
        self._began = time.monotonic()
        self._hosts: dict[str, Host] = {}
        self._metrics: dict[str, dict[str, Metric]] = {}
        self._requests: list[WatchRequest] = []
        self._running: dict[str, tuple[Watch, asyncio.Task[None]]] = {}
        self._missed = 0

    @property
    def missed(self) -> int:
        """How many readings were left out because a host answered late."""
        return self._missed + sum(watch.missed for watch, _ in self._running.values())

    async def begin(self, request: WatchRequest, hosts: Mapping[str, Host]) -> None:
        """Read what a request asks for, too; hosts are reached in the background.

        Args:
            request: What is asked for.
            hosts: Those of its hosts that are not read yet.
        """
        self._requests.append(request)
        self._hosts = {**hosts, **self._hosts}
        await self._adapt(request)

    async def end(self, request: WatchRequest) -> None:
        """Read no longer what only this request asked for."""
        if request in self._requests:
            self._requests.remove(request)
            await self._adapt(request)

    async def stop(self) -> None:
        """Give all requests back; idempotent."""
        self._requests = []
        await asyncio.gather(*(self._leave(host) for host in list(self._running)))

    async def _adapt(self, request: WatchRequest) -> None:
        await asyncio.gather(*(self._follow(host) for host in request.metrics))

    async def _follow(self, host: str) -> None:
        interval_s, wanted = interval_of(host, self._requests), self._wanted(host)
        before = self._running.get(host)
        if before is not None and (before[0].interval_s, before[0].metrics.keys()) == (interval_s, wanted.keys()):
            return
        await self._leave(host)
        if interval_s is not None:
            watch = Watch(self._hosts[host], wanted, Clock(interval_s, self._began), self._sink)
            self._running[host] = watch, asyncio.create_task(self._watched(host, watch))

    def _wanted(self, host: str) -> dict[str, Metric]:
        """Return the metrics of a host that all requests together want; one that is read goes on counting."""
        kept = self._metrics.setdefault(host, {})
        for request in self._requests:
            for name, metric in request.metrics.get(host, {}).items():
                kept.setdefault(name, metric)
        names = {name: None for request in self._requests for name in request.metrics.get(host, {})}
        return {name: kept[name] for name in names}

    async def _watched(self, host: str, watch: Watch) -> None:
        def failed(failure: Failure) -> None:
            self._sink.mark(Event(time.time(), f"Watching host '{host}' failed: {failure}", "error"))

        await supervise(watch.follow, failed, BackOff())

    async def _leave(self, host: str) -> None:
        if host not in self._running:
            return
        watch, task = self._running.pop(host)
        self._missed += watch.missed
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        watch.end_gaps()


class RemoteSink:
    """A sink on another engine's loop; what it is given arrives there in order.

    Args:
        sink: The sink.
        engine: The engine on whose loop it lives.
    """

    def __init__(self, sink: Sink, engine: Engine) -> None:
        self._sink, self._engine = sink, engine
        self._last = 0
        # By the numbers that were given out here, those of the sink; only used on its loop.
        self._numbers: dict[int, int] = {}

    def tick(self, tick: Tick) -> None:
        """Take readings."""
        self._engine.post(self._sink.tick, tick)

    def mark(self, event: Event) -> int:
        """Take an event; return a number for ``end``."""
        self._last += 1
        self._engine.post(self._mark, self._last, event)
        return self._last

    def end(self, number: int, until: float) -> None:
        """Note when an event ended."""
        self._engine.post(self._end, number, until)

    def _mark(self, number: int, event: Event) -> None:
        kept = self._sink.mark(event)
        if event.kind == "gap":
            self._numbers[number] = kept

    def _end(self, number: int, until: float) -> None:
        if number in self._numbers:
            self._sink.end(self._numbers.pop(number), until)
