"""What a lab does around each reservation of a host: commands of ``before_lease`` and ``after_lease``, while it is reserved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from OttoLibrary.errors import OttoError, ReservationError
from OttoLibrary.units import duration_text

if TYPE_CHECKING:
    from OttoLibrary.contracts.facts import LeaseHook
    from OttoLibrary.run.current_lab import CurrentLab
    from OttoLibrary.run.open_hosts import OpenHosts

BEFORE, AFTER = "before_lease", "after_lease"
_MORE_S = 20.0
_ENDING_S = 10.0


@dataclass(frozen=True)
class LeaseHooks:
    """The hooks of the hosts in a lab.

    Args:
        lab: The lab.
        hosts: Where the commands run.
        quarantine: Puts resources in quarantine, for a reason.
        warn: Told what failed and does not count.
        mask: Hides secrets.
    """

    lab: CurrentLab
    hosts: OpenHosts
    quarantine: Callable[[Collection[str], str], None]
    warn: Callable[[str], None]
    mask: Callable[[str], str]

    async def before(self, hosts: Sequence[str]) -> None:
        """Do what comes before the use of hosts; raise ReservationError when one of them is not to be used."""
        await self._all(BEFORE, hosts)

    async def after(self, hosts: Sequence[str]) -> None:
        """Do what comes after their use; raise ReservationError when that failed."""
        await self._all(AFTER, hosts)

    def limit_s(self, hosts: Sequence[str]) -> float:
        """Return how long the end of a reservation may take, in seconds."""
        return _MORE_S + sum(hook.timeout + _ENDING_S for host in hosts for hook in self._hooks(AFTER, host))

    def end_may_fail(self, hosts: Sequence[str]) -> bool:
        """Return True when there is something to do at the end of a reservation."""
        return any(self._hooks(AFTER, host) for host in hosts)

    def _hooks(self, kind: str, host: str) -> Sequence[LeaseHook]:
        lab = self.lab.loaded
        # Hosts without any resolve no references for it; a lab that was loaded meanwhile may not have the host.
        if host not in lab.hosts or not lab.entry(host).written().get(kind):
            return ()
        facts = lab.facts(host)
        return facts.before_lease if kind == BEFORE else facts.after_lease

    async def _all(self, kind: str, hosts: Sequence[str]) -> None:
        """Do what is to be done for each host, one thing after the other, and the hosts side by side."""
        work = [(host, hooks) for host in hosts if (hooks := await asyncio.to_thread(self._hooks, kind, host))]
        failed = await asyncio.gather(*(self._in_turn(kind, host, hooks) for host, hooks in work))
        said = [sentence for sentences in failed for sentence in sentences]
        if said:
            raise ReservationError(" ".join(said))

    async def _in_turn(self, kind: str, host: str, hooks: Sequence[LeaseHook]) -> list[str]:
        """Do it for one host; before a lease nothing follows a failure, after it everything is tried."""
        failed: list[str] = []
        for hook in hooks:
            why = await self._failure(hook, host)
            if not why:
                continue
            sentence = self.mask(f"'{kind}' of host '{host}' failed: {why}")
            if hook.on_failure == "warn":
                self.warn(sentence)
                continue
            if hook.on_failure == "quarantine":
                sentence = await asyncio.to_thread(self._quarantined, host, sentence)
                await self.hosts.forget(host)
            failed.append(sentence)
            if kind == BEFORE:
                break
        return failed

    async def _failure(self, hook: LeaseHook, host: str) -> str:
        """Return why a command failed, empty when it did not."""
        try:
            # The command ends by its own limit, with all that it started.
            async with asyncio.timeout(hook.timeout + _ENDING_S):
                await self.hosts.use(hook.host or host).run_once(hook.command, timeout_s=hook.timeout)
        except TimeoutError:
            return f"it took longer than {duration_text(hook.timeout)}."
        except OttoError as error:
            return str(error)
        return ""

    def _quarantined(self, host: str, sentence: str) -> str:
        """Put a host in quarantine and return the sentence with what became of that."""
        try:
            self.quarantine(self.lab.loaded.entry(host).reserved_as, sentence.splitlines()[0])
        except OttoError as error:
            return f"{sentence} It could not be put in quarantine: {error}"
        return f"{sentence} Host '{host}' was put in quarantine."
