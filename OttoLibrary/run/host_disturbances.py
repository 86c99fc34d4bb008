"""The disturbances of a run: by the events of scenarios, and by keywords until they are healed or their scope ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import HostError, NotOpenError, OttoError, UsageError
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.open_hosts import OpenHosts
from OttoLibrary.run.scopes import Scopes
from OttoLibrary.text import decode

if TYPE_CHECKING:
    from OttoLibrary.scenario.disturbances import Recipe
    from OttoLibrary.scenario.healing import Healing

_CHECK_S = 30.0
_REBOOT_S = 300.0


class HostDisturbances:
    """What is disturbed now.

    Args:
        lab: Where hosts are found.
        hosts: The hosts of the run.
        scopes: Its scopes; what is disturbed in one is healed with it.
        broken: Takes what could not be undone, and fails the test.
        warn: Takes a sentence that the reader must know.
    """

    def __init__(
        self,
        lab: CurrentLab,
        hosts: OpenHosts,
        scopes: Scopes,
        broken: Callable[[Iterable[OttoError]], None],
        warn: Callable[[str], None],
    ) -> None:
        self._lab, self._hosts, self._scopes, self._broken, self._warn = lab, hosts, scopes, broken, warn
        self._held: list[tuple[str, Recipe, Healing]] = []

    def recipe(self, kind: str, text: str) -> Recipe:
        """Return what a disturbance does; raise UsageError, or UnknownNameError for a host that is not of the lab."""
        from OttoLibrary.scenario.disturbances import recipe

        lab = self._lab.loaded
        made = recipe(kind, text, {name: lab.facts(name).address for name in lab.names()} if " to=" in text else {})
        self._lab.select(made.host)
        return made

    async def begin(self, kind: str, recipe: Recipe) -> tuple[Healing, str]:
        """Disturb a host; return what heals it, and what the host said. Raises HostError, and nothing is left then."""
        from OttoLibrary.scenario.healing import Healing

        host = self._hosts.use(recipe.host)
        healing = Healing(host, recipe.what, recipe.undo, wrap=recipe.wrap, told=self._warn)
        said = await healing.begin(recipe.do)
        self._held.append((kind, recipe, healing))
        return healing, said

    async def heal(self, healing: Healing) -> None:
        """Undo one; raise HostError that says what is left."""
        self._held = [entry for entry in self._held if entry[2] is not healing]
        await healing.heal()

    async def heal_host(self, host: str, kind: str = "") -> list[str]:
        """Undo all disturbances of a host, or those of a kind, the newest first; return what they were.

        Raises:
            NotOpenError: There is none. HostError: One could not be undone; the others were.
        """
        chosen = [entry for entry in reversed(self._held) if entry[1].host == host and kind in ("", entry[0])]
        if not chosen:
            known = ", ".join(f"{recipe.host}: {recipe.what}" for _, recipe, _ in self._held) or "none"
            raise NotOpenError(f"Host '{host}' is not disturbed. Disturbed: {known}.")
        errors = []
        for _, _, healing in chosen:
            try:
                await self.heal(healing)
            except HostError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return [recipe.what for _, recipe, _ in chosen]

    async def check(self, recipe: Recipe, wanted: str) -> None:
        """Raise HostError unless a host is ``healthy`` or ``disturbed`` as it should be."""
        if not recipe.check:
            return
        host = self._hosts.use(recipe.host)
        found = await host.answer_of(recipe.wrap(recipe.check), Deadline(_CHECK_S))
        said = decode(found.stdout).strip()
        if said in {"healthy", "disturbed"} and said != wanted:
            raise HostError(f"Host '{recipe.host}' is {said}, and should be {wanted} ({recipe.what}).", host=recipe.host)

    async def reboot(self, name: str) -> None:
        """Reboot a host, and wait until it is up; raise HostError."""
        from OttoLibrary.host.uptime import reboot

        host = self._hosts.use(name)
        await reboot(host, "reboot", Deadline(_REBOOT_S))

    def hold(self, kind: str, recipe: Recipe, lasts_s: float | None, call: Callable[..., str]) -> str:
        """Disturb a host until it is healed, its time is over, or the present scope ends; return what the host said.

        Args:
            kind: The kind of disturbance.
            recipe: What it does.
            lasts_s: How long, or None.
            call: Runs a coroutine on the engine.
        """
        return call(self._hold(kind, recipe, lasts_s))

    async def _hold(self, kind: str, recipe: Recipe, lasts_s: float | None) -> str:
        healing, said = await self.begin(kind, recipe)
        ending: asyncio.Task[None] | None = None
        if lasts_s is not None:
            ending = asyncio.create_task(self._heal_after(healing, lasts_s))

        async def end() -> None:
            if ending is not None:
                ending.cancel()
            await self.heal(healing)

        self._scopes.on_end(end)
        return said

    async def _heal_after(self, healing: Healing, lasts_s: float) -> None:
        await asyncio.sleep(lasts_s)
        try:
            await self.heal(healing)
        except HostError as error:
            self._broken([error])


def reboot_host(text: str) -> str:
    """Return the host that a reboot names; raise UsageError."""
    words = text.split()
    if len(words) != 1:
        raise UsageError(f"'{text}' does not name one host to reboot. Write its name.")
    return words[0]
