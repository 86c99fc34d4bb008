"""The hosts that a run uses, and the check before one of them is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotFreeError
from OttoLibrary.run.current_lab import CurrentLab

# The library is imported in every process of a run, but not every one opens a host: what is heavy comes with the first use.
if TYPE_CHECKING:
    from OttoLibrary.contracts.connections import Record
    from OttoLibrary.host.host import Host
    from OttoLibrary.host.transcript import Transcript
    from OttoLibrary.lab.host_entry import HostEntry
    from OttoLibrary.shell.output_file import OutputLimits


def _usual() -> OutputLimits | None:
    return None


@dataclass(frozen=True)
class HostNotes:
    """Who writes down what hosts do.

    Attributes:
        add: Takes what a host did.
        warn: Takes a sentence that the reader must know.
        transcript: Returns where what a console of a host says is kept, or None.
        limits: Returns how much is kept of what commands write, or None for as much as usual.
    """

    add: Callable[[Record], None]
    warn: Callable[[str], None]
    transcript: Callable[[str], Transcript | None]
    limits: Callable[[], OutputLimits | None] = _usual


class OpenHosts:
    """The hosts of a run; each connects on first use.

    Args:
        lab: Where hosts are found.
        engine: Where they are closed.
        check: Checks that nobody else has reserved a host: raises NotFreeError, or returns a warning, often empty.
        notes: Who writes down what they do.

    Attributes:
        used: The hosts on which the present test did something, in the order in which it began to.
    """

    def __init__(self, lab: CurrentLab, engine: Engine, check: Callable[[HostEntry], str], notes: HostNotes) -> None:
        self._lab, self._engine, self._check, self._notes = lab, engine, check, notes
        self._hosts: dict[str, Host] = {}
        self.used: dict[str, None] = {}

    def use(self, name: str) -> Host:
        """Return a host of the lab for the present test. Raises UnknownNameError, or NotFreeError when it is another's."""
        host = self._checked(name)
        self.used[name] = None
        return host

    def free(self, names: Sequence[str]) -> list[Host]:
        """Return the hosts that are not somebody else's, with a warning about each that is; raise NotFreeError when all are."""
        hosts, refused = [], list[NotFreeError]()
        for name in names:
            try:
                hosts.append(self._checked(name))
            except NotFreeError as error:
                refused.append(error)
        if not hosts:
            raise refused[0]
        for refusal in refused:
            self._notes.warn(f"Not watched: {refusal}")
        return hosts

    def reroute(self, name: str, hop: str | None) -> Host:
        """Return the host, from now on reached through ``hop``; an open connection is closed first.

        Raises:
            NotFreeError: The host, or the hop, is somebody else's; everything stays as it was.
        """
        path = self._lab.loaded.path(name, hop=hop)
        present = self._hosts.get(name)
        if present is not None and present.path == path:
            return present
        if present is None:
            self._check_free(name)
        rerouted = self._new(name, hop)
        if present is not None:
            self._engine.call(present.close())
        self._hosts[name] = rerouted
        return rerouted

    def path_to(self, name: str) -> tuple[str, ...]:
        """Return the way to a host, itself last, also for one that may not be used."""
        return self._hosts[name].path if name in self._hosts else self._lab.loaded.path(name)

    def close(self) -> None:
        """Close every host, those behind hops first; one that cannot be closed keeps none of the others open."""
        hosts, self._hosts = self._hosts, {}
        with ExitStack() as all_of_them:
            for host in sorted(hosts.values(), key=lambda host: len(host.path)):
                all_of_them.callback(self._close, host)

    async def forget(self, name: str) -> None:
        """Close a host and check anew who has it before its next use."""
        host = self._hosts.pop(name, None)
        if host is not None:
            await host.close()

    def _close(self, host: Host) -> None:
        self._engine.call(host.close())

    async def close_shells(self, began: float) -> None:
        """Close the shells and consoles of all hosts that were opened at this time of ``time.monotonic`` or later."""
        await asyncio.gather(*(host.close_shells(began) for host in self._hosts.values()))

    def _checked(self, name: str) -> Host:
        if name not in self._hosts:
            self._check_free(name)
            self._hosts[name] = self._new(name, self._lab.loaded.entry(name).hop)
        return self._hosts[name]

    def _check_free(self, name: str) -> None:
        if warning := self._check(self._lab.loaded.entry(name)):
            self._notes.warn(warning)

    def _new(self, name: str, hop: str | None) -> Host:
        from OttoLibrary.host.host import Host
        from OttoLibrary.shell.output_file import OutputLimits

        before = self._checked(hop) if hop else None
        path = (*before.path, name) if before else (name,)
        limits = self._notes.limits() or OutputLimits()
        return Host(name, path, lambda: self._lab.facts(name), before, self._notes.add, self._notes.transcript, limits)
