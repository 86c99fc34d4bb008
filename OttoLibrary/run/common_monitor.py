"""The monitor that all sessions of a run share: it remembers in one place what each of them has hosts read for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from OttoLibrary.engine import Engine
from OttoLibrary.errors import UsageError

if TYPE_CHECKING:
    from OttoLibrary.errors import LimitError
    from OttoLibrary.lab.host_entry import HostEntry
    from OttoLibrary.monitor.monitor import Monitor, WatchedHost
    from OttoLibrary.monitor.watching import Watching, WatchRequest

# Those that record in this process, by the file.
_RECORDING: dict[Path, CommonMonitor] = {}


class Reader(Protocol):
    """A session that reads hosts."""

    @property
    def engine(self) -> Engine:
        """Where it does that."""

    @property
    def watching(self) -> Watching:
        """Its watches."""

    def entry(self, host: str) -> HostEntry:
        """Return what its lab says of a host."""


@dataclass(frozen=True, eq=False)
class Joined:
    """What one session has hosts read for.

    Attributes:
        request: What it asked for.
        parts: Which part of that each session reads.
        began: Since when, in seconds since 1970.
    """

    request: WatchRequest
    parts: Sequence[tuple[Reader, WatchRequest]]
    began: float


@dataclass(eq=False)
class CommonMonitor:
    """A monitor, where it runs, and who reads which host for it.

    Attributes:
        monitor: The monitor.
        engine: The engine on whose loop it lives.
        labs: The labs of its hosts.
        readers: Who reads a host, by its name.
        is_over: True when it has stopped.
    """

    monitor: Monitor
    engine: Engine
    labs: dict[str, None] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)
    is_over: bool = False

    @staticmethod
    def recording(store: Path | None) -> CommonMonitor | None:
        """Return the one that records in a file, or None."""
        return _RECORDING.get(store.resolve()) if store is not None else None

    def divided(self, request: WatchRequest, reader: Reader) -> list[tuple[Reader, WatchRequest]]:
        """Return who reads which part of a request: a host is read by the session that reads it already.

        Args:
            request: The request.
            reader: Who made it, and reads what nobody reads.

        Raises:
            UsageError: Another host of the same name is watched.
        """
        hosts: dict[Reader, list[str]] = {}
        for name in request.metrics:
            present = self.readers.get(name, reader)
            if present is not reader and not _is_same(present.entry(name), reader.entry(name)):
                raise UsageError(
                    f"Host '{name}' is watched already, and is another host than '{name}' of this lab: "
                    f"{_where(present.entry(name))} is not {_where(reader.entry(name))}. Give one of them another name."
                )
            hosts.setdefault(present, []).append(name)
        return [(chosen, request.part(names)) for chosen, names in hosts.items()]

    def admit(self, joined: Joined, hosts: Mapping[str, WatchedHost], labs: str) -> None:
        """Take the readings of what somebody has hosts read for.

        Args:
            joined: What that is.
            hosts: Who its hosts are.
            labs: Their labs.
        """
        self.labs[labs] = None
        for reader, part in joined.parts:
            self.readers.update(dict.fromkeys(part.metrics, reader))
        self.engine.call(self._admit(joined, hosts))
        store = self.monitor.store
        if store is not None:
            _RECORDING[store.path] = self
            with contextlib.suppress(UsageError):  # a full disk, which the monitor reports
                store.describe(self.described())

    async def _admit(self, joined: Joined, hosts: Mapping[str, WatchedHost]) -> None:
        self.monitor.admit(joined.request, hosts)

    async def give_back(self, joined: Joined) -> list[LimitError]:
        """End what somebody has hosts read for, on any loop; return the limits that are judged with it and were broken."""
        if self.is_over:
            return []
        broken = await self.engine.run(self.monitor.release(joined.request))
        for reader, part in joined.parts:
            await reader.engine.run(reader.watching.end(part))
        watched = self.monitor.watched
        self.readers = {name: reader for name, reader in self.readers.items() if name in watched}
        if not self.monitor.is_wanted:
            await self.stop()
        return broken

    async def stop(self) -> None:
        """Stop it for all, on any loop; idempotent."""
        if self.is_over:
            return
        self.is_over = True
        store = self.monitor.store
        await self.engine.run(self.monitor.stop())
        if store is not None:
            _RECORDING.pop(store.path, None)

    def described(self) -> dict[str, object]:
        """Return what a recording says of the labs."""
        hosts = self.monitor.hosts
        return {
            "labs": ",".join(self.labs),
            "hosts": {name: list(host.path) for name, host in hosts.items()},
            "tags": {name: list(host.tags) for name, host in hosts.items()},
        }


def _is_same(one: HostEntry, other: HostEntry) -> bool:
    """Tell whether two labs mean the same host, each as it is written there."""
    return _where(one) == _where(other) and (one.user, one.hop) == (other.user, other.hop)


def _where(entry: HostEntry) -> str:
    port = f":{entry.port}" if entry.port is not None else ""
    return f"{entry.transport} {entry.address}{port}"
